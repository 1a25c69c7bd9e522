"""The packages are built once for all tests, and so is the environment in which the wheel is installed."""

from __future__ import annotations

import pytest

from tests.packaging.released import Installed, Packages, installed, packages


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Packages:
    """Return the wheel and the source archive."""
    return packages(tmp_path_factory.mktemp("packages") / "dist")


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Return the clean environment; it takes about a minute."""
    return installed(tmp_path_factory.mktemp("release"))
