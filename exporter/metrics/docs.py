"""Write the generated pages: docs/metrics.md from the catalogue, docs/statuses.md from the lifecycle table."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from exporter.domain.ledger import BUCKETS
from exporter.domain.lifecycle import TABLE, UNKNOWN_EXPECTED, MigrationType, Row, reasons_of
from exporter.metrics.catalogue import Family
from exporter.metrics.health import HEALTH_FAMILIES
from exporter.metrics.migrations import MIGRATION_FAMILIES

_GENERATED = "<!-- Written by `make generate`; change exporter/metrics or exporter/domain/lifecycle.py instead. -->"

_METRICS_INTRODUCTION = f"""\
# Metrics

{_GENERATED}

Gauges tell what is now, counters what was counted, histograms how long things took. All durations come from Nova's own stamps.
What is live is exposed by the time at which it began, so that an age needs no clock of the exporter's: it is
`time() - metric`. Counters and the histograms of migrations stand at zero for every pair that is possible, from the first
scrape on; other series appear when there is something to say. There are no `_created` series.

Some questions and their PromQL; take ranges of several poll intervals. Where two exporters watch the same clouds, reduce over them
first, with `max by (...)`:

| question | expression |
|---|---|
| How long has the oldest been in its status? | `time() - openstack_migration_oldest_timestamp_seconds` |
| What is stuck, and where? | `sum by (cloud, migration_type, status, reason) (openstack_migrations_stuck) > 0` |
| Which records are stuck? | `max by (cloud, migration_id, migration_type, status, reason, server_id) (openstack_migration_stuck_info) * on (cloud, migration_id) group_left (source_host, dest_host) max by (cloud, migration_id, source_host, dest_host) (openstack_migration_info)` |
| How many moves fail? | `sum by (cloud, migration_type) (increase(openstack_migrations_ended_total{{status=~"error\\|failed"}}[1h]))` |
| Which share of them fails? | `sum by (cloud, migration_type) (increase(openstack_migration_duration_seconds_count{{outcome="failure"}}[1d])) / sum by (cloud, migration_type) (increase(openstack_migration_duration_seconds_count[1d]))` |
| How long does a status take, nine times in ten? | `histogram_quantile(0.9, sum by (le, migration_type, status) (rate(openstack_migration_status_duration_seconds_bucket[1d])))` |
| Which servers are stranded, and for how long? | `(time() - min by (cloud, server_id) (openstack_migration_stranded_since_timestamp_seconds)) * on (cloud, server_id) group_left (server_status, host) max by (cloud, server_id, server_status, host) (openstack_migration_stranded_info)` |
| How fast does a live migration move memory, in bytes a second? | `deriv(openstack_migration_memory_processed_bytes[15m])` |
| For how long has a live migration moved nothing? | `time() - openstack_migration_progress_timestamp_seconds` |
| What is switched on but not to be had? | `openstack_migration_feature_available == 0` |
| Does the exporter see the cloud? | `openstack_migration_up` and `time() - openstack_migration_last_success_timestamp_seconds` |

Buckets of the two histograms of migrations, in seconds: {" ".join(f"{bound:g}" for bound in BUCKETS)}.
On OpenMetrics pages each of their buckets can carry an exemplar: `migration_id` and `server_id` of the newest migration that fell
into it while this process ran, so that a slow bucket leads to the move that filled it. Prometheus keeps exemplars only with
`--enable-feature=exemplar-storage`.

Series of single migrations (those with the label `migration_id`) exist for at most `limits.per_migration_series` records, those of
single stranded servers for as many servers; both are withdrawn after 15 minutes without a complete poll. A server is **stranded**
when it has been for two sweeps and ten minutes in the middle of a move that no live migration explains.
"""

_STATUSES_INTRODUCTION = f"""\
# Statuses

{_GENERATED}

What each status of each type of migration means, and after how long a record in it counts as stuck unless the
configuration says otherwise. A **transitional** status is one that Nova leaves by itself if all goes well; a **waiting** one
waits for a person; an **ended** record moves no more. Any other status that Nova shows is unknown: it counts as live, is
exposed under its own name (cut to 64 characters; beyond twenty such names, as `other`), and is stuck after
{UNKNOWN_EXPECTED / 3600:g} h.

Who acts next is the host, or the part of Nova, that must do something for the record to leave its status.
"""

_TITLES = {
    MigrationType.RESIZE: "a server gets another flavor, mostly on another host",
    MigrationType.MIGRATION: "a stopped or restarted server goes to another host (cold migration)",
    MigrationType.LIVE_MIGRATION: "a running server goes to another host",
    MigrationType.EVACUATION: "a server is built again elsewhere after its host has died",
}


def metrics_page() -> str:
    """Return docs/metrics.md."""
    parts = [_METRICS_INTRODUCTION]
    parts.append(f"## Migrations\n\n{_families(MIGRATION_FAMILIES)}")
    parts.append(f"## The exporter itself\n\n{_families(HEALTH_FAMILIES)}")
    parts.append("Besides these there are `process_*` and `python_info`, which prometheus_client makes.\n")
    return "\n".join(parts)


def statuses_page() -> str:
    """Return docs/statuses.md."""
    return "\n".join([_STATUSES_INTRODUCTION, *(_statuses(kind) for kind in MigrationType)])


def _families(families: Iterable[Family]) -> str:
    rows = ((f"`{each.name}`", each.kind, _listed(each.labels), each.help) for each in families)
    return _table(("metric", "kind", "labels", "meaning"), rows)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _statuses(kind: MigrationType) -> str:
    rows = (_cells(row) for row in TABLE if row.migration_type is kind)
    heads = ("status", "phase", "stuck after", "who acts next", "outcome", "meaning", "possible reasons")
    return f"## {kind}: {_TITLES[kind]}\n\n{_table(heads, rows)}"


def _cells(row: Row) -> Sequence[str]:
    live = (_time(row.expected), row.actor) if row.live else ("", "")
    reasons = _listed(reasons_of(row)) if row.live else ""
    return (f"`{row.status}`", row.phase, *live, row.outcome or "", row.meaning, reasons)


def _time(seconds: float) -> str:
    if math.isinf(seconds):
        return "never"
    return f"{seconds / 60:g} min" if seconds < 3600 else f"{seconds / 3600:g} h"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


PAGES = {"metrics.md": metrics_page, "statuses.md": statuses_page}


def main(directory: Path = Path("docs")) -> None:
    """Write every generated page."""
    for name, page in PAGES.items():
        (directory / name).write_text(page())


if __name__ == "__main__":
    main()
