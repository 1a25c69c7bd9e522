"""The container image as a real build makes it, and a container of it: a process tree and a file system of its own.

No container runtime is needed: buildah builds by chroot, and util-linux gives what a runtime would.
"""

from __future__ import annotations

import ast
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.running import eventually

ROOT = Path(__file__).parent.parent.parent

#: What a Dockerfile's `ARG BASE` must have; as small as Debian is.
PACKAGES = "python3,python3-venv,ca-certificates"

#: Seconds for a build, with what it takes from mirrors and package indexes.
PATIENCE = 1200.0

VERSION, REVISION = "9.8.7", "0123abc"

#: A container's root is read-only, with /proc, /dev and, as the only place to write to, its state. `exec` makes the exporter process 1.
_INSIDE = """
root=$1 state=$2 user=$3 group=$4 place=$5
shift 5
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --bind "$state" "$root/var/lib/openstack-migration-exporter"
mount -o remount,bind,ro "$root"
exec chroot --userspec="$user:$group" --groups= "$root" env -C "$place" "$@"
"""


@dataclass(frozen=True, slots=True)
class Image:
    """An image: its configuration as Docker has it, its files, and how many bytes it adds to its base."""

    config: Mapping[str, Any]
    root: Path
    added: int

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables that a container starts with."""
        return dict(each.split("=", 1) for each in self.config["Env"])

    @property
    def user(self) -> tuple[str, str]:
        """Return user and group."""
        user, _, group = self.config["User"].partition(":")
        return user, group


class Container:
    """A running container; `pid` is that of its first process as it is seen from outside, `log` what it wrote."""

    def __init__(self, image: Image, process: subprocess.Popen[str], log: Path) -> None:
        self._image, self._process, self._log = image, process, log
        self.pid = eventually(self._first, 60.0)

    def _first(self) -> int | None:
        assert self._process.poll() is None, self.log
        return next(iter(_children(self._process.pid)), None)

    @property
    def log(self) -> str:
        """Return what it wrote so far."""
        return self._log.read_text()

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command inside, as the same user and with the same environment."""
        user, group = self._image.user
        enter = ["nsenter", f"--target={self.pid}", "--mount", "--pid", "--root", f"--wd=/proc/{self.pid}/cwd"]
        return subprocess.run(
            [*enter, f"--setuid={user}", f"--setgid={group}", "--", *command],
            env=self._image.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def health(self) -> subprocess.CompletedProcess[str]:
        """Run the image's own health check."""
        kind, *command = self._image.config["Healthcheck"]["Test"]
        assert kind == "CMD"
        return self.run(*command)

    def status(self) -> dict[str, str]:
        """Return what the kernel says of its first process."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return {name: value.strip() for name, _, value in (each.partition(":") for each in lines)}

    def stop(self) -> int:
        """End it as a runtime does, which kills what is still there after ten seconds; return the exit status."""
        os.kill(self.pid, signal.SIGTERM)
        return self._process.wait(10)


@contextmanager
def container(
    image: Image, state: Path, *arguments: str, environment: Mapping[str, str] | None = None
) -> Iterator[Container]:
    """Run a container with arguments added to its entry point."""
    shutil.chown(state, *map(int, image.user))
    inside = [str(image.root), str(state), *image.user, image.config["WorkingDir"]]
    command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-euc", _INSIDE, "sh", *inside]
    command += [*image.config["Entrypoint"], *arguments]
    log = state.with_suffix(".log")
    variables = {**image.environment, **(environment or {})}
    with log.open("w") as written, subprocess.Popen(command, env=variables, stderr=written, text=True) as process:
        try:
            yield Container(image, process, log)
        finally:
            # --kill-child is forgotten by a process that changes its user (prctl(2), PR_SET_PDEATHSIG).
            for child in _children(process.pid) if process.poll() is None else []:
                os.kill(child, signal.SIGKILL)
            process.kill()


def _children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


# --- the build ---


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, f"{command[0]} {command[1]}:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout.strip()


def _source() -> str:
    """Return where this machine gets its packages from, as apt writes it."""
    suite = platform.freedesktop_os_release()["VERSION_CODENAME"]
    found = _run("apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(SIGNED_BY)", "Created-By: Packages")
    for line in found.splitlines():
        address, release, *signed = line.split()
        if release == suite and re.search(r"/(debian|ubuntu)/$", address):
            by = f" [signed-by={signed[0]}]" if signed and signed[0].startswith("/") else ""
            return f"deb{by} {address} {suite} main"
    pytest.skip("apt-get knows no mirror of this machine's own release")


def _pip_settings() -> dict[str, str]:
    """Return what pip is told on this machine, but for places on its own disk."""
    found = _run(sys.executable, "-m", "pip", "config", "list")
    settings = {}
    for line in found.splitlines():
        name, _, value = line.partition("=")
        words = [each for each in str(ast.literal_eval(value)).split() if not each.startswith(("/", "file:"))]
        if words:
            settings[name.rpartition(".")[2]] = " ".join(words)
    return settings


def make_base(root: Path) -> None:
    """Make the root of a base image: Debian with Python, and this machine's way to a package index."""
    unneeded = [f"--dpkgopt=path-exclude=/usr/share/{each}/*" for each in ("doc", "man", "locale", "info")]
    _run(
        *("mmdebstrap", "--mode=root", "--variant=minbase", f"--include={PACKAGES}", *unneeded),
        *(platform.freedesktop_os_release()["VERSION_CODENAME"], str(root), _source()),
    )
    trusted = root / "etc/ssl/certs/ca-certificates.crt"
    shutil.copy("/etc/ssl/certs/ca-certificates.crt", trusted)
    settings = {**_pip_settings(), "cert": f"/{trusted.relative_to(root)}"}
    lines = "".join(f"{name} = {value}\n" for name, value in settings.items())
    (root / "etc/pip.conf").write_text(f"[global]\n{lines}")


@contextmanager
def built(place: Path) -> Iterator[Image]:
    """Build the image on a base of its own; take everything away in the end."""
    base = place / "base"
    make_base(base)
    buildah = ("buildah", f"--root={place}/storage", f"--runroot={place}/run", "--storage-driver=vfs")
    try:
        empty = _run(*buildah, "from", "scratch")
        _run(*buildah, "add", empty, str(base), "/")
        _run(*buildah, "commit", "--format=docker", empty, "localhost/base")
        given = [
            f"--build-arg={each}" for each in ("BASE=localhost/base", f"VERSION={VERSION}", f"REVISION={REVISION}")
        ]
        _run(*buildah, "bud", "--format=docker", "--isolation=chroot", *given, "--tag=localhost/exporter", str(ROOT))
        made = json.loads(_run(*buildah, "inspect", "--type=image", "localhost/exporter"))
        working = _run(*buildah, "from", "localhost/exporter")
        root = Path(_run(*buildah, "mount", working))
        yield Image(made["Docker"]["config"], root, _size(root) - _size(base))
    finally:
        _run(*buildah, "rm", "--all")
        _run(*buildah, "rmi", "--all", "--force")
        shutil.rmtree(place, ignore_errors=True)


def _size(root: Path) -> int:
    return sum(each.lstat().st_size for each in root.rglob("*") if not each.is_dir())


def writable(root: Path, user: int, group: int) -> list[Path]:
    """Return the directories and files below a root that a user may write to."""
    found = []
    for path in root.rglob("*"):
        if path.is_symlink():
            continue
        status = path.lstat()
        allowed = 0o002 | (0o200 if status.st_uid == user else 0) | (0o020 if status.st_gid == group else 0)
        if status.st_mode & allowed and not path.is_char_device():
            found.append(path.relative_to(root))
    return found


def missing() -> list[str]:
    """Return the programs that a build needs and this machine lacks, each with its Debian package."""
    needed = {"buildah": "buildah", "mmdebstrap": "mmdebstrap", "unshare": "util-linux", "apt-get": "apt"}
    return [
        f"{program}: Debian's package `{package}`" for program, package in needed.items() if not shutil.which(program)
    ]
