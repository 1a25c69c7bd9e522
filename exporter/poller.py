"""The loop: when to look at a cloud, what to do when that fails, and what the page shows afterwards."""

from __future__ import annotations

import logging
import math
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from exporter.domain.cloud import Answer, Cloud, CloudError, Deletion, ErrorKind
from exporter.domain.diagnosis import Limits, Stuck, deadline_of, find_stuck
from exporter.domain.ledger import Ledger
from exporter.domain.lifecycle import LIVE_ROWS, LIVE_STATUSES, NEVER_UPDATED_STATUSES, UNKNOWN_STATUS, Phase
from exporter.domain.migration import Migration
from exporter.domain.names import StatusNames
from exporter.domain.tracked import Tracked
from exporter.domain.tracker import Snapshot, Tracker
from exporter.domain.view import CloudView, LiveMigrationRecord
from exporter.vitals import Vitals

log = logging.getLogger(__name__)

#: Records that vanished are looked for one by one; at most so many in a sweep, since a cell that is down hides them all.
LOOKUPS_PER_SWEEP = 50

#: Failed polls are repeated after ever longer pauses, up to this many seconds.
LONGEST_PAUSE = 300.0

#: After so many seconds without a complete poll the page shows no single migrations any more.
STALE_AFTER = 900.0


@dataclass(frozen=True, slots=True)
class Settings:
    """How to watch one cloud; durations in seconds, `created_before` in seconds since the epoch."""

    name: str
    limits: Limits
    interval: float = 30.0
    sweep_interval: float = 300.0
    deadline: float = 300.0
    overlap: float = 90.0
    deep_interval: float = 3600.0
    deep_overlap: float = 86400.0
    per_host: bool = False
    series_cap: int = 1000
    ignore_created_before: float | None = None
    ignore_ids: frozenset[str] = frozenset()

    def ignores(self, migration: Migration) -> bool:
        """Tell whether the operator wants a record left out."""
        before = self.ignore_created_before
        return migration.uuid in self.ignore_ids or (before is not None and migration.created_at < before)


@dataclass(slots=True)
class _Gathering:
    """What one poll has heard so far; `date` is the cloud's time of the first answer, `heard_at` ours.

    `begun` is our time when the poll began; a `deep` poll reaches far back.
    """

    begun: float
    deep: bool
    answers: list[Answer] = field(default_factory=list)
    heard_at: float = 0.0
    newest: Migration | None = None
    deletions: dict[str, Deletion] = field(default_factory=dict)
    complete: bool = False
    steps: dict[str, float] = field(default_factory=dict)

    @property
    def date(self) -> float | None:
        return next((answer.date for answer in self.answers), None)

    def hear(self, answer: Answer, now: float) -> Answer:
        self.heard_at = self.heard_at if self.answers else now
        self.answers.append(answer)
        return answer

    def migrations(self) -> tuple[Migration, ...]:
        return tuple(migration for answer in self.answers for migration in answer.migrations)


