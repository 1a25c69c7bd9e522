"""The list of what the exporter runs with: whole, with versions and licenses, and valid CycloneDX."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from exporter import __version__
from tests.packaging.released import ROOT, Installed

pytestmark = pytest.mark.long

_WHAT_IS_THERE = """
import importlib.metadata, json
print(json.dumps({each.metadata["Name"]: each.version for each in importlib.metadata.distributions()}))
"""


@pytest.fixture(scope="module")
def sbom(place: Installed) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(place.sbom.read_text())
    return content


def named(sbom: dict[str, Any]) -> dict[str, str]:
    return {canonicalize_name(each["name"]): each["version"] for each in sbom["components"]}


def test_it_is_valid(place: Installed) -> None:
    text = place.sbom.read_text()
    schema = SchemaVersion.from_version(json.loads(text)["specVersion"])
    assert JsonStrictValidator(schema).validate_str(text) is None
    assert JsonStrictValidator(schema).validate_str(text.replace('"bomFormat"', '"format"')) is not None


def test_it_is_about_this_version_of_the_exporter(sbom: dict[str, Any]) -> None:
    about = sbom["metadata"]["component"]
    assert (about["name"], about["version"]) == ("openstack-migration-exporter", __version__)
    assert about["licenses"][0]["license"]["id"] == "Apache-2.0"


def test_it_names_all_that_is_installed_with_its_version(
    place: Installed, sbom: dict[str, Any], tmp_path: Path
) -> None:
    there = json.loads(place.run(place.python, "-c", _WHAT_IS_THERE, at=tmp_path))
    installed = {canonicalize_name(name): version for name, version in there.items()}
    assert installed.pop("openstack-migration-exporter") == __version__
    assert named(sbom) == installed


def test_it_names_nothing_that_only_developers_need(sbom: dict[str, Any]) -> None:
    assert {"pip", "pytest", "ruff", "mypy", "hypothesis", "cyclonedx-bom"}.isdisjoint(named(sbom))


def test_the_versions_are_those_of_the_lock(sbom: dict[str, Any]) -> None:
    lines = (ROOT / "requirements/dev.lock").read_text().splitlines()
    lock = {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines)}
    assert {name: lock[name] for name in named(sbom) if name in lock}.items() <= named(sbom).items()
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert {canonicalize_name(Requirement(text).name) for text in declared} <= named(sbom).keys() & lock.keys()


def test_every_part_has_a_license(sbom: dict[str, Any]) -> None:
    said = {
        each["name"]: [one.get("expression") or one["license"] for one in each.get("licenses", [])]
        for each in sbom["components"]
    }
    assert [name for name, licenses in said.items() if not licenses] == []


def test_it_says_what_the_exporter_itself_asks_for(sbom: dict[str, Any]) -> None:
    root = sbom["metadata"]["component"]["bom-ref"]
    (asked,) = [set(each["dependsOn"]) for each in sbom["dependencies"] if each["ref"] == root]
    names = {each["bom-ref"]: canonicalize_name(each["name"]) for each in sbom["components"]}
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert {names[ref] for ref in asked} == {canonicalize_name(Requirement(text).name) for text in declared}


def test_nothing_of_the_machine_that_made_it_is_in_it(place: Installed) -> None:
    text = place.sbom.read_text()
    assert "file:" not in text
    assert str(place.home) not in text
