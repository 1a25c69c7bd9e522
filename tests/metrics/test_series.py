"""What each series of the page says of a view."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.samples import Sample

from exporter.domain.cloud import ErrorKind, Feature, RejectReason
from exporter.domain.diagnosis import Stuck
from exporter.domain.ledger import BUCKETS
from exporter.domain.lifecycle import (
    ENDED_ROWS,
    KNOWN_CORRECTIONS,
    LIVE_ROWS,
    OUTCOMES,
    MigrationType,
    Reason,
    reasons_of,
)
from exporter.domain.server import MOVING_STATUSES, Progress
from exporter.domain.view import REQUEST_BUCKETS, CloudView, LiveMigrationRecord, View
from exporter.metrics.catalogue import Family, Histogram, Kind
from exporter.metrics.exposition import Exposition
from exporter.metrics.text import Format, Writer
from exporter.vitals import Vitals
from tests.metrics.clouds import PROCESS, empty, full, live, never_of, page, stranded

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def samples(text: str, name: str) -> dict[tuple[str, ...], float]:
    """Return the samples of one name, by the values of their labels but the cloud's, in the order of the label names."""
    return {
        tuple(value for label, value in sorted(sample.labels.items()) if label != "cloud"): sample.value
        for sample in all_samples(text)
        if sample.name == name
    }


def all_samples(text: str) -> Iterator[Sample]:
    """Yield every sample of a page in the text format."""
    for family in parse_text(text):
        yield from family.samples


@pytest.mark.parametrize("cloud", [empty(), full(), replace(full(), stale=True)], ids=["empty", "full", "stale"])
def test_both_formats_parse_and_tell_the_same(cloud: CloudView) -> None:
    text, openmetrics = page(cloud), page(cloud, accept=OPENMETRICS)
    assert openmetrics.endswith("# EOF\n")
    told = {(each.name, tuple(sorted(each.labels.items()))): each.value for each in all_samples(text)}
    again = {
        (each.name, tuple(sorted(each.labels.items()))): each.value
        for family in parse_openmetrics(openmetrics)  # type: ignore[no-untyped-call]  # the library leaves it unannotated
        for each in family.samples
    }
    assert again == told


def test_no_series_stands_twice() -> None:
    for text in (page(full()), page(empty("a"), full(), empty("b"))):
        told = [(each.name, tuple(sorted(each.labels.items()))) for each in all_samples(text)]
        assert len(set(told)) == len(told)


def test_the_process_and_its_python_are_on_the_page() -> None:
    text = Exposition(lambda: View(PROCESS, ())).page("")[0].decode()
    assert "python_info{" in text
    assert "process_resident_memory_bytes " in text


# --- what stands on the page from the beginning ---


def test_every_pair_stands_at_zero_before_a_first_poll() -> None:
    text = page(empty())
    live_pairs = [(row.migration_type.value, row.status) for row in LIVE_ROWS]
    zeros = dict.fromkeys(live_pairs, 0.0)
    assert samples(text, "openstack_migrations") == zeros
    assert samples(text, "openstack_migrations_became_stuck_total") == zeros
    assert samples(text, "openstack_migration_statuses_unobserved_total") == zeros
    assert samples(text, "openstack_migration_status_duration_seconds_count") == zeros
    assert samples(text, "openstack_migrations_started_total") == {(kind.value,): 0.0 for kind in MigrationType}
    assert samples(text, "openstack_migrations_ended_total") == {
        (row.migration_type.value, row.status): 0.0 for row in ENDED_ROWS
    }
    assert samples(text, "openstack_migrations_stuck") == {
        (row.migration_type.value, reason.value, row.status): 0.0 for row in LIVE_ROWS for reason in reasons_of(row)
    }
    assert samples(text, "openstack_migration_end_corrections_total") == {
        (before, kind.value, after): 0.0 for kind, before, after in KNOWN_CORRECTIONS
    }
    assert samples(text, "openstack_migration_duration_seconds_count") == {
        (kind.value, outcome.value): 0.0 for kind, outcomes in OUTCOMES.items() for outcome in outcomes
    }


def test_every_kind_of_error_and_rejection_stands_at_zero_before_a_first_poll() -> None:
    text = page(empty())
    assert samples(text, "openstack_migration_poll_errors_total") == {(kind.value,): 0.0 for kind in ErrorKind}
    assert samples(text, "openstack_migration_records_rejected_total") == {
        (reason.value,): 0.0 for reason in RejectReason
    }
    assert samples(text, "openstack_migration_up") == {(): 0.0}
    assert samples(text, "openstack_migration_polls_total") == {(): 0.0}


def test_every_status_that_a_stranded_server_can_have_stands_at_zero_before_a_first_poll() -> None:
    assert samples(page(empty()), "openstack_migration_servers_stranded") == {
        (status,): 0.0 for status in ("RESIZE", "VERIFY_RESIZE", "REVERT_RESIZE", "MIGRATING", "REBUILD")
    }


