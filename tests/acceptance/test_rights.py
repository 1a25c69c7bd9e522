"""The rights that each question needs, on the real Nova: those of deploy/nova-policy.yaml, each by itself, and an admin's."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from exporter.domain.cloud import CloudError, Deletion, ErrorKind, Feature
from exporter.domain.server import Progress, Server
from exporter.source.connect import connect_to
from exporter.source.nova import NovaCloud
from exporter.source.rights import Finding, check
from tests.realcloud.cloud import CUSTOM_ROLE, RealCloud
from tests.realcloud.identity import REGION, User
from tests.running import eventually

pytestmark = pytest.mark.realcloud

POLICY = Path(__file__).parents[2] / "deploy" / "nova-policy.yaml"

#: The rules as they are deployed; the user's role has another name here.
RULES: Mapping[str, str] = {
    rule: allowed.replace("role:migration_reader", f"role:{CUSTOM_ROLE}")
    for rule, allowed in yaml.safe_load(POLICY.read_text()).items()
}

HOST = "host1"

#: The rules that others are built from. In force are Nova's own since 2023.1, alone: by those before it, which an operator may
#: still allow beside them ([oslo_policy]enforce_new_defaults), every user of a project may list servers.
BASE = ("project_reader_api", "project_reader_or_admin", "project_manager_api", "project_manager_or_admin")


def soon(seconds: float = 60.0) -> float:
    return time.monotonic() + seconds


@dataclass(frozen=True, slots=True)
class Moves:
    """Servers of the administrator's project, which is not the user's: `resizing` is stuck on HOST, `deleted` is gone."""

    resizing: str
    confirmed: str
    deleted: str
    began: float


def set_policy(cloud: RealCloud, **rules: str) -> None:
    """Put rules in force beside Nova's defaults."""
    cloud.set_policy({name: default(cloud, name) for name in BASE} | rules)


def default(cloud: RealCloud, rule: str) -> str:
    return str(cloud.command("policy_default", name=rule))


@pytest.fixture
def moves(real_cloud: RealCloud) -> Moves:
    set_policy(real_cloud)
    began = time.time()
    deleted, confirmed, resizing = (real_cloud.create_server(f"server{number}", HOST) for number in range(3))
    real_cloud.migrate(confirmed)
    real_cloud.wait_server(confirmed, "VERIFY_RESIZE")
    real_cloud.confirm(confirmed)
    real_cloud.wait_status("confirmed", confirmed)
    real_cloud.delete_server(deleted)
    real_cloud.lose("prep_resize", resizing)
    real_cloud.migrate(resizing)
    real_cloud.wait_status("pre-migrating", resizing)
    return Moves(resizing, confirmed, deleted, began)


@pytest.fixture
def ask(real_cloud: RealCloud) -> Iterator[Callable[[User], NovaCloud]]:
    asked: list[NovaCloud] = []

    def login(user: User) -> NovaCloud:
        connect = connect_to(
            real_cloud.auth_url, user.name, user.password, user.project, region_name=REGION, name="real"
        )
        asked.append(NovaCloud(connect, timeout=30.0))
        return asked[-1]

    yield login
    for nova in asked:
        nova.close()


def of_migrations(nova: NovaCloud, moves: Moves) -> bool:
    """Tell whether all migrations are listed, with their hosts: counts and stuck."""
    found = {each.server_id: each for each in nova.with_status("pre-migrating", soon()).migrations}
    return moves.resizing in found and found[moves.resizing].source_host == HOST


def of_changes(nova: NovaCloud, moves: Moves) -> bool:
    """Tell whether what changed is listed, with its hosts: counts."""
    found = {each.server_id: each for each in nova.changed_since(moves.began, soon()).migrations}
    return moves.confirmed in found and found[moves.confirmed].source_host == HOST


def of_deletions(nova: NovaCloud, moves: Moves) -> bool:
    """Tell whether a deletion is proven: counts."""
    proof = nova.deletion_of(moves.deleted, soon())
    return isinstance(proof, Deletion) and proof.at is not None


def of_moving_servers(nova: NovaCloud, moves: Moves) -> bool:
    """Tell whether servers of other projects that move are listed, with their hosts: diagnosis and stranded servers."""
    return [shown(each) for each in nova.servers_with_status("RESIZE", soon())] == [
        (moves.resizing, "RESIZE", "resize_prep", HOST)
    ]


