"""From the view to the bytes of the page, by prometheus_client."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar as PageExemplar
from prometheus_client.utils import floatToGoString

from exporter.domain.ledger import Exemplar
from exporter.domain.view import View
from exporter.metrics.catalogue import Family, Histogram, Kind, Value
from exporter.metrics.health import HEALTH_FAMILIES
from exporter.metrics.migrations import MIGRATION_FAMILIES

#: Characters that the names and values of an exemplar's labels may have together (OpenMetrics 1.0, section "Exemplars").
_LONGEST_EXEMPLAR = 128

_Bucket = tuple[str, float] | tuple[str, float, PageExemplar]

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
        case ((GaugeMetricFamily() | CounterMetricFamily()), int() | float()):
            metric.add_metric(labels, float(value))
        case _:
            raise ValueError(f"{metric.name}: {value!r} does not fit its kind")


def _buckets(histogram: Histogram) -> Iterator[_Bucket]:
    """Yield the buckets of a histogram, each with its exemplar where it has one.

    None where the page counts nothing between two bounds: counters may lag behind what was observed.
    """
    bounds, counts = [*map(_bound, histogram.bounds), "+Inf"], histogram.counts
    exemplars = histogram.exemplars or (None,) * len(counts)
    for bound, own, count, exemplar in zip(bounds, counts, accumulate(counts), exemplars, strict=True):
        labels = _exemplar_labels(exemplar) if exemplar is not None and own else None
        if exemplar is None or labels is None:
            yield bound, count
        else:
            yield bound, count, PageExemplar(labels, exemplar.seconds, exemplar.at)


def _exemplar_labels(exemplar: Exemplar) -> dict[str, str] | None:
    """Return the labels of an exemplar; None where they are longer than OpenMetrics allows, for that would cost the page."""
    labels = {"migration_id": _encodable(exemplar.migration_id), "server_id": _encodable(exemplar.server_id)}
    length = sum(len(name) + len(value) for name, value in labels.items())
    return labels if length <= _LONGEST_EXEMPLAR else None


def _bound(bound: float) -> str:
    return str(floatToGoString(bound))  # type: ignore[no-untyped-call]  # prometheus_client leaves it unannotated
