"""What a dashboard is made of: a panel is a row of title, description, unit, queries and how it is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from tools.rules.rows import Dashboard


class Kind(StrEnum):
    """How a panel is drawn."""

    STAT = "stat"
    TIMESERIES = "timeseries"
    BARGAUGE = "bargauge"
    TABLE = "table"
    HEATMAP = "heatmap"


class Unit(StrEnum):
    """Grafana's names of units (packages/grafana-data/src/valueFormats/categories.ts)."""

    COUNT = "short"
    PER_HOUR = "suffix:/h"
    PER_SECOND = "reqps"
    SECONDS = "s"
    MOMENT = "dateTimeFromNow"
    BYTES = "bytes"
    BYTES_PER_SECOND = "Bps"
    SHARE = "percentunit"
    TEXT = "string"


@dataclass(frozen=True, slots=True)
class Query:
    """One query of a panel; `now` asks for the latest value alone, `legend` names its series."""

    expr: str
    legend: str = ""
    now: bool = False


def now(*exprs: str) -> tuple[Query, ...]:
    """Return queries for the latest values alone."""
    return tuple(Query(expr, now=True) for expr in exprs)


@dataclass(frozen=True, slots=True)
class Step:
    """A colour from a value on; the first step of a scale has no value."""

    value: float | None
    colour: str


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: a field of the queries' answer under a title.

    `link` leads from its cells elsewhere, `colours` has the colour of each text, `steps` of numbers, `words` the text and
    colour of each value; `none` is what an empty cell says.
    """

    field: str
    title: str
    unit: Unit | None = None
    width: int | None = None
    link: str | None = None
    colours: Mapping[str, str] | None = None
    steps: tuple[Step, ...] = ()
    words: Mapping[str, tuple[str, str]] | None = None
    none: str = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel; `id` stays the same for ever, for links to it rest on it.

    `none` is what it says where there is nothing to show. `zero` promises a zero in an empty cloud. `colours` has the colour of
    each series by its name; `words` the text and colour of each value. `sparse` joins points that
    have nothing between them. `matrix` spreads a query over rows and columns of two
    labels. `sort` is the field by which a table is sorted, the largest first where it begins with a minus. `runbooks` are
    the alerts, without the prefix, whose runbooks it links to.
    """

    id: int
    kind: Kind
    title: str
    description: str
    queries: tuple[Query, ...]
    none: str
    unit: Unit = Unit.COUNT
    width: int = 12
    height: int = 8
    zero: bool = False
    decimals: int | None = None
    largest: float | None = None
    stacked: bool = False
    sparse: bool = False
    steps: tuple[Step, ...] = ()
    colours: Mapping[str, str] | None = None
    words: Mapping[str, tuple[str, str]] | None = None
    columns: tuple[Column, ...] = ()
    matrix: tuple[str, str] | None = None
    sort: str | None = None
    runbooks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """Panels under a heading; a collapsed one opens when it is clicked. Its panels' ids lie in the hundred of its own id."""

    id: int
    title: str
    panels: tuple[Panel, ...]
    collapsed: bool = False


@dataclass(frozen=True, slots=True)
class Variable:
    """A choice at the top of a dashboard; `every` is the pattern behind All."""

    name: str
    label: str
    query: str
    description: str
    every: str = ".+"
    regex: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """Moments that are marked on every graph of a dashboard; `title` and `text` may name labels in double braces."""

    name: str
    expr: str
    title: str
    text: str
    labels: tuple[str, ...]
    colour: str


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard. `since` is how far back it reaches at first, `refresh` how often it asks anew."""

    uid: Dashboard
    title: str
    description: str
    variables: tuple[Variable, ...]
    sections: tuple[Section, ...]
    marks: tuple[Mark, ...] = ()
    since: str = "now-6h"
    refresh: str = "1m"
