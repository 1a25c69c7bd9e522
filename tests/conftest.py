"""One real cloud for the whole session, whoever asks for it; options of the command line."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from exporter import logs
from tests.realcloud.fixtures import cloud_session, real_cloud

__all__ = ["cloud_session", "real_cloud"]


@pytest.fixture
def logging_as_before() -> Iterator[None]:
    """Put back what a test changed of the logging of this process."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in logs.LIBRARIES}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what the command line may ask for beyond what runs always."""
    parser.addoption(
        "--kills", type=int, default=100, help="how often tests/durability kills the exporter; default: %(default)s"
    )
