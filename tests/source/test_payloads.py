"""What a real Nova answered is understood, in every microversion that is spoken."""

from __future__ import annotations

import json
from typing import Any

import pytest

from exporter.domain.cloud import CloudError, Deletion, ErrorKind
from exporter.domain.lifecycle import MigrationType, is_known
from exporter.source.nova import NovaCloud
from tests.source.cloud import Cloud
from tests.source.record_payloads import MICROVERSIONS, PAYLOADS

LATER = 2000.0


def payload(microversion: str, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((PAYLOADS / microversion / f"{name}.json").read_text())
    return content


def answering(cloud: Cloud, microversion: str, *names: str) -> NovaCloud:
    cloud.maximum = microversion
    cloud.keystone()
    cloud.discovery()
    for name in names:
        answer = payload(microversion, name)
        path = answer["request"].split("?")[0]
        cloud.nova(path, json=answer["body"], status=answer["status"], headers=answer["headers"])
    return cloud.ask()


@pytest.mark.parametrize("microversion", MICROVERSIONS)
def test_every_record_is_understood(cloud: Cloud, microversion: str) -> None:
    answer = answering(cloud, microversion, "migrations").changed_since(0, LATER)
    assert answer.rejections == ()
    assert {migration.migration_type for migration in answer.migrations} == set(MigrationType)
    assert all(is_known(migration.migration_type, migration.status) for migration in answer.migrations)
    assert [migration.status for migration in answer.migrations if migration.updated_at is None] == ["pre-migrating"]
    assert all(migration.source_host for migration in answer.migrations)
    assert all(
        (migration.initiator_project_id is None) is (microversion in ("2.59", "2.66"))
        for migration in answer.migrations
    )
    assert answer.date is not None
    assert all(0 <= answer.date + 1 - migration.stamp < 600 for migration in answer.migrations)


@pytest.mark.parametrize("microversion", MICROVERSIONS)
def test_a_page_with_more_behind_it_is_followed_from_its_last_record(cloud: Cloud, microversion: str) -> None:
    nova = answering(cloud, microversion, "page", "marker_gone", "migrations")
    last = payload(microversion, "page")["body"]["migrations"][-1]["uuid"]
    everything = nova.changed_since(0, LATER)
    assert f"marker={last}" in cloud.sent()[1].url
    assert len(everything.migrations) == len(payload(microversion, "migrations")["body"]["migrations"])


@pytest.mark.parametrize("microversion", MICROVERSIONS)
def test_a_readers_refusal_is_understood(cloud: Cloud, microversion: str) -> None:
    with pytest.raises(CloudError, match="os_compute_api:os-migrations:index") as error:
        answering(cloud, microversion, "forbidden").newest(LATER)
    assert error.value.kind is ErrorKind.FORBIDDEN


@pytest.mark.parametrize("microversion", MICROVERSIONS)
def test_a_deleted_server_is_proven(cloud: Cloud, microversion: str) -> None:
    recorded = payload(microversion, "servers_deleted")
    server = recorded["body"]["servers"][0]["id"]
    proof = answering(cloud, microversion, "servers_deleted").deletion_of(server, LATER)
    assert isinstance(proof, Deletion)
    assert proof.at is not None


@pytest.mark.parametrize("microversion", MICROVERSIONS)
def test_a_server_that_is_gone_is_proven_without_its_time(cloud: Cloud, microversion: str) -> None:
    nova = answering(cloud, microversion, "server_gone")
    cloud.nova("/servers/detail", json={"servers": []})
    server = payload(microversion, "server_gone")["request"].rsplit("/", 1)[1]
    assert nova.deletion_of(server, LATER) == Deletion(at=None)
