"""What a poll asks of a cloud, and when: little, often; everything that is live, now and then."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from exporter.domain.chronicle import Chronicle
from exporter.domain.cloud import Answer, Cloud, Deletion, Feature
from exporter.domain.diagnosis import Limits
from exporter.domain.lifecycle import LIVE_STATUSES, NEVER_UPDATED_STATUSES, Phase
from exporter.domain.migration import Migration
from exporter.domain.snapshot import Snapshot
from exporter.domain.tracker import Tracker
from exporter.features import Features, Told
from exporter.turns import Turns

#: Records that vanished are looked for one by one; at most so many in a sweep, since a cell that is down hides them all.
LOOKUPS_PER_SWEEP = 50


@dataclass(frozen=True, slots=True)
class Settings:
    """How to watch one cloud; durations in seconds, `created_before` in seconds since the epoch.

    `features` are those that are switched on; `action_requests` how many requests for instance actions a poll may make.
    """

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
    features: frozenset[Feature] = frozenset()
    action_requests: int = 50
    ignore_created_before: float | None = None
    ignore_ids: frozenset[str] = frozenset()

    def ignores(self, migration: Migration) -> bool:
        """Tell whether the operator wants a record left out."""
        before = self.ignore_created_before
        return migration.uuid in self.ignore_ids or (before is not None and migration.created_at < before)


@dataclass(slots=True)
class Heard:
    """What one poll has heard so far; `date` is the cloud's time of the first answer, `heard_at` ours.

    `begun` is our time when the poll began; a `deep` poll reaches far back; `microversion` is the one spoken; `steps` are the
    seconds that each step took. `told` is what was asked beyond the records.
    """

    begun: float
    deep: bool
    answers: list[Answer] = field(default_factory=list)
    heard_at: float = 0.0
    newest: Migration | None = None
    deletions: dict[str, Deletion] = field(default_factory=dict)
    complete: bool = False
    microversion: str = ""
    steps: dict[str, float] = field(default_factory=dict)
    told: Told = field(default_factory=Told)

    @property
    def date(self) -> float | None:
        """Return the cloud's time of the first answer that told it."""
        return next((answer.date for answer in self.answers), None)

    @property
    def cloud_time(self) -> float:
        """Return when the poll began: the earlier of the cloud's time and ours, so that no clock that runs ahead misleads."""
        return self.begun if self.date is None else min(self.begun, self.date)

    def hear(self, answer: Answer, now: float) -> Answer:
        """Take down an answer that came at a time of our clock."""
        self.heard_at = self.heard_at if self.answers else now
        self.answers.append(answer)
        return answer

    def snapshot(self) -> Snapshot:
        """Return what was heard as the tracker takes it."""
        told = self.told
        return Snapshot(
            self.migrations(),
            self.cloud_time,
            self.complete,
            self.newest,
            self.deletions,
            exact=told.exact,
            actions=told.actions,
            unread=frozenset(told.unread),
            sighting=told.sighting,
            progress=told.progress,
        )

    def migrations(self) -> tuple[Migration, ...]:
        """Return every record that was heard of, as often as it was."""
        return tuple(migration for answer in self.answers for migration in answer.migrations)


