"""The clouds under test, each seeded once with the same rows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.clouds import Client, CloudUnderTest
from tests.contract.rows import ROWS
from tests.contract.simulated import SimulatedUnderTest


@pytest.fixture(scope="session")
def simulated() -> Iterator[CloudUnderTest]:
    """Give the simulated cloud, seeded."""
    with SimulatedUnderTest() as cloud:
        _seed(cloud)
        yield cloud


def _seed(cloud: CloudUnderTest) -> None:
    for row in ROWS.values():
        cloud.insert(**row)


@pytest.fixture(params=["simulated"])
def cloud(request: pytest.FixtureRequest) -> CloudUnderTest:
    """Give each cloud in its turn."""
    under_test: CloudUnderTest = request.getfixturevalue(request.param)
    return under_test


@pytest.fixture
def admin(cloud: CloudUnderTest) -> Client:
    """Give a session of the administrator."""
    return Client(cloud, cloud.admin)


@pytest.fixture
def reader(cloud: CloudUnderTest) -> Client:
    """Give a session of a user with the role reader on another project."""
    return Client(cloud, cloud.reader)
