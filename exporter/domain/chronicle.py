"""All that is known of one cloud: what is live, what ended, what is stuck, what was counted; it changes as a whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set

from exporter.domain.diagnosis import Limits, Stuck, find_stuck, judge
from exporter.domain.ledger import NO_EXEMPLARS, Exemplars, Ledger
from exporter.domain.migration import Migration
from exporter.domain.names import StatusNames
from exporter.domain.recent import Recent
from exporter.domain.server import Progress, Server, Sighting
from exporter.domain.snapshot import Snapshot
from exporter.domain.state import UNKNOWN, CloudState
from exporter.domain.stranded import Stranded, explained_by, find_stranded
from exporter.domain.tracked import NO_VERDICT, Tracked
from exporter.domain.tracker import Tracker

Ignores = Callable[[Migration], bool]


class Chronicle:
    """What successive polls of one cloud have told.

    `limits` say when a record is stuck; `ignores` tells which records the operator wants left out, of counts and of what is
    stuck; `per_host` whether ends are counted by host; `diagnoses` whether sweeps see servers and hosts. What is not in its
    state is only shown, and lost with the process: `servers` as a sweep last saw them, `progress` of live migrations under way,
    `recent` ends.
    """

    def __init__(
        self,
        limits: Limits,
        ignores: Ignores,
        per_host: bool = False,
        state: CloudState = UNKNOWN,
        *,
        diagnoses: bool = True,
    ) -> None:
        self._limits = limits
        self._diagnoses = diagnoses
        self._ignores = ignores
        self._per_host = per_host
        self.servers: Mapping[str, Server] = {}
        self.progress: Mapping[str, Progress] = {}
        self.recent = Recent()
        self._restore(state)

    def _restore(self, state: CloudState, exemplars: Exemplars = NO_EXEMPLARS) -> None:
        self.tracker = Tracker(state.times, state.live, state.ended, state.lookups)
        self.stranded: Mapping[str, Stranded] = state.stranded
        self.names = StatusNames(state.unknown_pairs)
        self.stuck: Mapping[str, Stuck] = state.stuck
        self._ledger = Ledger(self._per_host, state.totals, exemplars)

    def state(self, last_success: float | None = None) -> CloudState:
        """Return everything as it is now; what happens later does not change it."""
        tracker = self.tracker
        totals, pairs = self._ledger.totals(), frozenset(self.names.unknown_pairs)
        return CloudState(
            tracker.times,
            dict(tracker.live),
            self.stuck,
            dict(tracker.ended),
            totals,
            pairs,
            last_success,
            dict(tracker.lookups),
            self.stranded,
        )

    def watched(self) -> dict[str, Tracked]:
        """Return the live records that the operator has not asked to leave out."""
        return {uuid: each for uuid, each in self.tracker.live.items() if not self._ignores(each.migration)}

    def take(self, snapshot: Snapshot, at: float) -> Set[str]:
        """Take in a poll; return the records of which something may have changed.

        Where anything goes wrong on the way, everything stays as it was before.
        """
        before, exemplars = self.state(), self.exemplars()
        try:
            return self._take(snapshot, at)
        except BaseException:
            self._restore(before, exemplars)
            raise

    def exemplars(self) -> Exemplars:
        """Return the migrations that were counted last in each bucket."""
        return self._ledger.exemplars()

    def _take(self, snapshot: Snapshot, at: float) -> Set[str]:
        tracker = self.tracker
        tracker.touched.clear()
        events = tracker.observe(snapshot, at)
        if not self._diagnoses:
            self._forget_sightings()
        elif snapshot.sighting is not None:
            self._take_sighting(snapshot.sighting, at)
        watched = self.watched()
        self._name_statuses(watched)
        progress = _of_those(watched, {**self.progress, **snapshot.progress})
        stuck = find_stuck(watched, self._limits, at, progress)
        events += tracker.mark_stuck(sorted(stuck), at)
        counted = [each for each in events if not self._ignores(each.migration)]
        self._ledger.enter(counted, self.names.of)
        tracker.touched.update(uuid for uuid, _ in stuck.items() ^ self.stuck.items())
        self.stuck, self.progress = stuck, progress
        self.recent.enter(counted, tracker.live, self.names.of)
        return frozenset(tracker.touched)

    def _take_sighting(self, sighting: Sighting, at: float) -> None:
        """Take in what a sweep saw of servers and hosts; ignored records explain their servers as any others do."""
        live = self.tracker.live
        self.tracker.judge(judge(live, sighting, at))
        self.stranded = find_stranded(self.stranded, sighting, explained_by(live), at)
        known = {each.migration.server_id for each in live.values()}
        seen = {server_id: sighting.server(server_id) or self.servers.get(server_id) for server_id in known}
        self.servers = {server_id: server for server_id, server in seen.items() if server is not None}

    def _forget_sightings(self) -> None:
        """Forget what sweeps saw while the diagnosis was switched on: nothing would ever take it back."""
        judged = [uuid for uuid, each in self.tracker.live.items() if each.verdict != NO_VERDICT]
        self.tracker.judge(dict.fromkeys(judged, NO_VERDICT))
        self.stranded, self.servers = {}, {}

    def _name_statuses(self, watched: Mapping[str, Tracked]) -> None:
        """Give each status its name before anything is kept or shown, in an order that no restart changes."""
        found = {(each.migration.migration_type, each.migration.status) for each in watched.values()}
        for migration_type, status in sorted(found):
            self.names.of(migration_type, status)


def _of_those(watched: Mapping[str, Tracked], progress: Mapping[str, Progress]) -> Mapping[str, Progress]:
    """Return the progress of the live migrations that are still under way."""
    return {uuid: each for uuid, each in progress.items() if uuid in watched and watched[uuid].migration.row.heartbeat}
