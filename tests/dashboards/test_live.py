"""Every question of every dashboard, asked of a real Prometheus: where something moves, where nothing does, and by two exporters."""

from __future__ import annotations

import math
import re
import shutil
import time
from collections.abc import Iterator

import pytest

from tests.dashboards.reading import COMMITTED, Json, asked_by, name, panels, targets, variables
from tests.dashboards.scenes import EMPTY, MOVING, REPLICAS, RESTING, Scene, prometheus
from tests.running import eventually
from tests.test_many_clouds import move
from tools.dashboards import BOARDS
from tools.dashboards.queries import HOUR_OF_ENDS
from tools.dashboards.rows import Panel
from tools.rules.rows import Dashboard

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="needs prometheus: Debian's package `prometheus`"),
]

ROWS: dict[tuple[str, int], Panel] = {
    (board.uid, panel.id): panel for board in BOARDS for section in board.sections for panel in section.panels
}


def questions() -> dict[str, str]:
    """Return every expression that a dashboard asks, by where it stands."""
    found = {}
    for board in COMMITTED.values():
        found |= {f"{name(board, panel)} {target['refId']}": target["expr"] for panel, target in targets(board)}
        found |= {f"{board['uid']} annotation {mark['name']}": mark["expr"] for mark in board["annotations"]["list"]}
        asking = (each for each in variables(board).values() if each["type"] == "query")
        found |= {f"{board['uid']} variable {each['name']}": asked_by(each) for each in asking}
    return found


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with prometheus(tmp_path_factory.mktemp("prometheus")) as running:
        yield running


def end_in_post_copy(moving: Scene) -> None:
    """Let a live migration be seen in post-copy and end: the story comes to one only after minutes."""
    nova = moving.moving.nova
    server = nova.boot(host="h1", task_state="migrating")
    row = nova.insert(instance_uuid=server.id, migration_type="live-migration", source_compute="h1", dest_compute="h2")
    nova.advance(row.uuid, "running (post-copy)")
    eventually(lambda: moving.ask('openstack_migrations{cloud="moving",status="running (post-copy)"} > 0'), 120.0)
    nova.advance(row.uuid, "completed")


def test_every_question_finds_something_where_moves_of_all_kinds_go_well_and_badly(scene: Scene) -> None:
    moving = scene.of(job=MOVING, cloud="demo|moving")
    end_in_post_copy(moving)
    open_questions = questions()
    assert len(open_questions) > 150

    def all_answered() -> bool:
        for where, expression in list(open_questions.items()):
            if moving.ask(expression):
                del open_questions[where]
        return not open_questions

    try:
        eventually(all_answered, 420.0)
    except AssertionError:
        assert open_questions == {}, "these found nothing"


def wait_for(scene: Scene) -> None:
    """Wait until the last of what a scene's counters need is there: a rate has two samples, and a rule was evaluated."""
    rate = 'rate(openstack_migration_polls_total{job=~"$job",cloud=~"$cloud"}[$__rate_interval]) > 0'
    eventually(lambda: len(scene.ask(rate)) == len(scene.ask('up{job=~"$job"} == 1')) > 0, 120.0)
    eventually(lambda: scene.ask(f'{HOUR_OF_ENDS}{{cloud=~"$cloud"}}'), 120.0)


def promising() -> Iterator[tuple[Json, Json, Panel]]:
    """Yield the panels that promise a zero where there is nothing."""
    for board in COMMITTED.values():
        for panel in panels(board):
            row = ROWS[board["uid"], panel["id"]]
            if row.zero:
                yield board, panel, row


def test_an_empty_cloud_shows_zeros(scene: Scene) -> None:
    empty = scene.of(job=EMPTY, cloud="empty")
    wait_for(empty)
    moves = 0
    for board, panel, _ in promising():
        first = empty.values(panel["targets"][0]["expr"])
        assert first and all(math.isfinite(value) for value in first), name(board, panel)
        if board["uid"] != Dashboard.EXPORTER:
            assert set(first) == {0.0}, name(board, panel)
            moves += 1
    assert moves > 20


def test_without_any_exporter_nothing_pretends_to_be_zero(scene: Scene) -> None:
    nobody = scene.of(job="nobody", cloud="nobody")
    for board, panel, _ in promising():
        assert nobody.ask(panel["targets"][0]["expr"]) == [], name(board, panel)


def test_a_panel_that_promises_no_zero_says_what_it_means_in_an_empty_cloud(scene: Scene) -> None:
    empty = scene.of(job=EMPTY, cloud="empty")
    wait_for(empty)
    silent = {
        name(board, panel)
        for board in COMMITTED.values()
        for panel in panels(board)
        if not any(empty.ask(target["expr"]) for target in panel["targets"])
    }
    assert silent
    for board in COMMITTED.values():
        for panel in panels(board):
            row = ROWS[board["uid"], panel["id"]]
            if name(board, panel) in silent:
                assert not row.zero and row.none not in ("No exporter", "No exporter answers"), name(board, panel)


