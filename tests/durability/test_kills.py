"""The exporter is killed at any instant, over and over, while servers move; at the end every count is the truth."""

from __future__ import annotations

import random
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import pytest
import requests
import yaml

from exporter.demo.cloud import SimulatedCloud
from tests.durability.counted import MOVED, STAYED, SURVIVING, UNOBSERVED, Series, falls, only, series
from tests.durability.eye import Eye
from tests.durability.nursery import Nursery
from tests.durability.stream import EXACT, Stream
from tests.durability.victim import Victim
from tests.running import eventually, write_clouds
from tests.test_prometheus import prometheus

#: Kills without a real Prometheus, which every `make test` can afford.
FEW = 15

#: Moves that stay for ever, and the seconds after which they count as stuck; no other move comes near that.
LOST, STUCK_AFTER = 3, 10

POLL = {"interval": "100ms", "sweep_interval": "500ms", "timeout": "10s", "deadline": "20s"}
POLL |= {"overlap": "5s", "deep_overlap": "60s"}


@dataclass
class Slaughter:
    """An exporter that is killed at random instants, the moves that it watches, and whoever reads its page."""

    victim: Victim
    stream: Stream
    eye: Eye
    chance: random.Random

    def kill(self, times: int) -> None:
        """Kill and start the exporter again so many times: at its start, while it polls, or when it shows something new."""
        for _ in range(times):
            self.chance.choice((self._kill_at_its_start, self._kill_while_it_polls, self._kill_with_news))()
            self.victim.start()

    def _kill_at_its_start(self) -> None:
        time.sleep(self.chance.uniform(0.0, 1.0))
        self.victim.kill()

    def _kill_while_it_polls(self) -> None:
        eventually(lambda: self.eye.page() is not None, 60.0)
        time.sleep(self.chance.uniform(0.0, 0.5))
        self.victim.kill()

    def _kill_with_news(self) -> None:
        """Kill it when somebody has just read a count that must not be shown yet, if it is ever shown too early."""
        eventually(lambda: self.eye.page() is not None, 60.0)
        self.eye.strike(self.victim.kill, patience=5.0)

    def settle(self) -> None:
        """Let all moves come to their end, and wait until the page says what is true.

        The actions of servers, in which nothing stands here, are asked for some times before a status counts as unobserved.
        """
        self.stream.ebb()
        assert_soon(lambda: only(self.eye.page() or {}, *EXACT), only(self.stream.written(), *EXACT))
        eventually(lambda: self.stream.surely_left <= left_in(self.eye.page() or {}), 120.0)


def assert_soon(ask: Callable[[], object], expected: object, seconds: float = 60.0) -> None:
    """Wait until an answer is what is expected; where it never is, show the difference."""
    until = time.monotonic() + seconds
    while (answer := ask()) != expected and time.monotonic() < until:
        time.sleep(0.1)
    assert answer == expected


