"""The page for people in a real Chromium: narrow and wide, light and dark, by keyboard and by screen reader."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from exporter.domain.view import View
from tests import shown
from tests.browser import CHROMIUM, Tab, browser
from tests.serving import FakePages, serving
from tests.shown import HOUR, LIVE, RICH, WELL, cloud, crowd, live, moving, view
from tests.test_status_page import everywhere

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium: Debian's package `chromium`"),
]

#: What no sensible cloud has, and a page must bear: names without a place to break, as long as Nova allows.
LONG = view(
    cloud(
        "c" * 255,
        replace(WELL, up=False, error="e" * 2000, features=RICH.clouds[2].health.features),
        *RICH.clouds[0].live,
        live(moving(90, LIVE, "s" * 64, HOUR, source_host="h" * 255, dest_host="H" * 255), HOUR),
    )
)
VIEWS = {"rich": RICH, "empty": view(), "long": LONG, "hostile": everywhere("\u202e<h1>\u05d0\u05d1 &amp; " * 8)}

#: Migrations under way that have a row.
RICH_LIVE = [record for each in RICH.clouds for record in each.live if record.stuck is None]

Show = Callable[..., Tab]

OPEN = "for (const each of document.querySelectorAll('details')) each.open = true;"


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with browser(tmp_path_factory.mktemp("chromium")) as new_tab:
        yield new_tab()


@pytest.fixture(scope="module")
def pages() -> FakePages:
    return FakePages()


@pytest.fixture(scope="module")
def url(pages: FakePages) -> Iterator[str]:
    with serving(pages) as server:
        yield f"http://127.0.0.1:{server.port}/"


@pytest.fixture
def show(tab: Tab, pages: FakePages, url: str) -> Iterator[Show]:
    """Yield what shows a view on a screen of a width, with everything opened that can be opened."""

    def shows(what: View, width: int, *, dark: bool = False) -> Tab:
        pages.view = what
        tab.look(width, dark=dark)
        tab.show(url)
        tab.evaluate(OPEN)
        return tab

    yield shows
    pages.view = RICH


#: Whatever is wider than the window, or its box where that box scrolls, with its width.
TOO_WIDE = """
[document.scrollingElement.scrollWidth, ...Array.from(document.querySelectorAll('body *'))
  .filter(each => !each.closest('.skip') && each.getBoundingClientRect().right > innerWidth + 0.5)
  .filter(each => { const box = each.closest('.box');
                    return !box || box === each || box.scrollWidth <= box.clientWidth; })
  .map(each => each.outerHTML.slice(0, 120))]