@pytest.fixture(scope="module")
def replicas(scene: Scene) -> Scene:
    """Wait until both replicas know that every record of the resting cloud is stuck, and that five moves have failed since."""
    both = scene.of(job=RESTING, cloud="resting")
    wait_for(both)
    move(scene.resting, 5)
    stuck = 'sum(openstack_migrations_stuck{job=~"$job",instance=~"$instance"})'
    failed = 'sum(increase(openstack_migrations_ended_total{job=~"$job",instance=~"$instance"}[$__range])) > 4'

    def known(instance: str) -> bool:
        one = both.of(instance=instance)
        return one.values(stuck) == [4.0] and bool(one.values(failed))

    eventually(lambda: all(map(known, REPLICAS)), 180.0)
    return both


def test_two_exporters_of_one_cloud_count_once(replicas: Scene) -> None:
    at = time.time()
    compared = 0
    for where, expression in questions().items():
        if "annotation" in where or "variable" in where or where.startswith(Dashboard.EXPORTER):
            continue
        together = sorted(replicas.values(expression, at))
        alone = [sorted(replicas.of(instance=each).values(expression, at)) for each in REPLICAS]
        assert len(together) == len(alone[0]) == len(alone[1]), where
        lower, upper = map(min, *alone), map(max, *alone)
        for low, value, high in zip(lower, together, upper, strict=True):
            assert low * 0.8 - 0.1 <= value <= high * 1.2 + 0.1, where
            compared += value >= 1
    assert compared > 50


def test_a_sum_over_two_exporters_would_be_found(replicas: Scene) -> None:
    doubled = 'sum(openstack_migrations_stuck{job=~"$job",instance=~"$instance",cloud=~"$cloud"})'
    assert replicas.values(doubled) == [8.0]
    assert replicas.of(instance=REPLICAS[0]).values(doubled) == [4.0]


def test_requests_are_those_of_all_exporters(replicas: Scene) -> None:
    expression = f"sum({asked_of(Dashboard.EXPORTER, 301)})"
    at = time.time()
    (together,), (alone,) = replicas.values(expression, at), replicas.of(instance=REPLICAS[0]).values(expression, at)
    assert together == pytest.approx(2 * alone, rel=0.2)


def asked_of(uid: str, number: int) -> str:
    """Return the first question of a panel."""
    (panel,) = (each for each in panels(COMMITTED[f"{uid}.json"]) if each["id"] == number)
    return str(panel["targets"][0]["expr"])


def details(scene: Scene) -> list[dict[str, str]]:
    """Return the migrations that the dashboard of single ones has in its details."""
    return [each["metric"] for each in scene.ask(asked_of(Dashboard.ONE, 101))]


def test_a_migration_and_a_host_can_be_chosen_alone_and_together(replicas: Scene) -> None:
    every = details(replicas)
    assert len(every) == 4
    assert {each["source_host"] for each in every} == {"h1"}
    for each in every:
        assert details(replicas.of(migration_id=each["migration_id"])) == [each]
        assert details(replicas.of(host=each["dest_host"])) == [each]
        assert details(replicas.of(migration_id=each["migration_id"], host=each["source_host"])) == [each]
        assert details(replicas.of(migration_id=each["migration_id"], host="elsewhere")) == []
    assert len(details(replicas.of(host="h1"))) == 4
    assert len(details(replicas.of(migration_type="live-migration"))) == 2


def test_the_other_moves_of_a_host_are_those_of_the_host_or_of_the_migrations_host(replicas: Scene) -> None:
    out_of, into = asked_of(Dashboard.ONE, 405), asked_of(Dashboard.ONE, 406)
    (chosen, *_) = details(replicas)
    one = replicas.of(migration_id=chosen["migration_id"])
    assert (len(one.ask(out_of)), len(one.ask(into))) == (4, 1)
    assert (len(replicas.of(host="h1").ask(out_of)), len(replicas.of(host="h1").ask(into))) == (4, 0)
    assert (
        len(replicas.of(host=chosen["dest_host"]).ask(out_of)),
        len(replicas.of(host=chosen["dest_host"]).ask(into)),
    ) == (0, 1)


def test_the_hosts_on_offer_are_sources_and_destinations(replicas: Scene) -> None:
    variable = variables(COMMITTED[f"{Dashboard.ONE}.json"])["host"]
    found = replicas.ask(asked_by(variable))
    assert {each["metric"]["host"] for each in found} >= {"h1", "h2", "h3", "h4", "h5"}
    pattern = re.compile(variable["regex"].strip("/"))
    written = [f'{{host="{each["metric"]["host"]}"}} {each["value"][1]}' for each in found]
    assert {match[1] for text in written if (match := pattern.search(text))} >= {"h1", "h5"}
