"""What is sent to Nova to learn of servers, hosts and what was done, and what is made of its answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from exporter.domain.cloud import CloudError, ErrorKind
from exporter.domain.server import Action, Progress, Server, Step
from exporter.source.nova import NovaCloud
from exporter.source.servers import HOSTS_ASKED_ALONE, SERVERS_PAGE
from tests.source.cloud import NOVA, NOW, SERVER, Cloud, record, uuid_of

LATER = 2000.0
REQUEST = "req-22222222-2222-4222-8222-222222222222"
ACTIONS = f"/servers/{SERVER}/os-instance-actions"
PROGRESS = f"/servers/{SERVER}/migrations"
FORBIDDEN = {"forbidden": {"code": 403, "message": "Policy doesn't allow it to be performed."}}
GONE = {"itemNotFound": {"code": 404, "message": f"Instance {SERVER} could not be found."}}

Ask = Callable[[NovaCloud], object]

#: Every question, its path, and the rule that is named where it is forbidden.
QUESTIONS: Sequence[tuple[Ask, str, str]] = (
    (lambda nova: nova.servers_with_status("RESIZE", LATER), "/servers/detail", "servers:detail:get_all_tenants"),
    (lambda nova: nova.server(SERVER, LATER), "/servers/detail", "servers:detail:get_all_tenants"),
    (lambda nova: nova.hosts_up(["host1"], LATER), "/os-services", "os-services:list"),
    (lambda nova: nova.actions(SERVER, NOW, LATER), ACTIONS, "os-instance-actions:list"),
    (lambda nova: nova.steps(SERVER, REQUEST, LATER), f"{ACTIONS}/{REQUEST}", "os-instance-actions:show"),
    (lambda nova: nova.progress(SERVER, LATER), PROGRESS, "servers:migrations:index"),
)
BY_ID = QUESTIONS[3:]


@pytest.fixture
def nova(cloud: Cloud) -> NovaCloud:
    cloud.keystone()
    cloud.discovery()
    return cloud.ask()


def row(number: int = 1, **fields: object) -> dict[str, object]:
    """Return a server as Nova 2.80 shows it to whom it shows hosts."""
    return {
        "id": uuid_of(number),
        "name": f"server{number}",
        "status": "RESIZE",
        "tenant_id": "p",
        "OS-EXT-STS:vm_state": "active",
        "OS-EXT-STS:task_state": "resize_prep",
        "OS-EXT-STS:power_state": 1,
        "OS-EXT-SRV-ATTR:host": "host1",
        **fields,
    }


def service(host: str, state: str = "up", **fields: object) -> dict[str, object]:
    return {"binary": "nova-compute", "host": host, "state": state, "status": "enabled", "forced_down": False, **fields}


def action(name: str, second: int = 0, **fields: object) -> dict[str, object]:
    start = f"2026-11-20T10:00:{second:02}.000000"
    return {"action": name, "request_id": REQUEST, "start_time": start, "updated_at": start, "message": None, **fields}


def event(name: str, start: int, finish: int | None, result: str | None = "Success") -> dict[str, object]:
    times = [None if second is None else f"2026-11-20T10:00:{second:02}.000000" for second in (start, finish)]
    return {"event": name, "start_time": times[0], "finish_time": times[1], "result": result, "traceback": None}


def logins(cloud: Cloud) -> int:
    return len([call for call in cloud.mock.calls if call.request.method == "POST"])


def queries(cloud: Cloud, path: str) -> list[str]:
    return [request.url.partition("?")[2] for request in cloud.sent(path)]


# --- whom Nova takes for an admin ---


@pytest.mark.parametrize(("roles", "admin"), [(["reader", "Admin"], True), (["reader", "manager"], False), ([], False)])
def test_whom_nova_shows_servers_by_id_is_known_after_the_login(cloud: Cloud, roles: list[str], admin: bool) -> None:
    cloud.roles = roles
    cloud.keystone()
    cloud.discovery()
    nova = cloud.ask()
    assert not nova.shows_servers_by_id()
    assert len(cloud.mock.calls) == 0
    nova.open(LATER)
    sent = len(cloud.mock.calls)
    assert nova.shows_servers_by_id() is admin
    nova.close()
    assert nova.shows_servers_by_id() is admin
    assert len(cloud.mock.calls) == sent


def test_whether_an_expired_token_was_an_admins_costs_no_request(cloud: Cloud) -> None:
    cloud.expires_at = "2026-01-01T00:00:00.000000Z"
    cloud.keystone()
    cloud.discovery()
    nova = cloud.ask()
    nova.open(LATER)
    sent = len(cloud.mock.calls)
    assert nova.shows_servers_by_id()
    assert len(cloud.mock.calls) == sent


# --- servers ---


def test_servers_in_a_status_are_one_exact_request(cloud: Cloud, nova: NovaCloud) -> None:
    cloud.nova("/servers/detail", json={"servers": [row(1), row(2, name="", **{"OS-EXT-SRV-ATTR:host": None})]})
    assert nova.servers_with_status("RESIZE", LATER) == (
        Server(uuid_of(1), "RESIZE", "server1", "p", "active", "resize_prep", "RUNNING", "host1"),
        Server(uuid_of(2), "RESIZE", None, "p", "active", "resize_prep", "RUNNING", None),
    )
    assert queries(cloud, "/servers/detail") == [f"all_tenants=1&status=RESIZE&limit={SERVERS_PAGE}"]
    assert cloud.sent("/servers/detail")[0].headers["OpenStack-API-Version"] == "compute 2.80"


def test_servers_are_paged_by_the_id_of_the_last_and_never_by_the_next_link(cloud: Cloud, nova: NovaCloud) -> None:
    query = {"all_tenants": "1", "status": "RESIZE", "limit": str(SERVERS_PAGE)}
    links = [{"rel": "next", "href": "http://elsewhere.test/servers/detail?marker=x"}]
    cloud.nova("/servers/detail", query, json={"servers": [row(3), row(2)], "servers_links": links})
    cloud.nova("/servers/detail", {**query, "marker": uuid_of(2)}, json={"servers": [row(2), row(1)]})
    cloud.nova("/servers/detail", {**query, "marker": uuid_of(1)}, json={"servers": []})
    found = nova.servers_with_status("RESIZE", LATER)
    assert sorted(server.id for server in found) == [uuid_of(number) for number in (1, 2, 3)]


def test_a_server_that_goes_between_two_pages_begins_the_listing_again(cloud: Cloud, nova: NovaCloud) -> None:
    query = {"all_tenants": "1", "status": "RESIZE", "limit": str(SERVERS_PAGE)}
    links = [{"rel": "next", "href": "x"}]
    cloud.nova("/servers/detail", query, json={"servers": [row(2)], "servers_links": links})
    gone = {"badRequest": {"code": 400, "message": f"marker [{uuid_of(2)}] not found"}}
    cloud.nova("/servers/detail", {**query, "marker": uuid_of(2)}, json=gone, status=400)
    cloud.nova("/servers/detail", query, json={"servers": [row(1)]})
    assert [server.id for server in nova.servers_with_status("RESIZE", LATER)] == [uuid_of(1)]
    assert logins(cloud) == 1


def test_a_page_of_more_servers_than_were_asked_for_is_a_protocol_error(cloud: Cloud, nova: NovaCloud) -> None:
    cloud.nova("/servers/detail", json={"servers": [row(number) for number in range(SERVERS_PAGE + 1)]})
    with pytest.raises(CloudError, match="101 servers where at most 100 were asked for") as error:
        nova.servers_with_status("RESIZE", LATER)
    assert error.value.kind is ErrorKind.PROTOCOL


def test_a_list_of_servers_without_end_is_a_protocol_error(cloud: Cloud) -> None:
    cloud.keystone()
    cloud.discovery()
    links = [{"rel": "next", "href": "x"}]
    for number in range(1, 10):
        marker = {} if number == 1 else {"marker": uuid_of(number - 1)}
        query = {"all_tenants": "1", "status": "RESIZE", "limit": str(SERVERS_PAGE), **marker}
        cloud.nova("/servers/detail", query, json={"servers": [row(number)], "servers_links": links})
    with pytest.raises(CloudError, match="list of servers has not ended after 3 pages"):
        cloud.ask(max_pages=3).servers_with_status("RESIZE", LATER)


def test_a_status_filter_that_nova_ignored_lets_no_other_server_in(cloud: Cloud, nova: NovaCloud) -> None:
    cloud.nova("/servers/detail", json={"servers": [row(1, status="ACTIVE"), row(2), row(3, status="UNKNOWN")]})
    assert [server.id for server in nova.servers_with_status("RESIZE", LATER)] == [uuid_of(2)]


def test_a_server_is_found_among_all_and_not_by_its_path(cloud: Cloud, nova: NovaCloud) -> None:
    cloud.nova("/servers/detail", json={"servers": [row(1, id=SERVER)]})
    server = nova.server(SERVER, LATER)
    assert server is not None
    assert (server.id, server.host) == (SERVER, "host1")
    assert queries(cloud, "/servers/detail") == [f"all_tenants=1&uuid={SERVER}&limit=1"]


@pytest.mark.parametrize("rows", [[], [row(1)], [None], [row(1, id=SERVER, status=None)]])
def test_another_server_or_none_is_not_shown(cloud: Cloud, nova: NovaCloud, rows: list[object]) -> None:
    cloud.nova("/servers/detail", json={"servers": rows})
    assert nova.server(SERVER, LATER) is None


def test_a_server_of_a_cell_that_is_down_is_unknown(cloud: Cloud, nova: NovaCloud) -> None:
    """nova/api/openstack/compute/views/servers.py, `show`: few fields are left of it."""
    minimal = {"id": SERVER, "tenant_id": "p", "created": "2026-11-20T10:00:00Z", "status": "UNKNOWN", "links": []}
    cloud.nova("/servers/detail", json={"servers": [minimal]})
    assert nova.server(SERVER, LATER) == Server(SERVER, "UNKNOWN", project_id="p")


# --- hosts ---


def test_few_hosts_are_asked_for_one_by_one(cloud: Cloud, nova: NovaCloud) -> None:
    for host, state in (("host1", "up"), ("host2", "down")):
        query = {"binary": "nova-compute", "host": host}
        cloud.nova("/os-services", query, json={"services": [service(host, state)]})
    cloud.nova("/os-services", {"binary": "nova-compute", "host": "host3"}, json={"services": []})
    assert nova.hosts_up(["host3", "host1", "host2", "host1"], LATER) == {"host1": True, "host2": False}
    assert queries(cloud, "/os-services") == [f"binary=nova-compute&host=host{number}" for number in (1, 2, 3)]


def test_many_hosts_are_picked_from_one_answer(cloud: Cloud, nova: NovaCloud) -> None:
    hosts = [f"host{number}" for number in range(HOSTS_ASKED_ALONE + 1)]
    cloud.nova("/os-services", {"binary": "nova-compute"}, json={"services": [*map(service, hosts), service("other")]})
    assert nova.hosts_up(hosts, LATER) == dict.fromkeys(hosts, True)
    assert queries(cloud, "/os-services") == ["binary=nova-compute"]


def test_no_hosts_are_no_request(cloud: Cloud, nova: NovaCloud) -> None:
    assert nova.hosts_up([], LATER) == {}
    assert len(cloud.mock.calls) == 0


@pytest.mark.parametrize(
    ("rows", "up"),
    [
        ([service("host1", status="disabled")], True),
        ([service("host1", forced_down=True)], False),
        ([service("host1", "down", forced_down=True)], False),
        ([service("host1", "down"), service("host1")], True),
        ([service("host1"), service("host1", "down")], True),
        ([{"binary": "nova-compute", "host": "host1", "status": "UNKNOWN"}], None),
        ([service("host1", "sideways")], None),
        ([service("host1", ["up"])], None),  # type: ignore[arg-type]  # what no Nova says
        ([service("host1", binary="nova-conductor")], None),
        ([service("host2")], None),
        ([None, [], "up", {"host": ["host1"]}], None),
    ],
)
def test_a_host_is_up_or_down_where_the_rows_make_sense(
    cloud: Cloud, nova: NovaCloud, rows: list[object], up: bool | None
) -> None:
    cloud.nova("/os-services", json={"services": rows})
    assert nova.hosts_up(["host1"], LATER) == ({} if up is None else {"host1": up})


# --- what was done ---


def test_actions_since_a_time_are_one_exact_request_and_in_order(cloud: Cloud, nova: NovaCloud) -> None:
    rows = [
        action("confirmResize", 9),
        action("resize", 5),
        {"action": None},
        action("create", 5),
        action("stop", start_time="x"),
    ]
    cloud.nova(ACTIONS, json={"instanceActions": rows})
    assert nova.actions(SERVER, 1_795_000_000.9, LATER) == (
        Action("create", REQUEST, 1795168805.0),
        Action("resize", REQUEST, 1795168805.0),
        Action("confirmResize", REQUEST, 1795168809.0),
    )
    assert queries(cloud, ACTIONS) == ["changes-since=2026-11-18T11%3A06%3A40Z&limit=1000"]


def test_actions_are_paged_by_their_request_and_shown_once(cloud: Cloud, nova: NovaCloud) -> None:
    """Two actions can share a request: confirming and deleting in one, for example."""
    query = {"changes-since": "2026-11-18T11:06:40Z", "limit": "1000"}
    links = [{"rel": "next", "href": "http://elsewhere.test/?marker=x"}]
    twins = [action("delete", 3), action("confirmResize", 2)]
    cloud.nova(ACTIONS, query, json={"instanceActions": twins, "links": links})
    older = action("create", 1, request_id="req-of-the-first")
    cloud.nova(ACTIONS, {**query, "marker": REQUEST}, json={"instanceActions": [twins[1], older]})
    cloud.nova(ACTIONS, {**query, "marker": "req-of-the-first"}, json={"instanceActions": []})
    found = nova.actions(SERVER, NOW, LATER)
    assert found is not None
    assert [each.name for each in found] == ["create", "confirmResize", "delete"]


def test_a_step_has_its_times_and_its_result(cloud: Cloud, nova: NovaCloud) -> None:
    events = [
        event("compute_finish_resize", 7, None, None),
        event("compute_resize_instance", 5, 6, "Error"),
        event("compute_prep_resize", 3, 4),
        {"event": "odd", "start_time": "yesterday"},
        None,
        event("cold_migrate", 1, 2, "Perhaps"),
        event("conductor_migrate_server", 1, 2),
    ]
    cloud.nova(f"{ACTIONS}/{REQUEST}", json={"instanceAction": action("resize", 1, events=events)})
    ten = 1795168800.0
    assert nova.steps(SERVER, REQUEST, LATER) == Action(
        "resize",
        REQUEST,
        ten + 1,
        (
            Step("conductor_migrate_server", ten + 1, ten + 2, True),
            Step("cold_migrate", ten + 1, ten + 2, None),
            Step("compute_prep_resize", ten + 3, ten + 4, True),
            Step("compute_resize_instance", ten + 5, ten + 6, False),
            Step("compute_finish_resize", ten + 7, None, None),
        ),
    )
    assert queries(cloud, f"{ACTIONS}/{REQUEST}") == [""]


def test_an_action_that_cannot_be_understood_is_not_known(cloud: Cloud, nova: NovaCloud) -> None:
    cloud.nova(f"{ACTIONS}/{REQUEST}", json={"instanceAction": action("resize", start_time=None, events=[])})
    assert nova.steps(SERVER, REQUEST, LATER) is None


# --- progress ---


def test_progress_is_told_by_migration(cloud: Cloud, nova: NovaCloud) -> None:
    memory = {"memory_total_bytes": 2**31, "memory_processed_bytes": 2**32, "memory_remaining_bytes": 0}
    disk = {"disk_total_bytes": None, "disk_processed_bytes": None, "disk_remaining_bytes": None}
    cloud.nova(PROGRESS, json={"migrations": [record(1, **memory, **disk), record(2), None, record(3, uuid="x")]})
    assert nova.progress(SERVER, LATER) == {
        uuid_of(1): Progress(memory_total=2**31, memory_processed=2**32, memory_remaining=0),
        uuid_of(2): Progress(),
    }
    assert queries(cloud, PROGRESS) == [""]


@pytest.mark.parametrize("odd", [True, -1, 1.0, "7", [7], 2**63, None])
def test_what_is_no_number_of_bytes_is_unknown(cloud: Cloud, nova: NovaCloud, odd: object) -> None:
    cloud.nova(PROGRESS, json={"migrations": [record(1, memory_total_bytes=odd, memory_remaining_bytes=5)]})
    assert nova.progress(SERVER, LATER) == {uuid_of(1): Progress(memory_remaining=5)}


# --- refusals, and answers that are none ---


@pytest.mark.parametrize(("question", "path", "rule"), QUESTIONS)
def test_who_may_not_ask_is_told_the_rule_and_stays_logged_in(
    cloud: Cloud, nova: NovaCloud, question: Ask, path: str, rule: str
) -> None:
    cloud.nova(path, status=403, json=FORBIDDEN)
    for _ in range(2):
        with pytest.raises(CloudError) as error:
            question(nova)
        assert error.value.kind is ErrorKind.FORBIDDEN
        assert f"GET {NOVA}{path} answered HTTP 403: Policy doesn't allow it to be performed" in str(error.value)
        assert "the user needs the admin role, " in str(error.value)
        assert f"os_compute_api:{rule}" in str(error.value)
    assert logins(cloud) == 1


@pytest.mark.parametrize(("question", "path", "rule"), BY_ID)
def test_a_server_that_nova_does_not_know_is_none_and_costs_no_login(
    cloud: Cloud, nova: NovaCloud, question: Ask, path: str, rule: str
) -> None:
    cloud.nova(path, status=404, json=GONE)
    assert question(nova) is None
    assert question(nova) is None
    assert logins(cloud) == 1


@pytest.mark.parametrize(("question", "path", "rule"), QUESTIONS)
@pytest.mark.parametrize("body", ["<html>no such page</html>", '{"error": {}}', "null"])
def test_a_404_that_is_not_novas_is_an_error(
    cloud: Cloud, nova: NovaCloud, question: Ask, path: str, rule: str, body: str
) -> None:
    cloud.nova(path, status=404, body=body)
    with pytest.raises(CloudError, match="answered HTTP 404") as error:
        question(nova)
    assert error.value.kind is ErrorKind.HTTP


@pytest.mark.parametrize(("question", "path", "rule"), QUESTIONS)
@pytest.mark.parametrize(
    "body",
    [
        "null",
        "[]",
        "{}",
        "<html>",
        '{"servers": {}, "services": null, "instanceActions": 1, "instanceAction": [], "migrations": "x"}',
        '{"instanceAction": {"action": "resize", "events": {}}}',
        "[" * 50_000,
    ],
    ids=lambda body: body[:20],
)
def test_an_answer_of_another_shape_is_a_protocol_error_that_names_it(
    cloud: Cloud, nova: NovaCloud, question: Ask, path: str, rule: str, body: str
) -> None:
    cloud.nova(path, body=body)
    with pytest.raises(CloudError, match=f"GET {NOVA}{path} answered HTTP 200") as error:
        question(nova)
    assert error.value.kind is ErrorKind.PROTOCOL


@pytest.mark.parametrize(("question", "path", "rule"), QUESTIONS)
def test_a_failure_is_an_error_of_its_kind(cloud: Cloud, nova: NovaCloud, question: Ask, path: str, rule: str) -> None:
    cloud.nova(path, status=500)
    with pytest.raises(CloudError) as error:
        question(nova)
    assert error.value.kind is ErrorKind.HTTP


# --- paths ---


@pytest.mark.parametrize("part", ["", ".", "..", "..."])
def test_no_part_of_a_path_leads_elsewhere(cloud: Cloud, nova: NovaCloud, part: str) -> None:
    assert nova.actions(part, NOW, LATER) is None
    assert nova.steps(part, REQUEST, LATER) is None
    assert nova.steps(SERVER, part, LATER) is None
    assert nova.progress(part, LATER) is None
    assert len(cloud.mock.calls) == 0


def test_what_stands_in_a_part_of_a_path_is_escaped(cloud: Cloud, nova: NovaCloud) -> None:
    path = f"{ACTIONS}/..%2F..%2Fflavors%3Fx%3D1%23%3F"
    cloud.nova(path, status=404, json=GONE)
    assert nova.steps(SERVER, "../../flavors?x=1#\ud800", LATER) is None
    assert [request.url for request in cloud.sent(path)] == [f"{NOVA}{path}"]


@pytest.mark.parametrize(
    ("question", "operation"),
    [
        (QUESTIONS[0][0], "list_servers"),
        (QUESTIONS[1][0], "list_servers"),
        (QUESTIONS[2][0], "list_services"),
        (QUESTIONS[3][0], "list_server_actions"),
        (QUESTIONS[4][0], "show_server_action"),
        (QUESTIONS[5][0], "list_server_migrations"),
    ],
)
def test_every_request_has_the_name_of_its_operation(
    cloud: Cloud, nova: NovaCloud, question: Ask, operation: str
) -> None:
    for _, path, _ in QUESTIONS:
        cloud.nova(path, status=403, json=FORBIDDEN)
    nova.open(LATER)
    nova.requests()
    with pytest.raises(CloudError):
        question(nova)
    assert [(request.operation, request.code) for request in nova.requests()] == [(operation, "403")]
