"""Records, snapshots and short forms of events, for the tests of the domain."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from exporter.domain.cloud import Deletion
from exporter.domain.events import BecameStuck, Began, Corrected, Ended, Event, Left, MoveEnded
from exporter.domain.lifecycle import MigrationType
from exporter.domain.migration import Migration
from exporter.domain.snapshot import Snapshot
from exporter.domain.tracker import Tracker

RESIZE = MigrationType.RESIZE
COLD = MigrationType.MIGRATION
LIVE = MigrationType.LIVE_MIGRATION
EVACUATION = MigrationType.EVACUATION

HOUR = 3600.0
DAY = 24 * HOUR

Short = tuple[object, ...]


def record(
    kind: MigrationType,
    status: str,
    created: float,
    updated: float | None = None,
    *,
    uuid: str = "m",
    server: str = "s",
    source: str | None = "src",
    dest: str | None = None,
) -> Migration:
    """Return a record; times are plain seconds."""
    return Migration(uuid, kind, status, server, created, updated, source_host=source, dest_host=dest)


def short(event: Event) -> Short:
    """Return an event as a tuple that reads well in a table."""
    uuid = event.migration.uuid
    match event:
        case Began():
            return ("began", uuid)
        case Left(status=status, seconds=seconds):
            return ("left", uuid, status, seconds)
        case MoveEnded(outcome=outcome, seconds=seconds):
            return ("moved", uuid, outcome.value, seconds)
        case Ended(status=status, outcome=outcome):
            return ("ended", uuid, status, outcome.value)
        case Corrected(from_status=before, to_status=after):
            return ("corrected", uuid, before, after)
        case BecameStuck(status=status):
            return ("stuck", uuid, status)


@dataclass(frozen=True)
class Step:
    """One snapshot taken at a time, and the events expected of it."""

    at: float
    shown: tuple[Migration, ...]
    expected: tuple[Short, ...] = ()
    complete: bool = True
    newest: Migration | None = None
    deletions: Mapping[str, Deletion] = field(default_factory=dict)


def play(steps: Iterable[Step], tracker: Tracker | None = None) -> Tracker:
    """Show a tracker one snapshot after the other and compare the events of each; return the tracker."""
    tracker = Tracker() if tracker is None else tracker
    for step in steps:
        snapshot = Snapshot(step.shown, step.at, step.complete, step.newest, step.deletions)
        events = tuple(short(event) for event in tracker.observe(snapshot, step.at))
        assert events == step.expected, f"at {step.at}"
    return tracker


def after_empty_table(*steps: Step) -> Tracker:
    """Play steps after a first look at an empty table at time 0, so that all is new."""
    return play([Step(0, ()), *steps])
