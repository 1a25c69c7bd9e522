"""Buckets of the histograms of migrations name the move that filled them, on OpenMetrics pages alone."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from exporter.domain.events import Event, Left, MoveEnded
from exporter.domain.ledger import BUCKETS, Ledger
from exporter.domain.lifecycle import Outcome
from exporter.domain.migration import Migration
from exporter.domain.view import CloudView
from tests.metrics.clouds import empty, full, page
from tests.metrics.views import cloud_view, view

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
MOVE = Migration("m1", cloud_view().live[0].migration.migration_type, "finished", "s1", 100.0, 1000.25)


def counted(*events: Event) -> CloudView:
    """Return the view of a cloud of which events were counted."""
    ledger = Ledger()
    ledger.enter(events, lambda kind, status: status)
    return replace(empty(), totals=ledger.totals(), exemplars=ledger.exemplars())


def named(cloud: CloudView) -> list[Sample]:
    """Return the samples of the OpenMetrics page that have an exemplar."""
    families = text_string_to_metric_families(page(cloud, accept=OPENMETRICS))
    return [sample for family in families for sample in family.samples if sample.exemplar is not None]


def test_a_bucket_leads_to_the_move_that_filled_it() -> None:
    cloud = counted(Left(MOVE, "migrating", 12.5), MoveEnded(replace(MOVE, uuid="m2"), Outcome.SUCCESS, 700000.0))
    told = {
        (each.name, each.labels["le"]): (each.exemplar.labels, each.exemplar.value, float(each.exemplar.timestamp))
        for each in named(cloud)
    }
    assert told == {
        ("openstack_migration_status_duration_seconds_bucket", "20.0"): (
            {"migration_id": "m1", "server_id": "s1"},
            12.5,
            1000.25,
        ),
        ("openstack_migration_duration_seconds_bucket", "+Inf"): (
            {"migration_id": "m2", "server_id": "s1"},
            700000.0,
            1000.25,
        ),
    }


def test_the_line_of_a_bucket_with_an_exemplar() -> None:
    (line,) = [
        each for each in page(cloud_view(), accept=OPENMETRICS).splitlines() if 'le="5.0"' in each and "#" in each
    ]
    assert line == (
        'openstack_migration_status_duration_seconds_bucket{cloud="prod",le="5.0",migration_type="resize",'
        'status="pre-migrating"} 1.0 # {migration_id="00000000-0000-4000-8000-000000000001",'
        'server_id="10000000-0000-4000-8000-000000000001"} 4.0 1700000006.0'
    )


@pytest.mark.parametrize("accept", ["", "text/plain; version=0.0.4", "text/plain; version=1.0.0; escaping=underscores"])
def test_the_text_format_has_no_exemplars(accept: str) -> None:
    text = page(full(), accept=accept)
    assert not [line for line in text.splitlines() if "#" in line and not line.startswith("# ")]
    assert named(full())


def test_the_histogram_of_requests_has_no_exemplars() -> None:
    assert {each.name for each in named(full())} == {
        "openstack_migration_status_duration_seconds_bucket",
        "openstack_migration_duration_seconds_bucket",
    }


@pytest.mark.parametrize("bound", BUCKETS)
def test_an_exemplar_stands_at_the_bucket_that_holds_its_value(bound: float) -> None:
    (bucket,) = named(counted(Left(MOVE, "migrating", bound)))
    assert float(bucket.labels["le"]) == bucket.exemplar.value == bound


def test_before_anything_is_counted_no_bucket_has_one() -> None:
    assert named(empty()) == []


def test_a_bucket_in_which_the_page_counts_nothing_has_none() -> None:
    """Counters on the page lag behind while the state cannot be written; what is counted below a bound is not the bucket's."""
    before = counted(Left(MOVE, "migrating", 1.5))
    later = counted(Left(MOVE, "migrating", 1.5), Left(MOVE, "migrating", 70.0), Left(MOVE, "confirming", 3.0))
    assert [each.labels["le"] for each in named(later)] == ["2.0", "120.0", "5.0"]
    assert [each.labels["le"] for each in named(replace(later, totals=before.totals))] == ["2.0"]
    assert named(replace(later, totals=empty().totals)) == []


def test_counters_of_an_earlier_process_have_none() -> None:
    ledger = Ledger(totals=counted(Left(MOVE, "migrating", 1.5)).totals)
    assert named(replace(empty(), totals=ledger.totals(), exemplars=ledger.exemplars())) == []


# --- odd ids ---

#: What the names of the labels leave for their values, in characters.
ROOM = 128 - len("migration_id") - len("server_id")


@pytest.mark.parametrize("character", ["x", "雪", "🧊", '"', "\\", "\n"])
def test_an_exemplar_that_is_too_long_is_left_out(character: str) -> None:
    longest = replace(MOVE, uuid=character * (ROOM - 1), server_id="s")
    (bucket,) = named(counted(Left(longest, "migrating", 1.5)))
    assert bucket.exemplar.labels == {"migration_id": longest.uuid, "server_id": "s"}
    cloud = counted(Left(replace(longest, server_id="ss"), "migrating", 1.5))
    assert named(cloud) == []
    assert cloud.totals.status_durations[MOVE.migration_type, "migrating"].count == 1


def test_half_a_character_costs_no_page() -> None:
    (bucket,) = named(counted(Left(replace(MOVE, uuid="x\ud800"), "migrating", 1.5)))
    assert bucket.exemplar.labels == {"migration_id": "x?", "server_id": "s1"}


@settings(max_examples=50, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=ROOM // 2))
def test_any_id_comes_back_as_it_was(value: str) -> None:
    """By hand, for prometheus_client's parser takes a closing brace within quotes for the end of the labels."""
    cloud = counted(Left(replace(MOVE, uuid=value, server_id=value), "migrating", 1.5))
    lines = page(cloud, accept=OPENMETRICS).split("\n")
    assert len(lines) == len(page(empty(), accept=OPENMETRICS).split("\n"))
    (told,) = [
        each for line in lines if (each := re.search(r" # \{migration_id=(.*),server_id=(.*)\} 1\.5 1000\.25$", line))
    ]
    assert [re.sub(r"\\(.)", _unescaped, each[1:-1]) for each in told.groups()] == [value, value]


def _unescaped(escape: re.Match[str]) -> str:
    return "\n" if escape[1] == "n" else escape[1]


@pytest.mark.parametrize("moment", [-62135596800.0, -1.0, 0.0, 1e-05, 253402300799.999])
def test_any_moment_can_be_read_again(moment: float) -> None:
    (bucket,) = named(counted(Left(replace(MOVE, updated_at=moment), "migrating", 1.5)))
    assert float(bucket.exemplar.timestamp) == pytest.approx(moment)


def test_an_exemplar_of_every_bucket_can_be_read_again() -> None:
    events = [Left(replace(MOVE, uuid=f"m{i}"), "migrating", bound) for i, bound in enumerate((*BUCKETS, 1e9))]
    assert [each.exemplar.labels["migration_id"] for each in named(counted(*events))] == [
        f"m{i}" for i in range(len(BUCKETS) + 1)
    ]
    assert len(named(view().clouds[0])) == 2
