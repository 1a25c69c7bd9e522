"""The programs of Prometheus that tests run: the system's, and those of Prometheus 3 beside it."""

from __future__ import annotations

import shutil
from enum import StrEnum
from pathlib import Path

import pytest

_BESIDE = Path(__file__).parent.parent / ".envs/prometheus3/usr/bin"


class Release(StrEnum):
    """The Prometheus that the system's package brings (2.42 on Debian 12), and Prometheus 3."""

    SYSTEM = "system"
    THREE = "3"


def program(name: str, release: Release = Release.SYSTEM) -> str:
    """Return the path of a program; the test is skipped, and says what to install, where it is missing."""
    if release is Release.SYSTEM:
        return installed(name, package="prometheus")
    found = shutil.which(name, path=str(_BESIDE))
    if found is None:
        pytest.skip(f"needs {name} of Prometheus 3: `.ci/prometheus3` brings it, on Debian")
    return found


def installed(*names: str, package: str) -> str:
    """Return the path of the first of some programs that there is; the test is skipped, and says what to install, where none is."""
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.skip(f"needs {names[0]}: Debian's package `{package}`")
    return found
