"""From the view to the bytes of the page, by prometheus_client."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from exporter.domain.view import View
from exporter.metrics.catalogue import Family, Histogram, Kind, Value
from exporter.metrics.health import HEALTH_FAMILIES
from exporter.metrics.migrations import MIGRATION_FAMILIES

FAMILIES: tuple[Family, ...] = (*MIGRATION_FAMILIES, *HEALTH_FAMILIES)


class Exposition:
    """The page of metrics; `view` is asked for the current view at each scrape."""

    def __init__(self, view: Callable[[], View], *, process_metrics: bool = True) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_ViewCollector(view))
        if process_metrics:
            ProcessCollector(registry=self._registry)
            PlatformCollector(registry=self._registry)

    def page(self, accept: str) -> tuple[bytes, str]:
        """Return the page and its content type, in the format that the Accept header prefers."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type


class _ViewCollector(Collector):
    def __init__(self, view: Callable[[], View]) -> None:
        self._view = view

    def collect(self) -> Iterable[Metric]:
        view = self._view()
        return (render(family, view) for family in FAMILIES)


def render(family: Family, view: View) -> Metric:
    """Return one family with the samples of a view; raise ValueError where label names and values do not fit."""
    metric: Metric = _MAKERS[family.kind](family.name, family.help, labels=family.labels)
    for labels, value in family.samples(view):
        if len(labels) != len(family.labels):  # prometheus_client would cut them silently (metrics_core.py, zip)
            raise ValueError(f"{family.name}: {len(labels)} label values for {len(family.labels)} labels")
        _add(metric, [_encodable(str(label)) for label in labels], value)
    return metric


_MAKERS = {Kind.GAUGE: GaugeMetricFamily, Kind.COUNTER: CounterMetricFamily, Kind.HISTOGRAM: HistogramMetricFamily}


def _encodable(label: str) -> str:
    """Return a label value that fits the page: JSON can hold half a character (a lone surrogate), UTF-8 cannot."""
    return label.encode("utf-8", "replace").decode()


def _add(metric: Metric, labels: list[str], value: Value) -> None:
    match metric, value:
        case HistogramMetricFamily(), Histogram():
            metric.add_metric(labels, list(_buckets(value)), value.total)
        case (GaugeMetricFamily() | CounterMetricFamily()), int() | float():
            metric.add_metric(labels, float(value))
        case _:
            raise ValueError(f"{metric.name}: {value!r} does not fit its kind")


def _buckets(histogram: Histogram) -> Iterator[tuple[str, float]]:
    bounds = [_bound(bound) for bound in histogram.bounds]
    return zip((*bounds, "+Inf"), accumulate(histogram.counts), strict=True)


def _bound(bound: float) -> str:
    return str(floatToGoString(bound))  # type: ignore[no-untyped-call]  # prometheus_client leaves it unannotated
