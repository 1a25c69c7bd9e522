"""What is generated for Kubernetes: the chart's copies of rules and dashboards, its schema and table, the plain manifests."""
