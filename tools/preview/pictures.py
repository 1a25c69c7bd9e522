"""Pictures of whole dashboards, and what became of every panel in them."""

from __future__ import annotations

import time
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from tests.browser import Tab

#: Seconds that a dashboard may take until every panel has its answer.
_PATIENCE = 120.0

_SETTLED = "document.fonts.ready.then(() => new Promise(done => setTimeout(() => done(true), 1000)))"
_HEIGHT = "Math.ceil(document.getElementById('root').getBoundingClientRect().height)"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a panel: ok, empty or error, and then why."""

    panel: str
    kind: str
    state: str
    message: str


def photograph(
    tab: Tab, url: str, query: Mapping[str, str], width: int, top: int | None = None
) -> tuple[bytes, list[Outcome]]:
    """Return a picture (PNG) of a dashboard, or of so many pixels at its top, and what became of its panels."""
    tab.look(width)
    tab.show(f"{url}/?{urlencode({**query, 'rows': 'open'})}")
    _outcomes(tab)
    # Two times: what is drawn at its full height may be laid out in another way than what is scrolled.
    for _ in range(2):
        _settle(tab)
        tab.look(width, int(tab.evaluate(_HEIGHT)))
    outcomes = _outcomes(tab)
    if top is not None:
        tab.look(width, top)
    _settle(tab)
    # Not what reaches beyond the window: for that, Chromium lays the page out anew, as on a narrow screen.
    return b64decode(tab.call("Page.captureScreenshot", format="png")["data"]), outcomes


def _settle(tab: Tab) -> None:
    tab.call("Runtime.evaluate", expression=_SETTLED, awaitPromise=True, returnByValue=True)


def _outcomes(tab: Tab) -> list[Outcome]:
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        failed = tab.evaluate("window.preview?.failed")
        if failed:
            raise RuntimeError(f"the page could not be drawn: {failed}")
        found = tab.evaluate("window.preview?.outcomes() ?? null")
        if found:
            return [Outcome(**each) for each in found]
        time.sleep(0.2)
    raise RuntimeError(f"not every panel had an answer within {_PATIENCE:.0f} s; the browser says: {tab.complaints()}")
