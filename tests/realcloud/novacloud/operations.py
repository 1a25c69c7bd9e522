"""Make requests to Nova's REST API as the administrator, each in a green thread of its own."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field
from typing import Any

import eventlet
import eventlet.event
import webob
from novacloud.frontdoor import TRUSTED

MICROVERSION = "2.95"


@dataclass
class Operation:
    """One request to the API that may take long."""

    number: int
    what: str
    ended: eventlet.event.Event = field(default_factory=eventlet.event.Event)
    status: int | None = None
    body: Any = None

    def plain(self) -> dict[str, Any]:
        """Return what a test may know of it."""
        return {"operation": self.number, "what": self.what, "status": self.status, "body": self.body}


class Operations:
    """Start requests and keep their answers."""

    def __init__(self, application: Any) -> None:
        """Use an application that trusts its callers."""
        self.application = application
        self.identity = {"user_id": "admin", "project_id": "admin"}
        self._numbers = itertools.count(1)
        self._all: dict[int, Operation] = {}

    def start(self, method: str, path: str, body: Any = None, microversion: str = MICROVERSION) -> Operation:
        """Begin one request."""
        operation = Operation(next(self._numbers), f"{method} {path}")
        self._all[operation.number] = operation
        eventlet.spawn(self._run, operation, method, path, body, microversion)
        return operation

    def _run(self, operation: Operation, method: str, path: str, body: Any, microversion: str) -> None:
        """Make the request and keep its answer."""
        try:
            answer = self._ask(method, path, body, microversion)
            operation.status = answer.status_int
            operation.body = answer.json if answer.body and answer.content_type == "application/json" else answer.text
        finally:
            operation.ended.send(True)

    def _ask(self, method: str, path: str, body: Any, microversion: str) -> webob.Response:
        """Ask Nova's WSGI application."""
        request = webob.Request.blank(f"/v2.1{path}", method=method)
        request.environ[TRUSTED] = self.identity | {"is_admin": True, "roles": ["admin", "member", "reader"]}
        request.headers["OpenStack-API-Version"] = f"compute {microversion}"
        request.headers["Accept"] = "application/json"
        if body is not None:
            request.content_type = "application/json"
            request.body = json.dumps(body).encode()
        return request.get_response(self.application)

    def wait(self, number: int, timeout: float) -> Operation:
        """Wait for an operation's answer."""
        operation = self._all[number]
        with eventlet.Timeout(timeout, TimeoutError(f"{operation.what} was not answered within {timeout} s")):
            if not operation.ended.ready():
                operation.ended.wait()
        return operation

    def ask(self, method: str, path: str, body: Any = None, microversion: str = MICROVERSION) -> Any:
        """Make a request, wait for its answer, and return its body."""
        operation = self.wait(self.start(method, path, body, microversion).number, 60)
        if operation.status is None or operation.status >= 400:
            raise ValueError(f"{operation.what}: {operation.status} {operation.body}")
        return operation.body

    def forget(self) -> None:
        """Forget the operations that ended."""
        self._all = {number: one for number, one in self._all.items() if not one.ended.ready()}
