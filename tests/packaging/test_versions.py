"""The version stands in one place; all that repeats it agrees, and the changelog keeps its form."""

from __future__ import annotations

import re
import tomllib
from datetime import UTC, date, datetime

import pytest
import yaml

from exporter import __version__
from tests.packaging.changelog import faults, releases
from tests.packaging.released import ROOT
from tests.running import run

CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
TODAY = date(2026, 5, 1)

GOOD = """\
# Changelog

Words.

## [Unreleased]

### Added

- One.

## [1.10.0] - 2026-04-30

### Changed

- Two.

### Fixed

- Three,
  in two lines.

## [1.9.0] - 2026-04-30

### Added

- Four.
"""

#: What is changed in a good changelog, and what is then said of it.
BAD = [
    ("# Changelog", "# Changes", "it does not begin with its title"),
    ("## [Unreleased]", "## Unreleased", "Unreleased: not of the form"),
    ("## [Unreleased]\n\n### Added\n\n- One.\n\n## [1.10.0] - 2026-04-30\n", "## [1.9.1] - 2026-04-30\n", "neither with Unreleased nor with 1.10.0"),
    ("[1.9.0] - 2026-04-30", "[Unreleased]", "Unreleased is not the first section"),
    ("[1.10.0] - 2026-04-30", "[1.10.0]", "[1.10.0]: not of the form"),
    ("[1.10.0] - 2026-04-30", "[1.10.0] - 2026-04-31", "[1.10.0] - 2026-04-31: not of the form"),
    ("[1.10.0] - 2026-04-30", "[1.10.0] - 2026-05-02", "[1.10.0] - 2026-05-02: not of the form"),
    ("[1.10.0] - 2026-04-30", "[v1.10.0] - 2026-04-30", "[v1.10.0] - 2026-04-30: not of the form"),
    ("[1.10.0]", "[1.8.0]", "the newest version does not come first"),
    ("[1.10.0]", "[1.9.0]", "or one is there twice"),
    ("[1.10.0] - 2026-04-30", "[1.10.0] - 2026-04-29", "the newest version does not come first"),
    ("[1.10.0]", "[2.0.0]", "2.0.0 is newer than the source, which is 1.10.0"),
    ("### Changed", "### Improved", "Improved, Fixed are not of Added"),
    ("### Changed", "### Security", "Security, Fixed are not of Added"),
    ("- Four.", "Four.", "[1.9.0] - 2026-04-30: Added is empty"),
    ("### Added\n\n- Four.\n", "", "[1.9.0] - 2026-04-30: says nothing"),
]  # fmt: skip


def test_the_version_is_one() -> None:
    assert re.fullmatch(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)", __version__)


def test_the_packages_have_it_from_the_source() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert (settings["project"]["dynamic"], settings["tool"]["hatch"]["version"]) == (
        ["version"],
        {"path": "exporter/__init__.py"},
    )
    assert "version" not in settings["project"]


def test_the_program_says_it() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"openstack-migration-exporter {__version__}\n")


def test_the_chart_says_it() -> None:
    chart = yaml.safe_load((ROOT / "deploy/helm/openstack-migration-exporter/Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)


def test_the_changelog_keeps_its_form() -> None:
    assert list(faults(CHANGELOG, __version__, datetime.now(UTC).date())) == []


def test_a_good_changelog_has_no_faults() -> None:
    assert list(faults(GOOD, "1.10.0", TODAY)) == []
    assert [each.kinds for each in releases(GOOD)] == [
        (("Added", 1),),
        (("Changed", 1), ("Fixed", 1)),
        (("Added", 1),),
    ]


@pytest.mark.parametrize(
    ("old", "new", "said"), BAD, ids=[f"{new} for {old}".replace("\n", " ")[:60] for old, new, _ in BAD]
)
def test_a_bad_changelog_is_told_what_is_wrong(old: str, new: str, said: str) -> None:
    assert old in GOOD
    found = list(faults(GOOD.replace(old, new, 1), "1.10.0", TODAY))
    assert any(said in fault for fault in found), found
