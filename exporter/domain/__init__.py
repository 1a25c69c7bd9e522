"""What the exporter knows about migrations, free of networks, clocks and metrics."""
