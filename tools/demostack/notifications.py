"""What Alertmanager sends, as lines for a terminal; and the web server that it sends them to."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from exporter.strangers import printable
from tools.demostack.configuration import ROOT

#: Alerts of one message that are shown by themselves.
MOST_SHOWN = 5

Say = Callable[[str], None]


def lines(message: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines that tell of a message in Alertmanager's format for webhooks."""
    alerts = message["alerts"]
    counted = ", ".join(f"{number} {status}" for status, number in _count(alerts) if number)
    group = ", ".join(f"{name}={value}" for name, value in message["groupLabels"].items())
    yield printable(f"{message['receiver']} is told: {counted} ({group})")
    for alert in alerts[:MOST_SHOWN]:
        text = " ".join(alert["annotations"].get("description", "").split())
        yield printable(f"  {alert['status']:<9} {alert['labels']['alertname']}: {text}")
    if len(alerts) > MOST_SHOWN:
        yield f"  and {len(alerts) - MOST_SHOWN} more"
    yield from _runbooks(alert["labels"]["alertname"] for alert in alerts)


def _count(alerts: Iterable[Mapping[str, Any]]) -> list[tuple[str, int]]:
    statuses = [alert["status"] for alert in alerts]
    return [(status, statuses.count(status)) for status in ("firing", "resolved")]


def _runbooks(names: Iterable[str]) -> Iterator[str]:
    for name in dict.fromkeys(names):
        path = ROOT / "docs/runbooks" / f"{name}.md"
        if path.is_file():
            yield f"  runbook   {path.relative_to(ROOT)}"


@contextmanager
def mailbox(say: Say) -> Iterator[str]:
    """Say what Alertmanager sends until the block is left; yield the URL to send it to."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(say))
    threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()


def _handler(say: Say) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            say(f"\n{time.strftime('%H:%M:%S')}  " + "\n".join(lines(message)))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing of the request itself."""

    return Handler
