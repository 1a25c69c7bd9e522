"""The page that draws a dashboard: built from dashboards/preview/ with npm, below build/."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

SOURCES = Path("dashboards/preview")
BUILT = Path("build/preview-page")

#: What is in the sources' folder but not of the page.
_NOT_SOURCES = ("node_modules", "dist")


def built(sources: Path = SOURCES, directory: Path = BUILT) -> Path:
    """Build the page, unless it is there as its sources are now; return the folder that can be served.

    Sources are copied first: nothing that npm brings comes to lie beside what is committed.
    """
    pages, stamp = directory / "dist", directory / "built"
    if stamp.exists() and stamp.read_text() == _digest(sources):
        return pages
    locked = _locked(directory)
    shutil.copytree(sources, directory, ignore=shutil.ignore_patterns(*_NOT_SOURCES), dirs_exist_ok=True)
    if locked != _locked(directory) or not (directory / "node_modules").exists():
        _run(["npm", "ci", "--ignore-scripts", "--legacy-peer-deps"], directory)
    _run(["npm", "run", "--silent", "build"], directory)
    stamp.write_text(_digest(sources))
    return pages


def _locked(directory: Path) -> bytes:
    lock = directory / "package-lock.json"
    return lock.read_bytes() if lock.exists() else b""


def _digest(sources: Path) -> str:
    found = hashlib.sha256()
    for file in sorted(each for each in sources.rglob("*") if each.is_file()):
        name = file.relative_to(sources)
        if name.parts[0] not in _NOT_SOURCES:
            found.update(f"{name}\0".encode() + file.read_bytes() + b"\0")
    return found.hexdigest()


def _run(command: list[str], directory: Path) -> None:
    print(f"{' '.join(command)}: takes a minute or so", flush=True)
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)  # noqa: S603  # npm, with our own words
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
