"""The same questions, asked of a real Nova behind a real Keystone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from exporter.domain.cloud import CloudError, Deletion, ErrorKind, RejectReason
from exporter.domain.lifecycle import MigrationType
from exporter.source.connect import connect_named, connect_to
from exporter.source.nova import NovaCloud
from exporter.source.rights import check
from tests.realcloud.cloud import RealCloud
from tests.realcloud.identity import REGION, User

# the fixtures above

pytestmark = pytest.mark.realcloud

Ask = Callable[..., NovaCloud]


def soon(seconds: float = 30.0) -> float:
    return time.monotonic() + seconds


@pytest.fixture
def ask(real_cloud: RealCloud) -> Iterator[Ask]:
    asked: list[NovaCloud] = []

    def login(user: User = real_cloud.admin, region: str | None = REGION, **options: float) -> NovaCloud:
        connect = connect_to(
            real_cloud.auth_url, user.name, user.password, user.project, region_name=region, name="real"
        )
        asked.append(NovaCloud(connect, **({"timeout": 20.0} | options)))  # type: ignore[arg-type]  # numbers all
        return asked[-1]

    yield login
    for nova in asked:
        nova.close()


def refusal(nova: NovaCloud) -> CloudError:
    with pytest.raises(CloudError) as error:
        nova.newest(soon())
    return error.value


def test_every_question_finds_its_records(real_cloud: RealCloud, ask: Ask) -> None:
    nova = ask()
    assert nova.open(soon()) == "2.80"
    assert nova.newest(soon()).migrations == ()
    before = time.time()
    server = real_cloud.create_server(host="host1")
    real_cloud.migrate(server, "host2")
    real_cloud.wait_server(server, "VERIFY_RESIZE")
    (found,) = nova.with_status("finished", soon()).migrations
    assert (found.migration_type, found.server_id) == (MigrationType.MIGRATION, server)
    assert (found.source_host, found.dest_host) == ("host1", "host2")
    assert found.initiator_project_id == real_cloud.admin.project_id
    assert nova.newest(soon()).migrations == (found,)
    assert nova.of_server(server, soon()).migrations == (found,)
    assert nova.changed_since(before, soon()).migrations == (found,)
    assert nova.changed_since(time.time() + 5, soon()).migrations == ()
    (truth,) = real_cloud.records(server)
    assert found.uuid == truth["uuid"]
    date = nova.newest(soon()).date
    assert date is not None
    assert abs(date - time.time()) < 3


def test_a_record_never_updated_is_found_by_its_status_alone(real_cloud: RealCloud, ask: Ask) -> None:
    real_cloud.insert_record(
        status="accepted", migration_type="live-migration", created_at=time.time(), updated_at=None
    )
    nova = ask()
    assert nova.changed_since(0, soon()).migrations == ()
    (found,) = nova.with_status("accepted", soon()).migrations
    assert found.updated_at is None


def test_more_records_than_a_page_holds_are_all_found(real_cloud: RealCloud, ask: Ask) -> None:
    real_cloud.insert_records(10, status="running", migration_type="live-migration")
    real_cloud.set_config("api", "max_limit", 3)
    nova = ask()
    nova.open(soon())
    nova.requests()
    found = nova.with_status("running", soon()).migrations
    assert len({migration.uuid for migration in found}) == len(found) == 10
    assert len(nova.requests()) == 4


def test_a_page_that_lost_a_record_to_a_twin_is_not_the_last(real_cloud: RealCloud, ask: Ask) -> None:
    """Two rows of one move between cells are shown as one, and Nova drops the next link."""
    moment = time.time()
    running = {"status": "running", "migration_type": "live-migration"}
    rows = [real_cloud.insert_record(**running, created_at=moment - number) for number in range(20)]
    real_cloud.insert_record(cell="cell2", uuid=rows[5]["uuid"], **running, created_at=moment - 5)
    real_cloud.set_config("api", "max_limit", 10)
    nova = ask(page_size=10)
    first = nova.get("/os-migrations", {"status": "running", "limit": "10"}, soon()).body
    assert isinstance(first, dict)
    assert (len(first["migrations"]), first.get("migrations_links")) == (9, None)
    found = nova.with_status("running", soon()).migrations
    assert {migration.uuid for migration in found} == {row["uuid"] for row in rows}


def test_odd_rows_cost_only_themselves(real_cloud: RealCloud, ask: Ask) -> None:
    real_cloud.insert_records(3, status="running", migration_type="live-migration")
    odd = real_cloud.insert_record(status="", migration_type="live-migration", updated_at=time.time())
    answer = ask().changed_since(0, soon())
    assert len(answer.migrations) == 3
    assert [(rejection.reason, rejection.record) for rejection in answer.rejections] == [
        (RejectReason.BAD_STATUS, odd["uuid"])
    ]


def test_a_marker_that_goes_begins_the_listing_again(real_cloud: RealCloud, ask: Ask) -> None:
    """One of a deleted server is a good marker until it is archived (nova/db/main/api.py, `migration_get_by_uuid`)."""
    real_cloud.insert_records(7, status="running", migration_type="live-migration")
    real_cloud.set_config("api", "max_limit", 3)
    nova = ask()
    fetch = nova._fetch
    gone: list[str] = []

    def deleting(query: dict[str, str], limit: int, deadline: float, marker: str | None) -> object:
        if marker and not gone:
            gone.append(marker)
            real_cloud.delete_records([marker])
        return fetch(query, limit, deadline, marker)

    nova._fetch = deleting  # type: ignore[method-assign,assignment]  # a deletion between two pages
    found = nova.with_status("running", soon()).migrations
    assert {migration.uuid for migration in found}.isdisjoint(gone)
    assert len(found) == 6


def test_a_deletion_is_proven_for_an_admin(real_cloud: RealCloud, ask: Ask) -> None:
    server = real_cloud.create_server()
    nova = ask()
    assert nova.deletion_of(server, soon()) is None
    real_cloud.delete_server(server)
    proof = nova.deletion_of(server, soon())
    assert isinstance(proof, Deletion)
    assert proof.at is not None
    assert abs(proof.at - time.time()) < 10


def test_a_server_that_nova_has_forgotten_is_deleted_for_an_admin(ask: Ask) -> None:
    assert ask().deletion_of("00000000-0000-4000-8000-000000000001", soon()) == Deletion(at=None)


def test_without_the_right_to_filter_there_is_no_proof(real_cloud: RealCloud, ask: Ask) -> None:
    server, other = real_cloud.create_server(), real_cloud.create_server()
    real_cloud.delete_server(server)
    real_cloud.grant_custom()
    nova = ask(real_cloud.custom)
    assert nova.deletion_of(server, soon()) is None
    assert nova.deletion_of(other, soon()) is None


def test_a_custom_role_with_every_rule_has_proof(real_cloud: RealCloud, ask: Ask) -> None:
    server = real_cloud.create_server()
    real_cloud.create_server()
    real_cloud.delete_server(server)
    role = "role:migration-reader or role:admin"
    names = ("detail", "detail:get_all_tenants", "allow_all_filters")
    real_cloud.set_policy({f"os_compute_api:servers:{name}": role for name in names})
    proof = ask(real_cloud.custom).deletion_of(server, soon())
    assert proof is not None
    assert proof.at is not None


def test_a_wrong_password_is_an_auth_error(real_cloud: RealCloud, ask: Ask) -> None:
    wrong = User("admin", "wrong-password", "admin", "", "")
    error = refusal(ask(wrong))
    assert error.kind is ErrorKind.AUTH
    assert f"Keystone at {real_cloud.auth_url} refused the credentials of cloud 'real' (HTTP 401)" in str(error)
    assert "wrong-password" not in str(error)


def test_an_unknown_project_is_an_auth_error(real_cloud: RealCloud, ask: Ask) -> None:
    assert refusal(ask(User("admin", real_cloud.admin.password, "nowhere", "", ""))).kind is ErrorKind.AUTH


def test_a_wrong_region_names_the_right_one(ask: Ask) -> None:
    error = refusal(ask(region="Atlantis"))
    assert error.kind is ErrorKind.CONNECTION
    assert "no public compute endpoint in region 'Atlantis'; it has: RegionOne (admin, internal, public)" in str(error)


def test_a_catalogue_that_gets_its_endpoint_back_is_found(real_cloud: RealCloud, ask: Ask) -> None:
    real_cloud.identity.delete_endpoints(real_cloud.compute_service)
    nova = ask()
    error = refusal(nova)
    assert (error.kind, "has no compute endpoint" in str(error)) == (ErrorKind.CONNECTION, True)
    real_cloud.reset()
    assert nova.newest(soon()).migrations == ()


def test_a_reader_is_forbidden_until_it_gets_the_role(real_cloud: RealCloud, ask: Ask) -> None:
    """The roles are in the token: without a new login the old one would be refused for an hour."""
    user = real_cloud.identity.create_user(f"late-{time.time()}", "late-secret", "demo", ["reader"])
    nova = ask(user)
    error = refusal(nova)
    assert error.kind is ErrorKind.FORBIDDEN
    assert "os_compute_api:os-migrations:index" in str(error)
    role = real_cloud.identity.role("admin")
    real_cloud.identity.ask("PUT", f"/projects/{user.project_id}/users/{user.user_id}/roles/{role}")
    assert nova.newest(soon()).migrations == ()


def test_an_api_that_is_down_is_a_connection_error(real_cloud: RealCloud, ask: Ask) -> None:
    real_cloud.identity.set_endpoint(real_cloud.compute_service, "http://127.0.0.1:9/v2.1")
    nova = ask()
    error = refusal(nova)
    assert error.kind is ErrorKind.CONNECTION
    assert "http://127.0.0.1:9/v2.1: Connection refused" in str(error)
    real_cloud.reset()
    assert nova.newest(soon()).migrations == ()


def test_a_keystone_that_is_down_is_a_connection_error() -> None:
    nova = NovaCloud(connect_to("http://127.0.0.1:9/v3", "a", "b", "c"), timeout=5.0)
    assert refusal(nova).kind is ErrorKind.CONNECTION


def test_a_short_trouble_is_passed_over(real_cloud: RealCloud, ask: Ask) -> None:
    nova = ask()
    nova.open(soon())
    real_cloud.fault("status", "/os-migrations", times=1, status=503)
    real_cloud.fault("close", "/os-migrations", times=1)
    assert nova.newest(soon()).migrations == ()
    assert len(nova.requests()) >= 5


def test_an_api_that_hangs_is_a_timeout(real_cloud: RealCloud, ask: Ask) -> None:
    nova = ask(timeout=0.5)
    nova.open(soon())
    real_cloud.fault("hang", "/os-migrations")
    try:
        assert refusal(nova).kind is ErrorKind.TIMEOUT
    finally:
        real_cloud.clear_faults()


def test_an_expired_token_is_renewed(real_cloud: RealCloud, ask: Ask) -> None:
    nova = ask()
    nova.open(soon())
    real_cloud.fault("status", "/os-migrations", times=1, status=401, body="{}")
    assert nova.newest(soon()).migrations == ()
    assert [request.operation for request in nova.requests()].count("authenticate") == 2


def test_an_application_credential_logs_in(
    real_cloud: RealCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = real_cloud.application_credential_entry(real_cloud.admin, f"exporter-{time.time()}")
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(real_cloud.clouds_yaml(tmp_path / "clouds.yaml", mine=entry)))
    assert NovaCloud(connect_named("mine"), timeout=20.0).newest(soon()).migrations == ()


def test_a_password_mended_in_clouds_yaml_needs_no_restart(
    real_cloud: RealCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = real_cloud.clouds()["clouds"]["admin"]
    path = tmp_path / "clouds.yaml"
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(path))
    real_cloud.clouds_yaml(
        path, mine=entry | {"auth": entry["auth"] | {"password": "wrong"}, "compute_api_version": "2.1"}
    )
    nova = NovaCloud(connect_named("mine"), timeout=20.0)
    assert refusal(nova).kind is ErrorKind.AUTH
    real_cloud.clouds_yaml(path, mine=entry | {"compute_api_version": "2.1"})
    assert nova.open(soon()) == "2.80"
    assert nova.newest(soon()).migrations == ()


def test_the_rights_of_each_user_are_told(real_cloud: RealCloud, ask: Ask) -> None:
    server = real_cloud.create_server()
    real_cloud.migrate(server)
    real_cloud.wait_server(server, "VERIFY_RESIZE")
    admin = {found.subject: found.ok for found in check(ask(), soon())}
    assert set(admin.values()) == {True}
    reader = {found.subject: found.ok for found in check(ask(real_cloud.reader), soon())}
    assert (reader["login"], reader["migrations"], reader["deleted servers"]) == (True, False, False)


def test_hidden_hosts_and_ignored_filters_are_told(real_cloud: RealCloud, ask: Ask) -> None:
    server = real_cloud.create_server()
    real_cloud.migrate(server)
    real_cloud.wait_server(server, "VERIFY_RESIZE")
    role = "role:migration-reader or role:admin"
    listing = ("os_compute_api:os-migrations:index", "os_compute_api:os-migrations:index:all_projects")
    servers = ("os_compute_api:servers:detail", "os_compute_api:servers:detail:get_all_tenants")
    real_cloud.set_policy(
        dict.fromkeys((*listing, *servers), role) | {"os_compute_api:os-migrations:index:host": "role:admin"}
    )
    found = {finding.subject: finding for finding in check(ask(real_cloud.custom), soon())}
    assert (found["migrations"].ok, found["hosts"].ok, found["deleted servers"].ok) == (True, False, False)
    assert "os_compute_api:os-migrations:index:host" in found["hosts"].text
    assert "os_compute_api:servers:allow_all_filters" in found["deleted servers"].text
