"""How long moves take, and how long each status lasts."""

from __future__ import annotations

from exporter.domain.lifecycle import LIVE_ROWS, MigrationType, Outcome, Row
from tools.dashboards.colours import STATUS_ORDER, STATUSES
from tools.dashboards.columns import STATUS, TYPE
from tools.dashboards.queries import RATE, grown, latest, one_of, pace, quantile, series, total
from tools.dashboards.rows import Column, Kind, Panel, Query, Section, Unit, now

_MOVE = "openstack_migration_duration_seconds"
_STATUS = "openstack_migration_status_duration_seconds"
_EXPECTED = "openstack_migration_expected_seconds"
_WELL = one_of("outcome", [Outcome.SUCCESS])
_PAIR = ("migration_type", "status")
_SHARES = (0.5, 0.9, 0.99)

_QUANTILES = "The smallest time within which so many of a hundred were through, read from buckets, so only roughly."


def _known(expr: str) -> str:
    """Return an expression without what is no number: quantiles of nothing."""
    return f"{expr} >= 0"


def _place(row: Row) -> str:
    """Return the place of a pair in the lifecycle, as a series of that pair."""
    place = 100 * list(MigrationType).index(row.migration_type) + row.rank
    pair = (one_of("migration_type", [row.migration_type]), one_of("status", [row.status]))
    return f"0 * max by (migration_type, status) ({series('openstack_migrations', *pair)}) + {place}"


def _within(share: float, metric: str, *labels: str, matchers: tuple[str, ...] = ()) -> str:
    """Return the time within which a share of what ended in the time shown was through."""
    return _known(quantile(share, grown(f"{metric}_bucket", *matchers), *labels))


_TIMES = tuple(
    Column(f"Value #{ref}", title, Unit.SECONDS, width=95)
    for ref, title in zip("BCD", ("Half within", "9 of 10", "99 of 100"), strict=True)
)

LENGTHS = Section(
    500,
    "How long it takes",
    (
        Panel(
            id=501,
            kind=Kind.TABLE,
            title="Moves that succeeded within the time shown",
            description=f"How long they took, from their creation to the end of the move itself, without any confirmation. "
            f"{_QUANTILES}",
            queries=now(
                f"round({total(grown(f'{_MOVE}_count', _WELL), 'migration_type')})",
                *(_within(share, _MOVE, "migration_type", matchers=(_WELL,)) for share in _SHARES),
            ),
            none="No exporter answers",
            height=8,
            zero=True,
            columns=(
                TYPE,
                Column("Value #A", "Moves"),
                *_TIMES,
            ),
        ),
        Panel(
            id=502,
            kind=Kind.TIMESERIES,
            title="Moves that succeeded",
            description=f"How long the moves that end now have taken, by type. {_QUANTILES}",
            queries=tuple(
                Query(
                    _known(quantile(share, pace(f"{_MOVE}_bucket", _WELL), "migration_type")),
                    f"{{{{migration_type}}}} p{share * 100:g}",
                )
                for share in _SHARES
            ),
            none="No move has succeeded",
            unit=Unit.SECONDS,
            height=8,
            sparse=True,
        ),
        Panel(
            id=503,
            kind=Kind.TABLE,
            title="Each status, within the time shown",
            description=f"How long records stayed in a status before they left it, and after how long they would count as stuck. "
            f"{_QUANTILES}",
            queries=now(
                f"round({total(grown(f'{_STATUS}_count'), *_PAIR)})",
                *(_within(share, _STATUS, *_PAIR) for share in _SHARES),
                f"max by (migration_type, status) ({latest(_EXPECTED)}) < Inf",
                " or ".join(_place(row) for row in LIVE_ROWS),
            ),
            none="No exporter answers",
            height=12,
            zero=True,
            sort="Value #F",
            columns=(
                TYPE,
                STATUS,
                Column("Value #A", "Left it", width=75),
                *_TIMES,
                Column("Value #E", "Stuck after", Unit.SECONDS, none="never"),
            ),
        ),
        Panel(
            id=504,
            kind=Kind.TIMESERIES,
            title="Each status, nine in ten",
            description="The time within which nine of ten records left a status, of those that leave it now. A status that "
            "becomes slower is the first sign of a busy network, storage or message queue.",
            queries=tuple(
                Query(
                    _known(quantile(0.9, pace(f"{_STATUS}_bucket", one_of("status", [status])), "status")), "{{status}}"
                )
                for status in STATUS_ORDER
            ),
            none="No status was left",
            unit=Unit.SECONDS,
            height=12,
            sparse=True,
            colours=STATUSES,
        ),
        Panel(
            id=505,
            kind=Kind.HEATMAP,
            title="Durations of moves",
            description="How many moves ended after which time, failed ones included. A second band above the usual one is a "
            "kind of move that goes wrong, or waits for a time limit.",
            queries=(Query(total(grown(f"{_MOVE}_bucket", over=RATE), "le"), "{{le}}"),),
            none="No exporter answers",
            unit=Unit.SECONDS,
        ),
        Panel(
            id=506,
            kind=Kind.HEATMAP,
            title="Time in a status",
            description="How many records left a status after which time, whatever the type. Choose a type above to see it "
            "alone.",
            queries=(Query(total(grown(f"{_STATUS}_bucket", over=RATE), "le"), "{{le}}"),),
            none="No exporter answers",
            unit=Unit.SECONDS,
        ),
    ),
)
