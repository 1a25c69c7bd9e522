"""Counters and distributions of one cloud, from events only; they never fall."""

from __future__ import annotations

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
        at = next((i for i, bound in enumerate(BUCKETS) if seconds <= bound), len(BUCKETS))
        counts = (*self.counts[:at], self.counts[at] + 1, *self.counts[at + 1 :])
        return Distribution(counts, self.total + seconds)

    @property
    def count(self) -> int:
        """Return the number of observations."""
        return sum(self.counts)


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

    def __init__(self, per_host: bool = False, totals: Totals = NOTHING_COUNTED) -> None:
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

    def _enter(self, event: Event, name_of: Callable[[MigrationType, str], str]) -> None:
        kind = event.migration.migration_type
        match event:
            case Began():
                self._started[kind] += 1
            case Left(status=status, seconds=None):
                _add(self._unobserved, (kind, name_of(kind, status)))
            case Left(status=status, seconds=seconds) if seconds is not None:
                _observe(self._status_durations, (kind, name_of(kind, status)), seconds)
            case MoveEnded(outcome=outcome, seconds=seconds):
                _observe(self._move_durations, (kind, outcome), seconds)
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


def _observe(distributions: dict[K, Distribution], key: K, seconds: float) -> None:
    distributions[key] = distributions.get(key, Distribution()).observed(seconds)


def _frozen(counts: dict[K, V]) -> Mapping[K, V]:
    return MappingProxyType(dict(counts))
