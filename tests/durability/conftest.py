"""A simulated cloud for each test, and one nursery of exporters for all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing

import pytest

from exporter.demo.cloud import SimulatedCloud
from tests.durability.nursery import Nursery


@pytest.fixture(scope="session")
def nurseries() -> Iterator[Callable[..., Nursery]]:
    """Give the nursery that is run through a command, or through none; each is made once."""
    made: dict[tuple[str, ...], Nursery] = {}
    with ExitStack() as stack:

        def nursery(through: Sequence[str] = ()) -> Nursery:
            if tuple(through) not in made:
                made[tuple(through)] = stack.enter_context(closing(Nursery(through)))
            return made[tuple(through)]

        yield nursery


@pytest.fixture
def nursery(nurseries: Callable[..., Nursery]) -> Nursery:
    return nurseries()


@pytest.fixture
def cloud() -> Iterator[SimulatedCloud]:
    with SimulatedCloud() as cloud:
        yield cloud
