"""What the web configuration demands of each connection and request, and goes on to demand when its files change."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from exporter.web.auth import Passwords, Verdict, credentials
from exporter.web.config import Stamp, WebConfig, WebConfigError, load, stamp
from exporter.web.tls import Tls

log = logging.getLogger(__name__)

_WHO_ARE_YOU = {
    "WWW-Authenticate": 'Basic realm="openstack-migration-exporter", charset="UTF-8"',
    "Cache-Control": "no-store",
}


class Security:
    """The web configuration in force; after the constructor it belongs to the web server's thread.

    It is read again when one of its files has changed, for which their inodes are looked at. Faulty files change
    nothing: what was good last stays in force, and the log says so, once for each change.
    """

    def __init__(self, path: str) -> None:
        """Read the file; raise WebConfigError with every fault in it."""
        self._path = path
        self._config = load(path)
        self._stamps = self._config.stamps

    def config(self) -> WebConfig:
        """Return what is in force now."""
        if any(stamp(path) != known for path, known in self._stamps.items()):
            self._read_again()
        return self._config

    def tls(self) -> Tls | None:
        """Return what connections are made with now; whether there is TLS at all, only a restart changes."""
        return self.config().tls

    def _read_again(self) -> None:
        try:
            new = load(self._path)
        except WebConfigError as error:
            self._stamps = error.stamps
            faults = "; ".join(error.faults)
            log.error("wrong web configuration, the former stays in force", extra={"faults": faults})
            return
        self._stamps = new.stamps
        self._config = _succeeding(self._config, new)
        log.info("web configuration read again", extra={"file": self._path, "users": len(new.users.hashes)})


def _succeeding(old: WebConfig, new: WebConfig) -> WebConfig:
    """Return what is in force after another configuration: TLS stays the same object unless its own files changed."""
    if (old.tls is None) != (new.tls is None):
        log.error("turning TLS on or off needs a restart; until then it stays as it is")
    elif new.tls_settings != old.tls_settings or _stamps_of_tls(new) != _stamps_of_tls(old):
        return new
    return replace(new, tls=old.tls, tls_settings=old.tls_settings)


def _stamps_of_tls(config: WebConfig) -> Mapping[str, Stamp]:
    files = config.tls_settings.files.values() if config.tls_settings else ()
    return {path: config.stamps.get(path) for path in files}


class Guard:
    """An application behind the web configuration: it answers those who may ask, and every answer bears its headers."""

    def __init__(self, app: ASGIApp, security: Security, passwords: Passwords) -> None:
        self._app, self._security, self._passwords = app, security, passwords

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        config = self._security.config()

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(config.headers)
            await send(message)

        refusal = await self._refusal(config, scope)
        await (refusal or self._app)(scope, receive, send_with_headers)

    async def _refusal(self, config: WebConfig, scope: Scope) -> Response | None:
        """Return the answer to a client that may not ask, None for one that may."""
        if not config.users.hashes:
            return None
        claimed = credentials(Headers(scope=scope).getlist("authorization"))
        if claimed is None:
            return _line(401, "Unauthorized", _WHO_ARE_YOU)
        verdict = await self._passwords.verdict(config.users, claimed, (scope["client"] or ("",))[0])
        if verdict is Verdict.BUSY:
            return _line(429, "Too Many Requests: other passwords are being checked", {"Retry-After": "1"})
        return None if verdict is Verdict.GOOD else _line(401, "Unauthorized", _WHO_ARE_YOU)


def _line(status: int, words: str, headers: Mapping[str, str]) -> Response:
    return PlainTextResponse(f"{status} {words}\n", status, headers)
