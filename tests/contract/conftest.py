"""The clouds under test, each seeded once with the same rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import pytest

from tests.contract.clouds import Client, CloudUnderTest, Login
from tests.contract.real import RealUnderTest
from tests.contract.rows import ROWS
from tests.contract.simulated import SimulatedUnderTest
from tests.realcloud.cloud import RealCloud


@pytest.fixture(scope="package")
def simulated() -> Iterator[CloudUnderTest]:
    """Give the simulated cloud, seeded."""
    with SimulatedUnderTest() as cloud:
        _seed(cloud)
        yield cloud


@pytest.fixture(scope="package")
def real(cloud_session: RealCloud) -> CloudUnderTest:
    """Give the real cloud, emptied and seeded."""
    cloud = RealUnderTest(cloud_session)
    _seed(cloud)
    return cloud


def _seed(cloud: CloudUnderTest) -> None:
    for row in ROWS.values():
        cloud.insert(**row)


BOTH = ["simulated", pytest.param("real", marks=pytest.mark.realcloud)]


@pytest.fixture(params=BOTH)
def cloud(request: pytest.FixtureRequest) -> CloudUnderTest:
    """Give each cloud in its turn."""
    under_test: CloudUnderTest = request.getfixturevalue(request.param)
    return under_test


@pytest.fixture(scope="module", params=BOTH)
def every_cloud(request: pytest.FixtureRequest) -> CloudUnderTest:
    """Give each cloud in its turn, all tests of a module with the one and then with the other."""
    under_test: CloudUnderTest = request.getfixturevalue(request.param)
    return under_test


@pytest.fixture
def admin(cloud: CloudUnderTest) -> Client:
    """Give a session of the administrator."""
    return client_of(cloud, cloud.admin)


@pytest.fixture
def reader(cloud: CloudUnderTest) -> Client:
    """Give a session of a user with the role reader on another project."""
    return client_of(cloud, cloud.reader)


@pytest.fixture
def boot(cloud: CloudUnderTest) -> Iterator[Callable[[str], str]]:
    """Create servers, as many as Nova's quota allows at a time; they are deleted after the test."""
    booted: list[str] = []

    def create(name: str) -> str:
        booted.append(cloud.boot(name))
        return booted[-1]

    yield create
    for server in booted:
        cloud.delete(server)


@cache
def client_of(cloud: CloudUnderTest, login: Login) -> Client:
    """Give the session of a user, one for all tests."""
    return Client(cloud, login)
