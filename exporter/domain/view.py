"""What the page shows of one cloud: immutable, complete, built once after each poll."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from exporter.domain.cloud import ErrorKind, Feature, RejectReason
from exporter.domain.diagnosis import Stuck
from exporter.domain.ledger import NO_EXEMPLARS, Exemplars, Totals
from exporter.domain.lifecycle import MigrationType, Outcome, Phase, Reason
from exporter.domain.migration import Migration
from exporter.domain.server import Progress, Server

#: Upper bounds of the histogram of API requests, in seconds.
REQUEST_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)


@dataclass(frozen=True, slots=True)
class LiveMigrationRecord:
    """One live record: `status` is the name it is exposed under; times are seconds since the epoch.

    `deadline` is when it will count as stuck, None for never. `unseen` tells that the last sweep did not show it. `server` is
    what a sweep last saw of its server, `progress` what a running live migration has moved, `progressed` when it last did.
    """

    migration: Migration
    status: str
    since: float
    deadline: float | None
    stuck: Stuck | None
    unseen: bool = False
    server: Server | None = None
    progress: Progress | None = None
    progressed: float | None = None

    @property
    def precedence(self) -> tuple[int, float, str]:
        """Order records for the cap on series: stuck but not orphaned, transitional, waiting, orphaned; longest first."""
        if self.stuck is not None:
            place = 3 if self.stuck.reason is Reason.ORPHANED else 0
        else:
            place = 2 if self.migration.row.phase is Phase.WAITING else 1
        return (place, self.since, self.migration.uuid)


@dataclass(frozen=True, slots=True)
class StrandedServer:
    """A server in a moving status that no live record explains; `since` is when that was first seen, in epoch seconds."""

    server: Server
    since: float


@dataclass(frozen=True, slots=True)
class RecentEnd:
    """A migration that ended while this process watched.

    `status` and `ended` (seconds since the epoch, None where nobody knows) are those of its end. `durations` are the seconds
    in each status that it passed, in that order; None where nothing proves them (yet).
    """

    migration: Migration
    status: str
    outcome: Outcome
    ended: float | None
    durations: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Timing:
    """Requests of one operation: how many took up to each of REQUEST_BUCKETS but longer than the one before, and their sum."""

    counts: tuple[int, ...] = (0,) * (len(REQUEST_BUCKETS) + 1)
    total: float = 0.0


@dataclass(frozen=True, slots=True)
class Health:
    """How well the exporter itself does with one cloud; counters are those of this process, times since the epoch.

    `error` is the last poll's failure in words, None when it was complete. `features` tells of each feature that is switched
    on whether the cloud gives what it needs.
    """

    up: bool = False
    error: str | None = None
    last_success: float | None = None
    poll_interval: float = 0.0
    step_seconds: Mapping[str, float] = field(default_factory=dict)
    polls: int = 0
    poll_errors: Mapping[ErrorKind, int] = field(default_factory=dict)
    requests: Mapping[tuple[str, str], int] = field(default_factory=dict)
    request_timings: Mapping[str, Timing] = field(default_factory=dict)
    rejected: Mapping[RejectReason, int] = field(default_factory=dict)
    unknown_statuses: int = 0
    clock_skew: float | None = None
    microversion: str | None = None
    features: Mapping[Feature, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CloudView:
    """Everything that is exposed of one cloud.

    `expected` holds the threshold in force by type and exposed status, infinity for never; its keys are every live pair of
    the lifecycle table and every pair of an unknown status seen by this process. `live` leaves out ignored records, sorted
    by precedence; the first `series_cap` of them get series of their own, none while `stale` (no complete poll for long).
    `stranded` are sorted by since when; `recent` are the last ends, the newest first. `exemplars` may know of observations that
    `totals` do not show yet.
    """

    cloud: str
    health: Health
    totals: Totals
    expected: Mapping[tuple[MigrationType, str], float]
    live: tuple[LiveMigrationRecord, ...] = ()
    ignored: int = 0
    series_cap: int = 1000
    per_host: bool = False
    stale: bool = False
    stranded: tuple[StrandedServer, ...] = ()
    recent: tuple[RecentEnd, ...] = ()
    exemplars: Exemplars = NO_EXEMPLARS


@dataclass(frozen=True, slots=True)
class Process:
    """What the exporter tells of itself as a whole."""

    version: str
    revision: str
    python: str
    state_durable: bool = False
    state_errors: int = 0
    last_reload_successful: bool = True


@dataclass(frozen=True, slots=True)
class View:
    """One page: the exporter itself and its clouds."""

    process: Process
    clouds: tuple[CloudView, ...]
