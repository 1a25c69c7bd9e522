"""What `check` says of a user's rights, and of the cloud's clock."""

from __future__ import annotations

import pytest

from exporter.source.rights import check
from tests.source.cloud import NOW, Cloud, record

LATER = 2000.0
SOMEBODY = {"all_tenants": "1", "limit": "1"}
NOBODY = {"all_tenants": "1", "deleted": "True", "uuid": "00000000-0000-0000-0000-000000000000", "limit": "1"}
REFUSAL = {"forbidden": {"code": 403, "message": "Policy doesn't allow it to be performed."}}


def findings(cloud: Cloud, now: float = NOW) -> dict[str, tuple[bool | None, str]]:
    cloud.keystone()
    cloud.discovery()
    return {found.subject: (found.ok, found.text) for found in check(cloud.ask(), LATER, lambda: now)}


def test_a_user_with_every_right(cloud: Cloud) -> None:
    cloud.migrations([record()], {"limit": "1"})
    cloud.nova("/servers/detail", NOBODY, json={"servers": []})
    cloud.nova("/servers/detail", SOMEBODY, json={"servers": [{"id": "x"}]})
    assert findings(cloud, NOW + 1) == {
        "login": (True, "logged in with the roles admin, reader"),
        "microversion": (True, "2.80 of up to 2.104 is spoken"),
        "migrations": (True, "may list the migrations of all projects"),
        "hosts": (True, "may see the hosts of migrations"),
        "clock": (True, "the API's clock and this one differ by 1 s"),
        "deleted servers": (True, "may look up deleted servers"),
    }


def test_a_failed_login_is_all_there_is_to_say(cloud: Cloud) -> None:
    cloud.keystone(status=401, body={})
    found = check(cloud.ask(), LATER)
    assert [(finding.subject, finding.ok) for finding in found] == [("login", False)]
    assert "refused the credentials" in found[0].text


@pytest.mark.parametrize(
    ("maximum", "rules"),
    [
        ("2.96", "allow os_compute_api:os-migrations:index in"),
        (
            "2.100",
            "allow os_compute_api:os-migrations:index (Nova 2025.1), or all of os_compute_api:os-migrations:index, ",
        ),
        (
            "2.103",
            "allow all of os_compute_api:os-migrations:index, os_compute_api:os-migrations:index:all_projects and ",
        ),
    ],
)
def test_a_reader_is_told_the_rules_of_that_release(cloud: Cloud, maximum: str, rules: str) -> None:
    cloud.maximum = maximum
    cloud.roles = ["reader"]
    cloud.nova("/os-migrations", status=403, json=REFUSAL)
    cloud.nova("/servers/detail", NOBODY, status=403, json=REFUSAL)
    found = findings(cloud)
    assert found["migrations"][0] is False
    assert rules in found["migrations"][1]
    assert found["deleted servers"][0] is False
    assert (
        "os_compute_api:servers:detail:get_all_tenants and os_compute_api:servers:allow_all_filters"
        in (found["deleted servers"][1])
    )
    assert "hosts" not in found


def test_hidden_hosts_are_told_by_their_rule(cloud: Cloud) -> None:
    hidden = dict.fromkeys(("source_compute", "source_node", "dest_compute", "dest_node", "dest_host"))
    cloud.migrations([record(**hidden)], {"limit": "1"})
    cloud.nova("/servers/detail", NOBODY, json={"servers": []})
    ok, text = findings(cloud)["hosts"]
    assert ok is False
    assert "os_compute_api:os-migrations:index:host" in text


def test_without_migrations_nothing_can_be_said_of_hosts(cloud: Cloud) -> None:
    cloud.migrations([], {"limit": "1"})
    cloud.nova("/servers/detail", NOBODY, json={"servers": []})
    assert findings(cloud)["hosts"][0] is None


@pytest.mark.parametrize(("roles", "ok"), [(["observer"], False), (["admin"], None)])
def test_filters_that_nova_ignores_are_told(cloud: Cloud, roles: list[str], ok: bool | None) -> None:
    cloud.roles = roles
    cloud.migrations([], {"limit": "1"})
    cloud.nova("/servers/detail", NOBODY, json={"servers": [{"id": "x", "status": "ACTIVE"}]})
    found = findings(cloud)["deleted servers"]
    assert (found[0], "ignores the filters deleted and uuid" in found[1]) == (ok, True)


def test_without_servers_nothing_can_be_said_of_filters(cloud: Cloud) -> None:
    cloud.migrations([], {"limit": "1"})
    cloud.nova("/servers/detail", NOBODY, json={"servers": []})
    cloud.nova("/servers/detail", SOMEBODY, json={"servers": []})
    assert findings(cloud)["deleted servers"][0] is None


@pytest.mark.parametrize(("away", "said"), [(30.0, "30 s behind this one"), (-30.0, "30 s ahead of this one")])
def test_a_clock_that_is_wrong_is_told(cloud: Cloud, away: float, said: str) -> None:
    cloud.migrations([], {"limit": "1"})
    cloud.nova("/servers/detail", NOBODY, json={"servers": []})
    ok, text = findings(cloud, NOW + away)["clock"]
    assert (ok, said in text) == (False, True)


def test_a_cloud_in_trouble_is_told_and_raises_nothing(cloud: Cloud) -> None:
    cloud.nova("/os-migrations", status=503)
    cloud.nova("/servers/detail", NOBODY, body="<html>")
    found = findings(cloud)
    assert found["migrations"][0] is False
    assert found["deleted servers"][0] is False
