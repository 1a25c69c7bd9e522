"""One colour for each meaning, on every panel; statuses, reasons and outcomes in the order of the lifecycle table."""

from __future__ import annotations

from collections.abc import Mapping

from exporter.domain.lifecycle import (
    DELETED,
    ENDED_ROWS,
    LIVE_ROWS,
    MigrationType,
    Outcome,
    Phase,
    Reason,
)

GOOD = "green"
WAITING = "yellow"
STUCK = "red"
WARNING = "orange"
CALM = "blue"
GREY = "#8e8e8e"

#: The statuses in which a record waits for a person.
WAITING_STATUSES = tuple(dict.fromkeys(row.status for row in LIVE_ROWS if row.phase is Phase.WAITING))

#: Every end once, in the order of the lifecycle table.
ENDED_STATUSES = tuple(dict.fromkeys(row.status for row in ENDED_ROWS))

#: Every live status once: type after type, each from its beginning to its end.
STATUS_ORDER = tuple(dict.fromkeys(row.status for row in sorted(LIVE_ROWS, key=lambda row: row.status != "accepted")))

#: From teal over blue to magenta along the lifecycle; of a middle brightness, to be read as text on light and on dark.
_UNDER_WAY = (
    "#3fa7a0",
    "#3d9fc0",
    "#4a90d9",
    "#5b82e0",
    "#6c75e3",
    "#7d6be0",
    "#8f66d9",
    "#a163cf",
    "#b262c2",
    "#c065b2",
)

_TRANSITIONAL = [status for status in STATUS_ORDER if status not in WAITING_STATUSES]

STATUSES: Mapping[str, str] = {
    **dict(zip(_TRANSITIONAL, _UNDER_WAY, strict=True)),
    **dict.fromkeys(WAITING_STATUSES, WAITING),
}

OUTCOMES: Mapping[str, str] = {
    Outcome.SUCCESS: GOOD,
    Outcome.FAILURE: STUCK,
    Outcome.CANCELLED: WARNING,
    Outcome.DELETED: "purple",
    Outcome.UNKNOWN: GREY,
}

#: Ends of one outcome differ by shade, so that failed and error can be told apart.
ENDS: Mapping[str, str] = {
    "confirmed": "green",
    "reverted": "light-green",
    "failed": "red",
    "error": "dark-red",
    DELETED: "purple",
    "completed": "semi-dark-green",
    "cancelled": "orange",
    "done": "super-light-green",
}

REASONS: Mapping[str, str] = {
    Reason.SERVER_DELETING: "semi-dark-orange",
    Reason.SERVER_ERROR: "dark-red",
    Reason.ORPHANED: "purple",
    Reason.SOURCE_DOWN: "red",
    Reason.DEST_DOWN: "light-red",
    Reason.NO_PROGRESS: "orange",
    Reason.OVERDUE: "light-orange",
    Reason.UNCONFIRMED: WAITING,
    Reason.UNDIAGNOSED: GREY,
}

TYPES: Mapping[str, str] = {
    MigrationType.RESIZE: "blue",
    MigrationType.MIGRATION: "light-blue",
    MigrationType.LIVE_MIGRATION: "purple",
    MigrationType.EVACUATION: "orange",
}
