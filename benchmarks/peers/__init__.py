"""How others do what the exporter does, each written as its users would write it."""
