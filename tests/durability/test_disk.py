"""Disks that refuse, files that are lost or spoilt: what the page says meanwhile, and that nothing is lost at the end."""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml

from exporter.demo.cloud import SimulatedCloud
from exporter.store.rows import MIGRATIONS
from tests.durability.disks import Disk, Full, Limited, ReadOnlyMount, SomebodyElses, disk
from tests.durability.nursery import Nursery, Raised
from tests.running import Exporter, eventually, run, write_clouds

POLL = {"interval": "100ms", "sweep_interval": "500ms", "timeout": "10s", "deadline": "20s"}

#: Polls that an exporter is watched for: what stands still must stand still for longer than one.
SOME = 5

#: Seconds until a page must say what it should; what waits is written again within five.
SOON = 30.0


class Stage:
    """A simulated cloud, an exporter's configuration, and the truth; moves are resizes that fail."""

    def __init__(self, cloud: SimulatedCloud, nursery: Nursery, path: Path) -> None:
        self.begun = self.ended = 0
        self._cloud = cloud
        self._nursery = nursery
        self._live: list[str] = []
        self._configuration = path / "exporter.yaml"
        self._configuration.write_text(yaml.safe_dump({"poll": POLL}))
        self._environ = write_clouds(path / "clouds.yaml", cloud.auth_url, **asdict(cloud.credentials))
        self.arguments = (f"--config.file={self._configuration}", "--log.format=json")

    def begin(self, moves: int = 1) -> None:
        """Let moves begin."""
        for _ in range(moves):
            server = self._cloud.nova.boot()
            row = self._cloud.nova.insert(instance_uuid=server.id, migration_type="resize", status="pre-migrating")
            self._live.append(row.uuid)
            self.begun += 1

    def end(self, moves: int = 1) -> None:
        """Let moves come to their end."""
        for _ in range(moves):
            self._cloud.nova.advance(self._live.pop(), "error")
            self.ended += 1

    def exporter(self, state: Path, nursery: Nursery | None = None) -> Exporter:
        """Start an exporter."""
        return Raised(nursery or self._nursery, [*self.arguments, f"--state.path={state}"], self._environ)

    def on(self, place: Disk) -> Exporter:
        """Start an exporter with its state on a disk."""
        return self.exporter(place.path / "state.db", place.nursery)

    def second(self, state: Path) -> tuple[int, str]:
        """Run one more exporter to its end; return its exit status and what it said."""
        ended = run(*self.arguments, f"--state.path={state}", environ=self._environ)
        return ended.returncode, ended.stderr

    @property
    def truth(self) -> tuple[float, float]:
        """Return how many moves began and ended."""
        return self.begun, self.ended


def counted(exporter: Exporter) -> tuple[float, float]:
    """Return how many moves a page says began and ended."""
    samples = exporter.samples()
    began = sum(each.value for each in samples if each.name == "openstack_migrations_started_total")
    return began, sum(each.value for each in samples if each.name == "openstack_migrations_ended_total")


def live(exporter: Exporter) -> float:
    return exporter.total("openstack_migrations")


def durable(exporter: Exporter) -> bool:
    return exporter.total("openstack_migration_exporter_state_durable") == 1


def errors(exporter: Exporter) -> float:
    return exporter.total("openstack_migration_exporter_state_errors_total")


def let_poll(exporter: Exporter, times: int = SOME) -> None:
    """Wait until an exporter has polled so many times, each time with success."""
    polls = exporter.total("openstack_migration_polls_total")
    eventually(lambda: exporter.total("openstack_migration_polls_total") >= polls + times, SOON)
    assert exporter.total("openstack_migration_up") == 1
    assert exporter.total("openstack_migration_poll_errors_total") == 0


def first_look(exporter: Exporter) -> None:
    """Wait until an exporter has taken its first look, and kept it."""
    eventually(lambda: exporter.total("openstack_migration_up") == 1 and durable(exporter), SOON)


