"""Keep a page for as long as it is true, so that many may ask for it and it is made once."""

from __future__ import annotations

import logging
import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from exporter.domain.view import View

log = logging.getLogger(__name__)

#: Half the time of zlib's default for a tenth more bytes.
_COMPRESSION = 4

_AS_GZIP = 16 + zlib.MAX_WBITS


@dataclass(frozen=True, slots=True)
class Kept:
    """The part of a page that is the same until a new view is published; `packer` goes on where its gzip stream stands."""

    view: View
    body: bytes
    packer: Any = None

    def with_end(self, end: bytes) -> bytes:
        """Return the whole page with what is fresh at its end, as one gzip stream where the page is compressed."""
        if self.packer is None:
            return self.body + end
        packer = self.packer.copy()
        return b"".join((self.body, packer.compress(end), packer.flush()))


def keep(view: View, body: bytes, *, packed: bool) -> Kept:
    """Return the part of a page that stays, compressed where that is asked for."""
    if not packed:
        return Kept(view, body)
    packer = zlib.compressobj(_COMPRESSION, zlib.DEFLATED, _AS_GZIP)
    return Kept(view, packer.compress(body) + packer.flush(zlib.Z_FULL_FLUSH), packer)


class Shelf:
    """The place of one page; `make` makes it of what `view` gives, the newest view.

    Who asks while it is made anew gets it as it was: that is older by the time that making it takes. The methods may be called
    from several threads; no page is ever followed by one of an older view, for on that counters would fall.
    """

    def __init__(self, make: Callable[[View], Kept], view: Callable[[], View]) -> None:
        self._make = make
        self._view = view
        self._kept: Kept | None = None
        self._asked = False
        self._making = threading.Lock()

    def page(self) -> Kept:
        """Return the page of the newest view, or the one before while somebody makes it."""
        self._asked = True
        kept = self._kept
        if kept is not None and _is_same(kept.view, self._view()):
            return kept
        if not self._making.acquire(blocking=kept is None):
            return kept  # type: ignore[return-value]  # who does not wait has one
        try:
            return self._made()
        finally:
            self._making.release()

    def renew(self) -> None:
        """Make the page of a new view before anybody asks for it; forget it where nobody asked for the one before."""
        asked, self._asked = self._asked, False
        with self._making:
            if not asked:
                self._kept = None
                return
            try:
                self._made()
            except Exception:  # whoever asks for the page is told; a cloud's poll is not to blame
                log.exception("the page of metrics cannot be made")
                self._kept = None

    def _made(self) -> Kept:
        view = self._view()  # asked for again: a newer one may have come while this waited for its turn
        if self._kept is None or not _is_same(self._kept.view, view):
            self._kept = self._make(view)
        return self._kept


def _is_same(one: View, other: View) -> bool:
    """Tell whether two views show the same; what a cloud shows is never changed, but replaced."""
    if one.process != other.process or len(one.clouds) != len(other.clouds):
        return False
    return all(each is its_rival for each, its_rival in zip(one.clouds, other.clouds, strict=True))