def test_what_is_not_known_is_absent() -> None:
    text = page(empty())
    for name in (
        "openstack_migration_last_success_timestamp_seconds",
        "openstack_migration_clock_skew_seconds",
        "openstack_migration_api_info",
        "openstack_migration_oldest_timestamp_seconds",
        "openstack_migration_poll_duration_seconds",
        "openstack_migrations_per_host",
        "openstack_migration_stranded_info",
        "openstack_migration_stranded_since_timestamp_seconds",
        "openstack_migration_feature_available",
    ):
        assert samples(text, name) == {}


def test_several_clouds_stand_side_by_side() -> None:
    clouds = {sample.labels.get("cloud") for sample in all_samples(page(empty("a"), empty("b")))}
    assert clouds == {"a", "b", None}


# --- single records ---


def test_a_live_record_is_shown_by_itself() -> None:
    text = page(replace(empty(), live=(live("m1"),)))
    assert samples(text, "openstack_migration_info") == {("dst", "tenant", "m1", "resize", "server of m1", "src"): 1.0}
    assert samples(text, "openstack_migration_status_timestamp_seconds") == {("m1", "resize", "migrating"): 1000.0}
    assert samples(text, "openstack_migration_deadline_timestamp_seconds") == {("m1",): 8200.0}
    assert samples(text, "openstack_migration_stuck_info") == {}
    assert samples(text, "openstack_migrations")["resize", "migrating"] == 1.0


def test_a_stuck_record_is_shown_by_itself_and_by_reason() -> None:
    text = page(replace(empty(), live=(live("m1", stuck=Stuck(Reason.UNDIAGNOSED, 8200.0)),)))
    assert samples(text, "openstack_migration_stuck_info") == {
        ("m1", "resize", "undiagnosed", "server of m1", "migrating"): 1.0
    }
    stuck = samples(text, "openstack_migrations_stuck")
    assert {labels for labels, value in stuck.items() if value} == {("resize", "undiagnosed", "migrating")}


def test_no_deadline_no_series() -> None:
    text = page(replace(empty(), live=(live("m1", "finished", deadline=None),)))
    assert samples(text, "openstack_migration_deadline_timestamp_seconds") == {}


def test_the_oldest_is_the_one_longest_in_its_status_orphaned_ones_apart() -> None:
    records = (
        live("m1", since=700.0),
        live("m2", since=600.0),
        live("m3", since=100.0, stuck=Stuck(Reason.ORPHANED, 100.0)),
        live("m4", "finished", since=50.0, stuck=Stuck(Reason.ORPHANED, 100.0)),
    )
    oldest = samples(page(replace(empty(), live=records)), "openstack_migration_oldest_timestamp_seconds")
    assert oldest == {("resize", "migrating"): 600.0}


def test_beyond_the_cap_records_are_counted_but_not_shown_by_themselves() -> None:
    stuck = Stuck(Reason.UNDIAGNOSED, 8200.0)
    moved = Progress(6, 5, 4, 3, 2, 1)
    records = tuple(live(f"m{i}", stuck=stuck, progress=moved, progressed=1100.0) for i in range(5))
    text = page(replace(empty(), live=records, series_cap=2))
    assert samples(text, "openstack_migration_series_omitted") == {(): 3.0}
    assert samples(text, "openstack_migrations")["resize", "migrating"] == 5.0
    for name in ("info", "status_timestamp_seconds", "deadline_timestamp_seconds", "stuck_info", *PROGRESS_NAMES):
        shown = {
            sample.labels["migration_id"]
            for sample in all_samples(text)
            if sample.name == f"openstack_migration_{name}"
        }
        assert shown == {"m0", "m1"}


def test_a_stale_view_shows_no_single_records_but_all_the_rest() -> None:
    fresh, stale = page(full()), page(replace(full(), stale=True))
    single = [each for each in all_samples(fresh) if each.labels.keys() & {"migration_id", "server_id"}]
    assert {each.name.removeprefix("openstack_migration_") for each in single} >= {"stranded_info", *PROGRESS_NAMES}
    assert list(all_samples(stale)) == [each for each in all_samples(fresh) if each not in single]


def test_a_threshold_that_never_comes_is_infinite() -> None:
    text = page(never_of(empty()))
    assert 'openstack_migration_expected_seconds{cloud="prod",migration_type="resize",status="finished"} +Inf' in text


def test_hosts_are_shown_only_where_asked_for() -> None:
    records = (live("m1"), live("m2"))
    assert samples(page(replace(empty(), live=records)), "openstack_migrations_per_host") == {}
    assert samples(page(replace(empty(), live=records, per_host=True)), "openstack_migrations_per_host") == {
        ("dst", "resize", "dest"): 2.0,
        ("src", "resize", "source"): 2.0,
    }


