"""The page as prometheus_client itself writes it, of the same families: what ours is compared with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar
from prometheus_client.utils import floatToGoString

from exporter.domain.view import View
from exporter.metrics.catalogue import Family, Histogram, Kind, Value
from exporter.metrics.exposition import FAMILIES

MAKERS = {Kind.GAUGE: GaugeMetricFamily, Kind.COUNTER: CounterMetricFamily, Kind.HISTOGRAM: HistogramMetricFamily}


class Oracle(Collector):
    """The families of a view as prometheus_client's own objects."""

    def __init__(self, view: View, families: Sequence[Family] = FAMILIES) -> None:
        self._view, self._families = view, families

    def collect(self) -> Iterable[Metric]:
        return [self._metric(family) for family in self._families]

    def _metric(self, family: Family) -> Metric:
        metric = MAKERS[family.kind](family.name, family.help, labels=family.labels)
        for labels, value in family.samples(self._view):
            _add(metric, [label.encode("utf-8", "replace").decode() for label in labels], value)
        return metric


def as_text(view: View, families: Sequence[Family] = FAMILIES) -> bytes:
    """Return the page in the text format."""
    return generate_latest(_registry(view, families))


def as_openmetrics(view: View, families: Sequence[Family] = FAMILIES) -> bytes:
    """Return the page in the OpenMetrics format."""
    return generate_openmetrics(_registry(view, families))


def _registry(view: View, families: Sequence[Family]) -> CollectorRegistry:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Oracle(view, families))
    return registry


def _add(metric: Metric, labels: Sequence[str], value: Value) -> None:
    if isinstance(value, Histogram):
        metric.add_metric(labels, list(_buckets(value)), value.total)
    else:
        metric.add_metric(labels, float(value))


def _buckets(histogram: Histogram) -> Iterator[tuple[str, float] | tuple[str, float, Exemplar]]:
    exemplars = histogram.exemplars or (None,) * len(histogram.counts)
    bounds = [*map(floatToGoString, histogram.bounds), "+Inf"]
    for bound, own, reached, each in zip(
        bounds, histogram.counts, accumulate(histogram.counts), exemplars, strict=True
    ):
        if each is None or not own or len(each.migration_id) + len(each.server_id) > 128 - len("migration_idserver_id"):
            yield bound, reached
        else:
            texts = [text.encode("utf-8", "replace").decode() for text in (each.migration_id, each.server_id)]
            labels = dict(zip(("migration_id", "server_id"), texts, strict=True))
            yield bound, reached, Exemplar(labels, each.seconds, each.at)
