"""One stage for all faults that leave the exporter as it was."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hostile.stage import Stage


class Theatre:
    """Gives the same stage again, unless a test left it in disorder."""

    def __init__(self, factory: pytest.TempPathFactory) -> None:
        self._factory = factory
        self._stage: Stage | None = None

    def open(self) -> Stage:
        """Return a stage whose exporter has looked and is well."""
        if self._stage is None:
            self._stage = Stage(self._factory.mktemp("stage"))
            self._stage.open()
        return self._stage

    def close(self) -> None:
        """End the stage."""
        if self._stage is not None:
            self._stage.__exit__(None, None, None)
        self._stage = None


@pytest.fixture(scope="package")
def theatre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theatre]:
    theatre = Theatre(tmp_path_factory)
    yield theatre
    theatre.close()


@pytest.fixture
def stage(theatre: Theatre) -> Iterator[Stage]:
    """Give a stage whose page is true; one that is not true any more after the test is not used again."""
    stage = theatre.open()
    try:
        stage.settle()
        yield stage
        stage.settle()
    except BaseException:
        theatre.close()
        raise
