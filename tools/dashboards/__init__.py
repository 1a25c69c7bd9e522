"""Grafana's dashboards, generated: rows of panels in, JSON out."""

from __future__ import annotations

from tools.dashboards.exporter import EXPORTER
from tools.dashboards.migrations import MIGRATIONS
from tools.dashboards.one import ONE

BOARDS = (MIGRATIONS, ONE, EXPORTER)
