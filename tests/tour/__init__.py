"""The story that docs/tour.md tells, played for real: Nova, the exporter, Prometheus, Alertmanager, and who is on call."""
