"""Prometheus exporter for the migrations of OpenStack Nova: how many, how long in each status, which are stuck."""

__version__ = "0.1.0"
