"""The two clouds side by side after the same moves: what they tell of them to whom.

What is taken out before the answers are compared: addresses, ids, times, the words of errors; hosts stay as the part
that they play.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest

from exporter.domain.server import MOVING_STATUSES
from tests.contract.clouds import Answer, Client, CloudUnderTest, Login
from tests.contract.conftest import client_of
from tests.contract.moves import Move, Moved
from tests.contract.outline import Outline, requests_of

pytestmark = pytest.mark.realcloud

Clouds = tuple[CloudUnderTest, CloudUnderTest]
Pair = tuple[Moved, Moved]
Query = tuple[tuple[str, str], ...]
WHO: dict[str, Callable[[CloudUnderTest], Login]] = {
    "admin": lambda cloud: cloud.admin,
    "reader of the project": lambda cloud: cloud.insider,
    "manager of the project": lambda cloud: cloud.manager,
    "reader of another project": lambda cloud: cloud.reader,
}


@pytest.fixture(scope="module")
def clouds(simulated: CloudUnderTest, real: CloudUnderTest) -> Clouds:
    return simulated, real


@contextmanager
def both_moved(clouds: Clouds, move: Move) -> Iterator[Pair]:
    simulated, real = clouds
    with simulated.moved(move) as one, real.moved(move) as other:
        yield one, other


def asked(
    clouds: Clouds, pair: Pair, ask: Callable[[Client, str, list[str]], Answer], who: str = "admin"
) -> list[object]:
    """Ask both clouds; `ask` gets a session, the server's id and its request ids, the newest first."""
    outlines = []
    for cloud, moved in zip(clouds, pair, strict=True):
        requests = requests_of(client_of(cloud, cloud.admin), moved.server)
        answer = ask(client_of(cloud, WHO[who](cloud)), moved.server, requests)
        outlines.append(Outline(moved, requests).of(answer))
    return outlines


def asked_at(clouds: Clouds, pair: Pair, path: str, microversion: str, who: str = "admin") -> list[object]:
    """Ask both clouds for a path below the server; N in REQUEST-N counts what was done with it from the newest."""

    def ask(client: Client, server: str, requests: list[str]) -> Answer:
        for place, request in enumerate(requests):
            path_of_server = path.replace(f"REQUEST-{place}", request)
            if path_of_server != path:
                return client.get(f"/servers/{server}{path_of_server}", microversion=microversion)
        return client.get(f"/servers/{server}{path}", microversion=microversion)

    return asked(clouds, pair, ask, who)


PATHS = [
    "/os-instance-actions",
    "/os-instance-actions/REQUEST-0",
    "/os-instance-actions/REQUEST-1",
    "/os-instance-actions/REQUEST-2",
    "/os-instance-actions/REQUEST-3",
    "/migrations",
]


@pytest.fixture(scope="module", params=list(Move), ids=lambda move: move.name)
def moved(clouds: Clouds, request: pytest.FixtureRequest) -> Iterator[Pair]:
    """Give the server that each cloud moved."""
    with both_moved(clouds, request.param) as pair:
        yield pair


@pytest.mark.parametrize("path", PATHS)
def test_what_is_told_of_each_move(clouds: Clouds, moved: Pair, path: str) -> None:
    simulated, real = asked_at(clouds, moved, path, "2.104")
    assert simulated == real


STATES = (
    "id", "status", "OS-EXT-STS:vm_state", "OS-EXT-STS:task_state", "OS-EXT-SRV-ATTR:host",
    "OS-EXT-SRV-ATTR:hypervisor_hostname", "hostId", "tenant_id", "OS-SRV-USG:launched_at",
)  # fmt: skip
STATUSES: list[Query] = [
    *((("status", status),) for status in (*MOVING_STATUSES, "ACTIVE", "ERROR", "DELETED", "verify_resize")),
    (("status", "RESIZE"), ("status", "VERIFY_RESIZE")),
    (("status", "MIGRATING"), ("status", "REBUILD")),
    (("status", "RESIZE"), ("status", "REVERT_RESIZE")),
    (("host", "SOURCE"),),
    (("host", "DEST"),),
    (("node", "DEST"), ("status", "RESIZE")),
    (("deleted", "True"), ("status", "RESIZE")),
    (("task_state", "migrating"),),
    (("vm_state", "resized"),),
]


