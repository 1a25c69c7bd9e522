"""*OpenStack Migrations*: what moves now, what is stuck, how moves end and how long they take."""

from __future__ import annotations

from tools.dashboards.choices import COMMON
from tools.dashboards.migrations.ends import ENDS
from tools.dashboards.migrations.lengths import LENGTHS
from tools.dashboards.migrations.stuck import BECAME_STUCK, STUCK
from tools.dashboards.migrations.under_way import NOW, UNDER_WAY
from tools.dashboards.rows import Board
from tools.rules.rows import Dashboard

MIGRATIONS = Board(
    uid=Dashboard.MIGRATIONS,
    title="OpenStack Migrations",
    description="What moves in the clouds, what is stuck and why, how moves end and how long they take. Click on a migration or "
    "a host in a table to see it alone.",
    variables=COMMON,
    sections=(NOW, STUCK, UNDER_WAY, ENDS, LENGTHS),
    marks=(BECAME_STUCK,),
)
