"""Which requests are let through to the pages: small, whole, plain, and without a body."""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus

import h11

#: Bytes of a request's head; a Prometheus sends some 300.
LONGEST_HEAD = 16_384

#: Lines of a head. To read thousands of them would keep everybody else waiting.
MOST_LINES = 100

_END = re.compile(rb"\n\r?\n")
_REQUEST_LINE = re.compile(rb"[!-~]+ [!-~]+ HTTP/[0-9]\.[0-9]\r?\n")
_VERSIONS = (b"1.1", b"1.0")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a client gets no page: the status of the answer, and a line that explains it."""

    status: HTTPStatus
    words: str

    def answer(self) -> bytes:
        """Return the whole answer as it goes over the wire; the connection ends with it."""
        body = f"{self.status.value} {self.status.phrase}: {self.words}\n"
        head = (
            f"HTTP/1.1 {self.status.value} {self.status.phrase}",
            "Content-Type: text/plain; charset=utf-8",
            f"Content-Length: {len(body)}",
            "Cache-Control: no-store",
            "Connection: close",
        )
        return "\r\n".join((*head, "", body)).encode("ascii")


TOO_LARGE = Refusal(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"a head has at most {LONGEST_HEAD} bytes")
TOO_MANY_LINES = Refusal(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"a head has at most {MOST_LINES} lines")
NO_HTTP = Refusal(HTTPStatus.BAD_REQUEST, "this is no HTTP/1.1 request")
WRONG_VERSION = Refusal(HTTPStatus.BAD_REQUEST, "only HTTP/1.1 and HTTP/1.0 are spoken here")
WITHOUT_TLS = Refusal(HTTPStatus.BAD_REQUEST, "this port speaks TLS; use https://")
BODY = Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "no page takes a body")
CODED = Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "no page takes a body, compressed or not")
TOO_SLOW = Refusal(HTTPStatus.REQUEST_TIMEOUT, "the request took too long to arrive")


def whole_head(heard: bytearray, looked_at: int = 0) -> bytes | None:
    """Return the first request's head, if it has arrived; the first `looked_at` bytes are known to hold no end."""
    end = _END.search(heard, max(0, looked_at - 2))
    return bytes(heard[: end.end()]) if end else None


def unfit_so_far(heard: bytearray) -> Refusal | None:
    """Tell why what has arrived of a head can come to no good, so that nobody waits for its end."""
    if len(heard) > LONGEST_HEAD:
        return TOO_LARGE
    end = heard.find(b"\n")
    line = heard[: end + 1]
    # The first byte alone tells TLS apart; a line tells HTTP/0.9 apart, which has no head that could end.
    if heard[:1] < b"!" or (line and not _REQUEST_LINE.fullmatch(line)):
        return NO_HTTP
    return None


def unfit(head: bytes) -> Refusal | None:
    """Tell why a whole head is not let through.

    h11 is asked beforehand, although it reads the head again: uvicorn writes a line of log for each head that is none,
    and would read every body to its end.
    """
    if len(head) > LONGEST_HEAD:
        return TOO_LARGE
    if head.count(b"\n") > MOST_LINES + 1:
        return TOO_MANY_LINES
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=LONGEST_HEAD)
    connection.receive_data(head)
    try:
        request = connection.next_event()
        if not isinstance(request, h11.Request):
            return NO_HTTP
        bodiless = isinstance(connection.next_event(), h11.EndOfMessage)
    except h11.RemoteProtocolError:
        return NO_HTTP
    if request.http_version not in _VERSIONS:
        return WRONG_VERSION
    if any(name == b"content-encoding" for name, _ in request.headers):
        return CODED
    return None if bodiless else BODY
