"""What moves now: the numbers at the top, and where in their lifecycle the moves are."""

from __future__ import annotations

from functools import partial

from exporter.domain.lifecycle import Outcome
from tools.dashboards.colours import (
    CALM,
    GOOD,
    STATUS_ORDER,
    STATUSES,
    STUCK,
    TYPES,
    WAITING,
    WAITING_STATUSES,
    WARNING,
)
from tools.dashboards.columns import KIND_OF_ROW, counted
from tools.dashboards.queries import age, grown, latest, none_of, one_of, or_zero, ratio, total
from tools.dashboards.rows import Kind, Panel, Query, Section, Step, Unit, now

_WAITS = one_of("status", WAITING_STATUSES)
_MOVES = none_of("status", WAITING_STATUSES)
_QUEUED = one_of("status", ["queued"])
_OLDEST = "openstack_migration_oldest_timestamp_seconds"
_ENDED = "openstack_migration_duration_seconds_count"

#: A count that should be zero, and one that may be anything.
_SHOULD_BE_ZERO = (Step(None, GOOD), Step(1, STUCK))
_MAY_BE_ANY = (Step(None, CALM),)

_stat = partial(Panel, kind=Kind.STAT, width=3, height=4, zero=True, none="No exporter")

NOW = Section(
    100,
    "Now",
    (
        _stat(
            id=101,
            title="Under way",
            description="Moves that Nova is working on, queued ones included. They should come and go; those that do not are "
            "under Stuck.",
            queries=now(total(latest("openstack_migrations", _MOVES))),
            steps=_MAY_BE_ANY,
        ),
        _stat(
            id=102,
            title="Stuck",
            description="Moves that will not end by themselves, stale records included. Start with the table of stuck migrations "
            "below: it has the reason of each, and leads on to its details.",
            queries=now(total(latest("openstack_migrations_stuck"))),
            steps=_SHOULD_BE_ZERO,
        ),
        _stat(
            id=103,
            title="Stranded",
            description="Servers in the middle of a move that no live migration explains: nothing will bring them out of it by "
            "itself. Their table is below.",
            queries=now(total(latest("openstack_migration_servers_stranded"))),
            steps=_SHOULD_BE_ZERO,
        ),
        _stat(
            id=104,
            title="Queued",
            description="Live migrations that wait for their turn on their source host (max_concurrent_live_migrations in "
            "nova.conf). Normal while a host is drained.",
            queries=now(or_zero(total(latest("openstack_migrations", _QUEUED)))),
            steps=_MAY_BE_ANY,
        ),
        _stat(
            id=105,
            title="Failed",
            description="Share of the moves that failed, of those that came to an end within the time shown; 0 where none ended.",
            queries=now(ratio(total(grown(_ENDED, one_of("outcome", [Outcome.FAILURE]))), total(grown(_ENDED)))),
            unit=Unit.SHARE,
            decimals=0,
            steps=(Step(None, GOOD), Step(0.05, WAITING), Step(0.5, STUCK)),
        ),
        _stat(
            id=106,
            title="Ended",
            description="Records that came to an end within the time shown, well or not.",
            queries=now(total(grown("openstack_migrations_ended_total"))),
            decimals=0,
            steps=_MAY_BE_ANY,
        ),
        _stat(
            id=107,
            title="Unconfirmed",
            description="Moves that are over and wait for somebody to confirm or to revert them. Each holds the space of two "
            "hosts.",
            queries=now(or_zero(total(latest("openstack_migrations", _WAITS)))),
            steps=_MAY_BE_ANY,
        ),
        _stat(
            id=108,
            title="Unconfirmed for",
            description="How long the oldest unconfirmed move has waited; 0 where none waits. After a week ask its "
            "owner to confirm or to revert it.",
            queries=now(or_zero(f"max ({age(_OLDEST, _WAITS)})")),
            unit=Unit.SECONDS,
            decimals=1,
            steps=(Step(None, GOOD), Step(86400, WAITING), Step(7 * 86400, WARNING)),
        ),
    ),
)


def _by_status(metric: str) -> tuple[Query, ...]:
    """Return a query for each status, in the order of the lifecycle, and one for those that the table does not know."""
    matchers = [*(one_of("status", [status]) for status in STATUS_ORDER), none_of("status", STATUS_ORDER)]
    return tuple(Query(total(latest(metric, matcher), "status"), "{{status}}") for matcher in matchers)


_PAIR = ("migration_type", "status")
_USED = f"({age(_OLDEST)}) / {latest('openstack_migration_expected_seconds')}"

UNDER_WAY = Section(
    300,
    "Under way",
    (
        Panel(
            id=301,
            kind=Kind.TABLE,
            title="Moves now",
            description="How many records of each type are in each status now; a dash where a type does not have the status.",
            queries=now(total(latest("openstack_migrations"), *_PAIR)),
            none="No exporter answers",
            width=24,
            height=7,
            zero=True,
            matrix=_PAIR,
            columns=(
                KIND_OF_ROW,
                *(counted(status, STATUSES[status]) for status in STATUS_ORDER),
            ),
        ),
        Panel(
            id=302,
            kind=Kind.TIMESERIES,
            title="Moves by status",
            description="Records that have not ended, from the first status of the lifecycle to the last; yellow ones wait for a "
            "person. A band that grows and does not shrink again is a jam in that status.",
            queries=_by_status("openstack_migrations"),
            none="No exporter answers",
            height=9,
            zero=True,
            stacked=True,
            colours=STATUSES,
        ),
        Panel(
            id=303,
            kind=Kind.TIMESERIES,
            title="Moves by type",
            description="Records that have not ended, by the way in which the server moves.",
            queries=(Query(total(latest("openstack_migrations"), "migration_type"), "{{migration_type}}"),),
            none="No exporter answers",
            height=9,
            zero=True,
            stacked=True,
            colours=TYPES,
        ),
        Panel(
            id=304,
            kind=Kind.TIMESERIES,
            title="Oldest in each status",
            description="How long the record that is longest in its status has been there, stale ones apart. A line that climbs "
            "without end is a move that hangs: see beside it how much of the time allowed it has used up.",
            queries=(Query(age(_OLDEST, by=_PAIR), "{{migration_type}} {{status}}"),),
            none="Nothing is under way",
            unit=Unit.SECONDS,
            runbooks=("Backlog",),
        ),
        Panel(
            id=305,
            kind=Kind.BARGAUGE,
            title="Time allowed that is used up",
            description="Age of the oldest record in each status as a share of openstack_migration_expected_seconds; at 100 % it "
            "counts as stuck. Running live migrations may have a shorter limit of their own, by their size. Statuses that may "
            "last for ever stand at 0.",
            queries=(Query(f"max by (migration_type, status) ({_USED})", "{{migration_type}} {{status}}", now=True),),
            none="Nothing is under way",
            unit=Unit.SHARE,
            decimals=0,
            largest=1,
            steps=(Step(None, CALM), Step(0.5, WAITING), Step(1, STUCK)),
            runbooks=("Overdue",),
        ),
    ),
)