def kill(exporter: Exporter) -> None:
    exporter.process.kill()
    exporter.process.wait()


@pytest.fixture
def stage(cloud: SimulatedCloud, nursery: Nursery, tmp_path: Path) -> Stage:
    return Stage(cloud, nursery, tmp_path)


@pytest.fixture
def place(request: pytest.FixtureRequest, nurseries: Callable[..., Nursery]) -> Iterator[Disk]:
    with disk(request.param, nurseries) as place:
        yield place


# --- a disk that refuses ---


@pytest.mark.parametrize("place", [Limited, Full, SomebodyElses], indirect=True)
def test_while_the_disk_refuses_gauges_go_on_and_counters_stand_still(stage: Stage, place: Disk) -> None:
    with stage.on(place) as exporter:
        first_look(exporter)
        stage.begin(2)
        eventually(lambda: counted(exporter) == (2, 0) and durable(exporter), SOON)
        place.refuse()
        stage.begin(3)
        stage.end(1)
        eventually(lambda: live(exporter) == 4, SOON)
        let_poll(exporter)
        assert counted(exporter) == (2, 0)
        assert not durable(exporter) and errors(exporter) > 0
        assert "the state cannot be written" in exporter.log
        place.mend()
        eventually(lambda: durable(exporter), SOON)
        assert counted(exporter) == stage.truth
        let_poll(exporter)
        assert counted(exporter) == stage.truth and durable(exporter)


@pytest.mark.parametrize("place", [Limited, Full, SomebodyElses, ReadOnlyMount], indirect=True)
def test_a_kill_while_the_disk_refuses_makes_nothing_fall_and_all_is_caught_up_with(stage: Stage, place: Disk) -> None:
    with stage.on(place) as exporter:
        first_look(exporter)
        stage.begin(3)
        stage.end(1)
        eventually(lambda: counted(exporter) == stage.truth and durable(exporter), SOON)
        kept = counted(exporter)
        if isinstance(place, ReadOnlyMount):
            kill(exporter)
            place.refuse()
        else:
            place.refuse()
            stage.begin(2)
            eventually(lambda: live(exporter) == 4, SOON)
            kill(exporter)
    stage.begin(1)
    stage.end(2)
    with stage.on(place) as exporter:
        assert counted(exporter) == kept, "before the first poll, and after it"
        eventually(lambda: live(exporter) == stage.begun - stage.ended, SOON)
        let_poll(exporter)
        assert counted(exporter) == kept
        assert not durable(exporter) and errors(exporter) > 0
        place.mend()
        eventually(lambda: durable(exporter), SOON)
        assert counted(exporter) == stage.truth
        kill(exporter)
    with stage.on(place) as exporter:
        assert counted(exporter) == stage.truth


@pytest.mark.parametrize("place", [Limited, Full, SomebodyElses, ReadOnlyMount], indirect=True)
def test_a_disk_that_never_had_a_state_gets_it_as_soon_as_it_can(stage: Stage, place: Disk) -> None:
    stage.begin(2)
    place.refuse()
    with stage.on(place) as exporter:
        eventually(lambda: live(exporter) == 2, SOON)
        stage.begin(1)
        stage.end(2)
        eventually(lambda: live(exporter) == 1, SOON)
        let_poll(exporter)
        assert counted(exporter) == (0, 0)
        assert not durable(exporter) and errors(exporter) > 0
        place.mend()
        eventually(lambda: durable(exporter), SOON)
        assert counted(exporter) == (1, 2), "two were there at the first look"
        kill(exporter)
    with stage.on(place) as exporter:
        assert counted(exporter) == (1, 2)


# --- a file that is lost or spoilt while it is in use ---


def remove(state: Path) -> None:
    state.unlink()


def remove_all(state: Path) -> None:
    for each in state.parent.iterdir():
        each.unlink()


def truncate(state: Path) -> None:
    os.truncate(state, 0)


