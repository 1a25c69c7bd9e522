"""What moves on a host: the view while it is drained, and how moves end on it."""

from __future__ import annotations

from exporter.domain.lifecycle import Outcome
from tools.dashboards.choices import to_host
from tools.dashboards.colours import CALM, GOOD, GREY, STUCK, TYPES, WARNING
from tools.dashboards.columns import CLOUD, DEST, MIGRATION, SERVER, SOURCE, STATUS, TYPE, since
from tools.dashboards.one.chosen import ENTERED, ID, INFO, ON_ONE, at
from tools.dashboards.queries import (
    HOUR_OF_FAILURES,
    age,
    chosen,
    grown,
    latest,
    one_of,
    or_zero,
    recorded,
    series,
    total,
)
from tools.dashboards.rows import Column, Kind, Panel, Query, Section, Step, Unit, now

_PER_HOST = "openstack_migrations_per_host"
_ENDED_PER_HOST = "openstack_migrations_ended_per_host_total"
_HOST = chosen("host")
_SWITCHED_OFF = "features.per_host is switched off"


def _known(role: str) -> tuple[str, str]:
    """Return the matchers for the chosen host on a side; a destination that is not chosen yet is no host."""
    return at(role), f'{role}!=""'


def _beside(host: str) -> str:
    """Return the condition that a move shares a host on that side with what is chosen above."""
    return f"and on (cloud, {host}) {series(INFO, ID, *_known(host))}"


def _same(host: str) -> tuple[Query, ...]:
    """Return the queries for the moves that have the chosen host, or that of the chosen migration, on the same side."""
    here = f"{series(INFO, *_known(host))} {_beside(host)}"
    return now(f"{latest(INFO, *_known(host))} {_beside(host)}", f"({age(ENTERED)}) and {ON_ONE} ({here})")


def _moving(host: str) -> str:
    """Return the same moves, each once, for counting."""
    return f"max by (cloud, migration_id, migration_type) ({series(INFO, *_known(host))} {_beside(host)})"


_MOVES = (CLOUD, TYPE, STATUS, since("Value #B"), SOURCE, DEST, SERVER, MIGRATION)

HOSTS = Section(
    400,
    "What moves on the host",
    (
        Panel(
            id=401,
            kind=Kind.STAT,
            title="Out of it now",
            description="Moves that leave the chosen host, or the source of the chosen migration. While it "
            "is drained, this goes down to zero.",
            queries=now(or_zero(f"count({_moving('source_host')})")),
            none="No exporter",
            width=12,
            height=4,
            zero=True,
            steps=(Step(None, CALM),),
        ),
        Panel(
            id=402,
            kind=Kind.STAT,
            title="Into it now",
            description="Moves that go to the chosen host, or to the destination of the chosen migration. While "
            "it is drained, this should be zero: disable its nova-compute.",
            queries=now(or_zero(f"count({_moving('dest_host')})")),
            none="No exporter",
            width=12,
            height=4,
            zero=True,
            steps=(Step(None, CALM),),
        ),
        Panel(
            id=403,
            kind=Kind.TIMESERIES,
            title="Out of it, by type",
            description="The same over time: how far a drain is.",
            queries=(Query(f"count by (migration_type) ({_moving('source_host')})", "{{migration_type}}"),),
            none="Nothing leaves it",
            stacked=True,
            colours=TYPES,
        ),
        Panel(
            id=404,
            kind=Kind.TIMESERIES,
            title="Into it, by type",
            description="The same over time: what a host takes in, of which kind.",
            queries=(Query(f"count by (migration_type) ({_moving('dest_host')})", "{{migration_type}}"),),
            none="Nothing goes to it",
            stacked=True,
            colours=TYPES,
        ),
        Panel(
            id=405,
            kind=Kind.TABLE,
            title="Moves out of the same host",
            description="Live moves that leave the chosen host, or the source of the chosen migration. Many that hang together "
            "mean that the host, not the server, is the cause.",
            queries=_same("source_host"),
            none="Nothing leaves it",
            width=24,
            height=7,
            sort="-Value #B",
            columns=_MOVES,
        ),
        Panel(
            id=406,
            kind=Kind.TABLE,
            title="Moves into the same host",
            description="Live moves that go to the chosen host, or to the destination of the chosen migration.",
            queries=_same("dest_host"),
            none="Nothing goes to it",
            width=24,
            height=7,
            sort="-Value #B",
            columns=_MOVES,
        ),
    ),
)

_SIDES = ("host", "role")


def _count(ref: str, title: str, colour: str = CALM) -> Column:
    """Return the column of a count, in grey where it is zero."""
    return Column(f"Value #{ref}", title, width=85, steps=(Step(None, GREY), Step(1, colour)), none="0")


PER_HOST = Section(
    500,
    "How moves end on the host (needs features.per_host)",
    (
        Panel(
            id=501,
            kind=Kind.TABLE,
            title="Ended within the time shown",
            description="How the moves from and to the chosen host ended. A host that fails more than its neighbours is to be "
            "looked at. Needs features.per_host in the exporter's configuration.",
            queries=now(
                *(
                    f"round({total(grown(_ENDED_PER_HOST, _HOST, one_of('outcome', [outcome])), *_SIDES)})"
                    for outcome in (Outcome.SUCCESS, Outcome.FAILURE, Outcome.CANCELLED, Outcome.DELETED)
                ),
                f"sum by (host, role) ({latest(_PER_HOST, _HOST)})",
            ),
            none=_SWITCHED_OFF,
            sort="-Value #B",
            columns=(
                Column("host", "Host", Unit.TEXT),
                Column("role", "As", Unit.TEXT, width=80),
                _count("E", "Live now"),
                _count("A", "Success", GOOD),
                _count("B", "Failure", STUCK),
                _count("C", "Cancelled", WARNING),
                _count("D", "Deleted"),
            ),
            runbooks=("FailuresOnOneHost",),
        ),
        Panel(
            id=502,
            kind=Kind.TABLE,
            title="Failures of the last hour",
            description="The hosts of the moves that failed within the last hour, as the alert FailuresOnOneHost reads them from "
            "the recording rules of deploy/prometheus. Needs features.per_host.",
            queries=now(f"topk(20, {recorded(HOUR_OF_FAILURES, _HOST)} > 0)"),
            none="No failures, or features.per_host is off, or the rules are not loaded",
            decimals=0,
            sort="-Value",
            columns=(
                CLOUD,
                Column("host", "Host", Unit.TEXT, link=to_host()),
                Column("role", "As", Unit.TEXT, width=80),
                Column("Value", "Failures", steps=(Step(None, CALM), Step(5, STUCK))),
            ),
            runbooks=("FailuresOnOneHost",),
        ),
    ),
)
