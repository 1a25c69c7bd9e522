"""The generated pages are those that the catalogue and the table make now."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.metrics.docs import PAGES

DOCS = Path(__file__).parent.parent / "docs"


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_current(name: str) -> None:
    assert (DOCS / name).read_text() == PAGES[name](), "run `make generate` and commit what it changes"
