"""An HTTP server on loopback that does what no mock can: drips, floods, resets and stays silent."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Reply = Callable[[socket.socket], None]


@contextmanager
def serving(reply: Reply, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Answer every connection with `reply` after its request was read; yield the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_accept, args=(listener, reply, tls), daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, reply: Reply, tls: ssl.SSLContext | None) -> None:
    with suppress(OSError):
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_answer, args=(connection, reply, tls), daemon=True).start()


def _answer(connection: socket.socket, reply: Reply, tls: ssl.SSLContext | None) -> None:
    with suppress(OSError), tls.wrap_socket(connection, server_side=True) if tls else connection as speaking:
        speaking.recv(65536)
        reply(speaking)


def reset(connection: socket.socket) -> None:
    """Close so that the other side sees a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def drip(head: bytes, piece: bytes) -> Reply:
    """Send a head, and then a piece every 20 ms for ever."""

    def reply(connection: socket.socket) -> None:
        connection.sendall(head)
        pause = threading.Event()
        while True:
            connection.sendall(piece)
            pause.wait(0.02)

    return reply
