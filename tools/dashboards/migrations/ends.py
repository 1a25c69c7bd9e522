"""How many moves begin and end, and how."""

from __future__ import annotations

from exporter.domain.lifecycle import Outcome
from tools.dashboards import colours
from tools.dashboards.colours import ENDED_STATUSES, GOOD, STUCK, TYPES, WAITING
from tools.dashboards.columns import CLOUD, KIND_OF_ROW, TYPE, counted
from tools.dashboards.queries import HOUR_OF_ENDS, grown, one_of, pace, per_hour, ratio, recorded, total
from tools.dashboards.rows import Column, Kind, Panel, Query, Section, Step, Unit, now

_ENDED = "openstack_migrations_ended_total"
_OUTCOMES = "openstack_migration_duration_seconds_count"
_CORRECTIONS = "openstack_migration_end_corrections_total"
_FAILED = one_of("outcome", [Outcome.FAILURE])
_SHARES = (Step(None, GOOD), Step(0.05, WAITING), Step(0.5, STUCK))

ENDS = Section(
    400,
    "Begun and ended",
    (
        Panel(
            id=401,
            kind=Kind.TIMESERIES,
            title="Begun, per hour",
            description="How many moves begin. A burst is mostly a host that is drained or evacuated.",
            queries=(
                Query(
                    per_hour(total(pace("openstack_migrations_started_total"), "migration_type")), "{{migration_type}}"
                ),
            ),
            none="No exporter answers",
            unit=Unit.PER_HOUR,
            zero=True,
            stacked=True,
            colours=TYPES,
        ),
        Panel(
            id=402,
            kind=Kind.TIMESERIES,
            title="Ended, per hour",
            description="How records end: green ones well, red ones failed. A deleted one ended with its server.",
            queries=tuple(
                Query(per_hour(total(pace(_ENDED, one_of("status", [status])), "status")), "{{status}}")
                for status in ENDED_STATUSES
            ),
            none="No exporter answers",
            unit=Unit.PER_HOUR,
            zero=True,
            stacked=True,
            colours=colours.ENDS,
        ),
        Panel(
            id=403,
            kind=Kind.TABLE,
            title="Ended within the time shown",
            description="How many records of each type came to which end; a dash where a type does not have that end.",
            queries=now(f"round({total(grown(_ENDED), 'migration_type', 'status')})"),
            none="No exporter answers",
            width=14,
            height=7,
            zero=True,
            decimals=0,
            matrix=("migration_type", "status"),
            columns=(
                KIND_OF_ROW,
                *(counted(status, colours.ENDS[status]) for status in ENDED_STATUSES),
            ),
        ),
        Panel(
            id=404,
            kind=Kind.BARGAUGE,
            title="Failed within the time shown",
            description="Share of the moves of each type that failed, of those that came to an end within the time shown.",
            queries=(
                Query(
                    ratio(
                        total(grown(_OUTCOMES, _FAILED), "migration_type"), total(grown(_OUTCOMES), "migration_type")
                    ),
                    "{{migration_type}}",
                    now=True,
                ),
            ),
            none="No exporter answers",
            unit=Unit.SHARE,
            width=10,
            height=7,
            zero=True,
            decimals=0,
            largest=1,
            steps=_SHARES,
            runbooks=("FailureRatioHigh",),
        ),
        Panel(
            id=405,
            kind=Kind.TIMESERIES,
            title="Failed, of an hour's moves",
            description="Share of the moves that failed, of those that ended within the hour before, as the alert "
            "FailureRatioHigh reads it from the recording rules of deploy/prometheus; empty where they are not loaded.",
            queries=(
                Query(
                    ratio(
                        total(recorded(HOUR_OF_ENDS, _FAILED), "migration_type"),
                        total(recorded(HOUR_OF_ENDS), "migration_type"),
                    ),
                    "{{migration_type}}",
                ),
            ),
            none="The recording rules are not loaded",
            unit=Unit.SHARE,
            zero=True,
            largest=1,
            colours=TYPES,
            runbooks=("FailureRatioHigh",),
        ),
        Panel(
            id=406,
            kind=Kind.TABLE,
            title="Ends that Nova corrected within the time shown",
            description="Records that had ended and were then given another end. Where it is error, the move was counted as a "
            "success before, and its server may be in ERROR: look at it.",
            queries=now(
                f"round({total(grown(_CORRECTIONS), 'cloud', 'migration_type', 'from_status', 'to_status')}) > 0"
            ),
            none="No end was corrected",
            sort="-Value",
            columns=(
                CLOUD,
                TYPE,
                Column("from_status", "Was", Unit.TEXT, colours=colours.ENDS),
                Column("to_status", "Is now", Unit.TEXT, colours=colours.ENDS),
                Column("Value", "Records"),
            ),
            runbooks=("EndCorrectedToError",),
        ),
    ),
)