def test_unseen_and_ignored_records_are_counted() -> None:
    text = page(replace(empty(), live=(live("m1", unseen=True), live("m2")), ignored=4))
    assert samples(text, "openstack_migration_records_unseen") == {(): 1.0}
    assert samples(text, "openstack_migrations_ignored") == {(): 4.0}


# --- how far a live migration is ---

PROGRESS_NAMES = (
    "memory_bytes",
    "memory_processed_bytes",
    "memory_remaining_bytes",
    "disk_bytes",
    "disk_processed_bytes",
    "disk_remaining_bytes",
    "progress_timestamp_seconds",
)


def progress_of(*records: LiveMigrationRecord) -> dict[str, dict[tuple[str, ...], float]]:
    """Return what the page says of the progress of records, without the families that say nothing."""
    text = page(replace(empty(), live=records))
    found = {name: samples(text, f"openstack_migration_{name}") for name in PROGRESS_NAMES}
    return {name: told for name, told in found.items() if told}


def test_what_a_live_migration_has_moved_is_shown_of_each() -> None:
    moved = Progress(2**53 - 1, 5, 4, 3, 2, 0)
    records = (live("m1", progress=moved, progressed=1100.5), live("m2", progress=replace(moved, memory_total=1)))
    assert progress_of(*records) == {
        "memory_bytes": {("m1",): 2.0**53 - 1, ("m2",): 1.0},
        "memory_processed_bytes": {("m1",): 5.0, ("m2",): 5.0},
        "memory_remaining_bytes": {("m1",): 4.0, ("m2",): 4.0},
        "disk_bytes": {("m1",): 3.0, ("m2",): 3.0},
        "disk_processed_bytes": {("m1",): 2.0, ("m2",): 2.0},
        "disk_remaining_bytes": {("m1",): 0.0, ("m2",): 0.0},
        "progress_timestamp_seconds": {("m1",): 1100.5},
    }


def test_what_the_driver_does_not_count_is_absent() -> None:
    assert progress_of(live("m1"), live("m2", progress=Progress())) == {}
    assert progress_of(live("m1", progress=Progress(memory_total=8))) == {"memory_bytes": {("m1",): 8.0}}


# --- stranded servers ---


def test_a_stranded_server_is_counted_and_shown_by_itself() -> None:
    servers = (stranded("s1", "REVERT_RESIZE"), stranded("s2", "REBUILD", host=None, since=0.25))
    text = page(replace(empty(), stranded=servers))
    counts = samples(text, "openstack_migration_servers_stranded")
    assert counts == {(status,): float(status in ("REVERT_RESIZE", "REBUILD")) for status in MOVING_STATUSES}
    assert samples(text, "openstack_migration_stranded_info") == {
        ("src", "s1", "REVERT_RESIZE"): 1.0,
        ("", "s2", "REBUILD"): 1.0,
    }
    assert samples(text, "openstack_migration_stranded_since_timestamp_seconds") == {("s1",): 500.0, ("s2",): 0.25}


def test_beyond_the_cap_stranded_servers_are_counted_but_not_shown_by_themselves() -> None:
    text = page(replace(empty(), stranded=tuple(stranded(f"s{i}") for i in range(5)), series_cap=2))
    assert samples(text, "openstack_migration_servers_stranded")["RESIZE",] == 5.0
    assert samples(text, "openstack_migration_series_omitted") == {(): 0.0}
    assert set(samples(text, "openstack_migration_stranded_info")) == {("src", "s0", "RESIZE"), ("src", "s1", "RESIZE")}
    assert set(samples(text, "openstack_migration_stranded_since_timestamp_seconds")) == {("s0",), ("s1",)}


# --- features ---


def test_only_features_that_are_switched_on_are_shown() -> None:
    vitals = Vitals()
    vitals.note_features({Feature.LIVE_PROGRESS: False, Feature.DIAGNOSIS: True})
    text = page(replace(empty(), health=vitals.health()))
    assert samples(text, "openstack_migration_feature_available") == {("diagnosis",): 1.0, ("live_progress",): 0.0}


def test_a_feature_that_is_switched_off_leaves_the_page() -> None:
    vitals, available = Vitals(), {Feature.EXACT_DURATIONS: True, Feature.DIAGNOSIS: True}
    vitals.note_features(available)
    noted = vitals.health()
    vitals.note_features({Feature.DIAGNOSIS: False})
    available.clear()
    assert noted.features == {Feature.EXACT_DURATIONS: True, Feature.DIAGNOSIS: True}
    assert vitals.health().features == {Feature.DIAGNOSIS: False}


# --- histograms ---