def cut(state: Path) -> None:
    os.truncate(state, state.stat().st_size // 2 + 100)


def overwrite(state: Path) -> None:
    with state.open("r+b") as file:
        file.write(b"\xa5" * state.stat().st_size)


def replace_by_garbage(state: Path) -> None:
    other = state.with_name("other")
    other.write_bytes(b"\xa5" * 100_000)
    other.replace(state)


def replace_by_text(state: Path) -> None:
    other = state.with_name("other")
    other.write_text("not a database at all, but long enough to be looked at " * 50)
    other.replace(state)


def replace_by_foreign(state: Path) -> None:
    other = state.with_name("other")
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE bookmarks (url TEXT)")
    connection.execute("INSERT INTO bookmarks VALUES ('https://example.org/')")
    connection.commit()
    connection.close()
    other.replace(state)


@pytest.mark.parametrize(
    "harm",
    [remove, remove_all, truncate, cut, overwrite, replace_by_garbage, replace_by_foreign],
    ids=lambda harm: harm.__name__,
)
def test_a_file_that_is_lost_or_spoilt_while_in_use_is_written_anew_as_a_whole(
    stage: Stage, tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    (tmp_path / "state").mkdir()
    state = tmp_path / "state" / "state.db"
    with stage.exporter(state) as exporter:
        first_look(exporter)
        stage.begin(5)
        stage.end(2)
        eventually(lambda: counted(exporter) == stage.truth, SOON)
        harm(state)
        assert counted(exporter) == stage.truth
        stage.begin(1)
        stage.end(2)
        eventually(lambda: counted(exporter) == stage.truth and durable(exporter), SOON)
        let_poll(exporter)
        assert counted(exporter) == stage.truth and durable(exporter)
        kill(exporter)
    stage.end(1)
    with stage.exporter(state) as exporter:
        eventually(lambda: counted(exporter) == stage.truth and durable(exporter), SOON)
        assert live(exporter) == stage.begun - stage.ended
        assert errors(exporter) == 0


# --- a file that is not ours, or of no use ---


def make_newer(state: Path) -> None:
    connection = sqlite3.connect(state)
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()


@pytest.mark.parametrize(
    ("spoil", "name"),
    [(overwrite, "corrupt"), (replace_by_text, "corrupt"), (replace_by_foreign, "foreign"), (make_newer, "newer")],
    ids=["corrupt", "text", "foreign", "newer"],
)
def test_a_file_of_no_use_is_set_aside_and_a_new_baseline_is_set_loudly(
    stage: Stage, tmp_path: Path, spoil: Callable[[Path], None], name: str
) -> None:
    state = tmp_path / "state.db"
    with stage.exporter(state) as exporter:
        first_look(exporter)
        stage.begin(3)
        stage.end(1)
        eventually(lambda: counted(exporter) == stage.truth, SOON)
        assert exporter.stop() == 0
    spoil(state)
    content = state.read_bytes()
    with stage.exporter(state) as exporter:
        eventually(lambda: live(exporter) == 2, SOON)
        assert counted(exporter) == (0, 0)
        stage.begin(1)
        stage.end(2)
        eventually(lambda: counted(exporter) == (1, 2) and durable(exporter), SOON)
        assert errors(exporter) == 1
        (aside,) = tmp_path.glob(f"state.db.{name}-*")
        assert aside.read_bytes() == content
        (line,) = [line for line in exporter.log.splitlines() if "all counters begin at zero" in line]
        assert json.loads(line)["level"] == "error" and str(aside) in line


def test_a_second_exporter_is_told_which_process_has_the_file(stage: Stage, tmp_path: Path) -> None:
    state = tmp_path / "state.db"
    with stage.exporter(state) as exporter:
        first_look(exporter)
        status, said = stage.second(state)
        assert status == 1
        assert re.search(rf"state file \S+state\.db belongs to process {exporter.process.pid}: stop that", said)
        assert "Traceback" not in said
        stage.begin(1)
        eventually(lambda: counted(exporter) == stage.truth and durable(exporter), SOON)
        assert errors(exporter) == 0
