"""How well the exporter does with one cloud, counted by this process."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from exporter.domain.cloud import CloudError, ErrorKind, Feature, Rejection, RejectReason, Request
from exporter.domain.lifecycle import Phase
from exporter.domain.migration import Migration
from exporter.domain.view import REQUEST_BUCKETS, Health, Timing

#: Records whose rejection is remembered, so that each counts once; beyond that they count no more.
_MOST_REMEMBERED = 10_000


class Vitals:
    """The health of the exporter with one cloud; `health()` is what the page shows of it."""

    def __init__(self) -> None:
        self._health = Health()
        self._errors: Counter[ErrorKind] = Counter()
        self._requests: Counter[tuple[str, str]] = Counter()
        self._timings: dict[str, Timing] = {}
        self._rejected: Counter[RejectReason] = Counter()
        self._odd_records: set[tuple[str, str]] = set()

    @property
    def last_success(self) -> float | None:
        """Return when the last complete poll ended, in seconds since the epoch; None before one."""
        return self._health.last_success

    def begin(self, poll_interval: float, last_success: float | None) -> None:
        """Note how often will be polled, in seconds, and when the last complete poll ended that is known of."""
        self._health = replace(self._health, poll_interval=poll_interval, last_success=last_success)

    def health(self) -> Health:
        """Return the state of things at this moment."""
        return replace(
            self._health,
            poll_errors=MappingProxyType(dict(self._errors)),
            requests=MappingProxyType(dict(self._requests)),
            request_timings=MappingProxyType(dict(self._timings)),
            rejected=MappingProxyType(dict(self._rejected)),
        )

    def poll_began(self) -> None:
        """Count a poll."""
        self._health = replace(self._health, polls=self._health.polls + 1)

    def poll_succeeded(self, at: float, step_seconds: dict[str, float]) -> None:
        """Note a complete poll that ended at a time of this machine's clock, and the seconds of its steps."""
        self._health = replace(
            self._health, up=True, error=None, last_success=at, step_seconds=MappingProxyType(step_seconds)
        )

    def poll_failed(self, error: CloudError) -> None:
        """Count a poll that failed and why."""
        self._errors[error.kind] += 1
        self._health = replace(self._health, up=False, error=f"{error.kind}: {error}")

    def reached(self, microversion: str) -> None:
        """Note the microversion in use."""
        self._health = replace(self._health, microversion=microversion)

    def note_features(self, available: Mapping[Feature, bool]) -> None:
        """Note of every feature that is switched on whether the cloud gives what it needs."""
        self._health = replace(self._health, features=MappingProxyType(dict(available)))

    def compare_clocks(self, cloud: float | None, local: float) -> None:
        """Note by how much the cloud's clock is ahead of this machine's."""
        if cloud is not None:
            self._health = replace(self._health, clock_skew=cloud - local)

    def count_requests(self, requests: Iterable[Request]) -> None:
        """Count HTTP requests by operation and code, and the time they took."""
        for request in requests:
            self._requests[request.operation, request.code] += 1
            timing = self._timings.get(request.operation, Timing())
            at = bisect_left(REQUEST_BUCKETS, request.seconds)
            counts = (*timing.counts[:at], timing.counts[at] + 1, *timing.counts[at + 1 :])
            self._timings[request.operation] = Timing(counts, timing.total + request.seconds)

    def count_rejections(self, rejections: Iterable[Rejection]) -> None:
        """Count records that could not be understood, each once."""
        for rejection in rejections:
            if self._is_new(rejection.reason, rejection.record):
                self._rejected[rejection.reason] += 1

    def count_unknown_statuses(self, migrations: Iterable[Migration]) -> None:
        """Count records in a status that the lifecycle table does not know, each once."""
        for migration in migrations:
            if migration.row.phase is Phase.UNKNOWN and self._is_new("unknown_status", migration.uuid):
                self._health = replace(self._health, unknown_statuses=self._health.unknown_statuses + 1)

    def _is_new(self, reason: str, record: str) -> bool:
        if (reason, record) in self._odd_records or len(self._odd_records) >= _MOST_REMEMBERED:
            return False
        self._odd_records.add((reason, record))
        return True
