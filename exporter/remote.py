"""Ask a running exporter what it knows: for the terminal, which then needs no access to the cloud."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import requests

from exporter.strangers import credentials_in, printable, redact, without_credentials

PATH = "/api/v1/migrations"

#: Seconds until the exporter must have answered; it has the answer ready.
_PATIENCE = 30.0

#: What an answer must hold to be one of ours.
_PARTS = ("clouds", "migrations", "stranded", "recent")


class RemoteError(Exception):
    """The exporter could not be asked; the message names the cause and the cure."""


def ask(url: str, filters: Iterable[tuple[str, str]]) -> Mapping[str, Any]:
    """Return what the exporter at a URL tells about its clouds; raise RemoteError.

    A user and a password may stand in the URL or in ~/.netrc; the certificate authorities are those of `REQUESTS_CA_BUNDLE`.
    """
    name = without_credentials(url)
    try:
        answer = requests.get(url.rstrip("/") + PATH, params=list(filters), timeout=_PATIENCE, allow_redirects=False)
    except (requests.RequestException, ValueError) as error:
        raise RemoteError(
            f"no exporter answers at {name}: {printable(redact(str(error), credentials_in(url)))}"
        ) from error
    if answer.status_code != 200:
        raise RemoteError(f"{name}{PATH} answers {answer.status_code}: {_first_line(answer.text)}{_cure(answer)}")
    try:
        found = answer.json()
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(found.get(part), list) for part in _PARTS):
        raise RemoteError(f"{name} is no openstack-migration-exporter: {PATH} holds none of its JSON")
    return found


def _first_line(text: str) -> str:
    return printable(next(iter(text.splitlines()), "")[:200])


def _cure(answer: requests.Response) -> str:
    return "; write https://USER:PASSWORD@HOST:PORT, or a line in ~/.netrc" if answer.status_code == 401 else ""