"""


@pytest.mark.parametrize("width", [320, 360, 600, 1000, 1121, 1400, 2200])
@pytest.mark.parametrize("name", VIEWS)
def test_the_page_never_scrolls_sideways(show: Show, name: str, width: int) -> None:
    assert show(VIEWS[name], width).evaluate(TOO_WIDE) == [width]


SIDEWAYS = "Array.from(document.querySelectorAll('.box, pre')).filter(e => e.scrollWidth > e.clientWidth).length"


@pytest.mark.parametrize("width", [320, 360, 600, 1000, 1400])
def test_with_usual_names_nothing_on_it_scrolls_sideways_either(show: Show, width: int) -> None:
    assert show(RICH, width).evaluate(SIDEWAYS) == 0


@pytest.mark.parametrize("width", [320, 1121])
def test_not_even_names_without_end_are_lost(show: Show, width: int) -> None:
    """Wherever something is cut off, it can be scrolled to, also by keyboard."""
    lost = """Array.from(document.querySelectorAll('body *')).filter(each => {
        const style = getComputedStyle(each);
        return style.overflowX === 'hidden' && each.scrollWidth > each.clientWidth + 1 && each.textContent
            && style.clipPath === 'none';
    }).map(each => each.outerHTML.slice(0, 120))"""
    tab = show(LONG, width)
    assert tab.evaluate(lost) == []
    assert tab.evaluate("Array.from(document.querySelectorAll('.box')).every(each => each.tabIndex === 0)")


@pytest.mark.parametrize("width", [360, 1400])
def test_on_a_narrow_screen_each_cell_says_what_it_is(show: Show, width: int) -> None:
    tab = show(RICH, width)
    labels = tab.evaluate(
        "Array.from(document.querySelectorAll('tbody td:not(:empty)'))"
        ".map(each => [each.dataset.head, getComputedStyle(each, '::before').content])"
    )
    assert len(labels) > 60
    assert {said == f'"{head}"' for head, said in labels} == {width < 1000}


# --- colours ---

#: The texts on the page that stand out too little, each with its contrast (WCAG 2.2, 1.4.3), and how many there are.
CONTRAST = """
(() => {
  const channels = colour => colour.match(/[\\d.]+/g).map(Number);
  const luminance = ([red, green, blue]) => [red, green, blue]
    .map(each => each / 255).map(each => each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4)
    .reduce((sum, each, place) => sum + each * [0.2126, 0.7152, 0.0722][place], 0);
  const behind = each => { for (; each; each = each.parentElement) {
    const colour = channels(getComputedStyle(each).backgroundColor);
    if (colour.length < 4) return colour;
    if (colour[3] !== 0) throw new Error('half transparent: ' + each.outerHTML.slice(0, 120));
  } throw new Error('nothing is behind it'); };
  const ratio = (one, other) => { const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05); };
  const pairs = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) if (walker.currentNode.data.trim()) {
    const parent = walker.currentNode.parentElement;
    pairs.push([4.5, ratio(channels(getComputedStyle(parent).color), behind(parent)), parent.outerHTML]);
  }
  for (const each of document.querySelectorAll('td'))
    pairs.push([4.5, ratio(channels(getComputedStyle(each, '::before').color), behind(each)), each.outerHTML]);
  for (const each of document.querySelectorAll('.bar i, .key i'))
    pairs.push([3, ratio(channels(getComputedStyle(each).backgroundColor), behind(each.parentElement)), each.outerHTML]);
  return [pairs.length, pairs.filter(([least, found]) => found < least)
    .map(([least, found, html]) => found.toFixed(2) + ' ' + html.slice(0, 120))];
})()
"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [360, 1400])
def test_every_text_stands_out_from_what_is_behind_it(show: Show, width: int, dark: bool) -> None:
    count, faint = show(RICH, width, dark=dark).evaluate(CONTRAST)
    assert count > 300
    assert faint == []


def test_it_is_light_and_dark_as_its_reader_likes(show: Show) -> None:
    behind = "getComputedStyle(document.body).backgroundColor"
    light, dark = (show(RICH, 800, dark=dark).evaluate(behind) for dark in (False, True))
    assert (light, dark) == ("rgb(246, 247, 249)", "rgb(14, 18, 23)")


# --- by keyboard ---

FOCUSED = """(() => { const each = document.activeElement, style = getComputedStyle(each),
    place = each.getBoundingClientRect();
  return [each.tagName, style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2,
    place.bottom > 0 && place.top < innerHeight]; })()"""


def test_every_link_box_and_list_of_commands_is_reached_by_the_tab_key_and_seen(show: Show) -> None:
    tab = show(RICH, 1400)
    reached = []
    for _ in range(tab.evaluate("document.querySelectorAll('a, summary, [tabindex]').length")):
        tab.press("Tab", 9)
        name, outlined, seen = tab.evaluate(FOCUSED)
        assert (outlined, seen) == (True, True), tab.evaluate("document.activeElement.outerHTML.slice(0, 200)")
        reached.append(name)
    assert reached == ["A"] * 8 + ["DIV"] + ["SUMMARY"] * 6 + ["DIV"] * 2


def test_the_first_stop_skips_to_what_is_stuck(show: Show) -> None:
    tab = show(RICH, 360)
    hidden = "document.querySelector('.skip').getBoundingClientRect().bottom <= 0"
    assert tab.evaluate(hidden)
    tab.press("Tab", 9)
    assert tab.evaluate("document.activeElement.className") == "skip"
    assert not tab.evaluate(hidden)
    tab.press("Enter", 13, "\r")
    assert tab.evaluate("location.hash") == "#stuck"
    assert tab.evaluate("Math.abs(document.getElementById('stuck').getBoundingClientRect().top) < innerHeight")


