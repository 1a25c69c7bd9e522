"""What a release consists of, made by the commands that a release uses."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from tests.running import environment, eventually

ROOT = Path(__file__).parents[2]
MAKEFILE = ROOT / "Makefile"

#: Seconds for a build, with what it takes from a package index.
PATIENCE = 1200.0


@dataclass(frozen=True, slots=True)
class Packages:
    """The wheel and the source archive."""

    wheel: Path
    sdist: Path


@dataclass(frozen=True, slots=True)
class Installed:
    """The wheel in an environment of its own, and the list of what is in it."""

    home: Path
    sbom: Path

    @property
    def python(self) -> Path:
        """Return its interpreter."""
        return self.home / "bin/python"

    def run(self, *command: str | Path, at: Path) -> str:
        """Run a command away from the source tree, and return what it prints."""
        done = subprocess.run(command, cwd=at, env=bare(), capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def bare() -> dict[str, str]:
    """Return an environment in which nothing leads Python to the source tree, and make to what another make was told."""
    led = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "LONG"}
    return {name: value for name, value in environment(None).items() if name not in led}


def make(*targets: str, **variables: Path) -> None:
    """Make targets of the Makefile with this environment's programs, which are taken as they are."""
    ready = f"--old-file={sys.prefix}/.ready"
    given = [f"{name}={value}" for name, value in {"VENV": sys.prefix, **variables}.items()]
    command = ["make", "--silent", f"--file={MAKEFILE}", ready, *targets, *given]
    done = subprocess.run(command, cwd=ROOT, env=bare(), capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def packages(directory: Path) -> Packages:
    """Build both packages; they have the directory for themselves."""
    make("dist", DIST=directory)
    (wheel,), (sdist,) = directory.glob("*.whl"), directory.glob("*.tar.gz")
    return Packages(wheel, sdist)


def installed(directory: Path) -> Installed:
    """Build the wheel, install it by itself, and list what came along with it."""
    make("sbom", DIST=directory / "dist", INSTALLED=directory / "installed")
    return Installed(directory / "installed", directory / "dist/sbom.cdx.json")


@contextmanager
def demo(place: Installed, at: Path) -> Iterator[str]:
    """Run the installed exporter's demo on a free port; yield its URL."""
    command = [place.home / "bin/openstack-migration-exporter", "demo", "--web.listen-address=127.0.0.1:0"]
    with (at / "log").open("w") as log, subprocess.Popen(command, cwd=at, env=bare(), stderr=log) as process:
        try:
            yield eventually(lambda: _url(process, at / "log"), 120.0)
        finally:
            process.terminate()


def _url(process: subprocess.Popen[bytes], log: Path) -> str | None:
    assert process.poll() is None, log.read_text()
    found = re.search(r"page +(http://\S+)/", log.read_text())
    return found and found[1]


def page(url: str) -> str:
    """Return the page of metrics."""
    answer = requests.get(f"{url}/metrics", timeout=60)
    answer.raise_for_status()
    return answer.text
