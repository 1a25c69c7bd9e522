"""The generated pages are those that the catalogue and the table make now."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from exporter.metrics.docs import PAGES, main
from exporter.metrics.exposition import FAMILIES

DOCS = Path(__file__).parent.parent / "docs"

#: An expression in a table of questions; a table escapes the upright bar.
EXPRESSIONS = [
    expression.replace("\\|", "|")
    for row in re.findall(r"^\| [^|]*\? \| (.*) \|$", PAGES["metrics.md"](), re.MULTILINE)
    for expression in re.findall(r"`([^`]*)`", row)
]


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_current(name: str) -> None:
    assert (DOCS / name).read_text() == PAGES[name](), "run `make generate` and commit what it changes"


def test_the_pages_are_written_where_they_belong(tmp_path: Path) -> None:
    main(tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        name: page() for name, page in PAGES.items()
    }


def test_every_metric_that_a_page_names_is_served() -> None:
    named = {name for page in PAGES.values() for name in re.findall(r"openstack_migrations?[a-z_]*", page())}
    parts = {family.name + suffix for family in FAMILIES for suffix in ("", "_bucket", "_count", "_sum")}
    assert {family.name for family in FAMILIES} <= named <= parts


@pytest.mark.system
def test_the_expressions_shown_are_promql(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is missing: install the Debian package prometheus")
    rules = "".join(f"  - record: shown{i}\n    expr: '{expression}'\n" for i, expression in enumerate(EXPRESSIONS))
    (tmp_path / "rules.yml").write_text(f"groups:\n- name: shown\n  rules:\n{rules}")
    found = subprocess.run(
        [promtool, "check", "rules", str(tmp_path / "rules.yml")],
        capture_output=True,
        check=False,
        timeout=60,
        text=True,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert len(EXPRESSIONS) >= 6