@pytest.fixture
def kills(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--kills"))


@pytest.fixture
def seed() -> int:
    """Return a new seed each time; pytest prints it where the test fails."""
    seed = random.randrange(2**32)
    print(f"seed: {seed}")
    return seed


@contextmanager
def slaughter(cloud: SimulatedCloud, nursery: Nursery, path: Path, seed: int) -> Iterator[Slaughter]:
    """Let an exporter take its first look at an empty cloud, so that all that comes is new, and moves begin.

    The servers of this cloud know nothing of their moves, so a diagnosis would find every record orphaned.
    """
    configuration = {
        "poll": POLL,
        "thresholds": {"evacuation": {"pre-migrating": f"{STUCK_AFTER}s"}},
        "features": {"diagnosis": False},
    }
    (path / "exporter.yaml").write_text(yaml.safe_dump(configuration))
    environ = write_clouds(path / "clouds.yaml", cloud.auth_url, **asdict(cloud.credentials))
    files = (f"--config.file={path}/exporter.yaml", f"--state.path={path}/state.db")
    with Victim(nursery, environ, *files) as victim:
        shown: set[str] = set()
        stream = Stream(cloud.nova, seed, lambda uuid: uuid in shown)
        with closing(stream), Eye(victim.url, stream.written) as eye:
            shown = eye.shown
            victim.start()
            eventually(lambda: up(victim.url), 60.0)
            yield Slaughter(victim, stream, eye, random.Random(seed))


def up(url: str) -> bool:
    """Tell whether a page says that the last poll was complete, and kept."""
    try:
        page = requests.get(f"{url}/metrics", timeout=30).text
    except requests.RequestException:
        return False
    return (
        'openstack_migration_up{cloud="mycloud"} 1' in page and "openstack_migration_exporter_state_durable 1" in page
    )


def play(scene: Slaughter, kills: int) -> None:
    """Kill the exporter while moves begin and end, then also while ends are corrected, and let all come to rest."""
    scene.stream.start()
    scene.stream.get_stuck(LOST)
    scene.kill(kills // 2)
    scene.settle()  # what is corrected must have been counted before: else the later end is the first one seen
    scene.stream.flow()
    scene.stream.correct(within=kills / 4)
    scene.kill(kills - kills // 2)
    scene.settle()


def left_in(counts: Mapping[Series, float]) -> Counter[tuple[str, str]]:
    """Return how often each status was left, observed or not."""
    left = Counter[tuple[str, str]]()
    for (_, kind, status), number in only(counts, STAYED, UNOBSERVED).items():
        left[kind, status] += number
    return left


def check(scene: Slaughter, counts: Mapping[Series, float]) -> None:
    """Compare counts with the truth."""
    stream, truth = scene.stream, scene.stream.written()
    assert only(counts, *EXACT) == only(truth, *EXACT)
    moved, true_moves = only(counts, MOVED), only(truth, MOVED)
    cold = {(MOVED, kind, "success") for kind in ("resize", "migration")}  # those may be over before they are seen
    assert {each: moved[each] for each in moved if each not in cold} == true_moves
    left = left_in(counts)
    assert stream.surely_left <= left <= stream.surely_left + stream.perhaps_left


def test_kills_at_any_instant_lose_nothing_and_count_nothing_twice(
    cloud: SimulatedCloud, nursery: Nursery, tmp_path: Path, seed: int
) -> None:
    with slaughter(cloud, nursery, tmp_path, seed) as scene:
        play(scene, FEW)
        check(scene, scene.eye.page() or {})
    assert scene.eye.looks > FEW
    assert scene.eye.faults == []


@pytest.mark.long
@pytest.mark.system
@pytest.mark.skipif(shutil.which("prometheus") is None, reason="needs prometheus: Debian's package `prometheus`")
def test_what_prometheus_has_seen_of_an_exporter_that_is_killed_is_the_truth(
    cloud: SimulatedCloud, nursery: Nursery, tmp_path: Path, seed: int, kills: int
) -> None:
    with slaughter(cloud, nursery, tmp_path, seed) as scene:
        with prometheus(scene.victim.url.removeprefix("http://"), tmp_path, interval="500ms") as url:
            eventually(lambda: len(raw(url)) > 50, 60.0)
            play(scene, kills)
            page = scene.eye.page() or {}
            assert_soon(lambda: only(last(raw(url)), *EXACT), only(page, *EXACT))
            eventually(lambda: left_in(page) <= left_in(last(raw(url))), 60.0)  # Prometheus looks a moment later
            seen = raw(url)
        check(scene, {each: values[-1] - values[0] for each, values in seen.items()})
    assert list(fallen(seen)) == []
    assert scene.eye.faults == []


def raw(url: str) -> dict[Series, list[float]]:
    """Return every raw sample that Prometheus has of each series that must survive."""
    names = SURVIVING.pattern.replace("|sum|bucket", "")
    try:
        answer = requests.post(f"{url}/api/v1/query", {"query": f'{{__name__=~"{names}"}}[1d]'}, timeout=30).json()
    except requests.RequestException:  # it is starting
        return {}
    return {
        series(each["metric"]["__name__"], each["metric"]): [float(value) for _, value in each["values"]]
        for each in answer["data"]["result"]
    }


def last(seen: Mapping[Series, list[float]]) -> dict[Series, float]:
    """Return the last of each series."""
    return {each: values[-1] for each, values in seen.items()}


def fallen(seen: Mapping[Series, list[float]]) -> Iterator[str]:
    """Yield where a raw sample is below the one before."""
    for each, values in seen.items():
        yield from (fall for one, next_one in pairwise(values) for fall in falls({each: one}, {each: next_one}))
