"""The catalogue: every family as a row of name, kind, labels, help and a pure function of the view.

Names and labels are a contract: alert rules, dashboards and docs rest on them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from exporter.domain.ledger import BucketExemplars
from exporter.domain.view import CloudView, View


class Kind(StrEnum):
    """The kind of a family."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Histogram:
    """One histogram's value: upper bounds, the counts between them (the last beyond all bounds), and the sum.

    `exemplars` has one for each of the counts, or None; it may be empty.
    """

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total: float
    exemplars: BucketExemplars = ()


Value = float | Histogram
Sample = tuple[tuple[str, ...], Value]


@dataclass(frozen=True, slots=True)
class Family:
    """One family of series; a counter's name ends in `_total`. `samples` yields label values in `labels`' order."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str
    samples: Callable[[View], Iterable[Sample]]


def per_cloud(
    name: str, kind: Kind, labels: tuple[str, ...], help_text: str, samples: Callable[[CloudView], Iterable[Sample]]
) -> Family:
    """Return a family whose first label is the cloud; `samples` yields the values of the other labels."""

    def of_all(view: View) -> Iterator[Sample]:
        for cloud in view.clouds:
            for values, value in samples(cloud):
                yield (cloud.cloud, *values), value

    return Family(name, kind, ("cloud", *labels), help_text, of_all)


gauge = partial(per_cloud, kind=Kind.GAUGE)
counter = partial(per_cloud, kind=Kind.COUNTER)
histogram = partial(per_cloud, kind=Kind.HISTOGRAM)


def single(value: Callable[[CloudView], float | None], cloud: CloudView) -> Iterator[Sample]:
    """Yield the one sample of a cloud, none where its value is not known."""
    number = value(cloud)
    if number is not None:
        yield (), number