def states(client: Client, moved: Moved, query: Query) -> Sequence[object]:
    """Give what a diagnosis looks at of the moved server, where a query among all servers finds it."""
    given = {"SOURCE": moved.source, "DEST": moved.dest or "none"}
    asking = ((name, given.get(value, value)) for name, value in query)
    answer = client.get("/servers/detail", ("all_tenants", "1"), *asking)
    assert answer.status == 200, answer.body
    outline = Outline(moved, requests_of(client, moved.server))
    return [
        outline.part({name: server[name] for name in STATES})
        for server in answer.body["servers"]
        if server["id"] == moved.server
    ]


def test_where_each_move_leaves_its_server(clouds: Clouds, moved: Pair) -> None:
    for query in STATUSES:
        simulated, real = (
            states(client_of(cloud, cloud.admin), one, query) for cloud, one in zip(clouds, moved, strict=True)
        )
        assert (query, simulated) == (query, real)


@pytest.fixture(scope="module", params=[Move.RUNNING, Move.PRE_FAILED, Move.DELETED], ids=lambda move: move.name)
def telling(clouds: Clouds, request: pytest.FixtureRequest) -> Iterator[Pair]:
    """Give the servers of the moves that have all there is to tell: progress, a failed step, a deletion."""
    with both_moved(clouds, request.param) as pair:
        yield pair


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize(
    "microversion", ["2.1", "2.20", "2.22", "2.23", "2.50", "2.51", "2.58", "2.62", "2.80", "2.84"]
)
def test_what_is_told_to_whom(clouds: Clouds, telling: Pair, microversion: str, who: str) -> None:
    for path in ("/os-instance-actions", "/os-instance-actions/REQUEST-0", "/migrations"):
        simulated, real = asked_at(clouds, telling, path, microversion, who)
        assert simulated == real


@pytest.fixture(scope="module")
def confirmed(clouds: Clouds) -> Iterator[Pair]:
    with both_moved(clouds, Move.CONFIRMED) as pair:
        yield pair


QUERIES: list[Query] = [
    (("limit", "0"),),
    (("limit", "1"),),
    (("limit", "2"), ("marker", "REQUEST-0")),
    (("limit", "3"),),
    (("limit", "4"),),
    (("limit", "-1"),),
    (("limit", "1"), ("limit", "2")),
    (("marker", "REQUEST-0"),),
    (("marker", "REQUEST-2"),),
    (("marker", "req-unknown"),),
    (("marker", "req-unknown"), ("limit", "0")),
    (("marker", ""),),
    (("changes-since", "2020-01-01"),),
    (("changes-since", "2100-01-01"),),
    (("changes-since", "yesterday"),),
    (("changes-before", "2020-01-01"),),
    (("changes-before", "2100-01-01"), ("limit", "1")),
    (("changes-since", "2020-01-02"), ("changes-before", "2020-01-01")),
    (("bogus", "1"),),
    (("limit", "-1"), ("bogus", "1")),
]


@pytest.mark.parametrize("microversion", ["2.57", "2.58", "2.104"])
@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_queries_of_actions(clouds: Clouds, confirmed: Pair, query: Query, microversion: str) -> None:
    def ask(client: Client, server: str, requests: list[str]) -> Answer:
        given = {f"REQUEST-{place}": request for place, request in enumerate(requests)}
        asking = ((name, given.get(value, value)) for name, value in query)
        return client.get(f"/servers/{server}/os-instance-actions", *asking, microversion=microversion)

    simulated, real = asked(clouds, confirmed, ask)
    assert simulated == real


@pytest.mark.parametrize("who", ["admin", "reader of the project", "reader of another project"])
@pytest.mark.parametrize("microversion", ["2.101", "2.102"])
@pytest.mark.parametrize(
    "path",
    [
        "/servers/SERVER/migrations?bogus=1",
        "/servers/SERVER/os-instance-actions/REQUEST?bogus=1",
        "/servers/SERVER/os-instance-actions/req-unknown",
        "/servers/SERVER/os-instance-actions?bogus=1",
        "/servers/unknown/migrations",
        "/servers/unknown/migrations?bogus=1",
        "/servers/unknown/os-instance-actions",
        "/servers/unknown/os-instance-actions?limit=-1",
        "/servers/unknown/os-instance-actions/req-unknown",
        "/servers/SERVER/os-instance-actions/",
    ],
)
def test_refusals(clouds: Clouds, confirmed: Pair, path: str, who: str, microversion: str) -> None:
    def ask(client: Client, server: str, requests: list[str]) -> Answer:
        return client.get(path.replace("SERVER", server).replace("REQUEST", requests[0]), microversion=microversion)

    simulated, real = asked(clouds, confirmed, ask, who)
    assert simulated == real
