"""The page is byte for byte the one that prometheus_client itself would write."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.domain.ledger import BUCKETS, Exemplar
from exporter.domain.lifecycle import LIVE_ROWS, MigrationType
from exporter.domain.view import CloudView, View
from exporter.metrics.catalogue import Family, Histogram, Kind
from exporter.metrics.exposition import FAMILIES
from exporter.metrics.text import Format, Writer
from tests.metrics.oracle import as_openmetrics, as_text
from tests.metrics.test_strangers import HOSTILE, REJECTED
from tests.metrics.views import PROCESS, cloud_view, migration, records, view

TEXTS = st.one_of(st.sampled_from([*HOSTILE.values(), *REJECTED.values()]), st.text(max_size=20), st.just(""))
NUMBERS = st.one_of(
    st.floats(),
    st.integers(-(2**70), 2**70),
    st.booleans(),
    st.sampled_from(
        [0.0, -0.0, 1e6, 1e7, 999999.5, 1234567.0, 1e21, 1.5e-7, 1_780_000_000.25, math.inf, -math.inf, math.nan]
    ),
)


def same_pages(shown: View, families: tuple[Family, ...] = FAMILIES) -> None:
    """Compare both formats with the oracle's."""
    assert Writer(families, Format.TEXT).page(shown) == as_text(shown, families)
    assert Writer(families, Format.OPENMETRICS).page(shown) + b"# EOF\n" == as_openmetrics(shown, families)


@st.composite
def clouds(draw: st.DrawFn) -> CloudView:
    """Return a cloud whose every text and time is whatever it may be, and more."""
    made = []
    for number, row in enumerate(draw(st.lists(st.sampled_from(LIVE_ROWS), max_size=6))):
        texts = {name: draw(st.none() | TEXTS) for name in ("source_host", "dest_host", "initiator_project_id")}
        uuid, server = draw(TEXTS) + str(number), draw(TEXTS)
        made.append(migration(number, row.migration_type, row.status, uuid=uuid, server_id=server, **texts))
    stuck = frozenset(draw(st.lists(st.sampled_from(made)))) if made else frozenset()
    live = [
        replace(each, status=draw(TEXTS | st.just(each.status)), since=draw(NUMBERS))
        for each in records(*made, stuck=stuck)
    ]
    base = cloud_view()
    return replace(
        base,
        cloud=draw(TEXTS),
        health=replace(base.health, clock_skew=draw(NUMBERS), requests={(draw(TEXTS), draw(TEXTS)): 3}),
        expected={**base.expected, (MigrationType.RESIZE, draw(TEXTS)): draw(NUMBERS)},
        live=tuple(live),
        stale=draw(st.booleans()),
        series_cap=draw(st.integers(0, 7)),
    )


@given(st.lists(clouds(), max_size=3, unique_by=lambda cloud: cloud.cloud))
@settings(max_examples=60, deadline=None)
def test_the_page_of_any_view_is_the_oracles(found: list[CloudView]) -> None:
    same_pages(View(PROCESS, tuple(found)))


@given(st.lists(st.tuples(TEXTS, TEXTS, NUMBERS), max_size=8), st.sampled_from([Kind.GAUGE, Kind.COUNTER]))
@settings(max_examples=200, deadline=None)
def test_any_labels_and_numbers_are_written_as_the_oracle_writes_them(
    samples: list[tuple[str, str, float]], kind: Kind
) -> None:
    name = "some_total" if kind is Kind.COUNTER else "some"
    found = [((one, two), value) for one, two, value in samples]
    same_pages(view(), (Family(name, kind, ("z", "a"), 'With "quotes", \\ and\nlines.', lambda _: found),))


@st.composite
def histograms(draw: st.DrawFn) -> Histogram:
    counts = tuple(draw(st.lists(st.integers(0, 5), min_size=len(BUCKETS) + 1, max_size=len(BUCKETS) + 1)))
    one = st.builds(
        Exemplar, TEXTS, st.text(max_size=140), st.floats(0, 1e9), st.floats(allow_nan=False, allow_infinity=False)
    )
    exemplars = draw(st.just(()) | st.tuples(*[st.none() | one for _ in counts]))
    return Histogram(BUCKETS, counts, draw(st.floats(0, 1e12)), exemplars)


@given(st.lists(st.tuples(TEXTS, histograms()), max_size=3))
@settings(max_examples=100, deadline=None)
def test_any_histogram_is_written_as_the_oracle_writes_it(found: list[tuple[str, Histogram]]) -> None:
    samples = [((label,), value) for label, value in found]
    # `le` stands among the labels by its name: before `z`, behind `a`
    for label in ("a", "z"):
        same_pages(view(), (Family("some_seconds", Kind.HISTOGRAM, (label,), "Some.", lambda _: samples),))


def test_a_page_without_clouds_is_the_oracles() -> None:
    same_pages(View(PROCESS, ()))


@pytest.mark.parametrize("text", [*HOSTILE.values(), *REJECTED.values()])
def test_a_hostile_text_in_every_label_is_written_as_the_oracle_writes_it(text: str) -> None:
    labels = tuple("abc")
    same_pages(view(), (Family("some", Kind.GAUGE, labels, "Some.", lambda _: [((text,) * 3, 1.0)]),))