def of_one_server(nova: NovaCloud, moves: Moves) -> bool:
    """Tell whether any server is found by its id, with its host: diagnosis."""
    server = nova.server(moves.resizing, soon())
    return server is not None and shown(server) == (moves.resizing, "RESIZE", "resize_prep", HOST)


def of_hosts(nova: NovaCloud, moves: Moves) -> bool:
    """Tell whether hosts are known to be up: diagnosis."""
    return nova.hosts_up([HOST, "host2", "nowhere"], soon()) == {HOST: True, "host2": True}


def shown(server: Server) -> tuple[str, str, str | None, str | None]:
    return server.id, server.status, server.task_state, server.host


QUESTIONS = (of_migrations, of_changes, of_deletions, of_moving_servers, of_one_server, of_hosts)


def answered(nova: NovaCloud, moves: Moves) -> set[str]:
    """Return the questions that are answered; one that is not finds nothing or is forbidden, and nothing else goes wrong."""
    good = set()
    for question in QUESTIONS:
        try:
            if question(nova, moves):
                good.add(question.__name__)
        except CloudError as error:
            if error.kind is not ErrorKind.FORBIDDEN or "os_compute_api:" not in str(error):
                raise
    return good


ALL = {question.__name__ for question in QUESTIONS}


def test_the_deployed_rules_suffice(real_cloud: RealCloud, moves: Moves, ask: Callable[[User], NovaCloud]) -> None:
    set_policy(real_cloud, **RULES)
    nova = ask(real_cloud.custom)
    assert answered(nova, moves) == ALL
    assert not nova.shows_servers_by_id()


def test_without_them_no_question_is_answered(
    real_cloud: RealCloud, moves: Moves, ask: Callable[[User], NovaCloud]
) -> None:
    assert answered(ask(real_cloud.custom), moves) == set()


#: What is lost with each rule.
LOST = {
    "os_compute_api:os-migrations:index": {"of_migrations", "of_changes"},
    "os_compute_api:os-migrations:index:all_projects": {"of_migrations", "of_changes"},
    "os_compute_api:os-migrations:index:host": {"of_migrations", "of_changes"},
    "os_compute_api:servers:detail": {"of_deletions", "of_moving_servers", "of_one_server"},
    "os_compute_api:servers:detail:get_all_tenants": {"of_deletions", "of_moving_servers", "of_one_server"},
    "os_compute_api:servers:allow_all_filters": {"of_deletions", "of_one_server"},
    "os_compute_api:os-extended-server-attributes": {"of_moving_servers", "of_one_server"},
    "os_compute_api:os-services:list": {"of_hosts"},
}


def test_every_rule_is_needed(real_cloud: RealCloud, moves: Moves, ask: Callable[[User], NovaCloud]) -> None:
    real_cloud.create_server("another")  # what Nova shows first to whom it lets not filter
    nova = ask(real_cloud.custom)
    lost = {}
    for rule in RULES:
        set_policy(real_cloud, **{**RULES, rule: default(real_cloud, rule)})
        lost[rule] = ALL - answered(nova, moves)
    assert lost == LOST


def test_the_rules_let_nobody_else(real_cloud: RealCloud, moves: Moves, ask: Callable[[User], NovaCloud]) -> None:
    """Beside the role, whoever Nova lets by default: an administrator in all, another user in nothing of this."""
    set_policy(real_cloud, **RULES)
    assert answered(ask(real_cloud.admin), moves) == ALL
    assert answered(ask(real_cloud.reader), moves) == set()
    assert answered(ask(real_cloud.demo), moves) == set()


def test_by_a_servers_id_the_role_finds_nothing(
    real_cloud: RealCloud, moves: Moves, ask: Callable[[User], NovaCloud]
) -> None:
    """Whatever the policy: `grant_custom` allows the questions themselves."""
    real_cloud.grant_custom()
    nova = ask(real_cloud.custom)
    (request_id,) = {
        each.request_id
        for each in ask(real_cloud.admin).actions(moves.confirmed, moves.began, soon()) or ()
        if each.name == "migrate"
    }
    nova.open(soon())
    nova.requests()
    assert nova.actions(moves.confirmed, moves.began, soon()) is None
    assert nova.steps(moves.confirmed, request_id, soon()) is None
    assert nova.progress(moves.resizing, soon()) is None
    assert [(each.operation, each.code) for each in nova.requests()] == [
        ("list_server_actions", "404"),
        ("show_server_action", "404"),
        ("list_server_migrations", "404"),
    ]


