"""The story is true: each thing that docs/tour.md tells of was seen, in that order, and says what it must."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.realcloud.cloud import RealCloud
from tests.tour.story import DEST, SERVICE_DOWN_TIME, SOURCE, stage, tell

pytestmark = [pytest.mark.realcloud, pytest.mark.system, pytest.mark.long]


def test_a_host_that_dies_is_seen_told_of_mended_and_forgotten(real_cloud: RealCloud, tmp_path: Path) -> None:
    with stage(real_cloud, tmp_path) as scene:
        tale = tell(scene)
        assert scene.exporter.total("openstack_migrations_stuck") == 0
        assert scene.exporter.total("openstack_migrations_ended_total", status="error") == 1
    assert list(tale.seen.values()) == sorted(tale.seen.values())
    assert tale.seen["Nova says down"] > SERVICE_DOWN_TIME - 20, "Nova itself found out, by the last sign of life"
    page = next(each for each in tale.alerts if each.name == "OpenStackMigrationHostDown")
    text = page.annotations["description"]
    for word in (tale.server, tale.migration, SOURCE, DEST, "migrating", "source_down", "prod"):
        assert word in text
    assert f"openstack server show {tale.server}" in text
    assert page.annotations["runbook_url"].endswith("/OpenStackMigrationHostDown.md")
    assert f"var-migration_id={tale.migration}" in page.annotations["dashboard_url"]
    assert any(command.startswith("-- SQL") for command in tale.done)
