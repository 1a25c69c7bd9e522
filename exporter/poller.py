"""The loop: when to look at a cloud, what to do when that fails, and what the page shows afterwards."""

from __future__ import annotations

import logging
import math
import random
import threading
import time
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass, field

from exporter.domain.chronicle import Chronicle
from exporter.domain.cloud import Answer, Cloud, CloudError, Deletion, ErrorKind
from exporter.domain.diagnosis import Limits
from exporter.domain.lifecycle import LIVE_STATUSES, NEVER_UPDATED_STATUSES, Phase
from exporter.domain.migration import Migration
from exporter.domain.showing import cloud_view
from exporter.domain.tracked import Tracked
from exporter.domain.tracker import Snapshot
from exporter.domain.view import CloudView
from exporter.store import MemoryStore, Store
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

    `publish` receives a new view after every poll. `store` keeps what must survive, and gives what survived. `vitals` are those
    of a poller that watched the same cloud before. `clock` is this machine's time, `monotonic` never jumps, `chance` returns
    numbers in [0, 1) for jitter. Raises StateError where what survived cannot be read.
    """

    def __init__(
        self,
        settings: Settings,
        cloud: Cloud,
        publish: Callable[[CloudView], None],
        store: Store | None = None,
        vitals: Vitals | None = None,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._settings = settings
        self._cloud = cloud
        self._publish = publish
        self._store = MemoryStore() if store is None else store
        self._clock = clock
        self._monotonic = monotonic
        self._chance = chance
        state = self._store.load(settings.name)
        self._chronicle = Chronicle(settings.limits, settings.ignores, settings.per_host, state)
        self.vitals = Vitals() if vitals is None else vitals
        self.vitals.begin(settings.interval, state.last_success)
        self._last_lookup: dict[str, float] = {}
        self._next_sweep = self._next_deep = -math.inf
        self._failures = 0
        self._began = clock()
        self._kept = True
        self._change = threading.Lock()
        self._retired = self._log_in_anew = False
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

    def retire(self) -> None:
        """Change and publish nothing any more; what a poll under way hears is left to whoever watches the cloud next."""
        with self._change:
            self._retired = True

    def log_in_anew(self) -> None:
        """Log in anew before the next poll: the credentials may be others."""
        self._log_in_anew = True

    def poll(self) -> bool:
        """Poll once; return whether the poll was complete. A failed poll changes nothing but the health."""
        self.last_sign_of_life = self._monotonic()
        heard = self._hear()
        with self._change:
            if self._retired:
                return False
            self._finish(heard)
        self.last_sign_of_life = self._monotonic()
        return self._failures == 0

    def _hear(self) -> _Gathering | CloudError:
        """Ask the cloud, and return what it said or why it did not."""
        if self._log_in_anew:
            self._log_in_anew = False
            self._cloud.close()
        try:
            return self._gather(self._monotonic() + self._settings.deadline)
        except CloudError as error:
            return error
        except Exception as error:  # a fault of ours must not end the watch over this cloud, nor that over others
            return self._unexpected(error)

    def _finish(self, heard: _Gathering | CloudError) -> None:
        """Take in what was heard, keep it, and only then show it."""
        self.vitals.poll_began()
        if isinstance(heard, _Gathering):
            try:
                self._take(heard)
            except Exception as error:
                heard = self._unexpected(error)
        if isinstance(heard, CloudError):
            self._fail(heard)
            self._keep_what_waits()
        self.vitals.count_requests(self._cloud.requests())
        self.tried = True
        self._show()

    def _unexpected(self, error: Exception) -> CloudError:
        log.exception("poll failed unexpectedly", extra={"cloud": self.name})
        return CloudError(ErrorKind.PROTOCOL, f"unexpected {type(error).__name__}; the log has the traceback")

    def pause(self) -> float:
        """Return how many seconds to wait before the next poll: a little jitter, and ever longer after failures."""
        interval = self._settings.interval
        if self._failures == 0:
            return interval * (0.95 + 0.1 * self._chance())
        longest = max(interval, min(LONGEST_PAUSE, interval * 2.0 ** min(self._failures, 16)))
        return longest * (0.5 + 0.5 * self._chance())

    def _rest(self, stop: threading.Event, seconds: float) -> None:
        """Wait in slices: what could not be kept is tried again, and the page is renewed when it grows stale."""
        until, was_stale = self._monotonic() + seconds, self._is_stale()
        while (left := until - self._monotonic()) > 0 and not stop.wait(min(left, 5.0)):
            self.last_sign_of_life = self._monotonic()
            grew_stale = self._is_stale() and not was_stale
            was_stale = was_stale or grew_stale
            with self._change:
                if not self._retired and (self._keep_what_waits() or grew_stale):
                    self._show()

    def _fail(self, error: CloudError) -> None:
        self._failures += 1
        self.vitals.poll_failed(error)
        log.warning("poll failed", extra={"cloud": self.name, "reason": error.kind.value, "error": str(error)})

    def _gather(self, deadline: float) -> _Gathering:
        """Ask the cloud everything that this poll needs, or raise CloudError."""
        first = self._chronicle.tracker.baseline is None
        heard = _Gathering(self._clock(), deep=not first and self._monotonic() >= self._next_deep)
        with self._timed(heard, "open"):
            self.vitals.reached(self._cloud.open(deadline))
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
        return self._failures > 0 or self._chronicle.tracker.baseline is None or self._monotonic() >= self._next_sweep

    def _sweep(self, heard: _Gathering, deadline: float) -> None:
        """Ask for every live status, in the order of the lifecycle, and for every unknown status that is live now."""
        live = (tracked.migration for tracked in self._chronicle.tracker.live.values())
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
        known = self._chronicle.tracker.watermark
        since = self._cloud_time(heard) if known is None else known
        return since - max(self._settings.overlap, self._settings.deep_overlap if heard.deep else 0.0)

    def _look_for_missing(self, heard: _Gathering, deadline: float) -> None:
        """Look for live records that a complete sweep does not show: by their server, then for proof of its deletion."""
        missing = sorted(
            self._chronicle.tracker.missing(heard.migrations()),
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
        """Take in a complete poll, and keep it: the only place where what is known changes."""
        at = self._cloud_time(heard)
        first = self._chronicle.tracker.baseline is None
        with self._timed(heard, "track"):
            snapshot = Snapshot(heard.migrations(), at, heard.complete, heard.newest, heard.deletions)
            touched = self._chronicle.take(snapshot, at)
        if first or heard.deep:
            self._next_deep = self._monotonic() + self._settings.deep_interval
        if heard.complete:
            self._next_sweep = self._monotonic() + self._settings.sweep_interval
        self._note(heard)
        with self._timed(heard, "keep"):
            self._keep(touched)

    def _keep(self, touched: Set[str] = frozenset()) -> None:
        self._kept = self._store.save(self.name, self._chronicle.state(self.vitals.last_success), touched)

    def _keep_what_waits(self) -> bool:
        """Try again to keep what could not be kept; return whether that was so."""
        waited = not self._kept
        if waited:
            self._keep()
        return waited

    def _note(self, heard: _Gathering) -> None:
        for answer in heard.answers:
            self.vitals.count_rejections(answer.rejections)
            self.vitals.count_unknown_statuses(answer.migrations)
        self.vitals.compare_clocks(heard.date, heard.heard_at)
        self.vitals.poll_succeeded(self._clock(), heard.steps)
        self._failures = 0

    def _cloud_time(self, heard: _Gathering) -> float:
        """Return when the poll began: the earlier of the cloud's time and ours, so that no clock that runs ahead misleads."""
        return heard.begun if heard.date is None else min(heard.begun, heard.date)

    @contextmanager
    def _timed(self, heard: _Gathering, step: str) -> Iterator[None]:
        begun = self._monotonic()
        yield
        heard.steps[step] = heard.steps.get(step, 0.0) + self._monotonic() - begun

    def _is_stale(self) -> bool:
        return self._clock() - (self.vitals.last_success or self._began) > STALE_AFTER

    def _show(self) -> None:
        """Publish what is known now, with the counters that no restart makes fall."""
        settings = self._settings
        view = cloud_view(
            self.name,
            self._chronicle,
            settings.limits,
            self._store.totals(self.name),
            self.vitals.health(),
            stale=self._is_stale(),
            series_cap=settings.series_cap,
            per_host=settings.per_host,
        )
        self._publish(view)
