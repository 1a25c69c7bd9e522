"""The page for people: what is stuck and why, what is under way, what ended; plain HTML that works without JavaScript."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from exporter.domain.cloud import Feature
from exporter.domain.view import CloudView, LiveMigrationRecord, RecentEnd, View
from exporter.landing.cards import stranded_card, stuck_card
from exporter.landing.headline import headline, title
from exporter.landing.markup import NOTHING, Html, element, together
from exporter.landing.style import STYLE
from exporter.landing.tables import cloud_table, end_table, live_table
from exporter.landing.words import counted, moment

Shown = TypeVar("Shown")

#: Rows or cards of a kind; a page of more is of no use to people, and the JSON and the metrics have them all.
MOST_ROWS = 500

#: Ends that are shown, of all clouds together.
MOST_ENDS = 20


@dataclass(frozen=True, slots=True)
class StatusPage:
    """What the page for people shows; `at` is when it was made, in epoch seconds."""

    view: View
    at: float


def landing_page(page: StatusPage, telemetry_path: str) -> tuple[bytes, str]:
    """Return the page and its content type."""
    clouds = page.view.clouds
    head = together(
        Html('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
        Html('<meta name="color-scheme" content="light dark">'),
        element("title", title(clouds)),
        Html(f"<style>{STYLE}</style>"),
    )
    body = together(
        element("a", "Skip to what is stuck", href="#stuck", class_="skip"),
        element("header", element("h1", "Nova migrations"), headline(clouds), _links(telemetry_path)),
        element("main", *_sections(clouds, page.at)),
        element("footer", f"openstack-migration-exporter {page.view.process.version}, made at {moment(page.at)}"),
    )
    whole = element("html", element("head", head), element("body", body), lang="en")
    return f"<!DOCTYPE html>\n{whole.text}\n".encode(), "text/html; charset=utf-8"


def _links(telemetry_path: str) -> Html:
    own = (telemetry_path, "/api/v1/migrations", "/-/healthy", "/-/ready")
    return element("nav", *(element("a", path, href=path) for path in own), aria_label="Other pages")


def _sections(clouds: Sequence[CloudView], at: float) -> Iterable[Html]:
    live = sorted(_live(clouds), key=lambda each: each[1].precedence)
    stuck = [each for each in live if each[1].stuck is not None]
    quiet = [each for each in live if each[1].stuck is None]
    yield _section("clouds", "Clouds", cloud_table(clouds, at) if clouds else _none("No cloud was asked yet."))
    yield _section(
        "stuck", f"Stuck: {len(stuck)}", _cards(stuck, lambda each: stuck_card(*each, at), "No migration is stuck.")
    )
    yield _section("stranded", *_stranded(clouds, at))
    yield _section("live", f"Under way: {len(quiet)}", _quiet(quiet, at, bool(stuck)), _ignored(clouds))
    yield _section("ended", "Last ends", _ends(clouds, at))


def _section(name: str, heading: str, *inside: Html) -> Html:
    return together(Html("\n"), element("section", element("h2", heading), *inside, id=name))


def _live(clouds: Iterable[CloudView]) -> Iterable[tuple[str, LiveMigrationRecord]]:
    return ((cloud.cloud, record) for cloud in clouds for record in cloud.live)


def _cards(shown: Sequence[Shown], card: Callable[[Shown], Html], none: str) -> Html:
    if not shown:
        return _none(none)
    return together(*(part for each in shown[:MOST_ROWS] for part in (Html("\n"), card(each))), _more(len(shown)))


def _stranded(clouds: Sequence[CloudView], at: float) -> tuple[str, Html, Html]:
    """Return heading and cards of the servers that are stranded, and where nobody looks for them."""
    found = sorted(
        ((cloud.cloud, each) for cloud in clouds for each in cloud.stranded),
        key=lambda pair: (pair[1].since, pair[1].server.id),
    )
    unlooked = sum(not cloud.health.features.get(Feature.DIAGNOSIS, False) for cloud in clouds)
    where = f"Not looked for in {unlooked} of {counted(len(clouds), 'cloud', 'clouds')}: no diagnosis there."
    cards = _cards(found, lambda each: stranded_card(*each, at), "No server is stranded.")
    return f"Stranded servers: {len(found)}", cards, _note(where) if unlooked else NOTHING


def _quiet(quiet: Sequence[tuple[str, LiveMigrationRecord]], at: float, others: bool) -> Html:
    if not quiet:
        return _none("No other migration is under way." if others else "No migration is under way.")
    return together(live_table(quiet[:MOST_ROWS], at), _more(len(quiet)))


def _ignored(clouds: Sequence[CloudView]) -> Html:
    ignored = sum(cloud.ignored for cloud in clouds)
    words = f"{counted(ignored, 'record is', 'records are')} left out, as the configuration says."
    return _note(words) if ignored else NOTHING


def _ends(clouds: Sequence[CloudView], at: float) -> Html:
    found = sorted(((cloud.cloud, end) for cloud in clouds for end in cloud.recent), key=_newest_first)
    return end_table(found[:MOST_ENDS], at) if found else _none("No migration has ended since the exporter began.")


def _newest_first(each: tuple[str, RecentEnd]) -> tuple[float, str]:
    end = each[1]
    return (-(end.migration.stamp if end.ended is None else end.ended), end.migration.uuid)


def _more(number: int) -> Html:
    return _note(f"{number - MOST_ROWS} more are not shown.") if number > MOST_ROWS else NOTHING


def _none(words: str) -> Html:
    return element("p", words, class_="none")


def _note(words: str) -> Html:
    return element("p", words, class_="note")
