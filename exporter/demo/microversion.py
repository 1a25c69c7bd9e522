"""Nova's microversions: how a request asks for one, and which are refused."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from exporter.demo.refusal import Refusal

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
        raise Refusal(400, message)
    return Microversion(int(match[1]), int(match[2]))


def requested(headers: Mapping[str, str], maximum: Microversion) -> Microversion:
    """Give the microversion that a request asks for: 2.1 by default, refused with 406 outside the range."""
    text = _header(headers)
    if text is None:
        return MINIMUM
    if text == "latest":
        return maximum
    version = parse(text)
    if not MINIMUM <= version <= maximum:
        message = f"Version {version} is not supported by the API. Minimum is {MINIMUM} and maximum is {maximum}."
        raise Refusal(406, message)
    return version


def _header(headers: Mapping[str, str]) -> str | None:
    # microversion_parse: the standard header wins, and the last entry for the service in it.
    found = None
    for entry in headers.get(HEADER, "").split(","):
        service, _, version = entry.strip().partition(" ")
        if service.lower() == "compute":
            found = version.strip()
    return found or headers.get(LEGACY_HEADER)
