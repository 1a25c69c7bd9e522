"""What the exporter could not make sense of, and what its process needs."""

from __future__ import annotations

from tools.dashboards.exporter.shapes import NOBODY, SHOULD_BE_ZERO, each, graph
from tools.dashboards.queries import RATE, grown, pace, per_hour, series, total
from tools.dashboards.rows import Kind, Panel, Query, Section, Unit

_UNOBSERVED = "openstack_migration_statuses_unobserved_total"
_LEFT = "openstack_migration_status_duration_seconds_count"

READING = Section(
    400,
    "What it could not make sense of",
    (
        Panel(
            id=401,
            kind=Kind.BARGAUGE,
            title="Records rejected within the time shown",
            description="Records that could not be understood and are in no number here, by reason; each once for each process. "
            "The log names them.",
            queries=(
                Query(
                    f"round({total(grown('openstack_migration_records_rejected_total'), 'reason')})",
                    "{{reason}}",
                    now=True,
                ),
            ),
            none=NOBODY,
            width=8,
            zero=True,
            steps=SHOULD_BE_ZERO,
        ),
        graph(
            id=402,
            title="Records in an unknown status",
            description="Records that were seen in a status that the exporter does not know, since each process began. A newer "
            "exporter may know it.",
            queries=(Query(total(grown("openstack_migration_unknown_status_total"), "cloud"), "{{cloud}}"),),
            width=8,
            runbooks=("UnknownStatus",),
        ),
        graph(
            id=403,
            title="Statuses whose length nobody knows",
            description="Share of the statuses that were passed but whose length nothing proves, so that the durations miss "
            "them. High: switch features.exact_durations on, or poll more often.",
            queries=(
                Query(
                    f"{total(pace(_UNOBSERVED), 'migration_type')} / "
                    f"({total(pace(_UNOBSERVED), 'migration_type')} + {total(pace(_LEFT), 'migration_type')} > 0)",
                    "{{migration_type}}",
                ),
            ),
            none="No status was left",
            unit=Unit.SHARE,
            width=8,
            largest=1,
            zero=False,
        ),
    ),
)

PROCESS = Section(
    500,
    "The process",
    (
        graph(
            id=501,
            title="Memory",
            description="Resident memory of each process; it grows with the live records, and is bounded.",
            queries=(Query(each("process_resident_memory_bytes"), "{{instance}}"),),
            unit=Unit.BYTES,
            width=6,
        ),
        graph(
            id=502,
            title="CPU",
            description="Share of one CPU that each process uses.",
            queries=(
                Query(f"max by (job, instance) (rate({series('process_cpu_seconds_total')}[{RATE}]))", "{{instance}}"),
            ),
            unit=Unit.SHARE,
            width=6,
        ),
        graph(
            id=503,
            title="Open files",
            description="File descriptors in use, as a share of how many the process may have. One that only climbs is a leak.",
            queries=(Query(f"{each('process_open_fds')} / {each('process_max_fds')}", "{{instance}}"),),
            unit=Unit.SHARE,
            width=6,
        ),
        graph(
            id=504,
            title="Time of a scrape",
            description="How long Prometheus takes to read the page; no scrape ever asks OpenStack anything.",
            queries=(Query(each("scrape_duration_seconds"), "{{instance}}"),),
            unit=Unit.SECONDS,
            width=6,
        ),
        graph(
            id=505,
            title="Errors of the state, per hour",
            description="Times that the state could not be written, or was not what it should be: see the disk of --state.path.",
            queries=(
                Query(
                    per_hour(
                        f"max by (job, instance) (rate({series('openstack_migration_exporter_state_errors_total')}[{RATE}]))"
                    ),
                    "{{instance}}",
                ),
            ),
            unit=Unit.PER_HOUR,
            runbooks=("StateNotDurable",),
        ),
        graph(
            id=506,
            title="Samples on a page",
            description="How many samples each scrape brings; most are those of single migrations.",
            queries=(Query(each("scrape_samples_scraped"), "{{instance}}"),),
        ),
    ),
    collapsed=True,
)