class Questions:
    """The questions to one cloud. `clock` is this machine's time, `monotonic` never jumps."""

    def __init__(
        self, settings: Settings, cloud: Cloud, clock: Callable[[], float], monotonic: Callable[[], float]
    ) -> None:
        self._settings = settings
        self._cloud = cloud
        self._clock = clock
        self._monotonic = monotonic
        self._features = Features(settings.name, settings.features, settings.action_requests, cloud, monotonic)
        self._missing = Turns(LOOKUPS_PER_SWEEP, monotonic)
        self._next_sweep = self._next_deep = -math.inf

    def ask(self, chronicle: Chronicle, failed: bool, deadline: float) -> Heard:
        """Ask everything that a poll needs to go on from what is known, or raise CloudError.

        `failed` tells that the poll before did; `deadline` is in monotonic seconds.
        """
        heard = self._ask_for_records(chronicle.tracker, failed, deadline)
        if self._settings.features:
            with self._timed(heard, "features"):
                heard.told = self._features.ask(chronicle, heard.complete, deadline)
        return heard

    def _ask_for_records(self, tracker: Tracker, failed: bool, deadline: float) -> Heard:
        first = tracker.baseline is None
        heard = Heard(self._clock(), deep=not first and self._monotonic() >= self._next_deep)
        with self._timed(heard, "open"):
            heard.microversion = self._cloud.open(deadline)
        if first:
            with self._timed(heard, "baseline"):
                answer = heard.hear(self._cloud.newest(deadline), self._clock())
            heard.newest = max(answer.migrations, key=lambda each: each.created_at, default=None)
        if not (first or failed or self._monotonic() >= self._next_sweep):
            self._look(tracker, heard, deadline)
            return heard
        if failed and not first:
            self._look(tracker, heard, deadline)  # is the API back? One cheap question before the many
        self._sweep(tracker, heard, deadline)
        self._look(tracker, heard, deadline)  # so that nothing that moved on between two questions is missed
        self._look_for_missing(tracker, heard, deadline)
        heard.complete = True
        return heard

    def answered(self, heard: Heard, first: bool) -> None:
        """Note that a poll was taken in: when the next sweep and the next deep look are due."""
        if first or heard.deep:
            self._next_deep = self._monotonic() + self._settings.deep_interval
        if heard.complete:
            self._next_sweep = self._monotonic() + self._settings.sweep_interval

    def _sweep(self, tracker: Tracker, heard: Heard, deadline: float) -> None:
        """Ask for every live status, in the order of the lifecycle, and for every unknown status that is live now."""
        live = (tracked.migration for tracked in tracker.live.values())
        unknown = sorted({each.status for each in live if each.row.phase is Phase.UNKNOWN})
        with self._timed(heard, "sweep"):
            for status in (*LIVE_STATUSES, *unknown):
                heard.hear(self._cloud.with_status(status, deadline), self._clock())

    def _look(self, tracker: Tracker, heard: Heard, deadline: float) -> None:
        """Ask for what changed, and for what was perhaps never updated, which changes-since does not show."""
        with self._timed(heard, "look"):
            for status in NEVER_UPDATED_STATUSES:
                heard.hear(self._cloud.with_status(status, deadline), self._clock())
            heard.hear(self._cloud.changed_since(self._changes_from(tracker, heard), deadline), self._clock())

    def _changes_from(self, tracker: Tracker, heard: Heard) -> float:
        known = tracker.watermark
        since = heard.cloud_time if known is None else known
        return since - max(self._settings.overlap, self._settings.deep_overlap if heard.deep else 0.0)

    def _look_for_missing(self, tracker: Tracker, heard: Heard, deadline: float) -> None:
        """Look for live records that a complete sweep does not show: by their server, then for proof of its deletion."""
        missing = {each.migration.uuid: each.migration for each in tracker.missing(heard.migrations())}
        with self._timed(heard, "lookups"):
            for uuid in self._missing.of(missing):
                self._look_for(missing[uuid], heard, deadline)

    def _look_for(self, migration: Migration, heard: Heard, deadline: float) -> None:
        answer = heard.hear(self._cloud.of_server(migration.server_id, deadline), self._clock())
        if not any(found.uuid == migration.uuid for found in answer.migrations):
            deletion = self._cloud.deletion_of(migration.server_id, deadline)
            if deletion is not None:
                heard.deletions[migration.server_id] = deletion

    @contextmanager
    def _timed(self, heard: Heard, step: str) -> Iterator[None]:
        begun = self._monotonic()
        yield
        heard.steps[step] = heard.steps.get(step, 0.0) + self._monotonic() - begun
