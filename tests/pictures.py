"""The pictures of the documentation, made anew: `python -m tests.pictures`; needs a Chromium."""

from __future__ import annotations

import struct
import tempfile
import zlib
from collections import Counter
from pathlib import Path

from exporter.domain.view import View
from tests import shown
from tests.browser import Tab, browser
from tests.serving import FakePages, serving
from tests.shown import HALF, SILENT, WELL, cloud, view

PICTURES = Path(__file__).parent.parent / "docs" / "pictures"

#: Some of everything, so that a picture shows it all at a size at which it can be read.
SOME: View = view(
    cloud(
        "prod-east",
        WELL,
        shown.OVERDUE,
        shown.RUNNING,
        shown.QUEUED,
        stranded=(shown.STRANDED,),
        recent=shown.ENDS[:3],
    ),
    cloud("prod-west", SILENT, shown.STALE),
    cloud("lab", HALF, shown.WAITING),
)

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MOST_COLOURS = 256


def main() -> None:
    """Write every picture."""
    with (
        tempfile.TemporaryDirectory() as profile,
        browser(Path(profile)) as new_tab,
        serving(FakePages(view=SOME)) as server,
    ):
        tab, url = new_tab(), f"http://127.0.0.1:{server.port}/"
        _write(tab, url, "status.png", 1240)
        _write(tab, url, "status-dark-phone.png", 360, dark=True, height=1150)


def _write(tab: Tab, url: str, name: str, width: int, *, dark: bool = False, height: int | None = None) -> None:
    tab.look(width, dark=dark)
    tab.show(url)
    tab.evaluate("document.querySelector('details').open = true")
    picture = smaller(tab.picture(height))
    (PICTURES / name).write_bytes(picture)
    print(name, len(picture))


def smaller(png: bytes) -> bytes:
    """Return a picture with 256 of its colours, every other one replaced by the nearest of them."""
    width, height, rows = _decoded(png)
    pixels = [bytes(row[at : at + 3]) for row in rows for at in range(0, len(row), len(row) // width)]
    counts = Counter(pixels)
    palette = _palette(counts)
    places = {colour: palette.index(min(palette, key=lambda each: _far(each, colour))) for colour in counts}
    lines = (bytes(places[each] for each in pixels[at : at + width]) for at in range(0, len(pixels), width))
    packed = zlib.compress(b"".join(b"\0" + line for line in lines), 9)
    head = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    parts = {b"IHDR": head, b"PLTE": b"".join(palette), b"IDAT": packed, b"IEND": b""}
    return _SIGNATURE + b"".join(_chunk(kind, body) for kind, body in parts.items())


def _palette(counts: Counter[bytes]) -> list[bytes]:
    """Return the colours to keep: those of most pixels, and then, one by one, that which is farthest from all of them."""
    palette = [colour for colour, _ in counts.most_common(_MOST_COLOURS // 2)]
    far = {colour: min(_far(colour, each) for each in palette) for colour in counts}
    while len(palette) < _MOST_COLOURS and any(far.values()):
        palette.append(max(far, key=lambda colour: far[colour]))
        far = {colour: min(before, _far(colour, palette[-1])) for colour, before in far.items()}
    return palette


def _far(one: bytes, other: bytes) -> int:
    return sum((here - there) ** 2 for here, there in zip(one, other, strict=True))


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _decoded(png: bytes) -> tuple[int, int, list[bytearray]]:
    """Return width, height and the rows of a picture of 8 bits a channel, without transparency or with (PNG, 9.2)."""
    chunks, at = [], len(_SIGNATURE)
    while at < len(png):
        size, kind = struct.unpack(">I4s", png[at : at + 8])
        chunks.append((kind, png[at + 8 : at + 8 + size]))
        at += size + 12
    width, height, depth, colours = struct.unpack(">IIBB", chunks[0][1][:10])
    assert depth == 8 and colours in (2, 6)
    step = 3 if colours == 2 else 4
    stream = zlib.decompress(b"".join(body for kind, body in chunks if kind == b"IDAT"))
    rows: list[bytearray] = []
    for start in range(0, len(stream), width * step + 1):
        above = rows[-1] if rows else bytearray(width * step)
        rows.append(_unfiltered(stream[start], bytearray(stream[start + 1 : start + 1 + width * step]), above, step))
    return width, height, rows


def _unfiltered(kind: int, row: bytearray, above: bytearray, step: int) -> bytearray:
    for at, value in enumerate(row):
        left, corner = (row[at - step], above[at - step]) if at >= step else (0, 0)
        up = above[at]
        if kind == 4:
            guess = left + up - corner
            before = min((left, up, corner), key=lambda each: abs(guess - each))
        else:
            before = (0, left, up, (left + up) // 2)[kind]
        row[at] = (value + before) % 256
    return row


if __name__ == "__main__":
    main()
