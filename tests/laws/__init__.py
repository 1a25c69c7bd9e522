"""The laws of the whole, by machine: random histories, failures, kills and restarts against a plain model."""
