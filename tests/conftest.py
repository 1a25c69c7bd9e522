"""One real cloud for the whole session, whoever asks for it; options of the command line."""

from __future__ import annotations

import pytest

from tests.realcloud.fixtures import cloud_session, real_cloud

__all__ = ["cloud_session", "real_cloud"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what the command line may ask for beyond what runs always."""
    parser.addoption(
        "--kills", type=int, default=100, help="how often tests/durability kills the exporter; default: %(default)s"
    )
