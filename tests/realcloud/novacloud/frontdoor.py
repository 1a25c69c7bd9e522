"""The public door of the cloud: Nova's whole API application behind the real keystonemiddleware, with a request log."""

from __future__ import annotations

import json
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from unittest import mock

import eventlet
import eventlet.wsgi
import nova.api.auth
from keystonemiddleware import auth_token
from nova import context as nova_context
from nova.api import wsgi as nova_wsgi
from novacloud.driver import BEHAVIOURS

TRUSTED = "realcloud.trusted"  # environ key of requests that the control makes as the administrator
TOKEN_CACHE_SECONDS = 2


class Door:
    """The application that clients meet."""

    def __init__(self, cells: Any, keystone: dict[str, str]) -> None:
        """Load Nova's application behind a token validation by Keystone."""
        self.cells = cells
        self.log: deque[dict[str, Any]] = deque(maxlen=100_000)
        self.faults: list[dict[str, Any]] = []
        stubbed = nova.api.auth.NovaKeystoneContext._create_context

        def create_context(env: dict[str, Any], **kwargs: Any) -> Any:
            """Make the context of a request as Nova does; the functional tests' way is left for their own requests."""
            if TRUSTED in env:
                return nova_context.RequestContext(**env[TRUSTED])
            if env.get("HTTP_X_IDENTITY_STATUS") != "Confirmed":
                return stubbed(env, **kwargs)
            context = nova_context.RequestContext.from_environ(env, **kwargs)
            self.cells.public_requests.add(context.request_id)
            env["realcloud.request_id"] = context.request_id
            return context

        nova.api.auth.NovaKeystoneContext._create_context = staticmethod(create_context)
        self.trusted = nova_wsgi.Loader().load_app("osapi_compute")
        with mock.patch.object(auth_token, "filter_factory", self._filter_factory(keystone)):
            self.application = nova_wsgi.Loader().load_app("osapi_compute")

    def _filter_factory(self, keystone: dict[str, str]) -> Callable[..., Any]:
        """Return what makes the filter that lets only valid tokens pass."""
        conf = {
            "auth_type": "password",
            "auth_url": keystone["auth_url"],
            "www_authenticate_uri": keystone["auth_url"],
            "username": keystone["username"],
            "password": keystone["password"],
            "project_name": keystone["project_name"],
            "user_domain_id": "default",
            "project_domain_id": "default",
            "region_name": "RegionOne",
            "token_cache_time": str(TOKEN_CACHE_SECONDS),
            "service_token_roles_required": "true",
        }

        def factory(_global_conf: Any, **_local_conf: Any) -> Callable[[Any], Any]:
            return lambda app: auth_token.AuthProtocol(app, conf)

        return factory

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one public request and log it."""
        entry = {
            "at": time.time(),
            "method": environ["REQUEST_METHOD"],
            "path": environ["PATH_INFO"],
            "query": environ.get("QUERY_STRING", ""),
            "microversion": environ.get("HTTP_OPENSTACK_API_VERSION"),
            "user_agent": environ.get("HTTP_USER_AGENT"),
            "status": None,
            "seconds": None,
        }
        self.log.append(entry)

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            entry["status"] = int(status.split()[0])
            return start_response(status, headers, exc_info)

        begun = time.monotonic()
        try:
            fault = self._fault(entry)
            if fault is not None and (body := self._fail(fault, environ, start)) is not None:
                return body
            return list(self.application(environ, start))
        finally:
            entry["seconds"] = time.monotonic() - begun
            self.cells.public_requests.discard(environ.get("realcloud.request_id"))

    def _fault(self, entry: dict[str, Any]) -> dict[str, Any] | None:
        """Return the fault that a request meets, if any, and count it."""
        for fault in self.faults:
            if fault["path"] in f"{entry['path']}?{entry['query']}" and fault["times"] != 0:
                if fault["times"] is not None:
                    fault["times"] -= 1
                return fault
        return None

    def _fail(
        self, fault: dict[str, Any], environ: dict[str, Any], start: Callable[..., Any]
    ) -> Iterable[bytes] | None:
        """Spoil an answer: late, another status, cut short, or none; None lets Nova answer after all."""
        if fault["kind"] == "delay":
            end = time.monotonic() + fault["seconds"]
            BEHAVIOURS.pause(lambda: time.monotonic() >= end or fault not in self.faults)
            return None
        if fault["kind"] == "hang":
            BEHAVIOURS.pause(lambda: fault not in self.faults)
            return None
        if fault["kind"] == "close":
            environ["eventlet.input"].get_socket().shutdown(socket.SHUT_RDWR)
            return [b""]
        body = fault["body"].encode()
        headers = [("Content-Type", fault["content_type"]), ("Content-Length", str(len(body)))]
        start(f"{fault['status']} Injected", headers + list(fault["headers"].items()))
        if fault["kind"] == "cut":
            return self._cut(environ, body)
        return [body]

    def _cut(self, environ: dict[str, Any], body: bytes) -> Iterator[bytes]:
        """Give half of a body, then close the connection."""
        yield body[: len(body) // 2]
        environ["eventlet.input"].get_socket().shutdown(socket.SHUT_RDWR)


def serve(fd: int, application: Any) -> None:
    """Serve an application on a listening socket, a green thread a connection, for ever."""
    listening = socket.socket(fileno=fd)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    eventlet.wsgi.server(
        listening,
        application,
        log_output=False,
        keepalive=True,
        socket_timeout=300,
        custom_pool=eventlet.GreenPool(2000),
        debug=False,
    )


def json_answer(start_response: Callable[..., Any], status: str, content: Any) -> list[bytes]:
    """Answer with JSON."""
    body = json.dumps(content, default=str).encode()
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
