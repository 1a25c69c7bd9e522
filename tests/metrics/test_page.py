"""A view in, exposition text out."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

from exporter.domain.lifecycle import MigrationType
from exporter.domain.view import View
from exporter.metrics.exposition import FAMILIES, Exposition
from tests.metrics.views import cloud_view, view

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
    "openstack_migration_servers_stranded": ("gauge", "cloud server_status"),
    "openstack_migration_stranded_info": ("gauge", "cloud server_id server_status host"),
    "openstack_migration_stranded_since_timestamp_seconds": ("gauge", "cloud server_id"),
    "openstack_migration_info": (
        "gauge",
        "cloud migration_id migration_type server_id initiator_project_id source_host dest_host",
    ),
    "openstack_migration_status_timestamp_seconds": ("gauge", "cloud migration_id migration_type status"),
    "openstack_migration_deadline_timestamp_seconds": ("gauge", "cloud migration_id"),
    "openstack_migration_stuck_info": ("gauge", "cloud migration_id migration_type status reason server_id"),
    "openstack_migration_memory_bytes": ("gauge", "cloud migration_id"),
    "openstack_migration_memory_processed_bytes": ("gauge", "cloud migration_id"),
    "openstack_migration_memory_remaining_bytes": ("gauge", "cloud migration_id"),
    "openstack_migration_disk_bytes": ("gauge", "cloud migration_id"),
    "openstack_migration_disk_processed_bytes": ("gauge", "cloud migration_id"),
    "openstack_migration_disk_remaining_bytes": ("gauge", "cloud migration_id"),
    "openstack_migration_progress_timestamp_seconds": ("gauge", "cloud migration_id"),
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
    "openstack_migration_feature_available": ("gauge", "cloud feature"),
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
