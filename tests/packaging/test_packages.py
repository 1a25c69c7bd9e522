"""The wheel and the source archive: what is in them and what is not, and that one can be made of the other."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path, PurePosixPath

from packaging.requirements import Requirement

from exporter import __version__
from tests.packaging.released import PATIENCE, ROOT, Packages, bare

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DIST_INFO = f"openstack_migration_exporter-{__version__}.dist-info"

#: What programs leave behind in a directory.
LEFT = {"__pycache__", "node_modules"}


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def source_files(*directories: str) -> set[str]:
    """Return every file of the source tree below some directories."""
    found = [path for directory in directories for path in (ROOT / directory).rglob("*") if path.is_file()]
    return {str(path.relative_to(ROOT)) for path in found if LEFT.isdisjoint(path.parts)}


def members(sdist: Path) -> set[str]:
    """Return the files of a source archive, without the directory that holds them all."""
    with tarfile.open(sdist) as archive:
        return {str(PurePosixPath(*PurePosixPath(each.name).parts[1:])) for each in archive if each.isfile()}


def metadata(built: Packages) -> Message:
    return message_from_bytes(contents(built.wheel)[f"{DIST_INFO}/METADATA"])


def test_the_wheel_holds_the_package_and_nothing_else(built: Packages) -> None:
    names = set(contents(built.wheel))
    assert {name for name in names if not name.startswith(f"{DIST_INFO}/")} == source_files("exporter")
    assert {name.removeprefix(f"{DIST_INFO}/") for name in names if name.startswith(f"{DIST_INFO}/")} == {
        "METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE",
    }  # fmt: skip


def test_the_wheel_fits_every_python_that_is_named(built: Packages) -> None:
    assert built.wheel.name == f"openstack_migration_exporter-{__version__}-py3-none-any.whl"
    assert metadata(built)["Requires-Python"] == ">=3.11"


def test_the_wheel_has_the_license_and_the_program(built: Packages) -> None:
    inside = contents(built.wheel)
    assert inside[f"{DIST_INFO}/licenses/LICENSE"] == (ROOT / "LICENSE").read_bytes()
    assert inside[f"{DIST_INFO}/entry_points.txt"].decode().split("\n")[:2] == [
        "[console_scripts]",
        "openstack-migration-exporter = exporter.cli:main",
    ]


def test_the_wheel_says_who_it_is_and_what_it_needs(built: Packages) -> None:
    said = metadata(built)
    assert (said["Name"], said["Version"], said["License-Expression"]) == (PROJECT["name"], __version__, "Apache-2.0")
    needed = [Requirement(text) for text in said.get_all("Requires-Dist", [])]
    assert {each for each in needed if each.marker is None} == set(map(Requirement, PROJECT["dependencies"]))
    assert said.get_payload() == (ROOT / "README.md").read_text()


def test_who_says_typed_has_types(built: Packages) -> None:
    typed = "Typing :: Typed" in metadata(built).get_all("Classifier", [])
    assert ("exporter/py.typed" in contents(built.wheel)) == typed


def test_the_source_archive_has_all_that_an_operator_deploys_and_reads(built: Packages) -> None:
    assert source_files("exporter", "deploy", "docs", "dashboards") <= members(built.sdist)


def test_the_source_archive_has_nothing_that_only_developers_need(built: Packages) -> None:
    tops = {PurePosixPath(name).parts[0] for name in members(built.sdist)}
    files = {"README.md", "CHANGELOG.md", "SECURITY.md", "LICENSE", "pyproject.toml", "PKG-INFO", ".gitignore"}
    assert tops == {"exporter", "deploy", "docs", "dashboards"} | files


def test_the_wheel_made_of_the_source_archive_is_the_same(built: Packages, tmp_path: Path) -> None:
    with tarfile.open(built.sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.iterdir()
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path / "dist")]
    done = subprocess.run(
        command, cwd=unpacked, env=bare(), capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (again,) = (tmp_path / "dist").iterdir()
    assert again.name == built.wheel.name
    assert contents(again) == contents(built.wheel)
