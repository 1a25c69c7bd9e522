"""Disks that refuse to be written to, and can be mended; each in a way that one process, or the whole kernel, believes."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.durability.nursery import Nursery

_UNLIMITED = resource.RLIM_INFINITY

#: Root without the powers to write what belongs to others, and to change its mode.
_POWERLESS = ("setpriv", "--bounding-set=-dac_override,-fowner", "--inh-caps=-dac_override,-fowner", "--")

#: Somebody else (nobody).
_OTHER = 65534


class Disk:
    """A directory on a disk; exporters that are to believe in it must come from a nursery that is run `through` a command."""

    through: Sequence[str] = ()

    def __init__(self, path: Path, nursery: Nursery) -> None:
        self.path = path
        self.nursery = nursery

    def refuse(self) -> None:
        """Refuse all writes from now on, those of a running exporter too."""
        raise NotImplementedError

    def mend(self) -> None:
        """Take all writes again."""
        raise NotImplementedError


class Limited(Disk):
    """A limit of the process on the size of its files: Python ignores SIGXFSZ, so that writes fail (EFBIG)."""

    def refuse(self) -> None:
        self._limit(0)

    def mend(self) -> None:
        self._limit(_UNLIMITED)

    def _limit(self, size: int) -> None:
        for pid in filter(None, (self.nursery.pid, self.nursery.child)):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, _UNLIMITED))


class SomebodyElses(Disk):
    """A directory with files that belong to another user, and may only be read (EACCES)."""

    through = _POWERLESS

    def refuse(self) -> None:
        self._give(_OTHER, 0o555, 0o444)

    def mend(self) -> None:
        self._give(os.geteuid(), 0o755, 0o600)

    def _give(self, owner: int, directory: int, files: int) -> None:
        for each, mode in ((self.path, directory), *((file, files) for file in self.path.iterdir())):
            os.chown(each, owner, -1)
            each.chmod(mode)


class FileSystem(Disk):
    """A directory that is a small file system of its own."""


class Full(FileSystem):
    """A file system without a free byte (ENOSPC)."""

    def refuse(self) -> None:
        with contextlib.suppress(OSError), (self.path / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(b"\0" * 4096)

    def mend(self) -> None:
        (self.path / "filler").unlink(missing_ok=True)


class ReadOnlyMount(FileSystem):
    """A file system that is mounted as read-only (EROFS); it is busy, and refuses that, while a file is open to write."""

    def refuse(self) -> None:
        _mount("-o", "remount,ro", self.path)

    def mend(self) -> None:
        _mount("-o", "remount,rw", self.path)


def _mount(*arguments: str | Path) -> None:
    subprocess.run(["mount", *map(str, arguments)], check=True, capture_output=True)


@contextlib.contextmanager
def disk(kind: type[Disk], nurseries: Callable[..., Nursery]) -> Iterator[Disk]:
    """Make a disk; skip the test where that is not possible."""
    if kind.through and (os.geteuid() != 0 or shutil.which(kind.through[0]) is None):
        pytest.skip(f"needs root, and {kind.through[0]}: Debian's package `util-linux`")
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        if issubclass(kind, FileSystem):
            stack.enter_context(_mounted(Path(name)))
        made = kind(Path(name), nurseries(kind.through))
        yield made
        made.mend()


@contextlib.contextmanager
def _mounted(path: Path) -> Iterator[None]:
    try:
        _mount("-t", "tmpfs", "-o", "size=512k", "none", path)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs the right to mount a file system")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)
