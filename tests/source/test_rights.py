"""What `check` says of a user's rights, and of the cloud's clock."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from exporter.domain.cloud import Feature
from exporter.source.rights import check
from tests.source.cloud import NOW, SERVER, Cloud, record

LATER = 2000.0
SOMEBODY = {"all_tenants": "1", "limit": "1"}
NOBODY = {"all_tenants": "1", "deleted": "True", "uuid": "00000000-0000-0000-0000-000000000000", "limit": "1"}
NO_SERVICE = {"binary": "nova-compute", "host": "00000000-0000-0000-0000-000000000000"}
REFUSAL = {"forbidden": {"code": 403, "message": "Policy doesn't allow it to be performed."}}
ROW = {"id": SERVER, "status": "ACTIVE", "OS-EXT-SRV-ATTR:host": "host1"}
ACTIONS = f"/servers/{SERVER}/os-instance-actions"
REQUEST = "req-22222222-2222-4222-8222-222222222222"
ACTION = {"action": "resize", "request_id": REQUEST, "start_time": "2026-11-20T10:00:00.000000"}


def findings(cloud: Cloud, now: float = NOW, features: Collection[Feature] = ()) -> dict[str, tuple[bool | None, str]]:
    cloud.keystone()
    cloud.discovery()
    return {found.subject: (found.ok, found.text) for found in check(cloud.ask(), LATER, lambda: now, features)}


def showing(cloud: Cloud, *rows: object) -> None:
    """Let Nova heed filters, show these servers, and have services."""
    cloud.migrations([record()], {"limit": "1"})
    cloud.nova("/servers/detail", NOBODY, json={"servers": []})
    cloud.nova("/servers/detail", SOMEBODY, json={"servers": list(rows)})
    cloud.nova("/os-services", NO_SERVICE, json={"services": []})


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


# --- features ---


def test_an_admin_may_use_every_feature(cloud: Cloud) -> None:
    showing(cloud, ROW)
    query = {"changes-since": "1970-01-01T00:00:00Z", "limit": "1000"}
    cloud.nova(ACTIONS, query, json={"instanceActions": [ACTION]})
    cloud.nova(f"{ACTIONS}/{REQUEST}", {}, json={"instanceAction": {**ACTION, "events": []}})
    cloud.nova(f"/servers/{SERVER}/migrations", {}, json={"migrations": []})
    cloud.keystone()
    cloud.discovery()
    found = {each.subject: (each.ok, each.text) for each in check(cloud.ask(), LATER, lambda: NOW)}
    assert {subject: found[subject] for subject in Feature} == {
        "exact_durations": (True, "has the admin role, and may ask by a server's id what it needs"),
        "diagnosis": (True, "may see all servers, their hosts and the compute services"),
        "live_progress": (True, "has the admin role, and may ask by a server's id what it needs"),
    }
    assert len(cloud.sent(f"{ACTIONS}/{REQUEST}")) == 1


@pytest.mark.parametrize("feature", list(Feature))
def test_only_what_is_switched_on_is_looked_at(cloud: Cloud, feature: Feature) -> None:
    showing(cloud)
    subjects = set(findings(cloud, features=[feature]))
    assert subjects & set(Feature) == {feature.value}


@pytest.mark.parametrize("feature", list(Feature))
def test_without_servers_nothing_can_be_said_of_a_feature(cloud: Cloud, feature: Feature) -> None:
    showing(cloud)
    ok, text = findings(cloud, features=[feature])[feature]
    assert ok is None
    assert "there is no server yet that would show" in text
    assert "os_compute_api:" in text


@pytest.mark.parametrize(
    ("feature", "maximum", "rules"),
    [
        (
            Feature.EXACT_DURATIONS,
            "2.104",
            "os_compute_api:os-instance-actions:list and os_compute_api:os-instance-actions:show as",
        ),
        (Feature.EXACT_DURATIONS, "2.79", "os_compute_api:os-instance-actions as"),
        (Feature.LIVE_PROGRESS, "2.104", "os_compute_api:servers:migrations:index as"),
        (Feature.LIVE_PROGRESS, "2.79", "os_compute_api:servers:migrations:index as"),
    ],
)
def test_what_asks_by_id_needs_an_admin(cloud: Cloud, feature: Feature, maximum: str, rules: str) -> None:
    cloud.roles = ["migration_reader"]
    cloud.maximum = maximum
    showing(cloud, ROW)
    ok, text = findings(cloud, features=[feature])[feature]
    assert ok is False
    assert f"the user needs the admin role, with {rules} Nova has them" in text
    assert "Nova answers 404 for the servers of other projects" in text
    assert cloud.sent(ACTIONS) == []


@pytest.mark.parametrize(
    ("path", "feature", "rule"),
    [
        (ACTIONS, Feature.EXACT_DURATIONS, "os-instance-actions:list"),
        (f"{ACTIONS}/{REQUEST}", Feature.EXACT_DURATIONS, "os-instance-actions:show"),
        (f"/servers/{SERVER}/migrations", Feature.LIVE_PROGRESS, "servers:migrations:index"),
    ],
)
def test_a_policy_that_forbids_it_to_an_admin_is_told(cloud: Cloud, path: str, feature: Feature, rule: str) -> None:
    showing(cloud, ROW)
    cloud.nova(path, status=403, json=REFUSAL)
    cloud.nova(ACTIONS, json={"instanceActions": [ACTION]})
    ok, text = findings(cloud, features=[feature])[feature]
    assert ok is False
    assert f"the policy rule os_compute_api:{rule} " in text


def test_who_may_not_list_servers_is_told_all_that_diagnosis_needs_of_them(cloud: Cloud) -> None:
    cloud.migrations([record()], {"limit": "1"})
    cloud.nova("/servers/detail", NOBODY, status=403, json=REFUSAL)
    cloud.nova("/os-services", NO_SERVICE, json={"services": []})
    ok, text = findings(cloud, features=[Feature.DIAGNOSIS])["diagnosis"]
    assert ok is False
    assert (
        "or allow os_compute_api:servers:detail, os_compute_api:servers:detail:get_all_tenants, "
        "os_compute_api:servers:allow_all_filters and os_compute_api:os-extended-server-attributes in" in text
    )
    assert "os-services" not in text


def test_a_hidden_host_of_a_server_is_told_by_its_rule(cloud: Cloud) -> None:
    showing(cloud, {"id": SERVER, "status": "ACTIVE"})
    ok, text = findings(cloud, features=[Feature.DIAGNOSIS])["diagnosis"]
    assert ok is False
    assert "or allow os_compute_api:os-extended-server-attributes in" in text


@pytest.mark.parametrize("roles", [["observer"], ["admin"]])
def test_diagnosis_needs_the_filters(cloud: Cloud, roles: list[str]) -> None:
    cloud.roles = roles
    cloud.migrations([record()], {"limit": "1"})
    cloud.nova("/servers/detail", NOBODY, json={"servers": [ROW]})
    cloud.nova("/os-services", NO_SERVICE, json={"services": []})
    ok, text = findings(cloud, features=[Feature.DIAGNOSIS])["diagnosis"]
    assert ok is False
    assert "or allow os_compute_api:servers:allow_all_filters in" in text


@pytest.mark.parametrize(
    ("maximum", "rule"), [("2.104", "os_compute_api:os-services:list"), ("2.79", "os_compute_api:os-services")]
)
def test_diagnosis_needs_the_services_by_the_rule_of_that_release(cloud: Cloud, maximum: str, rule: str) -> None:
    cloud.maximum = maximum
    cloud.nova("/os-services", NO_SERVICE, status=403, json=REFUSAL)
    showing(cloud, ROW)
    ok, text = findings(cloud, features=[Feature.DIAGNOSIS])["diagnosis"]
    assert ok is False
    assert f"or allow {rule} in" in text


@pytest.mark.parametrize("services", [200, 503])
def test_a_cloud_in_trouble_is_told_of_every_feature_and_raises_nothing(cloud: Cloud, services: int) -> None:
    cloud.migrations([record()], {"limit": "1"})
    cloud.nova("/servers/detail", NOBODY, status=503)
    cloud.nova("/os-services", NO_SERVICE, json={"services": []}, status=services)
    found = findings(cloud, features=list(Feature))
    assert found["diagnosis"][0] is False
    assert "answered HTTP 503" in found["diagnosis"][1]
    assert (found["exact_durations"][0], found["live_progress"][0]) == (None, None)


@pytest.mark.parametrize("rows", [[None], ["x"], [{}], [{"id": 7}], [{"id": "../x"}]])
def test_odd_servers_raise_nothing(cloud: Cloud, rows: list[object]) -> None:
    showing(cloud, *rows)
    found = findings(cloud, features=list(Feature))
    assert (found["exact_durations"][0], found["live_progress"][0]) == (None, None)
