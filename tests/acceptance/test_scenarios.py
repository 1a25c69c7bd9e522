"""How moves get stuck in practice, played on the real Nova: what the page says of each, and what the advice mends."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporter.config import load
from exporter.domain.advice import Advice, advice_on, advice_on_stranded
from exporter.domain.cloud import Feature
from exporter.domain.diagnosis import Limits
from exporter.domain.lifecycle import Phase, row_of
from exporter.domain.view import LiveMigrationRecord
from tests.acceptance.test_moves import several
from tests.acceptance.watching import Watcher
from tests.realcloud.cloud import RealCloud
from tests.realcloud.processes import CloudError

pytestmark = pytest.mark.realcloud

#: What the page says of a server with a live record of which nothing is wrong, and of one without a live record.
SOUND, STRANDED = "sound", "stranded"

#: Seconds until the page must say what it should; a look at it takes about one.
PATIENCE = 90.0

COPY, START, BUILD = "migrate_disk_and_power_off", "finish_migration", "spawn"

#: How the openstack client asks what a command says: {0} is the first argument, {number} the migration's number.
CALLS: Mapping[str, tuple[str, str, Any]] = {
    "server show": ("GET", "/servers/{0}", None),
    "server event list --long": ("GET", "/servers/{0}/os-instance-actions", None),
    "server migration list --server": ("GET", "/os-migrations?instance_uuid={0}", None),
    "server migration show": ("GET", "/servers/{0}/migrations/{number}", None),
    "server migration abort": ("DELETE", "/servers/{0}/migrations/{number}", None),
    "server migration force complete": (
        "POST",
        "/servers/{0}/migrations/{number}/action",
        {"force_complete": None},
    ),
    "compute service list --service nova-conductor": ("GET", "/os-services?binary=nova-conductor", None),
    "compute service list --service nova-compute --host": ("GET", "/os-services?binary=nova-compute&host={0}", None),
    "server set --state active": ("POST", "/servers/{0}/action", {"os-resetState": {"state": "active"}}),
    "server set --state error": ("POST", "/servers/{0}/action", {"os-resetState": {"state": "error"}}),
    "server reboot --hard": ("POST", "/servers/{0}/action", {"reboot": {"type": "HARD"}}),
    "server resize confirm": ("POST", "/servers/{0}/action", {"confirmResize": None}),
    "server resize revert": ("POST", "/servers/{0}/action", {"revertResize": None}),
    "server evacuate": ("POST", "/servers/{0}/action", {"evacuate": {}}),
    "server delete": ("DELETE", "/servers/{0}", None),
}


def limits(**shorter: float) -> Limits:
    """Return the thresholds that are built in, some of them shorter, by status: seconds; `every` is for all but `finished`.

    A server is stranded as soon as two sweeps say so.
    """
    (cloud,) = load(None, {}).clouds
    waiting = {pair for pair in cloud.thresholds if row_of(*pair).phase is Phase.WAITING}
    names = {pair: pair[1] if pair in waiting or pair[1] in shorter else "every" for pair in cloud.thresholds}
    expected = {pair: shorter.get(names[pair], seconds) for pair, seconds in cloud.thresholds.items()}
    return Limits(expected, cloud.live_migration.no_progress, stranded_after=0.0)


def watcher_of(cloud: RealCloud, when: Limits) -> Watcher:
    """Return an exporter that has had its first look, at a cloud in which nothing moves yet."""
    watcher = Watcher(cloud, features=frozenset({Feature.DIAGNOSIS}), limits=when)
    watcher.poll()
    return watcher


def said(watcher: Watcher) -> dict[str, str]:
    """Return what the page says of each server; of one with several live records all of it, in alphabetical order."""
    found: dict[tuple[str, str], str] = {}
    for name, word in (("info", SOUND), ("stuck_info", ""), ("stranded_info", STRANDED)):
        for each in labels_of(watcher, f"openstack_migration_{name}"):
            found[each["server_id"], each.get("migration_id", "")] = word or each["reason"]
    words: dict[str, list[str]] = {}
    for (server, _), word in found.items():
        words.setdefault(server, []).append(word)
    return {server: " and ".join(sorted(reasons)) for server, reasons in words.items()}


def labels_of(watcher: Watcher, name: str) -> list[dict[str, str]]:
    """Return the labels of each series of a name."""
    lines = (line for line in watcher.page().splitlines() if line.startswith(f"{name}{{"))
    return [each.labels for family in text_string_to_metric_families("\n".join(lines)) for each in family.samples]


def wait_until_said(watcher: Watcher, expected: Mapping[str, str]) -> None:
    """Poll until the page says this of all servers and of no other, and once more: then it must still say so."""
    end = time.monotonic() + PATIENCE
    watcher.poll()
    while said(watcher) != expected and time.monotonic() < end:
        watcher.poll()
    assert said(watcher) == expected
    watcher.poll()
    assert said(watcher) == expected


def poll_saying(watcher: Watcher, expected: Mapping[str, str], polls: int = 3) -> None:
    """Poll several times; each time the page must say this of all servers and of no other."""
    for _ in range(polls):
        watcher.poll()
        assert said(watcher) == expected


def all_of(word: str, servers: Iterable[str]) -> dict[str, str]:
    return dict.fromkeys(servers, word)


def record_of(watcher: Watcher, server: str) -> LiveMigrationRecord:
    """Return the record of a server that is stuck."""
    (found,) = [each for each in watcher.view.live if each.migration.server_id == server and each.stuck is not None]
    return found


def obey(cloud: RealCloud, watcher: Watcher, *servers: str, leave_out: str | None = None) -> None:
    """Do all that the exporter advises for the stuck records of servers, or for servers that are stranded.

    What is an alternative to the rest is left out.
    """
    stranded = {each.server.id: each for each in watcher.view.stranded}
    for server in servers:
        advice = advice_on_stranded(stranded[server]) if server in stranded else advice_on(record_of(watcher, server))
        assert isinstance(advice, Advice)
        assert advice.commands
        for command in advice.commands:
            if leave_out is None or leave_out not in command:
                do(cloud, command)


def do(cloud: RealCloud, command: str) -> None:
    """Do what a command says, and see that Nova accepts it, or that the SQL changes the one record that it means."""
    if command.startswith("-- SQL"):
        assert cloud.sql(command) == 1, command
        return
    words = shlex.split(command)[1:]
    version = "2.1"  # what the client speaks where it is not told otherwise
    if words[0] == "--os-compute-api-version":
        version, words = words[1], words[2:]
    known = max((each for each in CALLS if words[: len(each.split())] == each.split()), key=len)
    method, path, body = CALLS[known]
    arguments = words[len(known.split()) :]
    number = _number(cloud, *arguments) if "{number}" in path else None
    answer = cloud.request(method, path.format(*arguments, number=number), body, microversion=version)
    assert answer["status"] < 300, (command, answer)


def _number(cloud: RealCloud, server: str, uuid: str) -> int:
    """Return the number of a live migration, which the client looks up by its uuid."""
    shown = cloud.request("GET", f"/servers/{server}/migrations", microversion="2.59")["body"]["migrations"]
    return next(int(each["id"]) for each in shown if each["uuid"] == uuid)


def reset_state(cloud: RealCloud, servers: Iterable[str], state: str = "active") -> None:
    """Set the state of servers by hand, as an operator does."""
    for server in servers:
        cloud.act(server, "os-resetState", {"state": state})


def wait_for_action(cloud: RealCloud, server: str, action: str) -> None:
    """Wait until the steps of an action have been done, as Nova itself notes them."""
    path, end = f"/servers/{server}/os-instance-actions", time.monotonic() + PATIENCE
    while time.monotonic() < end:
        done = cloud.request("GET", path)["body"]["instanceActions"]
        for request_id in [each["request_id"] for each in done if each["action"] == action]:
            steps = cloud.request("GET", f"{path}/{request_id}")["body"]["instanceAction"]["events"]
            if steps and all(each["finish_time"] for each in steps):
                return
        time.sleep(0.1)
    raise AssertionError(f"{action} was not done")


def finished(cloud: RealCloud, servers: Iterable[str], host: str = "host2") -> None:
    """Migrate servers to a host and wait until they can be confirmed or reverted."""
    for server in servers:
        cloud.migrate(server, host)
    for server in servers:
        cloud.wait_server(server, "VERIFY_RESIZE", timeout=PATIENCE)


def wait_statuses(cloud: RealCloud, statuses: Mapping[str, str]) -> None:
    """Wait until the newest record of each server is in the status that is given for it."""
    for server, status in statuses.items():
        cloud.wait_status(status, server, timeout=PATIENCE)


def wait_in_status(cloud: RealCloud, server: str, seconds: float) -> None:
    """Wait until the newest record of a server has been in its status for so long."""
    (record,) = cloud.records(server)
    entered = cloud.truth(uuid=record["uuid"])["history"][record["uuid"]][-1]["at"]
    while cloud.truth(uuid=record["uuid"])["at"] < entered + seconds:
        time.sleep(0.2)


def ends(watcher: Watcher) -> dict[str, int]:
    """Return how many records ended, by the status of their end."""
    return {status: count for (status,), count in watcher.counts("openstack_migrations_ended_total", "status").items()}


def test_moves_whose_message_was_lost_are_overdue_or_stranded_and_the_advice_mends_them(real_cloud: RealCloud) -> None:
    watcher = watcher_of(real_cloud, limits(every=1.0))
    chosen, unsent, starting, confirming, reverting, live, cold_none, live_none = several(real_cloud, 8)
    evacuated = real_cloud.create_server(host="host3")
    real_cloud.fail_host("host3")
    finished(real_cloud, [confirming, reverting])
    for message, server, act in (
        ("prep_resize", chosen, real_cloud.resize),
        ("resize_instance", unsent, real_cloud.migrate),
        ("finish_resize", starting, real_cloud.resize),
        ("confirm_resize", confirming, real_cloud.confirm),
        ("revert_resize", reverting, real_cloud.revert),
        ("live_migration", live, real_cloud.live_migrate),
        ("select_destinations", evacuated, real_cloud.evacuate),
        ("migrate_server", cold_none, real_cloud.migrate),
        ("live_migrate_instance", live_none, real_cloud.live_migrate),
    ):
        real_cloud.lose(message, server)
        act(server)
    overdue = {chosen: "pre-migrating", unsent: "pre-migrating", starting: "post-migrating", confirming: "confirming"}
    overdue |= {reverting: "reverting", live: "accepted", evacuated: "accepted"}
    wait_statuses(real_cloud, overdue)
    wait_until_said(watcher, all_of("overdue", overdue) | all_of(STRANDED, [cold_none, live_none]))
    assert {each.migration.server_id: each.migration.status for each in watcher.view.live} == overdue
    for decide in (real_cloud.confirm, real_cloud.revert):
        with pytest.raises(CloudError, match="400"):
            decide(confirming)

    obey(real_cloud, watcher, *overdue, cold_none, live_none)
    real_cloud.wait_status("confirmed", confirming)
    for server in (confirming, cold_none, live_none):
        real_cloud.wait_server(server, "ACTIVE")
    by_hand = [chosen, unsent, starting, reverting, live]
    reset_state(real_cloud, by_hand)
    wait_until_said(watcher, all_of("orphaned", [*by_hand, evacuated]))
    obey(real_cloud, watcher, *by_hand, evacuated)
    wait_until_said(watcher, {})
    assert ends(watcher) == {"confirmed": 1, "error": 6, "done": 1}


def test_a_destination_that_is_down_is_named_until_it_is_back(real_cloud: RealCloud) -> None:
    watcher = watcher_of(real_cloud, limits())
    claimed, starting = several(real_cloud, 2)
    built, built_again = several(real_cloud, 2, "host3")
    real_cloud.fail_host("host3")
    real_cloud.lose("resize_instance", claimed)
    for method, server in ((START, starting), (BUILD, built), (BUILD, built_again)):
        real_cloud.hang(method, server)
    for server in (claimed, starting):
        real_cloud.migrate(server, "host2")
    for server in (built, built_again):
        real_cloud.evacuate(server, "host2")
    statuses = all_of("pre-migrating", [claimed, built, built_again]) | {starting: "post-migrating"}
    wait_statuses(real_cloud, statuses)
    wait_until_said(watcher, all_of(SOUND, statuses))

    real_cloud.fail_host("host2")
    poll_saying(watcher, all_of(SOUND, statuses), polls=1)  # one sweep proves nothing
    down = all_of("dest_down", statuses)
    wait_until_said(watcher, down)
    real_cloud.remove(server=built_again)
    obey(real_cloud, watcher, claimed, starting, built_again)  # the evacuation goes to another host
    real_cloud.wait_status("done", built_again, timeout=PATIENCE)
    wait_until_said(watcher, down | {built_again: "orphaned"})
    obey(real_cloud, watcher, built_again)

    real_cloud.force_down("host2", False)
    real_cloud.start_host("host2")
    sound = all_of(SOUND, [claimed, starting, built])
    wait_until_said(watcher, sound)
    real_cloud.stop_host("host1")
    real_cloud.start_host("host1")  # the source forgets that it gave a server away
    real_cloud.start_host("host3")  # the host that was evacuated closes what is left of that
    real_cloud.wait_status("completed", built, timeout=PATIENCE)
    wait_until_said(watcher, {starting: SOUND, claimed: "orphaned", built: STRANDED})
    obey(real_cloud, watcher, built, claimed)
    real_cloud.wait_server(built, "ERROR")
    wait_until_said(watcher, {starting: SOUND})


def test_hosts_that_are_down_after_the_move_hold_up_what_follows(real_cloud: RealCloud) -> None:
    watcher = watcher_of(real_cloud, limits())
    servers = confirming, killed, reverting = several(real_cloud, 3)
    finished(real_cloud, servers)
    real_cloud.hang("confirm_migration", confirming)
    real_cloud.hang("finish_revert_migration", killed)
    real_cloud.confirm(confirming)
    real_cloud.revert(killed)
    wait_statuses(real_cloud, {confirming: "confirming", killed: "reverted"})
    wait_until_said(watcher, {confirming: SOUND, killed: STRANDED, reverting: SOUND})

    real_cloud.fail_host("host2")
    real_cloud.revert(reverting)
    real_cloud.wait_status("reverting", reverting)
    wait_until_said(watcher, {confirming: SOUND, killed: STRANDED, reverting: "dest_down"})
    real_cloud.fail_host("host1")
    wait_until_said(watcher, {confirming: "source_down", killed: STRANDED, reverting: "dest_down"})
    obey(real_cloud, watcher, *servers)

    real_cloud.force_down("host2", False)
    real_cloud.start_host("host2")  # does its half of the revert now; the other half waits for the source
    wait_until_said(watcher, {confirming: "source_down", killed: STRANDED, reverting: STRANDED})
    wait_statuses(real_cloud, all_of("reverted", [killed, reverting]))
    real_cloud.force_down("host1", False)
    real_cloud.start_host("host1")
    real_cloud.wait_server(reverting, "ACTIVE", timeout=PATIENCE)
    wait_until_said(watcher, {confirming: SOUND, killed: STRANDED})
    assert ends(watcher) == {"reverted": 2}


def test_a_source_that_was_killed_and_came_back_leaves_orphans_that_the_advice_closes(real_cloud: RealCloud) -> None:
    watcher = watcher_of(real_cloud, limits())
    real_cloud.set_config("DEFAULT", "max_concurrent_live_migrations", 4)
    copying, arrived, preparing, running, post_copy, queued = several(real_cloud, 6)
    real_cloud.hang(COPY, copying)
    real_cloud.migrate(copying, "host2")
    for server in (arrived, running, post_copy):
        real_cloud.hang("live_migration", server)
    real_cloud.hang("pre_live_migration", preparing)
    real_cloud.rule("live_migration", "post_copy", post_copy)
    for server, status in (
        *((arrived, "running"), (preparing, "preparing"), (running, "running"), (post_copy, "running")),
        (queued, "queued"),
    ):
        real_cloud.live_migrate(server)
        real_cloud.wait_status(status, server)
    real_cloud.force_complete(post_copy)
    real_cloud.wait_status("running (post-copy)", post_copy)
    everything = [copying, arrived, preparing, running, post_copy, queued]
    wait_until_said(watcher, all_of(SOUND, everything))

    real_cloud.hang("rpc:update_instance_info", times=1)
    real_cloud.remove(method="live_migration", server=arrived)
    real_cloud.wait_server(arrived, "ACTIVE")
    assert real_cloud.records(arrived)[0]["status"] == "running"
    real_cloud.fail_host("host1")
    wait_until_said(watcher, all_of("source_down", everything) | {arrived: "orphaned"})
    obey(real_cloud, watcher, running)

    real_cloud.force_down("host1", False)
    real_cloud.start_host("host1")
    real_cloud.wait_status("error", running)
    orphans = [copying, arrived, preparing, post_copy, queued]
    wait_until_said(watcher, all_of("orphaned", orphans))

    real_cloud.migrate(copying, "host2")
    real_cloud.wait_status("migrating", copying)
    wait_until_said(watcher, all_of("orphaned", orphans) | {copying: "orphaned and sound"})
    obey(real_cloud, watcher, *orphans)
    wait_until_said(watcher, {copying: SOUND})
    assert ends(watcher) == {"error": 6}


def test_what_was_done_to_a_server_by_hand_shows_at_its_record(real_cloud: RealCloud) -> None:
    watcher = watcher_of(real_cloud, limits(preparing=1.0))
    active, broken, deleted, aborted = several(real_cloud, 4)
    moving = [active, broken, deleted]
    for server in moving:
        real_cloud.hang(COPY, server)
        real_cloud.migrate(server)
        real_cloud.wait_status("migrating", server)
    hang = real_cloud.hang("pre_live_migration", aborted)
    real_cloud.fail("rollback_live_migration_at_source", aborted)
    real_cloud.live_migrate(aborted)
    real_cloud.wait_status("preparing", aborted)
    real_cloud.abort(aborted)
    wait_for_action(real_cloud, aborted, "live_migration_cancel")
    real_cloud.remove(number=hang)
    wait_until_said(watcher, all_of(SOUND, moving) | {aborted: "overdue"})

    reset_state(real_cloud, [active])
    reset_state(real_cloud, [broken], "error")
    real_cloud.hang("destroy", deleted)
    real_cloud.delete_server(deleted, wait=False)
    watcher.poll()
    assert set(said(watcher).values()) == {SOUND, "overdue"}, "one sweep proves nothing"
    done = {active: "orphaned", broken: "server_error", deleted: "server_deleting"}
    wait_until_said(watcher, done | {aborted: "overdue"})

    obey(real_cloud, watcher, active, broken, deleted, aborted)
    reset_state(real_cloud, [aborted])
    real_cloud.remove(method="destroy")
    real_cloud.wait_server(broken, "ACTIVE")
    wait_until_said(watcher, all_of("orphaned", [broken, aborted]))
    obey(real_cloud, watcher, broken, aborted)
    wait_until_said(watcher, {})
    assert ends(watcher) == {"error": 3, "deleted": 1}


def test_what_takes_too_long_can_be_forced_confirmed_and_reverted(real_cloud: RealCloud) -> None:
    watcher = watcher_of(real_cloud, limits(running=1.0, finished=1.0))
    kept, undone = several(real_cloud, 2)
    (running,) = several(real_cloud, 1, "host3")
    finished(real_cloud, [kept, undone])
    real_cloud.hang("live_migration", running)
    real_cloud.live_migrate(running)
    real_cloud.wait_status("running", running)
    real_cloud.fail_host("host1")
    wait_until_said(watcher, all_of("unconfirmed", [kept, undone]) | {running: "overdue"})
    with pytest.raises(CloudError, match="409"):
        real_cloud.confirm(kept)

    real_cloud.force_down("host1", False)
    real_cloud.start_host("host1")
    for server, otherwise in ((kept, "revert"), (undone, "confirm"), (running, "abort")):
        obey(real_cloud, watcher, server, leave_out=otherwise)
    wait_statuses(real_cloud, {kept: "confirmed", undone: "reverted", running: "completed"})
    real_cloud.wait_server(undone, "ACTIVE", timeout=PATIENCE)
    wait_until_said(watcher, {})
    assert ends(watcher) == {"confirmed": 1, "reverted": 1, "completed": 1}


def test_what_takes_its_time_by_its_nature_is_not_stuck(real_cloud: RealCloud) -> None:
    watcher = watcher_of(real_cloud, limits(queued=1.0))
    waiting, failed, starting, running, queued = several(real_cloud, 5)
    evacuated, built = (real_cloud.create_server(host="host3") for _ in range(2))
    real_cloud.fail_host("host3")
    finished(real_cloud, [waiting])
    real_cloud.fail(COPY, failed)
    real_cloud.migrate(failed)
    for method, server in ((START, starting), ("live_migration", running), (BUILD, built)):
        real_cloud.hang(method, server)
    real_cloud.migrate(starting, "host2")
    real_cloud.wait_status("post-migrating", starting)
    for server in (evacuated, built):
        real_cloud.evacuate(server, "host2")
    for server, status in ((running, "running"), (queued, "queued")):
        real_cloud.live_migrate(server, "host2")
        real_cloud.wait_status(status, server)
    for server, status in ((failed, "error"), (evacuated, "done"), (built, "pre-migrating")):
        real_cloud.wait_status(status, server)
    real_cloud.set_service("host2", "disabled")
    wait_in_status(real_cloud, queued, 3.0)
    poll_saying(watcher, all_of(SOUND, [waiting, starting, running, queued, built]))
    assert not watcher.samples("openstack_migrations_stuck")
    assert ends(watcher) == {"error": 1, "done": 1}

    real_cloud.remove(server=running)
    real_cloud.wait_status("completed", running)
    real_cloud.wait_status("completed", queued)
    poll_saying(watcher, all_of(SOUND, [waiting, starting, built]), polls=2)


def test_a_resize_between_cells_that_waits_for_a_confirmation_is_not_stuck(real_cloud: RealCloud) -> None:
    watcher = watcher_of(real_cloud, limits(every=1.0))
    server = real_cloud.create_server(host="host1")
    real_cloud.allow_cross_cell()
    real_cloud.migrate(server)
    record = real_cloud.wait_status("finished", server)
    rows = {row["cell"]: row["status"] for row in real_cloud.records(uuid=record["uuid"])}
    assert rows == {"cell1": "post-migrating", "cell2": "finished"}
    poll_saying(watcher, {server: SOUND})
    real_cloud.confirm(server)
    real_cloud.wait_status("confirmed", server)
    poll_saying(watcher, {})


def test_a_cell_that_is_away_makes_nothing_stuck_and_ends_nothing(real_cloud: RealCloud) -> None:
    watcher = watcher_of(real_cloud, limits(migrating=20.0))
    orphan, running, copying = several(real_cloud, 3, "host4")
    here = real_cloud.create_server(host="host1")
    for method, server in ((COPY, orphan), (COPY, copying), ("live_migration", running), ("live_migration", here)):
        real_cloud.hang(method, server)
    real_cloud.migrate(orphan)
    real_cloud.wait_status("migrating", orphan)
    reset_state(real_cloud, [orphan])
    for server in (running, here):
        real_cloud.live_migrate(server)
        real_cloud.wait_status("running", server)
    wait_until_said(watcher, all_of(SOUND, [running, here]) | {orphan: "orphaned"})
    real_cloud.migrate(copying)
    real_cloud.wait_status("migrating", copying)
    expected = all_of(SOUND, [copying, running, here]) | {orphan: "orphaned"}
    poll_saying(watcher, expected, polls=1)

    real_cloud.break_cell("cell2", "down")
    poll_saying(watcher, expected, polls=1)
    wait_in_status(real_cloud, copying, 22.0)
    poll_saying(watcher, expected)
    assert [each.value for each in watcher.samples("openstack_migration_records_unseen")] == [3]
    real_cloud.break_cell("cell2", "slow", seconds=0.2, timeout=0.1)
    poll_saying(watcher, expected, polls=1)
    assert not ends(watcher)

    real_cloud.repair_cell("cell2")
    wait_until_said(watcher, expected | {copying: "overdue"})
    assert not watcher.samples("openstack_migration_records_unseen")
    real_cloud.remove(server=running)
    real_cloud.wait_status("completed", running)
    del expected[running]
    wait_until_said(watcher, expected | {copying: "overdue"})
    assert ends(watcher) == {"completed": 1}
