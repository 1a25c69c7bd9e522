"""Ask the exporter in this container whether it is healthy; exit with 0 when it is.

Where and how it listens is read from the command line of process 1, which is the exporter, or a small init with the same
arguments. No library beyond Python's own, and no proxy of the environment.
"""

from __future__ import annotations

import http.client
import re
import ssl
import sys
from pathlib import Path

#: Where the image listens unless it is told otherwise.
USUAL = "0.0.0.0:19180"

#: Seconds for each try; both must end before the time limit of the health check does.
PATIENCE = 4.0

#: What a host must be called from within where it means every interface.
_FROM_WITHIN = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}

#: Well, and well but for those who have no password.
_GOOD = {200, 401}

#: What a server with TLS says to a client without.
_PLAIN_REFUSED = 400


def _flag(command: str, name: str) -> str | None:
    """Return the value of a flag in a command line whose arguments end in NUL; the last one wins."""
    values: list[str] = re.findall(rf"--{re.escape(name)}(?:=|\0)([^\0]*)", command)
    return values[-1] if values else None


def address(command: str) -> tuple[str, int]:
    """Return host and port to ask."""
    host, _, port = (_flag(command, "web.listen-address") or USUAL).rpartition(":")
    host = host.strip("[]")
    return _FROM_WITHIN.get(host, host), int(port)


def healthy(command: str) -> bool:
    """Tell whether the exporter with this command line is well; raises OSError and HTTPException where it does not answer.

    Where a password is asked for, or a certificate of the client, that it asks is all that can be known.
    """
    host, port = address(command)
    try:
        status = _status(http.client.HTTPConnection(host, port, timeout=PATIENCE))
    except ConnectionRefusedError:
        raise
    except (OSError, http.client.HTTPException):
        status = _PLAIN_REFUSED
    if status != _PLAIN_REFUSED:
        return status in _GOOD
    trust = ssl._create_unverified_context()  # noqa: S323  # it asks itself; the certificate has another name
    try:
        return _status(http.client.HTTPSConnection(host, port, timeout=PATIENCE, context=trust)) in _GOOD
    except (ssl.SSLError, ConnectionError, http.client.HTTPException):
        if not _asks_for_certificate(command):
            raise
        return True


def _status(connection: http.client.HTTPConnection) -> int:
    connection.request("GET", "/-/healthy")
    return connection.getresponse().status


def _asks_for_certificate(command: str) -> bool:
    file = _flag(command, "web.config.file")
    return file is not None and "RequireAndVerifyClientCert" in Path(file).read_text()


def main(command: Path = Path("/proc/1/cmdline")) -> int:
    """Return 0 when the exporter is healthy, 1 when it is not."""
    try:
        if healthy(command.read_text()):
            return 0
        print("the exporter says that it is not healthy")
    except (OSError, ValueError, http.client.HTTPException) as error:
        print(f"the exporter does not answer: {error or type(error).__name__}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
