"""What the exporter costs Nova: requests, and how long they take."""

from __future__ import annotations

from tools.dashboards.colours import GOOD, GREY, STUCK, WARNING
from tools.dashboards.exporter.shapes import NOBODY, SHOULD_BE_ZERO, graph
from tools.dashboards.queries import RATE, grown, latest, pace, quantile, series, total
from tools.dashboards.rows import Column, Kind, Panel, Query, Section, Unit, now

_REQUESTS = "openstack_migration_api_requests_total"
_LATENCY = "openstack_migration_api_request_duration_seconds_bucket"
_NOT_WELL = 'code!~"[23].."'

COST = Section(
    300,
    "What it costs Nova",
    (
        graph(
            id=301,
            title="Requests, per second",
            description="HTTP requests to OpenStack by what they ask for, of all exporters together: what Nova really has to "
            "answer. Raise poll.interval, or switch a feature off, if it is too much.",
            queries=(Query(f"sum by (operation) (rate({series(_REQUESTS)}[{RATE}]))", "{{operation}}"),),
            unit=Unit.PER_SECOND,
            stacked=True,
        ),
        graph(
            id=302,
            title="Answers, per second",
            description="How OpenStack answers: an HTTP status, or the kind of failure where no answer came.",
            queries=(Query(f"sum by (code) (rate({series(_REQUESTS)}[{RATE}]))", "{{code}}"),),
            unit=Unit.PER_SECOND,
            stacked=True,
            colours={"200": GOOD, "201": "light-green", "300": GREY, "401": WARNING, "403": WARNING, "500": STUCK},
        ),
        graph(
            id=303,
            title="Time of a request, nine in ten",
            description="How long OpenStack takes to answer nine of ten requests. Nova waits up to 60 s for a cell that hangs, "
            "and poll.timeout should be above that.",
            queries=(Query(f"{quantile(0.9, pace(_LATENCY), 'operation')} >= 0", "{{operation}}"),),
            unit=Unit.SECONDS,
            zero=False,
        ),
        graph(
            id=304,
            title="Time of a poll, by step",
            description="Where the last complete poll spent its time; beyond poll.deadline it is given up.",
            queries=(Query(latest("openstack_migration_poll_duration_seconds"), "{{cloud}} {{step}}"),),
            unit=Unit.SECONDS,
            zero=False,
            stacked=True,
        ),
        Panel(
            id=305,
            kind=Kind.HEATMAP,
            title="Times of requests",
            description="How many requests took how long. A band near poll.timeout is an API or a cell that hangs.",
            queries=(Query(total(grown(_LATENCY, over=RATE), "le"), "{{le}}"),),
            none=NOBODY,
            unit=Unit.SECONDS,
        ),
        Panel(
            id=306,
            kind=Kind.TABLE,
            title="Requests within the time shown",
            description="How many requests of each kind, how they were answered, and how long half of them and nine of ten took.",
            queries=now(
                f"round(sum by (operation) (increase({series(_REQUESTS)}[$__range])))",
                f"round(sum by (operation) (increase({series(_REQUESTS, _NOT_WELL)}[$__range])))",
                f"{quantile(0.5, grown(_LATENCY), 'operation')} >= 0",
                f"{quantile(0.9, grown(_LATENCY), 'operation')} >= 0",
            ),
            none=NOBODY,
            sort="-Value #A",
            columns=(
                Column("operation", "Operation", Unit.TEXT, width=180),
                Column("Value #A", "Requests"),
                Column("Value #B", "Failed", steps=SHOULD_BE_ZERO, none="0"),
                Column("Value #C", "Half within", Unit.SECONDS),
                Column("Value #D", "9 of 10 within", Unit.SECONDS),
            ),
        ),
    ),
)
