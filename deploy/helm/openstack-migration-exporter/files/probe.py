"""Ask this pod's own exporter for a page; exit with 0 only where it answers 200.

For where its web configuration demands a password or a client's certificate, which the kubelet's own HTTP probe cannot show
without writing it into the pod. `python -I probe.py PATH (http|https) DIRECTORY`; the directory may hold username and password,
tls.crt and tls.key. The server's certificate is not verified, as the kubelet does not: it is this pod on its own loopback.
"""

import base64
import http.client
import ssl
import sys
from pathlib import Path

PORT = 19180
WITHIN = 8.0  # seconds; the probe's own timeout is longer


def connection(scheme: str, shown: Path, port: int) -> http.client.HTTPConnection:
    """Return a connection that shows the certificate there is."""
    if scheme == "http":
        return http.client.HTTPConnection("127.0.0.1", port, timeout=WITHIN)
    context = ssl._create_unverified_context()  # noqa: S323
    if (shown / "tls.crt").exists():
        context.load_cert_chain(shown / "tls.crt", shown / "tls.key")
    return http.client.HTTPSConnection("127.0.0.1", port, timeout=WITHIN, context=context)


def credentials(shown: Path) -> dict[str, str]:
    """Return the header with name and password, where there are such; a line end behind either does not belong to it."""
    if not (shown / "username").exists():
        return {}
    pair = b":".join((shown / each).read_bytes().rstrip(b"\r\n") for each in ("username", "password"))
    return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}


def main(path: str, scheme: str, directory: str, port: str = str(PORT)) -> str | None:
    """Return what is wrong, or None."""
    shown = Path(directory)
    try:
        asked = connection(scheme, shown, int(port))
        asked.request("GET", path, headers=credentials(shown))
        answer = asked.getresponse()
        text = answer.read(1000).decode(errors="replace")
    except OSError as error:
        return f"{path}: {error}"
    except http.client.HTTPException as error:
        return f"{path}: no HTTP answer ({type(error).__name__})"
    return None if answer.status == http.client.OK else f"{path}: {answer.status} {text}"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
