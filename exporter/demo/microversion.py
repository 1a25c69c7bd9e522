"""Nova's microversions: how a request asks for one, and which are refused."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from exporter.demo.refusal import RefusedError

HEADER = "OpenStack-API-Version"
LEGACY_HEADER = "X-OpenStack-Nova-API-Version"


class Microversion(NamedTuple):
    """A microversion, comparable as numbers."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


MINIMUM = Microversion(2, 1)


def parse(text: str) -> Microversion:
    """Read X.Y; refuse anything else (nova/api/openstack/api_version_request.py)."""
    match = re.fullmatch(r"([1-9]\d*)\.([1-9]\d*|0)", text)
    if match is None:
        message = f"API Version String {text} is of invalid format. Must be of format MajorNum.MinorNum."
        raise RefusedError(400, message)
    return Microversion(int(match[1]), int(match[2]))


def requested(headers: Mapping[str, str], maximum: Microversion) -> Microversion:
    """Give the microversion that a request asks for: 2.1 by default, refused with 406 outside the range."""
    text = _asked(headers)
    if text is None:
        return MINIMUM
    if text == "latest":
        return maximum
    version = parse(text)
    if not MINIMUM <= version <= maximum:
        message = f"Version {version} is not supported by the API. Minimum is {MINIMUM} and maximum is {maximum}."
        raise RefusedError(406, message, marks(version))
    return version


def marks(version: Microversion) -> dict[str, str]:
    """Give the headers by which an answer names its microversion, be it one out of range."""
    vary = f"{HEADER}, {LEGACY_HEADER}"
    return {HEADER: f"compute {version}", LEGACY_HEADER: str(version), "Vary": vary}


def _asked(headers: Mapping[str, str]) -> str | None:
    # microversion_parse.get_version: the standard header wins, and of several entries for the service the last.
    for entry in reversed(headers.get(HEADER, "").split(",")):
        service, _, version = entry.strip().partition(" ")
        if service.lower() == "compute" and version:
            return version.strip()
    legacy = headers.get(LEGACY_HEADER)
    return None if legacy is None else legacy.rpartition(",")[2].strip()
