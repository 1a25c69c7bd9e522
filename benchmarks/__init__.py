"""What the exporter costs, beside what others cost that do the same: `make bench` measures it all, in one run."""
