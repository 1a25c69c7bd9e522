from __future__ import annotations

from collections.abc import Iterator

import pytest
import responses

from tests.source.cloud import Cloud


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield Cloud(mock)
