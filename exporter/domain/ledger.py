"""Counters and distributions of one cloud, from events only; they never fall."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeVar

from exporter.domain.events import BecameStuck, Began, Corrected, Ended, Event, Left, MoveEnded
from exporter.domain.lifecycle import (
    ENDED_ROWS,
    KNOWN_CORRECTIONS,
    LIVE_ROWS,
    OUTCOMES,
    MigrationType,
    Outcome,
)

#: Upper bounds of both domain histograms, in seconds.
BUCKETS = (
    1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0, 86400.0,
    259200.0, 604800.0,
)  # fmt: skip

Pair = tuple[MigrationType, str]
K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Distribution:
    """A histogram: how many observations fell at or below each bound of BUCKETS but above the one before, and their sum.

    The last of `counts` is what exceeds every bound.
    """

    counts: tuple[int, ...] = (0,) * (len(BUCKETS) + 1)
    total: float = 0.0

    def observed(self, seconds: float) -> Distribution:
        """Return the distribution with one more observation."""
        at = _bucket_of(seconds)
        counts = (*self.counts[:at], self.counts[at] + 1, *self.counts[at + 1 :])
        return Distribution(counts, self.total + seconds)

    @property
    def count(self) -> int:
        """Return the number of observations."""
        return sum(self.counts)


@dataclass(frozen=True, slots=True)
class Exemplar:
    """One observation by name: the seconds observed of which migration and server, and when Nova wrote that (epoch seconds)."""

    migration_id: str
    server_id: str
    seconds: float
    at: float


#: An exemplar for each bucket of a distribution, in the order of its counts; None where there is none.
BucketExemplars = tuple[Exemplar | None, ...]
_NONE_YET: BucketExemplars = (None,) * (len(BUCKETS) + 1)


@dataclass(frozen=True, slots=True)
class Exemplars:
    """The newest observation in each bucket of each distribution, of this process alone: no state holds them."""

    status_durations: Mapping[Pair, BucketExemplars] = field(default_factory=dict)
    move_durations: Mapping[tuple[MigrationType, Outcome], BucketExemplars] = field(default_factory=dict)


NO_EXEMPLARS = Exemplars()


@dataclass(frozen=True, slots=True)
class Totals:
    """Everything that was ever counted for one cloud; hosts only where they were asked for."""

    started: Mapping[MigrationType, int] = field(default_factory=dict)
    ended: Mapping[Pair, int] = field(default_factory=dict)
    corrections: Mapping[tuple[MigrationType, str, str], int] = field(default_factory=dict)
    unobserved: Mapping[Pair, int] = field(default_factory=dict)
    became_stuck: Mapping[Pair, int] = field(default_factory=dict)
    status_durations: Mapping[Pair, Distribution] = field(default_factory=dict)
    move_durations: Mapping[tuple[MigrationType, Outcome], Distribution] = field(default_factory=dict)
    ended_per_host: Mapping[tuple[str, str, MigrationType, Outcome], int] = field(default_factory=dict)


NOTHING_COUNTED = Totals()


class Ledger:
    """The books of one cloud: every pair that is possible stands in them from the beginning, at zero."""

    def __init__(
        self, per_host: bool = False, totals: Totals = NOTHING_COUNTED, exemplars: Exemplars = NO_EXEMPLARS
    ) -> None:
        """Open the books at what was counted before; `per_host` tells whether hosts are counted from now on."""
        live = [(row.migration_type, row.status) for row in LIVE_ROWS]
        none: Mapping[Pair, int] = dict.fromkeys(live, 0)
        moves = [(kind, outcome) for kind, outcomes in OUTCOMES.items() for outcome in outcomes]
        self._per_host = per_host
        self._started = {**dict.fromkeys(MigrationType, 0), **totals.started}
        self._ended = {**{(row.migration_type, row.status): 0 for row in ENDED_ROWS}, **totals.ended}
        self._corrections = {**dict.fromkeys(KNOWN_CORRECTIONS, 0), **totals.corrections}
        self._unobserved = {**none, **totals.unobserved}
        self._became_stuck = {**none, **totals.became_stuck}
        self._status_durations = {**dict.fromkeys(live, Distribution()), **totals.status_durations}
        self._move_durations = {**dict.fromkeys(moves, Distribution()), **totals.move_durations}
        self._ended_per_host = dict(totals.ended_per_host)
        self._status_exemplars = dict(exemplars.status_durations)
        self._move_exemplars = dict(exemplars.move_durations)

    def enter(self, events: Iterable[Event], name_of: Callable[[MigrationType, str], str]) -> None:
        """Count events; `name_of` says under which name a status is exposed that the lifecycle table does not know."""
        for event in events:
            self._enter(event, name_of)

    def totals(self) -> Totals:
        """Return everything counted so far, as it is at this moment."""
        return Totals(
            started=_frozen(self._started),
            ended=_frozen(self._ended),
            corrections=_frozen(self._corrections),
            unobserved=_frozen(self._unobserved),
            became_stuck=_frozen(self._became_stuck),
            status_durations=_frozen(self._status_durations),
            move_durations=_frozen(self._move_durations),
            ended_per_host=_frozen(self._ended_per_host),
        )

    def exemplars(self) -> Exemplars:
        """Return the newest observation in each bucket, as it is at this moment."""
        return Exemplars(_frozen(self._status_exemplars), _frozen(self._move_exemplars))

    def _enter(self, event: Event, name_of: Callable[[MigrationType, str], str]) -> None:
        kind = event.migration.migration_type
        match event:
            case Began():
                self._started[kind] += 1
            case Left(status=status, seconds=None):
                _add(self._unobserved, (kind, name_of(kind, status)))
            case Left(status=status, seconds=seconds) if seconds is not None:
                pair, seen = (kind, name_of(kind, status)), _exemplar(event, seconds)
                _observe(self._status_durations, self._status_exemplars, pair, seen)
            case MoveEnded(outcome=outcome, seconds=seconds):
                seen = _exemplar(event, seconds)
                _observe(self._move_durations, self._move_exemplars, (kind, outcome), seen)
            case Ended():
                _add(self._ended, (kind, event.status))
                self._enter_hosts(event)
            case Corrected(from_status=before, to_status=after):
                _add(self._corrections, (kind, before, after))
            case BecameStuck(status=status):
                _add(self._became_stuck, (kind, name_of(kind, status)))

    def _enter_hosts(self, event: Ended) -> None:
        if not self._per_host:
            return
        migration = event.migration
        for role, host in (("source", migration.source_host), ("dest", migration.dest_host)):
            if host is not None:
                _add(self._ended_per_host, (host, role, migration.migration_type, event.outcome))


def _add(counts: dict[K, int], key: K) -> None:
    counts[key] = counts.get(key, 0) + 1


def _exemplar(event: Event, seconds: float) -> Exemplar:
    migration = event.migration
    return Exemplar(migration.uuid, migration.server_id, seconds, migration.stamp)


def _observe(distributions: dict[K, Distribution], exemplars: dict[K, BucketExemplars], key: K, seen: Exemplar) -> None:
    distributions[key] = distributions.get(key, Distribution()).observed(seen.seconds)
    exemplars[key] = _with_newest(exemplars.get(key, _NONE_YET), seen)


def _with_newest(exemplars: BucketExemplars, seen: Exemplar) -> BucketExemplars:
    """Return the exemplars of a distribution after one more observation.

    Prometheus refuses one that is not newer than the last of its bucket (tsdb/exemplar.go, `validateExemplar`).
    """
    at = _bucket_of(seen.seconds)
    known = exemplars[at]
    if known is not None and seen.at <= known.at:
        return exemplars
    return (*exemplars[:at], seen, *exemplars[at + 1 :])


def _bucket_of(seconds: float) -> int:
    """Return the place of the bucket that an observation falls into: the first whose upper bound it does not exceed."""
    return bisect_left(BUCKETS, seconds)


def _frozen(counts: dict[K, V]) -> Mapping[K, V]:
    return MappingProxyType(dict(counts))
