"""Pytest fixtures of the real cloud: one Nova a session, cleaned before each test.

They reach every test through `tests/conftest.py`.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.realcloud.cloud import RealCloud


@pytest.fixture(scope="session")
def cloud_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealCloud]:
    """Start the real cloud once."""
    cloud = RealCloud.start(tmp_path_factory.mktemp("realcloud"))
    try:
        yield cloud
    finally:
        cloud.stop()


@pytest.fixture
def real_cloud(cloud_session: RealCloud) -> RealCloud:
    """Return the real cloud, clean."""
    cloud_session.reset()
    return cloud_session
