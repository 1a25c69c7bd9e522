"""*One OpenStack migration or host*: how far it is, where its time went, and what else moves on its hosts."""

from __future__ import annotations

from tools.dashboards.choices import COMMON, HOST, MIGRATION
from tools.dashboards.migrations.stuck import BECAME_STUCK
from tools.dashboards.one.hosts import HOSTS, PER_HOST
from tools.dashboards.one.progress import PROGRESS
from tools.dashboards.one.times import DETAILS, TIMES
from tools.dashboards.rows import Board
from tools.rules.rows import Dashboard

ONE = Board(
    uid=Dashboard.ONE,
    title="One OpenStack migration or host",
    description="Choose a migration, a host, or both. Alerts on single migrations lead here.",
    variables=(*COMMON, MIGRATION, HOST),
    sections=(DETAILS, TIMES, PROGRESS, HOSTS, PER_HOST),
    marks=(BECAME_STUCK,),
    since="now-3h",
    refresh="30s",
)
