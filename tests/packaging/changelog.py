"""CHANGELOG.md as its form says it is to be read: https://keepachangelog.com/en/1.1.0/"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

#: The kinds of changes there are, in their order.
KINDS = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")

UNRELEASED = "[Unreleased]"

_VERSION = re.compile(r"\[(\d+)\.(\d+)\.(\d+)\] - (\d{4}-\d{2}-\d{2})( \[YANKED\])?")


@dataclass(frozen=True, slots=True)
class Release:
    """A section of the changelog: its heading, and for each kind of change the entries below it."""

    heading: str
    kinds: tuple[tuple[str, int], ...]

    @property
    def version(self) -> tuple[int, int, int] | None:
        """Return the version, or None where the heading names none in the right form."""
        found = _VERSION.fullmatch(self.heading)
        return (int(found[1]), int(found[2]), int(found[3])) if found else None

    @property
    def day(self) -> date | None:
        """Return the day of the release, or None where there is no such day."""
        found = _VERSION.fullmatch(self.heading)
        try:
            return date.fromisoformat(found[4]) if found else None
        except ValueError:
            return None


def releases(text: str) -> list[Release]:
    """Return the sections in their order."""
    return [_release(part) for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]]


def _release(text: str) -> Release:
    heading, _, rest = text.partition("\n")
    kinds = (part.partition("\n") for part in re.split(r"^### ", rest, flags=re.MULTILINE)[1:])
    return Release(heading, tuple((kind, len(re.findall(r"^- ", entries, re.MULTILINE))) for kind, _, entries in kinds))


def faults(text: str, version: str, today: date) -> Iterator[str]:
    """Yield what is wrong with a changelog, given the version that the source says it is."""
    if not text.startswith("# Changelog\n"):
        yield "it does not begin with its title"
    found = releases(text)
    released = [each for each in found if each.heading != UNRELEASED]
    if any(each.heading == UNRELEASED for each in found[1:]):
        yield "Unreleased is not the first section"
    if found == released and not any(each.version and _text(each.version) == version for each in released[:1]):
        yield f"it begins neither with Unreleased nor with {version}"
    yield from _faults_of_releases(released, version, today)
    for each in found:
        yield from _faults_of_kinds(each)


def _faults_of_releases(released: list[Release], version: str, today: date) -> Iterator[str]:
    for each in released:
        if each.version is None or each.day is None or each.day > today:
            yield f"{each.heading}: not of the form [1.2.3] - 2026-01-31, with a day that has been"
    versions = [each.version for each in released if each.version]
    days = [each.day for each in released if each.day]
    if versions != sorted(set(versions), reverse=True) or days != sorted(days, reverse=True):
        yield "the newest version does not come first, or one is there twice"
    if versions and versions[0] > tuple(map(int, version.split("."))):
        yield f"{_text(versions[0])} is newer than the source, which is {version}"


def _faults_of_kinds(release: Release) -> Iterator[str]:
    kinds = [kind for kind, _ in release.kinds]
    if [kind for kind in KINDS if kind in kinds] != kinds:
        yield f"{release.heading}: {', '.join(kinds)} are not of {', '.join(KINDS)}, each once, in this order"
    if release.heading != UNRELEASED and not kinds:
        yield f"{release.heading}: says nothing"
    yield from (f"{release.heading}: {kind} is empty" for kind, count in release.kinds if not count)


def _text(version: tuple[int, int, int]) -> str:
    return ".".join(map(str, version))