class Poller:
    """Watch one cloud: the only thing that knows the time.

    `publish` receives a new view after every poll. `clock` is this machine's time, `monotonic` never jumps, `chance` returns
    numbers in [0, 1) for jitter.
    """

    def __init__(
        self,
        settings: Settings,
        cloud: Cloud,
        publish: Callable[[CloudView], None],
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._settings = settings
        self._cloud = cloud
        self._publish = publish
        self._clock = clock
        self._monotonic = monotonic
        self._chance = chance
        self._tracker = Tracker()
        self._ledger = Ledger(per_host=settings.per_host)
        self._names = StatusNames()
        self._vitals = Vitals(settings.interval)
        self._stuck: dict[str, Stuck] = {}
        self._last_lookup: dict[str, float] = {}
        self._next_sweep = self._next_deep = -math.inf
        self._failures = 0
        self._began = clock()
        self.tried = False
        self.last_sign_of_life = monotonic()
        self._show()

    @property
    def name(self) -> str:
        """Return the value of the label `cloud`."""
        return self._settings.name

    @property
    def longest_silence(self) -> float:
        """Return after how many seconds without a sign of life this poller must be taken for hung."""
        return 2 * self._settings.deadline

    def run(self, stop: threading.Event) -> None:
        """Poll until told to stop."""
        while not stop.is_set():
            self.poll()
            self._rest(stop, self.pause())

    def poll(self) -> bool:
        """Poll once; return whether the poll was complete. A failed poll changes nothing but the health."""
        self.last_sign_of_life = self._monotonic()
        self._vitals.poll_began()
        try:
            self._take(self._gather(self._monotonic() + self._settings.deadline))
        except CloudError as error:
            self._fail(error)
        except Exception as error:  # a fault of ours must not end the watch over this cloud, nor that over others
            log.exception("poll failed unexpectedly", extra={"cloud": self.name})
            self._fail(CloudError(ErrorKind.PROTOCOL, f"unexpected {type(error).__name__}; the log has the traceback"))
        self._vitals.count_requests(self._cloud.requests())
        self.tried = True
        self.last_sign_of_life = self._monotonic()
        self._show()
        return self._failures == 0

    def pause(self) -> float:
        """Return how many seconds to wait before the next poll: a little jitter, and ever longer after failures."""
        interval = self._settings.interval
        if self._failures == 0:
            return interval * (0.95 + 0.1 * self._chance())
        longest = max(interval, min(LONGEST_PAUSE, interval * 2.0 ** min(self._failures, 16)))
        return longest * (0.5 + 0.5 * self._chance())

    def _rest(self, stop: threading.Event, seconds: float) -> None:
        """Wait in slices, so that the page is renewed when it grows stale in the meantime."""
        until, was_stale = self._monotonic() + seconds, self._is_stale()
        while (left := until - self._monotonic()) > 0 and not stop.wait(min(left, 5.0)):
            self.last_sign_of_life = self._monotonic()
            if self._is_stale() and not was_stale:
                was_stale = True
                self._show()

    def _fail(self, error: CloudError) -> None:
        self._failures += 1
        self._vitals.poll_failed(error)
        log.warning("poll failed", extra={"cloud": self.name, "reason": error.kind.value, "error": str(error)})

    def _gather(self, deadline: float) -> _Gathering:
        """Ask the cloud everything that this poll needs, or raise CloudError."""
        first = self._tracker.baseline is None
        heard = _Gathering(self._clock(), deep=not first and self._monotonic() >= self._next_deep)
        with self._timed(heard, "open"):
            self._vitals.reached(self._cloud.open(deadline))
        if first:
            with self._timed(heard, "baseline"):
                answer = heard.hear(self._cloud.newest(deadline), self._clock())
            heard.newest = max(answer.migrations, key=lambda each: each.created_at, default=None)
        if not self._sweep_is_due():
            self._look(heard, deadline)
            return heard
        if self._failures and not first:
            self._look(heard, deadline)  # is the API back? One cheap question before the many
        self._sweep(heard, deadline)
        self._look(heard, deadline)  # so that nothing that moved on between two questions is missed
        self._look_for_missing(heard, deadline)
        heard.complete = True
        return heard

    def _sweep_is_due(self) -> bool:
        return self._failures > 0 or self._tracker.baseline is None or self._monotonic() >= self._next_sweep

    def _sweep(self, heard: _Gathering, deadline: float) -> None:
        """Ask for every live status, in the order of the lifecycle, and for every unknown status that is live now."""
        live = (tracked.migration for tracked in self._tracker.live.values())
        unknown = sorted({each.status for each in live if each.row.phase is Phase.UNKNOWN})
        with self._timed(heard, "sweep"):
            for status in (*LIVE_STATUSES, *unknown):
                heard.hear(self._cloud.with_status(status, deadline), self._clock())

    def _look(self, heard: _Gathering, deadline: float) -> None:
        """Ask for what changed, and for what was perhaps never updated, which changes-since does not show."""
        with self._timed(heard, "look"):
            for status in NEVER_UPDATED_STATUSES:
                heard.hear(self._cloud.with_status(status, deadline), self._clock())
            heard.hear(self._cloud.changed_since(self._changes_from(heard), deadline), self._clock())

    def _changes_from(self, heard: _Gathering) -> float:
        known = self._tracker.watermark
        since = self._cloud_time(heard) if known is None else known
        return since - max(self._settings.overlap, self._settings.deep_overlap if heard.deep else 0.0)

    def _look_for_missing(self, heard: _Gathering, deadline: float) -> None:
        """Look for live records that a complete sweep does not show: by their server, then for proof of its deletion."""
        missing = sorted(
            self._tracker.missing(heard.migrations()),
            key=lambda each: (self._last_lookup.get(each.migration.uuid, -math.inf), each.migration.uuid),
        )
        with self._timed(heard, "lookups"):
            for tracked in missing[:LOOKUPS_PER_SWEEP]:
                self._look_for(tracked, heard, deadline)
        self._last_lookup = {
            each.migration.uuid: self._last_lookup.get(each.migration.uuid, -math.inf) for each in missing
        }

    def _look_for(self, tracked: Tracked, heard: _Gathering, deadline: float) -> None:
        migration = tracked.migration
        answer = heard.hear(self._cloud.of_server(migration.server_id, deadline), self._clock())
        if not any(found.uuid == migration.uuid for found in answer.migrations):
            deletion = self._cloud.deletion_of(migration.server_id, deadline)
            if deletion is not None:
                heard.deletions[migration.server_id] = deletion
        self._last_lookup[migration.uuid] = self._monotonic()

    def _take(self, heard: _Gathering) -> None:
        """Take in a complete poll: the only place where what is known changes."""
        at = self._cloud_time(heard)
        first = self._tracker.baseline is None
        with self._timed(heard, "track"):
            snapshot = Snapshot(heard.migrations(), at, heard.complete, heard.newest, heard.deletions)
            events = self._tracker.observe(snapshot, at)
            watched = {uuid: each for uuid, each in self._tracker.live.items() if not self._ignores(each)}
            self._stuck = find_stuck(watched, self._settings.limits, at)
            events += self._tracker.mark_stuck(sorted(self._stuck), at)
            self._ledger.enter((each for each in events if not self._settings.ignores(each.migration)), self._names.of)
        if first or heard.deep:
            self._next_deep = self._monotonic() + self._settings.deep_interval
        if heard.complete:
            self._next_sweep = self._monotonic() + self._settings.sweep_interval
        self._note(heard)

    def _note(self, heard: _Gathering) -> None:
        for answer in heard.answers:
            self._vitals.count_rejections(answer.rejections)
            self._vitals.count_unknown_statuses(answer.migrations)
        self._vitals.compare_clocks(heard.date, heard.heard_at)
        self._vitals.poll_succeeded(self._clock(), heard.steps)
        self._failures = 0

    def _cloud_time(self, heard: _Gathering) -> float:
        """Return when the poll began: the earlier of the cloud's time and ours, so that no clock that runs ahead misleads."""
        return heard.begun if heard.date is None else min(heard.begun, heard.date)

    def _ignores(self, tracked: Tracked) -> bool:
        return self._settings.ignores(tracked.migration)

    @contextmanager
    def _timed(self, heard: _Gathering, step: str) -> Iterator[None]:
        begun = self._monotonic()
        yield
        heard.steps[step] = heard.steps.get(step, 0.0) + self._monotonic() - begun

    def _is_stale(self) -> bool:
        return self._clock() - (self._vitals.last_success or self._began) > STALE_AFTER

    def _show(self) -> None:
        """Publish what is known now."""
        watched = [each for each in self._tracker.live.values() if not self._ignores(each)]
        records = sorted((self._record(each) for each in watched), key=lambda record: record.precedence)
        limits = self._settings.limits
        expected = {
            (row.migration_type, row.status): limits.expected[row.migration_type, row.status] for row in LIVE_ROWS
        }
        for kind, name in sorted(self._names.unknown_pairs):
            expected[kind, name] = limits.expected[kind, UNKNOWN_STATUS]
        self._publish(
            CloudView(
                cloud=self.name,
                health=self._vitals.health(),
                totals=self._ledger.totals(),
                expected=expected,
                live=tuple(records),
                ignored=len(self._tracker.live) - len(watched),
                series_cap=self._settings.series_cap,
                per_host=self._settings.per_host,
                stale=self._is_stale(),
            )
        )

    def _record(self, tracked: Tracked) -> LiveMigrationRecord:
        migration, deadline = tracked.migration, deadline_of(tracked, self._settings.limits)
        return LiveMigrationRecord(
            migration=migration,
            status=self._names.of(migration.migration_type, migration.status),
            since=tracked.stay.since,
            deadline=None if math.isinf(deadline) else deadline,
            stuck=self._stuck.get(migration.uuid),
            unseen=tracked.unseen_since is not None,
        )
