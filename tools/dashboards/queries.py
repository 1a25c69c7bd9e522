"""The pieces of PromQL of which the queries are made.

Every selector has the filters of the variables that its metric has labels for. Two exporters may watch one cloud: so what they
say is reduced over the targets first (`latest`, `grown`, `pace`), and added up afterwards (`total`), just as the rules do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from exporter.metrics.catalogue import Kind
from exporter.metrics.exposition import FAMILIES

#: The labels that every scrape adds.
TARGET = ("job", "instance")

#: The labels by which every dashboard can be narrowed, in the order of their variables.
VARIABLES = (*TARGET, "cloud", "migration_type")

_PARTS: Mapping[Kind, Mapping[str, tuple[str, ...]]] = {
    Kind.GAUGE: {"": ()},
    Kind.COUNTER: {"": ()},
    Kind.HISTOGRAM: {"_bucket": ("le",), "_count": (), "_sum": ()},
}

#: The labels of each series of the exporter, without those of the target.
LABELS: Mapping[str, tuple[str, ...]] = {
    f"{family.name}{part}": (*family.labels, *more) for family in FAMILIES for part, more in _PARTS[family.kind].items()
}

#: What Prometheus itself and prometheus_client add.
OF_TARGETS = (
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_open_fds",
    "process_max_fds",
    "process_start_time_seconds",
)

#: What the recording rules of deploy/prometheus/ keep: ends by outcome, and failures by host, within the last hour.
HOUR_OF_ENDS = "cloud_migration_type_outcome:openstack_migration_duration_seconds_count:increase1h"
HOUR_OF_FAILURES = "cloud_host_role:openstack_migrations_ended_per_host_failure:increase1h"

#: The range of a rate, and that of the whole dashboard.
RATE = "$__rate_interval"
RANGE = "$__range"


def chosen(label: str) -> str:
    """Return the matcher for what is chosen of a variable."""
    return f'{label}=~"${label}"'


def one_of(label: str, values: Sequence[str]) -> str:
    """Return a matcher for some values."""
    return f'{label}="{values[0]}"' if len(values) == 1 else f'{label}=~"{_pattern(values)}"'


def none_of(label: str, values: Sequence[str]) -> str:
    """Return a matcher for all other values."""
    return f'{label}!~"{_pattern(values)}"'


def _pattern(values: Sequence[str]) -> str:
    """Return a pattern for some values, in PromQL's quoting: `running (post-copy)` has brackets."""
    return "|".join(value.replace("(", "\\\\(").replace(")", "\\\\)") for value in values)


def series(metric: str, *matchers: str) -> str:
    """Return the selector of a metric, narrowed to what is chosen above; raises KeyError for a metric that is not served."""
    labels = () if metric in OF_TARGETS else LABELS[metric]
    filters = [chosen(label) for label in VARIABLES if label in (*TARGET, *labels)]
    return f"{metric}{{{','.join([*filters, *matchers])}}}"


def recorded(metric: str, *matchers: str) -> str:
    """Return the selector of a recording rule: reduced over the targets already, so without filters of theirs."""
    labels = metric.split(":")[0]
    filters = [chosen(label) for label in VARIABLES if label in labels]
    return f"{metric}{{{','.join([*filters, *matchers])}}}"


def latest(metric: str, *matchers: str, reduce: str = "max") -> str:
    """Return what the targets say now, each series once."""
    return f"{reduce} by ({', '.join(LABELS[metric])}) ({series(metric, *matchers)})"


def grown(metric: str, *matchers: str, over: str = RANGE) -> str:
    """Return by how much a counter has grown, each series once."""
    return f"max by ({', '.join(LABELS[metric])}) (increase({series(metric, *matchers)}[{over}]))"


def pace(metric: str, *matchers: str) -> str:
    """Return how fast a counter grows in a second, each series once."""
    return f"max by ({', '.join(LABELS[metric])}) (rate({series(metric, *matchers)}[{RATE}]))"


def per_hour(expr: str) -> str:
    """Return what goes on in an hour, of what goes on in a second."""
    return f"3600 * {expr}"


def total(expr: str, *labels: str) -> str:
    """Return the sum over all other labels."""
    by = f" by ({', '.join(labels)})" if labels else ""
    return f"sum{by} ({expr})"


def age(metric: str, *matchers: str, by: tuple[str, ...] = ()) -> str:
    """Return the seconds since the earliest of the timestamps, for each set of labels."""
    labels = by or LABELS[metric]
    return f"time() - min by ({', '.join(labels)}) ({series(metric, *matchers)})"


def quantile(share: float, expr: str, *labels: str) -> str:
    """Return a quantile of buckets."""
    return f"histogram_quantile({share}, {total(expr, *labels, 'le')})"


def or_zero(expr: str) -> str:
    """Return an expression that is 0 where it finds nothing, and nothing only where no exporter answers."""
    return f"{expr} or 0 * max ({series('openstack_migration_up')})"


def ratio(part: str, whole: str) -> str:
    """Return a share of counted things that is 0 where there is none."""
    return f"{part} / clamp_min({whole}, 1)"