def test_an_admin_is_told_what_was_done_with_a_server_also_after_its_deletion(
    real_cloud: RealCloud, moves: Moves, ask: Callable[[User], NovaCloud]
) -> None:
    nova = ask(real_cloud.admin)
    nova.open(soon())
    assert nova.shows_servers_by_id()
    for moment in ("alive", "deleted"):
        found = nova.actions(moves.confirmed, moves.began, soon())
        assert found is not None
        assert [each.name for each in found][:3] == ["create", "migrate", "confirmResize"]
        migrate = nova.steps(moves.confirmed, found[1].request_id, soon())
        assert migrate is not None
        assert [step.name for step in migrate.steps if step.name.startswith("compute_")] == [
            "compute_prep_resize",
            "compute_resize_instance",
            "compute_finish_resize",
        ]
        assert all(step.ok and step.finish and moves.began - 1 < step.start <= step.finish for step in migrate.steps)
        if moment == "alive":
            real_cloud.delete_server(moves.confirmed)
    assert found[-1].name == "delete"
    assert nova.actions(moves.confirmed, time.time() + 60, soon()) == ()
    assert nova.steps(moves.confirmed, "req-of-nobody", soon()) is None
    assert nova.progress(moves.confirmed, soon()) is None


def test_an_admin_is_told_the_progress_of_a_live_migration(
    real_cloud: RealCloud, ask: Callable[[User], NovaCloud]
) -> None:
    server = real_cloud.create_server("server", HOST)
    real_cloud.heartbeat(0.2, server, memory_total=2**31, memory_step=2**20)
    real_cloud.hang("live_migration", server)
    real_cloud.live_migrate(server)
    real_cloud.wait_status("running", server)
    nova = ask(real_cloud.admin)
    (record,) = nova.with_status("running", soon()).migrations

    def moved_beyond(processed: int) -> Progress | None:
        found = nova.progress(server, soon())
        assert found is not None
        assert set(found) == {record.uuid}
        return found[record.uuid] if (found[record.uuid].memory_processed or 0) > processed else None

    first = eventually(lambda: moved_beyond(0), 60.0)
    later = eventually(lambda: moved_beyond(first.memory_processed or 0), 60.0)
    assert first.total == later.total == 2**31
    assert first.remaining is not None and later.remaining is not None
    assert later.remaining < first.remaining < 2**31


def test_hosts_that_are_down_are_told_from_those_that_are_disabled(
    real_cloud: RealCloud, ask: Callable[[User], NovaCloud]
) -> None:
    real_cloud.force_down("host2")
    real_cloud.set_service("host3", "disabled")
    nova = ask(real_cloud.admin)
    expected = {"host1": True, "host2": False, "host3": True}
    assert nova.hosts_up(expected, soon()) == expected
    assert nova.hosts_up([*expected, *(f"nowhere{number}" for number in range(10))], soon()) == expected
    assert [each.operation for each in nova.requests()].count("list_services") == 4


def found_by_check(nova: NovaCloud) -> dict[str, Finding]:
    return {finding.subject: finding for finding in check(nova, soon())}


def test_check_tells_an_admin_that_all_features_work(
    real_cloud: RealCloud, moves: Moves, ask: Callable[[User], NovaCloud]
) -> None:
    assert {finding.ok for finding in found_by_check(ask(real_cloud.admin)).values()} == {True}


def test_check_tells_the_role_which_features_work(
    real_cloud: RealCloud, moves: Moves, ask: Callable[[User], NovaCloud]
) -> None:
    set_policy(real_cloud, **RULES)
    found = found_by_check(ask(real_cloud.custom))
    missing = {subject for subject, finding in found.items() if finding.ok is not True}
    assert missing == {Feature.EXACT_DURATIONS.value, Feature.LIVE_PROGRESS.value}
    assert all("needs the admin role" in found[subject].text for subject in missing)


@pytest.mark.parametrize(
    "rule",
    [
        "os_compute_api:servers:detail",
        "os_compute_api:servers:detail:get_all_tenants",
        "os_compute_api:servers:allow_all_filters",
        "os_compute_api:os-extended-server-attributes",
        "os_compute_api:os-services:list",
    ],
)
def test_check_names_the_rule_that_diagnosis_lacks(
    real_cloud: RealCloud, moves: Moves, ask: Callable[[User], NovaCloud], rule: str
) -> None:
    set_policy(real_cloud, **{**RULES, rule: default(real_cloud, rule)})
    found = found_by_check(ask(real_cloud.custom))[Feature.DIAGNOSIS.value]
    assert found.ok is False
    assert rule in found.text
