"""What the page says first, in words: how much is stuck, and which clouds do not answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from exporter.domain.view import CloudView, Health
from exporter.landing.markup import Html, element
from exporter.landing.words import counted


def title(clouds: Sequence[CloudView]) -> str:
    """Return what stands on the browser's tab."""
    stuck = _stuck(clouds)
    return f"{stuck} stuck - Nova migrations" if stuck else "Nova migrations"


def headline(clouds: Sequence[CloudView]) -> Html:
    """Return the sentences at the top, each a link; its look says how bad it is, and so do its words."""
    lines = (element("li", element("a", words, href=place), class_=look) for look, place, words in _sentences(clouds))
    return element("ul", *lines, class_="headline")


def untried(health: Health) -> bool:
    """Tell whether a cloud was not asked yet since the exporter began."""
    return not health.up and health.error is None


def _sentences(clouds: Sequence[CloudView]) -> Iterator[tuple[str, str, str]]:
    stuck, stranded = _stuck(clouds), sum(len(cloud.stranded) for cloud in clouds)
    if stuck:
        yield "bad", "#stuck", f"{counted(stuck, 'migration is', 'migrations are')} stuck."
    elif clouds and all(cloud.health.up for cloud in clouds):
        yield "good", "#stuck", "No migration is stuck."
    elif clouds:
        yield "weak", "#stuck", "No migration is known to be stuck."
    if stranded:
        yield "bad", "#stranded", f"{counted(stranded, 'server is', 'servers are')} stranded."
    yield from _answers(clouds)


def _answers(clouds: Sequence[CloudView]) -> Iterator[tuple[str, str, str]]:
    waiting = sum(untried(cloud.health) for cloud in clouds)
    silent = sum(not cloud.health.up for cloud in clouds) - waiting
    if silent:
        yield "bad", "#clouds", f"{_of(silent, len(clouds))} {'does' if silent == 1 else 'do'} not answer."
    if waiting:
        yield "weak", "#clouds", f"{_of(waiting, len(clouds))} {'was' if waiting == 1 else 'were'} not asked yet."
    if not clouds:
        yield "weak", "#clouds", "No cloud was asked yet."
    elif not silent and not waiting:
        yield "good", "#clouds", "Every cloud answers."


def _of(some: int, all_: int) -> str:
    return "The only cloud" if all_ == 1 else f"{some} of {all_} clouds"


def _stuck(clouds: Sequence[CloudView]) -> int:
    return sum(record.stuck is not None for cloud in clouds for record in cloud.live)
