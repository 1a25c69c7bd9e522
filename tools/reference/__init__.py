"""The reference of the configuration file, made of its schema; `python -m tools.reference` writes it."""
