"""The documents: their links lead somewhere, and what they show of the configuration is valid."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from exporter.config import load

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
LINK = re.compile(r"\[[^\]]*\]\((?!https?://|#)([^)#]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_internal_link_resolves(document: Path) -> None:
    missing = [link for link in LINK.findall(document.read_text()) if not (document.parent / link).exists()]
    assert missing == []


def test_the_configuration_that_is_shown_is_valid_and_complete(tmp_path: Path) -> None:
    (shown,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/configuration.md").read_text(), re.DOTALL)
    path = tmp_path / "exporter.yaml"
    path.write_text(shown)
    first, second = load(str(path), {}).clouds
    assert (first.name, first.poll.interval, second.poll.interval) == ("prod-one", 60.0, 30.0)
