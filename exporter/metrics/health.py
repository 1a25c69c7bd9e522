"""The families that tell of the exporter itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from exporter.domain.cloud import ErrorKind, Feature, RejectReason
from exporter.domain.view import REQUEST_BUCKETS, CloudView, Process, View
from exporter.metrics.catalogue import Family, Histogram, Kind, Sample, counter, gauge, histogram, single


def _errors(cloud: CloudView) -> Iterator[Sample]:
    for kind in ErrorKind:
        yield (kind,), cloud.health.poll_errors.get(kind, 0)


def _rejected(cloud: CloudView) -> Iterator[Sample]:
    for reason in RejectReason:
        yield (reason,), cloud.health.rejected.get(reason, 0)


def _timings(cloud: CloudView) -> Iterator[Sample]:
    for operation, timing in sorted(cloud.health.request_timings.items()):
        yield (operation,), Histogram(REQUEST_BUCKETS, timing.counts, timing.total)


def _microversion(cloud: CloudView) -> Iterator[Sample]:
    if cloud.health.microversion is not None:
        yield (cloud.health.microversion,), 1


def _features(cloud: CloudView) -> Iterator[Sample]:
    for feature in Feature:
        if feature in cloud.health.features:
            yield (feature,), cloud.health.features[feature]


def _build(view: View) -> Iterator[Sample]:
    process = view.process
    yield (process.version, process.revision, process.python), 1


def _of_process(
    name: str, kind: Kind, help_text: str, value: Callable[[Process], float], labels: tuple[str, ...] = ()
) -> Family:
    return Family(name, kind, labels, help_text, lambda view: [((), value(view.process))])


HEALTH_FAMILIES: tuple[Family, ...] = (
    gauge(
        "openstack_migration_up",
        labels=(),
        help_text="1 when the last poll of the cloud was complete.",
        samples=partial(single, lambda cloud: cloud.health.up),
    ),
    gauge(
        "openstack_migration_last_success_timestamp_seconds",
        labels=(),
        help_text="When the last complete poll ended; absent before a first one.",
        samples=partial(single, lambda cloud: cloud.health.last_success),
    ),
    gauge(
        "openstack_migration_poll_interval_seconds",
        labels=(),
        help_text="Time between two polls, as configured.",
        samples=partial(single, lambda cloud: cloud.health.poll_interval),
    ),
    gauge(
        "openstack_migration_poll_duration_seconds",
        labels=("step",),
        help_text="Time that each step of the last complete poll took.",
        samples=lambda cloud: (((step,), seconds) for step, seconds in cloud.health.step_seconds.items()),
    ),
    counter(
        "openstack_migration_polls_total",
        labels=(),
        help_text="Polls, complete or not.",
        samples=partial(single, lambda cloud: cloud.health.polls),
    ),
    counter(
        "openstack_migration_poll_errors_total",
        labels=("reason",),
        help_text="Polls that failed, by reason.",
        samples=_errors,
    ),
    counter(
        "openstack_migration_api_requests_total",
        labels=("operation", "code"),
        help_text="HTTP requests to OpenStack; code is the HTTP status, or the kind of failure where no answer came.",
        samples=lambda cloud: sorted(cloud.health.requests.items()),
    ),
    histogram(
        "openstack_migration_api_request_duration_seconds",
        labels=("operation",),
        help_text="Time that HTTP requests to OpenStack took.",
        samples=_timings,
    ),
    counter(
        "openstack_migration_records_rejected_total",
        labels=("reason",),
        help_text="Records that could not be understood and were left out, once a record and process.",
        samples=_rejected,
    ),
    counter(
        "openstack_migration_unknown_status_total",
        labels=(),
        help_text="Records in a status that the lifecycle table does not know, once a record and process.",
        samples=partial(single, lambda cloud: cloud.health.unknown_statuses),
    ),
    gauge(
        "openstack_migration_clock_skew_seconds",
        labels=(),
        help_text="By how much the API's Date is ahead of the exporter's clock, to a second.",
        samples=partial(single, lambda cloud: cloud.health.clock_skew),
    ),
    gauge(
        "openstack_migration_api_info",
        labels=("microversion",),
        help_text="The microversion of Nova's API in use.",
        samples=_microversion,
    ),
    gauge(
        "openstack_migration_feature_available",
        labels=("feature",),
        help_text="1 when the cloud gives what a feature needs, 0 when rights or API lack it; absent where it is switched off.",
        samples=_features,
    ),
    _of_process(
        "openstack_migration_exporter_state_durable",
        Kind.GAUGE,
        "1 when the state on disk is current; 0 when it cannot be written, or counters live in memory only.",
        lambda process: process.state_durable,
    ),
    _of_process(
        "openstack_migration_exporter_state_errors_total",
        Kind.COUNTER,
        "Times that the state could not be written, or was not what it should be.",
        lambda process: process.state_errors,
    ),
    _of_process(
        "openstack_migration_exporter_config_last_reload_successful",
        Kind.GAUGE,
        "1 when the configuration in force is the one last asked for.",
        lambda process: process.last_reload_successful,
    ),
    Family(
        "openstack_migration_exporter_build_info",
        Kind.GAUGE,
        ("version", "revision", "python"),
        "The exporter's version.",
        _build,
    ),
)
