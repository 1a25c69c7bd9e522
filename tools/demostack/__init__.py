"""The demo with all that belongs to it: the exporter, Prometheus with the shipped rules, Alertmanager, and what it would send.

Not part of the package. `make demo-stack` runs it; it needs Prometheus and Alertmanager on this machine, and no OpenStack.
"""
