"""The columns that many tables have."""

from __future__ import annotations

from tools.dashboards.choices import to_host, to_migration
from tools.dashboards.colours import GOOD, GREY, REASONS, STATUSES, STUCK, TYPES
from tools.dashboards.rows import Column, Step, Unit

CLOUD = Column("cloud", "Cloud", Unit.TEXT, width=80)
TYPE = Column("migration_type", "Type", Unit.TEXT, width=110, colours=TYPES)
STATUS = Column("status", "Status", Unit.TEXT, width=120, colours=STATUSES)
REASON = Column("reason", "Reason", Unit.TEXT, width=115, colours=REASONS, none="not stuck")
SOURCE = Column("source_host", "Source", Unit.TEXT, width=130, link=to_host())
DEST = Column("dest_host", "Destination", Unit.TEXT, width=130, link=to_host())
PROJECT = Column("initiator_project_id", "Project", Unit.TEXT, width=260)
SERVER = Column("server_id", "Server", Unit.TEXT, width=310)
MIGRATION = Column("migration_id", "Migration", Unit.TEXT, width=310, link=to_migration())

#: The first column of a matrix of types and statuses, under the name that Grafana gives it.
KIND_OF_ROW = Column("migration_type\\status", "Type", Unit.TEXT, width=115, colours=TYPES)

#: What 0 and 1 mean where 1 is as it should be.
YES_OR_NO = {"1": ("yes", GOOD), "0": ("no", STUCK)}


def since(field: str = "Value") -> Column:
    """Return the column of an age in seconds."""
    return Column(field, "Since (age)", Unit.SECONDS, width=90)


def deadline(field: str) -> Column:
    """Return the column of a moment, in milliseconds as Grafana takes it."""
    return Column(field, "Deadline", Unit.MOMENT, width=115, none="none")


def counted(status: str, colour: str) -> Column:
    """Return the column of a matrix with how many there are of a status, as wide as its name; zeros stand back."""
    return Column(status, status, width=24 + 8 * len(status), steps=(Step(None, GREY), Step(1, colour)))


def sound(field: str, title: str) -> Column:
    """Return the column of something that should be so."""
    return Column(field, title, words=YES_OR_NO)
