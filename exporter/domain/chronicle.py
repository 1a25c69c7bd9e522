"""All that is known of one cloud: what is live, what ended, what is stuck, what was counted; it changes as a whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from types import MappingProxyType

from exporter.domain.diagnosis import Limits, Stuck, judge
from exporter.domain.ledger import Exemplars, Ledger
from exporter.domain.migration import Migration
from exporter.domain.names import StatusNames
from exporter.domain.recent import Recent
from exporter.domain.server import Progress, Server, Sighting
from exporter.domain.snapshot import Snapshot
from exporter.domain.standing import Standing
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
    `recent` ends. `unshown` are the records of which something may have changed since somebody emptied it.
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
        self.tracker = Tracker(state.times, state.live, state.ended, state.lookups)
        self.stranded: Mapping[str, Stranded] = state.stranded
        self.names = StatusNames(state.unknown_pairs)
        self.stuck: Mapping[str, Stuck] = state.stuck
        self.unshown: set[str] = set(state.live)
        self._ledger = Ledger(per_host, state.totals)
        self._ignored = frozenset(uuid for uuid, each in state.live.items() if ignores(each.migration))
        self._judge_anew()

    def _judge_anew(self) -> None:
        """Let the next poll look at every live record, and not only at those of which it tells something."""
        self._standing = Standing(self._limits)
        self._anew = True

    def state(self, last_success: float | None = None) -> CloudState:
        """Return everything; its records go on with this chronicle, for there may be a hundred thousand of them to copy."""
        tracker = self.tracker
        return CloudState(
            tracker.times,
            MappingProxyType(tracker.live),
            self.stuck,
            MappingProxyType(tracker.ended),
            self._ledger.totals(),
            frozenset(self.names.unknown_pairs),
            last_success,
            MappingProxyType(tracker.lookups),
            self.stranded,
        )

    def watched(self) -> dict[str, Tracked]:
        """Return the live records that the operator has not asked to leave out."""
        return {uuid: each for uuid, each in self.tracker.live.items() if uuid not in self._ignored}

    def is_watched(self, uuid: str) -> bool:
        """Tell whether a record is among those."""
        return uuid in self.tracker.live and uuid not in self._ignored

    @property
    def ignored(self) -> int:
        """Return how many live records the operator has asked to leave out."""
        return len(self._ignored)

    def take(self, snapshot: Snapshot, at: float) -> Set[str]:
        """Take in a poll; return the records of which something may have changed.

        Where anything goes wrong on the way, everything stays as it was before.
        """
        pairs, totals, exemplars = frozenset(self.names.unknown_pairs), self._ledger.totals(), self.exemplars()
        seen = self.stranded, self.servers
        try:
            touched = self._take(snapshot, at)
        except BaseException:
            self.tracker.take_back()
            self.stranded, self.servers = seen
            self.names, self._ledger = StatusNames(pairs), Ledger(self._per_host, totals, exemplars)
            self._judge_anew()
            raise
        self.tracker.mark()
        return touched

    def exemplars(self) -> Exemplars:
        """Return the migrations that were counted last in each bucket."""
        return self._ledger.exemplars()

    def _take(self, snapshot: Snapshot, at: float) -> Set[str]:
        tracker = self.tracker
        events = tracker.observe(snapshot, at)
        if self._diagnoses and snapshot.sighting is not None:
            self._take_sighting(snapshot.sighting, at)
        elif self._anew and not self._diagnoses:
            self._forget_sightings()
        changed = tracker.touched | snapshot.progress.keys() | (tracker.live.keys() if self._anew else set())
        ignored = self._still_ignored(changed)
        live = {uuid: tracker.live[uuid] for uuid in changed if uuid in tracker.live and uuid not in ignored}
        self._name_statuses(live)
        progress = self._progress_of(live, changed, snapshot.progress)
        stuck = self._standing.judge(tracker.live, changed, ignored, at, progress)
        events += tracker.mark_stuck(sorted(uuid for uuid in stuck if uuid in changed or uuid not in self.stuck), at)
        counted = [each for each in events if not self._ignores(each.migration)]
        self._ledger.enter(counted, self.names.of)
        tracker.touched.update(_differing(stuck, self.stuck))
        self.recent.enter(counted, tracker.live, self.names.of)
        self.unshown |= changed | tracker.touched | (set() if snapshot.sighting is None else tracker.live.keys())
        self.stuck, self.progress, self._ignored, self._anew = stuck, progress, ignored, False
        return frozenset(tracker.touched)

    def _still_ignored(self, changed: Set[str]) -> frozenset[str]:
        live = self.tracker.live
        return (self._ignored - changed) | {
            uuid for uuid in changed if uuid in live and self._ignores(live[uuid].migration)
        }

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

    def _progress_of(
        self, live: Mapping[str, Tracked], changed: Set[str], told: Mapping[str, Progress]
    ) -> Mapping[str, Progress]:
        """Return the progress of the live migrations that are still under way."""
        known = {**self.progress, **told}
        kept = {uuid: each for uuid, each in self.progress.items() if uuid not in changed}
        return kept | {
            uuid: known[uuid] for uuid, each in live.items() if uuid in known and each.migration.row.heartbeat
        }

    def _name_statuses(self, live: Mapping[str, Tracked]) -> None:
        """Give each status its name before anything is kept or shown, in an order that no restart changes."""
        found = {(each.migration.migration_type, each.migration.status) for each in live.values()}
        for migration_type, status in sorted(found):
            self.names.of(migration_type, status)


def _differing(stuck: Mapping[str, Stuck], before: Mapping[str, Stuck]) -> set[str]:
    """Return the records that became stuck, or are so no longer, or are for another reason."""
    return {uuid for uuid, each in stuck.items() if before.get(uuid) != each} | (before.keys() - stuck.keys())
