"""A crowd of clients that mean no good, as a process of its own: `python -m tests.crowd PORT KIND`, until it is killed.

Who is cut off comes again. `all are here` goes to the output once each has connected or tried.
"""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache

COUNT = 500
PAUSE = 0.1


@dataclass(frozen=True, slots=True)
class Kind:
    """What each client of a crowd does: it sends these bytes, one after the other, over TLS or not."""

    trickle: bytes = b""
    over_tls: bool = False


HEAD = b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 1000

KINDS = {
    "silent": Kind(),
    "a byte at a time": Kind(HEAD),
    "a handshake by bytes": Kind(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 1000),
    "silent over TLS": Kind(over_tls=True),
    "bytes over TLS": Kind(HEAD, over_tls=True),
}


async def come(port: int, kind: Kind, here: asyncio.Event) -> None:
    """Connect, do as the crowd does, and return when cut off."""
    tls = careless() if kind.over_tls else None
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
    finally:
        here.set()
    sending = asyncio.create_task(send(writer, kind.trickle))
    await reader.read()
    sending.cancel()
    writer.close()


@cache
def careless() -> ssl.SSLContext:
    """Return TLS that believes whatever certificate it is shown."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def send(writer: asyncio.StreamWriter, trickle: bytes) -> None:
    for each in trickle:
        writer.write(bytes([each]))
        await asyncio.sleep(PAUSE)


async def stay(port: int, kind: Kind, here: asyncio.Event) -> None:
    """Come again and again."""
    while True:
        with suppress(OSError):
            await come(port, kind, here)
        await asyncio.sleep(PAUSE)


async def main(port: int, kind: Kind) -> None:
    here = [asyncio.Event() for _ in range(COUNT)]
    staying = [asyncio.create_task(stay(port, kind, each)) for each in here]
    for each in here:
        await each.wait()
    print("all are here", flush=True)
    await asyncio.gather(*staying)


@contextmanager
def crowd(port: int, kind: str) -> Iterator[subprocess.Popen[str]]:
    """Keep a crowd at a port; the output of what this yields has a line once all have come."""
    command = [sys.executable, "-m", "tests.crowd", str(port), kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), KINDS[sys.argv[2]]))
