"""Whether the exporter runs and sees its clouds."""

from __future__ import annotations

from functools import partial

from exporter.domain.cloud import ErrorKind
from tools.dashboards.colours import GOOD, STUCK
from tools.dashboards.columns import YES_OR_NO, sound
from tools.dashboards.exporter.shapes import NOBODY, SHOULD_BE_ZERO, each, graph
from tools.dashboards.queries import latest, or_zero, pace, per_hour, series, total
from tools.dashboards.rows import Column, Kind, Panel, Query, Section, Step, Unit, now

_UP = "openstack_migration_up"
_LAST = "openstack_migration_last_success_timestamp_seconds"
_INTERVAL = "openstack_migration_poll_interval_seconds"
_BUILD = "openstack_migration_exporter_build_info"
_DURABLE = "openstack_migration_exporter_state_durable"
_RELOADED = "openstack_migration_exporter_config_last_reload_successful"

_MUST_BE_ONE = (Step(None, STUCK), Step(1, GOOD))

_stat = partial(Panel, kind=Kind.STAT, width=4, height=4, none="No exporter")


def _per_cloud(metric: str) -> tuple[Query, ...]:
    return (Query(latest(metric), "{{cloud}}"),)


HEALTH = Section(
    100,
    "Health",
    (
        _stat(
            id=101,
            title="Exporters that answer",
            description="Exporters that Prometheus can scrape; nothing of their clouds is known while none answers.",
            queries=now(f"sum({series('up')})"),
            zero=True,
            steps=_MUST_BE_ONE,
            runbooks=("ExporterDown", "ExporterAbsent"),
        ),
        _stat(
            id=102,
            title="Clouds that fail",
            description="Clouds of which the last poll was not complete: what is shown of them is what was last seen. See the "
            "poll errors for the reason, and the exporter's log for the whole message.",
            queries=now(or_zero(f"count({latest(_UP)} == 0)")),
            zero=True,
            steps=(Step(None, GOOD), Step(1, STUCK)),
            runbooks=("PollFailing", "LoginRefused", "RightsMissing"),
        ),
        _stat(
            id=103,
            title="State durable",
            description="Whether every process can write its state: else its counters would not survive a restart.",
            queries=now(f"min({series(_DURABLE)})"),
            words=YES_OR_NO,
            zero=True,
            steps=_MUST_BE_ONE,
            runbooks=("StateNotDurable",),
        ),
        _stat(
            id=104,
            title="Configuration in force",
            description="Whether the configuration last asked for is the one in force. If not, the log has every fault of it.",
            queries=now(f"min({series(_RELOADED)})"),
            words=YES_OR_NO,
            steps=_MUST_BE_ONE,
        ),
        _stat(
            id=105,
            title="Series left out",
            description="Live migrations that have no series of their own, beyond limits.per_migration_series: alerts on single "
            "migrations do not see them.",
            queries=now(total(latest("openstack_migration_series_omitted"))),
            zero=True,
            steps=SHOULD_BE_ZERO,
            runbooks=("SeriesOmitted",),
        ),
        _stat(
            id=106,
            title="Records not returned",
            description="Live records that Nova no longer returns, for no reason that it tells: most often a cell is down.",
            queries=now(total(latest("openstack_migration_records_unseen"))),
            zero=True,
            steps=SHOULD_BE_ZERO,
        ),
    ),
)

_AGE = f"time() - {latest(_LAST)}"

