"""The server behind the page: its files, the dashboards as they are committed, and a way through to Prometheus."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

DASHBOARDS = Path("dashboards")

_TIMEOUT = 60.0


def dashboards(directory: Path = DASHBOARDS) -> dict[str, dict[str, Any]]:
    """Return every committed dashboard by its uid."""
    read = [json.loads(file.read_text()) for file in sorted(directory.glob("*.json"))]
    return {each["uid"]: each for each in read}


class _Answers(SimpleHTTPRequestHandler):
    """Answers the page's questions; every file is read anew, so that a reload shows what was changed."""

    def __init__(self, *arguments: Any, prometheus: str, **named: Any) -> None:
        self.prometheus = prometheus
        super().__init__(*arguments, **named)

    def do_GET(self) -> None:
        """Answer with a dashboard, an answer of Prometheus, or a file of the page."""
        where = urlsplit(self.path)
        room, _, rest = where.path.lstrip("/").partition("/")
        if room == "prometheus":
            self._pass_on(rest, where.query)
        elif room == "d":
            self._move(f"/?dashboard={rest.partition('/')[0]}&{where.query}")
        elif room == "dashboards.json":
            self._tell(
                [{"uid": uid, "title": each["title"], "tags": each["tags"]} for uid, each in dashboards().items()]
            )
        elif room == "dashboards":
            self._tell(dashboards().get(rest.removesuffix(".json")))
        else:
            super().do_GET()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that http.server gives it
        """Say nothing of single requests."""

    def _pass_on(self, path: str, query: str) -> None:
        try:
            answer = requests.get(f"{self.prometheus}/{path}?{query}", timeout=_TIMEOUT)
        except requests.RequestException as error:
            told = f"{self.prometheus} does not answer: {type(error).__name__}"
            self._tell({"status": "error", "error": told}, HTTPStatus.BAD_GATEWAY)
            return
        self._send(answer.content, answer.status_code)

    def _move(self, url: str) -> None:
        self.send_response(HTTPStatus.FOUND)
        self.send_header("Location", url)
        self.end_headers()

    def _tell(self, content: object, status: int = HTTPStatus.OK) -> None:
        self._send(json.dumps(content).encode(), HTTPStatus.NOT_FOUND if content is None else status)

    def _send(self, body: bytes, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def site(pages: Path, prometheus: str, port: int = 0) -> Iterator[str]:
    """Serve the page on the loopback address; yield its URL."""
    answers = partial(_Answers, directory=str(pages), prometheus=prometheus.rstrip("/"))
    with ThreadingHTTPServer(("127.0.0.1", port), answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
