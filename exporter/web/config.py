"""The web configuration: who may come in, over what, and what every answer bears, read from the exporter-toolkit's file.

Every fault is reported at once, each with its path, what is wrong and what would be right.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from exporter import strict_yaml
from exporter.web.auth import Users
from exporter.web.config_schema import Reading
from exporter.web.tls import Tls, TlsError, TlsSettings, build

#: What tells whether a file has changed: device, inode, size, and when content and inode changed; None if there is none.
Stamp = tuple[int, ...] | None


class WebConfigError(Exception):
    """A web configuration that cannot be used.

    `faults` holds everything that is wrong with it, one line each; `stamps` are the files that were read, as they were.
    """

    def __init__(self, faults: Sequence[str], stamps: Mapping[str, Stamp]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)
        self.stamps = stamps


@dataclass(frozen=True, slots=True)
class WebConfig:
    """All that the file says. `tls` is None for plain HTTP; `stamps` are the files that were read, as they were."""

    tls_settings: TlsSettings | None
    tls: Tls | None
    users: Users
    headers: Mapping[str, str]
    stamps: Mapping[str, Stamp] = field(repr=False)


def stamp(path: str) -> Stamp:
    """Return what changes whenever a file does, be it written or replaced."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def load(path: str) -> WebConfig:
    """Return what a file says; raises WebConfigError with every fault in it and in the files that it names."""
    # Stamps are taken before files are read, so that a change meanwhile is seen later.
    stamps = {path: stamp(path)}
    try:
        tree = strict_yaml.read(path)
    except strict_yaml.UnreadableError as error:
        raise WebConfigError([f"{path}: {_without_quotes(str(error))}"], stamps) from None
    reading = Reading(Path(path).parent)
    settings, users, headers = reading.document(tree.value)
    stamps |= {each: stamp(each) for each in settings.files.values()} if settings else {}
    tls, faults = _built(settings)
    faults = [*tree.repetitions, *reading.faults, *faults]
    if faults:
        raise WebConfigError(faults, stamps)
    return WebConfig(settings, tls, users, headers, stamps)


def _built(settings: TlsSettings | None) -> tuple[Tls | None, list[str]]:
    """Return what connections are made with, and the faults of the files that it takes."""
    try:
        return (build(settings) if settings else None), []
    except TlsError as error:
        return None, [f"tls_server_config.{key}: {words}" for key, words in error.faults]


def _without_quotes(text: str) -> str:
    """Return a complaint about YAML without what it quotes, which may be a password that stands in a wrong place."""
    return re.sub(r"""(['"]).*\1""", "...", text)