CLOUDS = Section(
    200,
    "Does it see the clouds?",
    (
        Panel(
            id=201,
            kind=Kind.TABLE,
            title="Clouds",
            description="Each cloud: whether its last poll was complete and how long ago that was, Nova's API, its clock against "
            "ours, and the records that an operator has told the exporter to ignore.",
            queries=now(
                latest(_UP),
                _AGE,
                latest(_INTERVAL),
                latest("openstack_migration_api_info"),
                latest("openstack_migration_clock_skew_seconds"),
                latest("openstack_migrations_ignored"),
                latest("openstack_migration_records_unseen"),
            ),
            none=NOBODY,
            width=24,
            height=6,
            zero=True,
            sort="cloud",
            columns=(
                Column("cloud", "Cloud", Unit.TEXT),
                sound("Value #A", "Last poll complete"),
                Column("Value #B", "Last complete poll, age", Unit.SECONDS, none="never"),
                Column("Value #C", "Polls every", Unit.SECONDS),
                Column("microversion", "Nova's API", Unit.TEXT, none="not known"),
                Column("Value #E", "Cloud's clock ahead by", Unit.SECONDS, none="not known"),
                Column("Value #F", "Ignored"),
                Column("Value #G", "Not returned"),
            ),
            runbooks=("PollFailing", "DataStale", "ClockSkew"),
        ),
        graph(
            id=202,
            title="Age of what is shown, in poll intervals",
            description="How many poll intervals ago the last complete poll of each cloud was: about one while all is well, and "
            "beyond ten it is stale and pages.",
            queries=(Query(f"({_AGE}) / {latest(_INTERVAL)}", "{{cloud}}"),),
            zero=False,
            runbooks=("DataStale",),
        ),
        graph(
            id=203,
            title="Polls that failed, per hour",
            description="Why polls failed. auth: the login; forbidden: a right is missing; timeout, connection: the network or a "
            "slow API; http, protocol: what answers is no sound Nova; deadline: the whole poll took too long.",
            queries=tuple(
                Query(
                    per_hour(
                        total(pace("openstack_migration_poll_errors_total", f'reason="{kind}"'), "cloud", "reason")
                    ),
                    "{{cloud}} {{reason}}",
                )
                for kind in ErrorKind
            ),
            unit=Unit.PER_HOUR,
            runbooks=("PollFailing", "LoginRefused", "RightsMissing"),
        ),
        graph(
            id=204,
            title="Polls, per hour",
            description="How often each cloud is polled, failed polls included; with two exporters the busier one.",
            queries=(Query(per_hour(pace("openstack_migration_polls_total")), "{{cloud}}"),),
            unit=Unit.PER_HOUR,
        ),
        graph(
            id=205,
            title="Clock of the cloud, ahead",
            description="By how much the clock of Nova's API is ahead of the exporter's. Beyond a poll interval, see to the time "
            "synchronisation of both.",
            queries=_per_cloud("openstack_migration_clock_skew_seconds"),
            unit=Unit.SECONDS,
            zero=False,
            none="No poll was complete yet",
            runbooks=("ClockSkew",),
        ),
        Panel(
            id=206,
            kind=Kind.TABLE,
            title="Features",
            description="What is switched on, and whether the cloud gives what it needs. openstack-migration-exporter check "
            "names the rights that are missing.",
            queries=now(f"min by (cloud, feature) ({series('openstack_migration_feature_available')})"),
            none="Every feature is switched off",
            width=8,
            height=6,
            sort="cloud",
            columns=(
                Column("cloud", "Cloud", Unit.TEXT),
                Column("feature", "Feature", Unit.TEXT),
                sound("Value", "To be had"),
            ),
            runbooks=("FeatureUnavailable",),
        ),
        Panel(
            id=207,
            kind=Kind.TABLE,
            title="Processes",
            description="Which version runs where, since when, and whether its state is durable and its configuration in force.",
            queries=now(
                f"max by (job, instance, version, revision, python) ({series(_BUILD)})",
                f"1000 * {each('process_start_time_seconds')}",
                f"min by (job, instance) ({series(_DURABLE)})",
                f"min by (job, instance) ({series(_RELOADED)})",
            ),
            none=NOBODY,
            width=16,
            height=6,
            zero=True,
            sort="instance",
            columns=(
                Column("job", "Job", Unit.TEXT),
                Column("instance", "Instance", Unit.TEXT),
                Column("version", "Version", Unit.TEXT),
                Column("revision", "Revision", Unit.TEXT),
                Column("python", "Python", Unit.TEXT),
                Column("Value #B", "Started", Unit.MOMENT),
                sound("Value #C", "Durable"),
                sound("Value #D", "Configuration in force"),
            ),
        ),
    ),
)
