"""The wheel as it is installed where there is nothing else: no source tree, no tests, none of the developers' libraries."""

from __future__ import annotations

import ast
import json
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from exporter import __version__
from tests.packaging.released import ROOT, Installed, demo, page
from tests.running import eventually, total

pytestmark = pytest.mark.long

PROGRAM = "bin/openstack-migration-exporter"

#: A library of which another that is declared says exactly which version it takes: it cannot be there without it.
PART_OF = {"pydantic-core": "pydantic"}

_EVERY_MODULE = """
import importlib, json, pkgutil, exporter
names = [each.name for each in pkgutil.walk_packages(exporter.__path__, "exporter.") if not each.name.endswith("__main__")]
for name in names:
    importlib.import_module(name)
print(json.dumps([exporter.__file__, names]))
"""

_WHOSE = "import importlib.metadata, json; print(json.dumps(importlib.metadata.packages_distributions()))"


def test_it_says_its_version(place: Installed, tmp_path: Path) -> None:
    expected = f"openstack-migration-exporter {__version__}\n"
    assert place.run(place.home / PROGRAM, "--version", at=tmp_path) == expected
    assert place.run(place.python, "-m", "exporter", "--version", at=tmp_path) == expected


def test_it_says_how_it_is_used(place: Installed, tmp_path: Path) -> None:
    shown = place.run(place.home / PROGRAM, "--help", at=tmp_path)
    assert "usage: openstack-migration-exporter" in shown
    assert {"serve", "once", "check", "list", "demo"} <= set(shown.split())


def test_every_module_can_be_imported_and_comes_from_there(place: Installed, tmp_path: Path) -> None:
    origin, names = json.loads(place.run(place.python, "-c", _EVERY_MODULE, at=tmp_path))
    assert Path(origin).is_relative_to(place.home)
    assert {"exporter.cli", "exporter.source.nova", "exporter.web.server", "exporter.demo.cloud"} <= set(names)


def imported() -> Iterator[str]:
    """Yield the name of every package that the exporter's source imports."""
    for path in (ROOT / "exporter").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            yield from (name.partition(".")[0] for name in names)


def test_every_library_that_is_imported_is_declared(place: Installed, tmp_path: Path) -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {canonicalize_name(Requirement(text).name) for text in declared}
    whose = json.loads(place.run(place.python, "-c", _WHOSE, at=tmp_path))
    foreign = set(imported()) - set(sys.stdlib_module_names) - {"exporter"}
    needed = {canonicalize_name(distribution) for name in foreign for distribution in whose[name]}
    assert {PART_OF.get(name, name) for name in needed} - names == set()
    assert len(needed) > 8


def test_what_is_installed_fits_together(place: Installed, tmp_path: Path) -> None:
    shown = place.run(sys.executable, "-m", "pip", "--python", place.home, "check", at=tmp_path)
    assert shown == "No broken requirements found.\n"


def test_its_demo_can_be_scraped(place: Installed, tmp_path: Path) -> None:
    def complete() -> list[Sample] | None:
        samples = [each for family in text_string_to_metric_families(page(url)) for each in family.samples]
        up = any(each.name == "openstack_migration_up" and each.value == 1 for each in samples)
        return samples if up else None

    with demo(place, tmp_path) as url:
        samples = eventually(complete, 120.0)
    assert total(samples, "openstack_migration_exporter_build_info", version=__version__) == 1
    assert total(samples, "openstack_migration_polls_total", cloud="demo") >= 1
