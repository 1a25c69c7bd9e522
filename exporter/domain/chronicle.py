"""All that is known of one cloud: what is live, what ended, what is stuck, what was counted; it changes as a whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set

from exporter.domain.diagnosis import Limits, Stuck, find_stuck
from exporter.domain.ledger import Ledger
from exporter.domain.migration import Migration
from exporter.domain.names import StatusNames
from exporter.domain.state import UNKNOWN, CloudState
from exporter.domain.tracked import Tracked
from exporter.domain.tracker import Snapshot, Tracker

Ignores = Callable[[Migration], bool]


class Chronicle:
    """What successive polls of one cloud have told.

    `limits` say when a record is stuck; `ignores` tells which records the operator wants left out, of counts and of what is
    stuck; `per_host` whether ends are counted by host.
    """

    def __init__(self, limits: Limits, ignores: Ignores, per_host: bool = False, state: CloudState = UNKNOWN) -> None:
        self._limits = limits
        self._ignores = ignores
        self._per_host = per_host
        self._restore(state)

    def _restore(self, state: CloudState) -> None:
        self.tracker = Tracker(state.times, state.live, state.ended)
        self.names = StatusNames(state.unknown_pairs)
        self.stuck: Mapping[str, Stuck] = state.stuck
        self._ledger = Ledger(self._per_host, state.totals)

    def state(self, last_success: float | None = None) -> CloudState:
        """Return everything as it is now; what happens later does not change it."""
        tracker = self.tracker
        totals, pairs = self._ledger.totals(), frozenset(self.names.unknown_pairs)
        return CloudState(
            tracker.times, dict(tracker.live), self.stuck, dict(tracker.ended), totals, pairs, last_success
        )

    def watched(self) -> dict[str, Tracked]:
        """Return the live records that the operator has not asked to leave out."""
        return {uuid: each for uuid, each in self.tracker.live.items() if not self._ignores(each.migration)}

    def take(self, snapshot: Snapshot, at: float) -> Set[str]:
        """Take in a poll; return the records of which something may have changed.

        Where anything goes wrong on the way, everything stays as it was before.
        """
        before = self.state()
        try:
            return self._take(snapshot, at)
        except BaseException:
            self._restore(before)
            raise

    def _take(self, snapshot: Snapshot, at: float) -> Set[str]:
        tracker = self.tracker
        tracker.touched.clear()
        events = tracker.observe(snapshot, at)
        watched = self.watched()
        self._name_statuses(watched)
        stuck = find_stuck(watched, self._limits, at)
        events += tracker.mark_stuck(sorted(stuck), at)
        self._ledger.enter((each for each in events if not self._ignores(each.migration)), self.names.of)
        tracker.touched.update(uuid for uuid, _ in stuck.items() ^ self.stuck.items())
        self.stuck = stuck
        return frozenset(tracker.touched)

    def _name_statuses(self, watched: Mapping[str, Tracked]) -> None:
        """Give each status its name before anything is kept or shown, in an order that no restart changes."""
        found = {(each.migration.migration_type, each.migration.status) for each in watched.values()}
        for migration_type, status in sorted(found):
            self.names.of(migration_type, status)
