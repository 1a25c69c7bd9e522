"""The faults that there are: each returns what a rule of the proxy does with a request."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from tests.faults.proxy import Answer, Exchange, Fault

JSON = {"Content-Type": "application/json"}
HTML = {"Content-Type": "text/html"}

#: What a load balancer says when no API behind it is up.
BAD_GATEWAY = b"<html><body><h1>502 Bad Gateway</h1>\nThe server returned an invalid response.\n</body></html>\n"

#: What keystonemiddleware says to a token that is no longer good.
EXPIRED = Answer(
    401,
    b'{"error": {"code": 401, "title": "Unauthorized", "message": "The request you have made requires authentication."}}',
    {**JSON, "WWW-Authenticate": "Keystone uri=http://keystone.test/"},
)

_CHUNK = 64 * 1024


def answers(status: int, body: bytes | object = b"", **headers: str) -> Fault:
    """Answer with a status and a body, bytes or what JSON is made of; `Retry_After` in headers is Retry-After."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda exchange: exchange.send(Answer(status, raw, (HTML if raw.startswith(b"<") else JSON) | named))


def refuses(answer: Answer) -> Fault:
    """Answer with a whole answer that is given."""
    return lambda exchange: exchange.send(answer)


def resets(before: bytes = b"") -> Fault:
    """Send some bytes, then reset the connection."""

    def fault(exchange: Exchange) -> None:
        exchange.connection.sendall(before)
        exchange.reset()

    return fault


def sends(raw: bytes) -> Fault:
    """Send bytes that may be no HTTP at all, then close."""

    def fault(exchange: Exchange) -> None:
        exchange.connection.sendall(raw)
        exchange.end()

    return fault


def silent(after: int = 0) -> Fault:
    """Send so many bytes of the right answer, and nothing more while the rule holds."""

    def fault(exchange: Exchange) -> None:
        exchange.connection.sendall(_whole(exchange)[:after])
        exchange.hold()
        exchange.reset()

    return fault


def drips(pause: float) -> Fault:
    """Send the right answer, a byte after each pause in seconds; the rest at once when the rule is cleared."""

    def fault(exchange: Exchange) -> None:
        whole = _whole(exchange)
        for at in range(len(whole)):
            exchange.connection.sendall(whole[at : at + 1])
            if exchange.hold(pause):
                exchange.connection.sendall(whole[at + 1 :])
                return

    return fault


def late(seconds: float) -> Fault:
    """Answer rightly after so many seconds, or when the rule is cleared."""

    def fault(exchange: Exchange) -> None:
        exchange.hold(seconds)
        exchange.send(exchange.forward())

    return fault


def cut(share: float = 0.5, told: bool = True) -> Fault:
    """Send a part of the right body and close; `told`: the head says how long the whole would have been."""

    def fault(exchange: Exchange) -> None:
        answer = exchange.forward()
        head = answer.head(len(answer.body) if told else None)
        exchange.connection.sendall(head + answer.body[: int(len(answer.body) * share)])
        exchange.end()

    return fault


def changes(change: Callable[[Any], Any]) -> Fault:
    """Answer with what a function makes of the right answer's JSON."""

    def fault(exchange: Exchange) -> None:
        answer = exchange.forward()
        if answer.status == 200:
            answer = replace(answer, body=json.dumps(change(json.loads(answer.body))).encode())
        exchange.send(answer)

    return fault


def first(action: Callable[[], object]) -> Fault:
    """Do something, then answer rightly."""

    def fault(exchange: Exchange) -> None:
        action()
        exchange.send(exchange.forward())

    return fault


def repeats() -> Fault:
    """Answer every page with the first one that came, next link and all."""
    pages: list[Answer] = []

    def fault(exchange: Exchange) -> None:
        if not pages:
            pages.append(exchange.forward())
        exchange.send(pages[0])

    return fault


def redirects_to_itself() -> Fault:
    """Send the client to where it already is."""

    def fault(exchange: Exchange) -> None:
        here = f"http://{exchange.asked.headers['Host']}{exchange.asked.target}"
        exchange.send(Answer(302, headers={"Location": here}))

    return fault


def floods(head: bytes, piece: bytes, size: int, packed: bool = False) -> Fault:
    """Answer 200 with a head, then a piece over and over until there are so many bytes; `packed`: as gzip."""

    parts = [_packed(_flood(head, piece, size))] if packed else None
    answer = Answer(200, headers=JSON | ({"Content-Encoding": "gzip"} if packed else {}))

    def fault(exchange: Exchange) -> None:
        exchange.end()
        exchange.connection.sendall(answer.head(None))
        for part in parts or _flood(head, piece, size):
            exchange.connection.sendall(part)

    return fault


def _packed(parts: Iterable[bytes]) -> bytes:
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    return b"".join(map(packer.compress, parts)) + packer.flush()


def _flood(head: bytes, piece: bytes, size: int) -> Iterator[bytes]:
    yield head
    chunk = piece * (_CHUNK // len(piece))
    for _ in range(size // len(chunk) + 1):
        yield chunk


def _whole(exchange: Exchange) -> bytes:
    answer = exchange.forward()
    return answer.head(len(answer.body)) + answer.body