@pytest.mark.parametrize(
    ("name", "bounds"),
    [
        ("openstack_migration_status_duration_seconds", BUCKETS),
        ("openstack_migration_duration_seconds", BUCKETS),
        ("openstack_migration_api_request_duration_seconds", REQUEST_BUCKETS),
    ],
)
def test_buckets_have_the_promised_bounds_and_rise_to_the_count(name: str, bounds: tuple[float, ...]) -> None:
    series: dict[tuple[tuple[str, str], ...], list[tuple[float, float]]] = {}
    text = page(full())
    for sample in all_samples(text):
        if sample.name == f"{name}_bucket":
            labels = dict(sample.labels)
            series.setdefault(tuple(sorted(labels.items() - {("le", labels["le"])})), []).append(
                (float(labels["le"]), sample.value)
            )
    counts = {
        tuple(sorted(each.labels.items())): each.value for each in all_samples(text) if each.name == f"{name}_count"
    }
    assert counts.keys() == series.keys()
    assert any(counts.values())
    for key, buckets in series.items():
        assert [bound for bound, _ in buckets] == [*bounds, float("inf")]
        assert all(earlier <= later for (_, earlier), (_, later) in pairwise(buckets))
        assert buckets[-1][1] == counts[key]


# --- hostile input ---

HOSTILE = (
    'quote " backslash \\ end',
    "line\nfeed and return\r",
    "",
    "{} , = #",
    "nul\0 and bell\a",
    "ünïcödé 雪 🧊",
    "lone surrogate \ud800",
    "x" * 10_000,
    "\u2028\u2029\x85\x0b\x0c\x1c",
)


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_label_values_arrive_as_they_are(value: str) -> None:
    arrives(value)


@settings(max_examples=50, deadline=None)
@given(st.text(st.characters(exclude_categories=()), max_size=20))
def test_any_label_value_arrives_as_it_is(value: str) -> None:
    arrives(value)


def arrives(value: str) -> None:
    """Show a value in every label that comes from Nova, and find it in both formats."""
    plain = live("m1")
    migration = replace(plain.migration, uuid=value, server_id=value, source_host=value, dest_host=value)
    records = (replace(plain, migration=migration, status="migrating"),)
    text = page(replace(empty(), live=records, per_host=True, stranded=(stranded(value, host=value),)))
    readable = value.encode("utf-8", "replace").decode()
    assert readable in {sample.labels.get("source_host") for sample in all_samples(text)}
    assert readable in {sample.labels.get("migration_id") for sample in all_samples(text)}
    assert samples(text, "openstack_migration_stranded_info") == {(readable, readable, "RESIZE"): 1.0}


def test_a_record_without_hosts_and_project_has_empty_labels() -> None:
    plain = live("m1")
    bare = replace(plain.migration, source_host=None, dest_host=None, initiator_project_id=None)
    text = page(replace(empty(), live=(replace(plain, migration=bare),), per_host=True))
    assert samples(text, "openstack_migration_info") == {("", "", "m1", "resize", "server of m1", ""): 1.0}
    assert samples(text, "openstack_migrations_per_host") == {}


# --- mistakes of ours ---


def written(family: Family) -> bytes:
    return Writer([family], Format.TEXT).page(View(PROCESS, ()))


@pytest.mark.parametrize("labels", [("a",), ("a", "b", "c")])
def test_label_values_that_do_not_fit_the_label_names_are_a_mistake(labels: tuple[str, ...]) -> None:
    family = Family("some_gauge", Kind.GAUGE, ("one", "two"), "Some gauge.", lambda view: [(labels, 1.0)])
    with pytest.raises(ValueError, match=rf"some_gauge: {len(labels)} label values for 2 labels"):
        written(family)


@pytest.mark.parametrize(
    ("kind", "value"),
    [(Kind.GAUGE, Histogram((), (0,), 0.0)), (Kind.COUNTER, Histogram((), (0,), 0.0)), (Kind.HISTOGRAM, 1.0)],
)
def test_a_value_that_does_not_fit_its_kind_is_a_mistake(kind: Kind, value: float | Histogram) -> None:
    family = Family("some", kind, (), "Some.", lambda view: [((), value)])
    with pytest.raises(ValueError, match="does not fit its kind"):
        written(family)


def test_bounds_and_counts_that_do_not_fit_are_a_mistake() -> None:
    family = Family("some", Kind.HISTOGRAM, (), "Some.", lambda view: [((), Histogram((1.0, 2.0), (0, 0), 0.0))])
    with pytest.raises(ValueError, match="zip"):
        written(family)


def test_exemplars_and_counts_that_do_not_fit_are_a_mistake() -> None:
    value = Histogram((1.0, 2.0), (0, 0, 0), 0.0, (None, None))
    family = Family("some", Kind.HISTOGRAM, (), "Some.", lambda view: [((), value)])
    with pytest.raises(ValueError, match="zip"):
        written(family)
