"""Read the shipped unit and its environment file as systemd does, and ask systemd itself."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

DIRECTORY = Path(__file__).parents[2] / "deploy/systemd"
UNIT = DIRECTORY / "openstack-migration-exporter.service"
ENVIRONMENT = DIRECTORY / "openstack-migration-exporter.env"


def settings(text: str) -> Mapping[str, Sequence[str]]:
    """Return the values of each setting in a unit, in their order; an empty one resets those before it (systemd.unit(5))."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in text.splitlines():
        if "=" in line and not line.startswith(("#", ";", "[")):
            name, value = (part.strip() for part in line.split("=", 1))
            found[name] = [*found[name], value] if value else []
    return found


def variables(text: str) -> dict[str, str]:
    """Return the variables of an environment file (systemd.exec(5), EnvironmentFile)."""
    lines = (line.strip() for line in text.splitlines())
    pairs = (line.split("=", 1) for line in lines if line and not line.startswith(("#", ";")))
    return {name: value.strip("\"'") for name, value in pairs}


def examples(text: str) -> list[str]:
    """Return an environment file once as it is, and once more for each variable that a comment offers."""
    offered = re.findall(r"^#([A-Z_]+=.*)$", text, re.MULTILINE)
    return [text, *(f"{text}\n{line}" for line in offered)]


def arguments(command: str, environ: Mapping[str, str]) -> list[str]:
    """Return the words of a command line without the program; `$NAME` as a word of its own is split at blanks."""
    words: list[str] = []
    for word in shlex.split(command)[1:]:
        if re.fullmatch(r"\$\w+", word):
            words += environ.get(word[1:], "").split()
        else:
            words.append(re.sub(r"\$\{(\w+)\}", lambda match: environ.get(match[1], ""), word))
    return words


def systemd_analyze(*options: str) -> subprocess.CompletedProcess[str]:
    """Run systemd-analyze; the test is skipped, and says what to install, where it is missing."""
    found = shutil.which("systemd-analyze")
    if found is None:
        pytest.skip("needs systemd-analyze: Debian's package `systemd`")
    return subprocess.run([found, *options], capture_output=True, text=True, timeout=120, check=False)


SETTINGS = settings(UNIT.read_text())
(COMMAND,) = SETTINGS["ExecStart"]
