"""The same polls, taken in by a chronicle that no fault ever befell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from exporter.domain.chronicle import Chronicle
from exporter.domain.events import Event
from exporter.domain.state import UNKNOWN, CloudState
from exporter.domain.tracker import Tracker
from tests.laws.cloud import Shown
from tests.test_poller import LIMITS


def replay(polls: Sequence[Shown]) -> CloudState:
    """Return the state after some polls; where one followed a restart, the domain alone begins anew from its state."""
    chronicle = _chronicle(UNKNOWN)
    for shown in polls:
        if shown.resumed:
            chronicle = _chronicle(chronicle.state())
        chronicle.take(shown.snapshot, shown.snapshot.begun)
    return chronicle.state()


def _chronicle(state: CloudState) -> Chronicle:
    return Chronicle(LIMITS, lambda migration: False, per_host=True, state=state)


def events_of(polls: Sequence[Shown]) -> Iterator[Event]:
    """Yield what a tracker says of the same polls."""
    tracker = Tracker()
    for shown in polls:
        if shown.resumed:
            tracker = Tracker(tracker.times, tracker.live, tracker.ended)
        yield from tracker.observe(shown.snapshot, shown.snapshot.begun)
