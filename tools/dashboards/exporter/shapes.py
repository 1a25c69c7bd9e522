"""What the panels of this dashboard have in common."""

from __future__ import annotations

from functools import partial

from tools.dashboards.colours import GOOD, WARNING
from tools.dashboards.queries import series
from tools.dashboards.rows import Kind, Panel, Step

NOBODY = "No exporter answers"
SHOULD_BE_ZERO = (Step(None, GOOD), Step(1, WARNING))

graph = partial(Panel, kind=Kind.TIMESERIES, none=NOBODY, zero=True)


def each(metric: str) -> str:
    """Return what each process says of itself."""
    return f"max by (job, instance) ({series(metric)})"