def test_commands_are_opened_by_keyboard_and_chosen_whole(show: Show) -> None:
    tab = show(RICH, 1400)
    tab.evaluate("document.querySelector('details').open = false; document.querySelector('summary').focus()")
    tab.press("Enter", 13, "\r")
    assert tab.evaluate("document.querySelector('details').open")
    command = "document.querySelector('details pre')"
    assert tab.evaluate(f"{command}.checkVisibility() && getComputedStyle({command}).userSelect") == "all"
    x, y = tab.evaluate(f"(r => [r.left + 20, r.top + r.height / 2])({command}.getBoundingClientRect())")
    for kind in ("mousePressed", "mouseReleased"):
        tab.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
    assert tab.evaluate("getSelection().toString()") == tab.evaluate(f"{command}.textContent")


# --- by screen reader ---


@pytest.mark.parametrize("width", [360, 1400])
def test_a_screen_reader_finds_landmarks_headings_and_tables_however_they_are_laid_out(show: Show, width: int) -> None:
    tab = show(RICH, width)
    found = tab.accessible()
    roles = [each["role"]["value"] for each in found]
    rows, cells = 3 + 3 + len(RICH_LIVE) + 5, 3 * 5 + len(RICH_LIVE) * 7 + 5 * 6
    if width < 1000:  # what is empty takes no room there
        cells -= tab.evaluate("document.querySelectorAll('td:empty').length")
    assert {role: roles.count(role) for role in ("banner", "main", "contentinfo", "navigation", "article")} == {
        "banner": 1,
        "main": 1,
        "contentinfo": 1,
        "navigation": 1,
        "article": 6,
    }
    assert [roles.count(role) for role in ("table", "row", "rowheader", "cell")] == [3, rows, rows - 3, cells]
    named = [each["name"]["value"] for each in found if each["role"]["value"] in ("region", "table")]
    captions = ["Health of each cloud", "Migrations under way", "Migrations that ended last"]
    assert sorted(named) == sorted(captions * 2), "a box and its table"
    headings = [each["name"]["value"] for each in found if each["role"]["value"] == "heading"]
    assert headings[:3] == ["Nova migrations", "Clouds", "Stuck: 5"]
    assert "overdue resize of billing-db-03 in prod-east: migrating" in headings


# --- all in all ---


@pytest.mark.parametrize("name", VIEWS)
def test_the_browser_has_nothing_to_complain_of(show: Show, name: str) -> None:
    tab = show(VIEWS[name], 1400)
    assert tab.complaints() == []
    assert tab.evaluate("[document.compatMode, document.scripts.length, document.characterSet]") == [
        "CSS1Compat",
        0,
        "UTF-8",
    ]


def test_the_page_could_run_no_script_if_there_were_one(show: Show) -> None:
    tab = show(RICH, 800)
    tab.evaluate("document.body.append(Object.assign(document.createElement('script'), {text: 'window.ran = true'}))")
    assert tab.evaluate("window.ran === undefined")
    assert any("Content Security Policy" in each for each in tab.complaints())


def test_what_is_written_from_right_to_left_moves_nothing_beside_it(show: Show) -> None:
    """A Hebrew name of a server, and what stands before and behind it, lie in the order in which they are read."""
    hebrew = replace(shown.OVERDUE, server=replace(shown.server(1, "\u05d0\u05d1\u05d2 (1)"), host="\u05d3\u05d4"))
    tab = show(view(cloud("prod", WELL, hebrew)), 1400)
    lefts = tab.evaluate(
        "Array.from(document.querySelector('h3').childNodes, each => { const range = document.createRange();"
        " range.selectNodeContents(each); return range.getBoundingClientRect().left; })"
    )
    assert len(lefts) == 7 and lefts == sorted(lefts)


def test_five_hundred_of_everything_are_still_a_page(show: Show) -> None:
    tab = show(crowd(), 360)
    assert tab.evaluate("document.scrollingElement.scrollWidth") == 360
    assert tab.evaluate("document.querySelectorAll('article').length") == 1000
