"""A view in, exposition text out."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

from exporter.domain.ledger import BUCKETS
from exporter.domain.lifecycle import ENDED_ROWS, LIVE_ROWS, MigrationType, reasons_of
from exporter.domain.view import CloudView, View
from exporter.metrics.catalogue import Family, Kind
from exporter.metrics.exposition import FAMILIES, Exposition, render
from tests.metrics.views import RESIZE, cloud_view, counted, records, view

GOLDEN = Path(__file__).parent / "golden.txt"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"

PROMISED = {
    "openstack_migrations": ("gauge", "cloud migration_type status"),
    "openstack_migrations_started_total": ("counter", "cloud migration_type"),
    "openstack_migrations_ended_total": ("counter", "cloud migration_type status"),
    "openstack_migration_end_corrections_total": ("counter", "cloud migration_type from_status to_status"),
    "openstack_migration_status_duration_seconds": ("histogram", "cloud migration_type status"),
    "openstack_migration_duration_seconds": ("histogram", "cloud migration_type outcome"),
    "openstack_migration_statuses_unobserved_total": ("counter", "cloud migration_type status"),
    "openstack_migration_oldest_timestamp_seconds": ("gauge", "cloud migration_type status"),
    "openstack_migration_expected_seconds": ("gauge", "cloud migration_type status"),
    "openstack_migrations_stuck": ("gauge", "cloud migration_type status reason"),
    "openstack_migrations_became_stuck_total": ("counter", "cloud migration_type status"),
    "openstack_migration_info": (
        "gauge",
        "cloud migration_id migration_type server_id initiator_project_id source_host dest_host",
    ),
    "openstack_migration_status_timestamp_seconds": ("gauge", "cloud migration_id migration_type status"),
    "openstack_migration_deadline_timestamp_seconds": ("gauge", "cloud migration_id"),
    "openstack_migration_stuck_info": ("gauge", "cloud migration_id migration_type status reason server_id"),
    "openstack_migrations_per_host": ("gauge", "cloud host role migration_type"),
    "openstack_migrations_ended_per_host_total": ("counter", "cloud host role migration_type outcome"),
    "openstack_migrations_ignored": ("gauge", "cloud"),
    "openstack_migration_records_unseen": ("gauge", "cloud"),
    "openstack_migration_series_omitted": ("gauge", "cloud"),
    "openstack_migration_up": ("gauge", "cloud"),
    "openstack_migration_last_success_timestamp_seconds": ("gauge", "cloud"),
    "openstack_migration_poll_interval_seconds": ("gauge", "cloud"),
    "openstack_migration_poll_duration_seconds": ("gauge", "cloud step"),
    "openstack_migration_polls_total": ("counter", "cloud"),
    "openstack_migration_poll_errors_total": ("counter", "cloud reason"),
    "openstack_migration_api_requests_total": ("counter", "cloud operation code"),
    "openstack_migration_api_request_duration_seconds": ("histogram", "cloud operation"),
    "openstack_migration_records_rejected_total": ("counter", "cloud reason"),
    "openstack_migration_unknown_status_total": ("counter", "cloud"),
    "openstack_migration_clock_skew_seconds": ("gauge", "cloud"),
    "openstack_migration_api_info": ("gauge", "cloud microversion"),
    "openstack_migration_exporter_state_durable": ("gauge", ""),
    "openstack_migration_exporter_state_errors_total": ("counter", ""),
    "openstack_migration_exporter_config_last_reload_successful": ("gauge", ""),
    "openstack_migration_exporter_build_info": ("gauge", "version revision python"),
}


def page(shown: View, accept: str = "", process_metrics: bool = False) -> str:
    """Return the page of a view."""
    return Exposition(lambda: shown, process_metrics=process_metrics).page(accept)[0].decode()


def samples(shown: View, name: str) -> dict[tuple[str, ...], float]:
    """Return the samples of a name, by the values of all their labels but the cloud, in the order of the page."""
    return {
        tuple(value for label, value in sample.labels.items() if label != "cloud"): sample.value
        for family in plain(page(shown))
        for sample in family.samples
        if sample.name == name
    }


def test_the_catalogue_is_what_is_promised() -> None:
    assert {each.name: (each.kind, " ".join(each.labels)) for each in FAMILIES} == PROMISED


def test_no_label_clashes_with_those_of_a_target() -> None:
    forbidden = {"region", "zone", "cluster", "service", "env", "type", "job", "instance"}
    assert {label for each in FAMILIES for label in each.labels} & forbidden == set()


def test_the_golden_page() -> None:
    """Set GOLDEN=write to write it anew, and read the difference."""
    made = page(view())
    if os.environ.get("GOLDEN") == "write":
        GOLDEN.write_text(made)
    assert made == GOLDEN.read_text()


def test_the_golden_page_shows_every_family() -> None:
    assert {family.name for family in plain(GOLDEN.read_text()) if family.samples} == {
        name.removesuffix("_total") for name in PROMISED
    }


@pytest.mark.parametrize("shown", [view(), View(view().process, ()), view(cloud_view(live=(), stale=True))])
def test_every_page_parses_as_both_formats(shown: View) -> None:
    names = {family.name for family in plain(page(shown, process_metrics=True))}
    assert {family.name for family in openmetrics(page(shown, OPENMETRICS, process_metrics=True))} == names


def test_no_series_tells_when_it_was_created() -> None:
    assert not re.search(r"_created[ {]", page(view()) + page(view(), OPENMETRICS))


def test_every_pair_is_there_from_the_beginning() -> None:
    empty = view(cloud_view(live=(), totals=counted().totals()))
    live = {(str(row.migration_type), row.status) for row in LIVE_ROWS}
    assert live <= set(samples(empty, "openstack_migrations"))
    assert live <= set(samples(empty, "openstack_migration_status_duration_seconds_count"))
    assert {(str(row.migration_type), row.status) for row in ENDED_ROWS} <= set(
        samples(empty, "openstack_migrations_ended_total")
    )
    stuck = {tuple(sorted((row.migration_type, row.status, reason))) for row in LIVE_ROWS for reason in reasons_of(row)}
    assert stuck <= {tuple(sorted(labels)) for labels in samples(empty, "openstack_migrations_stuck")}


def test_buckets_are_cumulative_and_end_with_all() -> None:
    buckets = [
        (sample.labels["le"], sample.value)
        for family in plain(page(view()))
        for sample in family.samples
        if sample.name == "openstack_migration_status_duration_seconds_bucket"
        and (sample.labels["migration_type"], sample.labels["status"]) == ("resize", "pre-migrating")
    ]
    assert [float(bound) for bound, _ in buckets] == [*BUCKETS, float("inf")]
    assert [value for _, value in buckets] == [0, 0, *[1] * (len(BUCKETS) - 1)]


def test_only_as_many_records_as_the_cap_get_series_the_stuck_first() -> None:
    shown = view(cloud_view(series_cap=1))
    assert [RESIZE.uuid in labels for labels in samples(shown, "openstack_migration_info")] == [True]
    assert samples(shown, "openstack_migration_series_omitted") == {(): 3}
    assert sum(samples(shown, "openstack_migrations").values()) == 4


def test_a_stale_view_shows_no_single_records_but_all_counts() -> None:
    shown = view(cloud_view(stale=True))
    for name in ("info", "status_timestamp_seconds", "deadline_timestamp_seconds", "stuck_info"):
        assert samples(shown, f"openstack_migration_{name}") == {}
    assert sum(samples(shown, "openstack_migrations").values()) == 4
    assert sum(samples(shown, "openstack_migrations_stuck").values()) == 1


def test_hosts_are_shown_on_request_only() -> None:
    assert samples(view(), "openstack_migrations_per_host") != {}
    assert samples(view(cloud_view(per_host=False)), "openstack_migrations_per_host") == {}


def test_labels_that_do_not_fit_are_an_error() -> None:
    family = Family("a_metric", Kind.GAUGE, ("one", "two"), "A metric.", lambda _: [(("1",), 1)])
    with pytest.raises(ValueError, match="1 label values for 2 labels"):
        render(family, view())


def test_a_value_that_does_not_fit_its_kind_is_an_error() -> None:
    family = Family("a_metric", Kind.HISTOGRAM, (), "A metric.", lambda _: [((), 1)])
    with pytest.raises(ValueError, match="does not fit its kind"):
        render(family, view())


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=50))
def test_any_host_name_survives_both_formats(host: str) -> None:
    shown: CloudView = cloud_view(live=records(replace(RESIZE, source_host=host)))
    for parse, accept in ((plain, ""), (openmetrics, OPENMETRICS)):
        found = [
            sample.labels["source_host"]
            for family in parse(page(view(shown), accept))
            for sample in family.samples
            if sample.name == "openstack_migration_info"
        ]
        assert found == [host]


@pytest.mark.system
@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool: Debian's package `prometheus`")
def test_promtool_finds_nothing_to_say() -> None:
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=page(view()), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_each_type_is_named_as_nova_names_it() -> None:
    kinds = {labels[0] for labels in samples(view(), "openstack_migrations_started_total")}
    assert kinds == set(MigrationType)
