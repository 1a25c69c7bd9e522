"""The dashboards as pictures: drawn with Grafana's own panel code in a browser, from real output of the exporter.

It is not Grafana. See dashboards/preview/README.md.
"""
