"""What makes the generated files beside the package: `make generate` runs it, nothing of it is installed."""
