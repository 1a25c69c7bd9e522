"""Refusals of a request, with bodies in Nova's and in Keystone's words."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

# nova/api/openstack/wsgi.py Fault._fault_names
_FAULT_NAMES = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    405: "badMethod",
    409: "conflictingRequest",
    413: "overLimit",
    429: "overLimit",
    503: "serviceUnavailable",
}


@dataclass(frozen=True)
class RefusedError(Exception):
    """A request that Nova refuses."""

    status: int
    message: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """Give the body as Nova's Fault writes it."""
        return {_FAULT_NAMES.get(self.status, "computeFault"): {"code": self.status, "message": self.message}}


@dataclass(frozen=True)
class UnauthorizedError(Exception):
    """A request without a valid token, refused by Keystone or by the middleware before Nova."""

    message: str = "The request you have made requires authentication."

    def body(self) -> dict[str, Any]:
        """Give the body as Keystone and its middleware write it."""
        return {"error": {"code": 401, "message": self.message, "title": HTTPStatus.UNAUTHORIZED.phrase}}
