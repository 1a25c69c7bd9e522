"""*OpenStack migration exporter*: whether it sees the clouds, what that costs, and how old what it shows is."""

from __future__ import annotations

from tools.dashboards.choices import COMMON
from tools.dashboards.exporter.cost import COST
from tools.dashboards.exporter.health import CLOUDS, HEALTH
from tools.dashboards.exporter.process import PROCESS, READING
from tools.dashboards.rows import Board
from tools.rules.rows import Dashboard

EXPORTER = Board(
    uid=Dashboard.EXPORTER,
    title="OpenStack migration exporter",
    description="Whether the exporter sees the clouds, what that costs them, and how old what it shows is.",
    variables=COMMON,
    sections=(HEALTH, CLOUDS, COST, READING, PROCESS),
)
