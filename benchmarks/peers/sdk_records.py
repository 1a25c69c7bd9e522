"""Read migrations as users of openstacksdk do, `connection.compute.migrations()`, from pages in memory instead of a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import requests
from keystoneauth1.session import Session
from openstack.compute.v2._proxy import Proxy

PAGE = 1000
URL = "https://nova.example.com/v2.1/os-migrations"


class InMemory(Proxy):
    """The SDK's own compute proxy; only the request is left out: each GET is answered by the next page, decoded already."""

    def __init__(self, rows: Sequence[dict[str, Any]]) -> None:
        super().__init__(session=Session(), default_microversion="2.80")
        self._pages = [rows[at : at + PAGE] for at in range(0, len(rows), PAGE)]

    def get(self, *_: object, **__: object) -> Any:
        """Return the next page with a link to the one after, as Nova does; an empty one behind the last: the SDK asks for it."""
        page = self._pages.pop(0) if self._pages else []
        href = f"{URL}?limit={PAGE}&marker={page[-1]['uuid']}" if self._pages else ""
        response = requests.Response()
        response.status_code = 200
        links = {"migrations_links": [{"rel": "next", "href": href}]} if self._pages else {}
        response.json = lambda **_: {"migrations": page, **links}  # type: ignore[method-assign]
        return response


def read(rows: Sequence[dict[str, Any]]) -> int:
    """Make the SDK's objects of all rows, one after the other; return how many. The SDK writes into the rows."""
    return sum(record.id is not None for record in InMemory(rows).migrations(limit=PAGE))
