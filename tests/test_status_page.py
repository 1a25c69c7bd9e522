"""The page for people: what it says, how it is built, and that nothing breaks out of its place. See test_browser.py, too."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.domain.advice import advice_on, advice_on_stranded
from exporter.domain.cloud import Feature
from exporter.domain.lifecycle import Outcome, Reason
from exporter.domain.server import Progress, Server
from exporter.domain.view import Health, StrandedServer, View
from exporter.landing import MOST_ENDS, MOST_ROWS, StatusPage, landing_page
from exporter.landing.words import age, length, size
from exporter.strangers import printable
from tests import shown
from tests.shown import AT, HOUR, LIVE, RICH, WELL, cloud, crowd, ended, live, moving, view

VOID = frozenset({"meta"})


@dataclass
class Node:
    """An element, or a text (no tag)."""

    tag: str = ""
    attributes: dict[str, str] = field(default_factory=dict)
    text: str = ""
    children: list[Node] = field(default_factory=list)

    def all(self, tag: str, **attributes: str) -> list[Node]:
        """Return the elements below that have these attributes, in their order."""
        wanted = {name.rstrip("_"): value for name, value in attributes.items()}
        return [each for each in self.below() if each.tag == tag and wanted.items() <= each.attributes.items()]

    def one(self, tag: str, **attributes: str) -> Node:
        (found,) = self.all(tag, **attributes)
        return found

    def below(self) -> Iterator[Node]:
        for child in self.children:
            yield child
            yield from child.below()

    @property
    def texts(self) -> list[str]:
        return [each.text for each in self.below() if not each.tag and each.text != "\n"]

    @property
    def words(self) -> str:
        return "".join(self.texts)


class Document(HTMLParser):
    """A page as a tree; whatever is not closed as it was opened, or no element, is an error."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.root = Node("page")
        self._open = [self.root]
        self.feed(page)
        self.close()
        assert self._open == [self.root], "everything is closed"

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        node = Node(tag, {name: value or "" for name, value in attributes})
        assert len(node.attributes) == len(attributes), "no attribute is there twice"
        self._open[-1].children.append(node)
        if tag not in VOID:
            self._open.append(node)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop().tag == tag

    def handle_data(self, text: str) -> None:
        self._open[-1].children.append(Node(text=text))

    def unknown_decl(self, text: str) -> None:
        raise AssertionError(text)

    handle_comment = handle_pi = unknown_decl


def html(what: View, path: str = "/metrics") -> str:
    body, content_type = landing_page(StatusPage(what, AT), path)
    assert content_type == "text/html; charset=utf-8"
    return body.decode()


def page(what: View = RICH) -> Node:
    return Document(html(what)).root


def headline(what: View) -> list[tuple[str, str]]:
    """Return the sentences at the top, each with its look."""
    return [(each.words, each.attributes["class"]) for each in page(what).one("ul", class_="headline").all("li")]


def rows(section: Node) -> list[dict[str, Node]]:
    """Return the rows of the table of a section, each cell by its head."""
    return [{cell.attributes["data-head"]: cell for cell in row.children} for row in section.one("tbody").all("tr")]


def cards(section: Node) -> list[Node]:
    return section.all("article")


def plain(node: Node) -> str:
    """Return the texts of an element with one space between them."""
    return " ".join(" ".join(node.texts).split())


def facts(card: Node) -> dict[str, str]:
    return {fact.one("dt").words: plain(fact.one("dd")) for fact in card.one("dl").children}


# --- how it is built ---


def test_it_has_one_heading_for_the_page_and_one_for_every_section_and_card() -> None:
    found = page()
    levels = [int(each.tag[1]) for each in found.below() if re.fullmatch("h[1-6]", each.tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels)), "no level is left out"
    assert [each.words for each in found.all("h2")] == [
        "Clouds", "Stuck: 5", "Stranded servers: 1", "Under way: 6", "Last ends"
    ]  # fmt: skip
    assert [each.attributes["id"] for each in found.all("section")] == ["clouds", "stuck", "stranded", "live", "ended"]
    assert all(len(each.all("h3")) == 1 for each in found.all("article"))


@pytest.mark.parametrize("what", [RICH, view()], ids=["rich", "empty"])
def test_it_can_be_read_without_eyes_and_without_a_mouse(what: View) -> None:
    found = page(what)
    assert found.one("html").attributes["lang"] == "en"
    assert found.one("meta", name="viewport").attributes["content"] == "width=device-width, initial-scale=1"
    assert found.one("a", class_="skip").attributes["href"] == "#stuck"
    assert [each.tag for each in found.one("body").children if each.tag] == ["a", "header", "main", "footer"]
    for table in found.all("table"):
        assert table.one("caption").words
        assert {each.attributes["scope"] for each in table.one("thead").all("th")} == {"col"}
        assert [len(row.all("th", scope="row")) for row in table.one("tbody").all("tr")] == [1] * len(
            table.one("tbody").all("tr")
        )
    boxes = found.all("div", role="region")
    assert [len(box.all("table")) for box in boxes] == [1] * len(found.all("table"))
    assert all(box.attributes["tabindex"] == "0" and box.attributes["aria-label"] for box in boxes)
    ids = [each.attributes["id"] for each in found.below() if "id" in each.attributes]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("what", [RICH, view()], ids=["rich", "empty"])
def test_it_needs_no_script_and_loads_nothing(what: View) -> None:
    found = page(what)
    tags = {each.tag for each in found.below() if each.tag}
    assert not tags & {"script", "link", "img", "iframe", "object", "embed", "form", "base", "svg"}
    names = {name for each in found.below() for name in each.attributes}
    assert not [name for name in names if name.startswith("on") or name in ("src", "srcset", "http-equiv")]
    styles = [each.attributes["style"] for each in found.below() if "style" in each.attributes]
    assert all(re.fullmatch(r"width:\d{1,3}\.\d\d%", each) for each in styles)
    assert "url(" not in html(what) and "@import" not in html(what)


def test_it_leads_to_the_other_pages() -> None:
    found = Document(html(RICH, "/nova")).root
    links = [each.attributes["href"] for each in found.one("nav").all("a")]
    assert links == ["/nova", "/api/v1/migrations", "/-/healthy", "/-/ready"]


# --- what it says ---


def test_the_top_says_in_words_what_is_wrong() -> None:
    assert headline(RICH) == [
        ("5 migrations are stuck.", "bad"),
        ("1 server is stranded.", "bad"),
        ("1 of 3 clouds does not answer.", "bad"),
    ]
    assert page().one("title").words == "5 stuck - Nova migrations"
    links = [each.attributes["href"] for each in page().one("ul", class_="headline").all("a")]
    assert links == ["#stuck", "#stranded", "#clouds"]
    both = view(cloud("a", shown.SILENT, shown.STALE), cloud("b", shown.SILENT))
    assert headline(both) == [("1 migration is stuck.", "bad"), ("2 of 2 clouds do not answer.", "bad")]


def test_the_top_says_that_all_is_well() -> None:
    quiet = view(cloud("prod", WELL, shown.RUNNING))
    assert headline(quiet) == [("No migration is stuck.", "good"), ("Every cloud answers.", "good")]
    assert page(quiet).one("title").words == "Nova migrations"


def test_what_is_not_known_yet_is_not_called_well() -> None:
    assert headline(view()) == [("No cloud was asked yet.", "weak")]
    waiting = view(cloud("a", Health()), cloud("b", WELL))
    assert headline(waiting) == [
        ("No migration is known to be stuck.", "weak"),
        ("1 of 2 clouds was not asked yet.", "weak"),
    ]
    silent = view(cloud("a", shown.SILENT))
    assert headline(silent) == [
        ("No migration is known to be stuck.", "weak"),
        ("The only cloud does not answer.", "bad"),
    ]
    assert rows(page(waiting).one("section", id="clouds"))[0]["answers"].words == "not asked yet"


def test_what_is_not_there_is_said_in_words() -> None:
    found = page(view(cloud("prod", WELL)))
    assert [each.words for each in found.all("p", class_="none")] == [
        "No migration is stuck.",
        "No server is stranded.",
        "No migration is under way.",
        "No migration has ended since the exporter began.",
    ]
    assert "No cloud was asked yet." in page(view()).one("section", id="clouds").words
    alone = page(view(cloud("prod", WELL, shown.OVERDUE))).one("section", id="live")
    assert "No other migration is under way." in alone.words


def test_every_cloud_has_its_health() -> None:
    east, west, lab = rows(page().one("section", id="clouds"))
    assert {head: plain(cell) for head, cell in east.items()} == {
        "cloud": "prod-east",
        "answers": "yes",
        "last complete poll": "12s ago 2026-11-18 11:33:08 UTC",
        "API": "2.80",
        "features not available": "none",
        "error": "",
    }
    assert (west["answers"].words, west["error"].words) == ("no, for a long time", shown.SILENT.error)
    assert lab["features not available"].words == "exact_durations, live_progress"
    (never,) = rows(page(view(cloud("prod", replace(shown.SILENT, last_success=None)))).one("section", id="clouds"))
    assert (never["answers"].words, never["last complete poll"].words) == ("no", "never")


def test_what_is_stuck_comes_first_and_the_stale_records_last() -> None:
    headings = [each.one("h3").words for each in cards(page().one("section", id="stuck"))]
    assert headings == [
        "overdue resize of billing-db-03 in prod-east: migrating",
        f"undiagnosed evacuation of {shown.UNEXPLAINED.migration.server_id} in prod-west: accepted",
        "dest_down migration of build-runner-2 in prod-east: post-migrating",
        "no_progress live-migration of web-frontend-17 in prod-east: running",
        "orphaned live-migration of mail-relay in prod-west: preparing",
    ]


def test_a_stuck_migration_tells_who_where_since_when_why_and_what_to_do() -> None:
    card = cards(page().one("section", id="stuck"))[0]
    migration, advice = shown.OVERDUE.migration, advice_on(shown.OVERDUE)
    assert advice is not None
    assert facts(card) == {
        "stuck": "for 1h 12m 2026-11-18 10:21:20 UTC",
        "in this status": "for 3h 12m 2026-11-18 08:21:20 UTC",
        "server": f"{migration.server_id} RESIZE , task resize_migrating , power running , on compute-2",
        "from, to": "compute-2 → compute-9",
        "migration": migration.uuid,
    }
    assert card.one("p", class_="hint").words == advice.hint
    assert card.one("summary").words == f"What to do: {len(advice.commands)} commands"
    assert tuple(each.words for each in card.all("pre")) == advice.commands


def test_a_stuck_live_migration_tells_what_it_has_moved() -> None:
    card = cards(page().one("section", id="stuck"))[3]
    assert facts(card)["progress"] == "44 %, 9.0 GiB of 16.0 GiB to go last moved 16m 40s ago"


def test_a_command_of_several_lines_is_shown_as_it_is_to_be_copied() -> None:
    card = cards(page().one("section", id="stuck"))[-1]
    advice = advice_on(shown.STALE)
    assert advice is not None
    (sql,) = [command for command in advice.commands if "\n" in command]
    assert "".join(each.text for each in card.all("pre")[advice.commands.index(sql)].below()) == sql


def test_a_record_that_was_not_seen_is_marked() -> None:
    assert facts(cards(page().one("section", id="stuck"))[1])["in this status"].endswith("not in the last sweep")
    unseen = view(cloud("prod", WELL, replace(shown.QUEUED, unseen=True)))
    assert rows(page(unseen).one("section", id="live"))[0]["status"].texts == ["queued", "not in the last sweep"]


def test_a_stranded_server_is_told_of_alike() -> None:
    (card,) = cards(page().one("section", id="stranded"))
    advice = advice_on_stranded(shown.STRANDED)
    assert card.one("h3").words == "stranded reporting-old in prod-east: REVERT_RESIZE"
    assert facts(card)["stranded"] == "for 2h 12m 2026-11-18 09:21:20 UTC"
    assert facts(card)["host"] == "compute-1"
    assert card.one("p", class_="hint").words == advice.hint
    assert tuple(each.words for each in card.all("pre")) == advice.commands


def test_where_nobody_looks_for_stranded_servers_that_is_said() -> None:
    blind = replace(WELL, features={Feature.DIAGNOSIS: False})
    found = page(view(cloud("a", blind), cloud("b", replace(WELL, features={})), cloud("c", WELL)))
    assert "Not looked for in 2 of 3 clouds: no diagnosis there." in found.one("section", id="stranded").words


def test_what_is_under_way_is_a_row_each_the_longest_first() -> None:
    found = rows(page().one("section", id="live"))
    servers = ["search-index-04", "ldap-replica-b", "cache-2", "cache-1", shown.CHOOSING.migration.server_id, "wiki"]
    assert [row["server"].texts[0] for row in found] == servers
    assert {head: cell.texts for head, cell in found[0].items()} == {
        "server": ["search-index-04", shown.RUNNING.migration.server_id],
        "migration": ["live-migration", shown.RUNNING.migration.uuid],
        "status": ["running"],
        "for": ["5m 40s", "2026-11-18 11:27:40 UTC"],
        "from, to": ["compute-5", "→ ", "compute-9"],
        "progress": ["64 %, 67.0 GiB of 184.0 GiB to go", "last moved 4s ago"],
        "counts as stuck": ["in 2h 54m", "2026-11-18 14:27:40 UTC"],
        "cloud": ["prod-east"],
    }
    assert found[0]["progress"].one("i").attributes["style"] == "width:63.59%"
    assert found[-1]["counts as stuck"].words == "never"
    assert found[4]["from, to"].texts[-1] == "not known"


@pytest.mark.parametrize(
    ("progress", "words", "width"),
    [
        (Progress(), "no figures", None),
        (Progress(memory_total=0, memory_remaining=0), "no figures", None),
        (Progress(memory_total=1000), "no figures", None),
        (Progress(memory_total=1000, memory_remaining=0), "100 %, 0 B of 1000 B to go", "width:100.00%"),
        (Progress(memory_total=1000, memory_remaining=2048), "0 %, 2.0 KiB of 1000 B to go", "width:0.00%"),
    ],
)
def test_progress_is_a_bar_where_the_figures_are_known(progress: Progress, words: str, width: str | None) -> None:
    record = replace(shown.RUNNING, progress=progress, progressed=None)
    (row,) = rows(page(view(cloud("prod", WELL, record))).one("section", id="live"))
    assert row["progress"].words == words
    assert [each.attributes["style"] for each in row["progress"].all("i")] == ([width] if width else [])


def test_a_deadline_that_has_passed_is_no_promise() -> None:
    waits = replace(shown.QUEUED, deadline=AT - 90)
    (row,) = rows(page(view(cloud("prod", WELL, waits))).one("section", id="live"))
    assert row["counts as stuck"].texts[0] == "since 1m 30s"


def test_records_that_are_left_out_are_counted() -> None:
    assert "2 records are left out, as the configuration says." in page().one("section", id="live").words


def test_the_last_ends_tell_how_long_each_status_took() -> None:
    found = rows(page().one("section", id="ended"))
    assert [row["end"].texts for row in found] == [
        ["completed", "success"], ["confirmed", "success"], ["failed", "failure"], ["done", "success"],
        ["deleted", "deleted"],
    ]  # fmt: skip
    times = found[0]["time in each status"]
    assert [each.words for each in times.one("ul").all("li")] == [
        "accepted 1.4s", "queued 38s", "preparing 3.9s", "running 1m 4s"
    ]  # fmt: skip
    bar = times.one("span", class_="bar")
    assert bar.attributes["aria-hidden"] == "true", "the words say it all"
    widths = [float(each.attributes["style"][6:-1]) for each in bar.all("i")]
    assert sum(widths) == pytest.approx(100, abs=0.05)
    assert widths[1] == pytest.approx(100 * 38 / 107.63, abs=0.01)
    assert bar.all("i")[0].attributes["title"] == "accepted: 1.4s"
    assert found[-1]["time in each status"].one("ul").all("li")[1].words == "migrating not known"
    assert found[-1]["when"].words == "not known"


def test_a_status_has_the_same_colour_on_the_bar_and_beside_its_number() -> None:
    for row in rows(page().one("section", id="ended")):
        times = row["time in each status"]
        on_the_bar = {
            each.attributes["title"].split(":")[0]: each.attributes["class"] for each in times.one("span").all("i")
        }
        beside = {each.all("bdi")[0].words: each.one("i").attributes["class"] for each in times.one("ul").all("li")}
        assert on_the_bar.items() <= beside.items()
        assert len(set(beside.values())) == len(beside)


def test_the_last_ends_of_all_clouds_are_one_list_the_newest_first() -> None:
    ends = [
        ended(moving(number, LIVE, "completed", 10.0 * number), Outcome.SUCCESS, {})
        for number in range(1, 2 * MOST_ENDS)
    ]
    found = rows(
        page(view(cloud("a", WELL, recent=tuple(ends[::2])), cloud("b", WELL, recent=tuple(ends[1::2])))).one(
            "section", id="ended"
        )
    )
    assert [row["migration"].texts[1] for row in found] == [end.migration.uuid for end in ends[:MOST_ENDS]]
    assert {row["cloud"].words for row in found} == {"a", "b"}


# --- bounds ---


def test_it_is_bounded_and_says_so() -> None:
    found = page(crowd(MOST_ROWS + 7, MOST_ROWS + 3, MOST_ROWS + 2))
    for section, count, more in (("live", None, 7), ("stuck", MOST_ROWS, 3), ("stranded", MOST_ROWS, 2)):
        part = found.one("section", id=section)
        assert len(part.all("article") if count else part.one("tbody").all("tr")) == MOST_ROWS
        assert f"{more} more are not shown." in part.words
    assert [each.words for each in found.all("h2")][1] == f"Stuck: {MOST_ROWS + 3}"


# --- strangers ---


def everywhere(text: str) -> View:
    """Return a view with a text wherever a stranger may write one."""
    server = Server(text, text, text, text, text, text, text, text)
    migration = moving(1, LIVE, text, 60.0, uuid=text, server_id=text, source_host=text, dest_host=text)
    stuck = live(migration, HOUR, Reason.ORPHANED, 10.0, server=server)
    quiet = live(replace(migration, uuid=f"{text}2"), HOUR, server=server, progress=Progress(9, 9, 9), progressed=1.0)
    health = replace(WELL, up=False, error=text, microversion=text)
    recent = (ended(migration, Outcome.FAILURE, {text: 1.0, f"{text}2": None}),)
    return view(cloud(text, health, stuck, quiet, stranded=(StrandedServer(server, 1.0),), recent=recent))


def shape(node: Node) -> object:
    """Return what the page is made of without the texts; a command may be left out, and a list of them is as good."""
    kept = [child for child in node.children if child.tag and child.tag not in ("details", "style")]
    return (node.tag, tuple(node.attributes), [shape(child) for child in kept])


def is_harmless(text: str) -> None:
    wild = html(everywhere(text))
    assert wild.replace("\n", "").isprintable()
    found = Document(wild).root
    assert shape(found) == shape(page(everywhere("tame")))
    assert found.texts.count(printable(text)) >= 20
    classes = {each.attributes["class"] for each in found.below() if "class" in each.attributes}
    assert all(re.fullmatch(r"[a-z0-9 ]+", each) for each in classes), "no class is a stranger's"
    links = {each.attributes["href"] for each in found.all("a")}
    assert links == {"#stuck", "#stranded", "#clouds", "/metrics", "/api/v1/migrations", "/-/healthy", "/-/ready"}


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert('x')</script>\"&",
        '"><img src=x onerror=alert(1)>',
        "' onmouseover='alert(1)",
        "</pre></details></article></main></body></html>",
        "</title></style><script>",
        "<!-- --> <![CDATA[ ]]> <?php ?>",
        "&lt;b&gt; &#0; &amp;amp;",
        "\u202egnikcattA\u2066\u2069",
        "\x1b[2J\r\n\u2028\x00",
        "x\udcff",
        "100%;background:url(//evil)",
        "\u05d0\u05d1\u05d2 (1)",
    ],
)
def test_what_strangers_wrote_stays_in_its_place(text: str) -> None:
    is_harmless(text)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(st.characters(exclude_categories=()), min_size=1, max_size=80).filter(lambda text: text != "\n"))
def test_any_text_stays_in_its_place(text: str) -> None:
    is_harmless(text)


# --- words ---


@pytest.mark.parametrize(
    ("seconds", "words"), [(-5, "0s"), (0.9, "0s"), (59, "59s"), (60, "1m 0s"), (3599, "59m 59s"), (90_061, "1d 1h")]
)
def test_ages_have_two_units(seconds: float, words: str) -> None:
    assert age(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(-1, "0.00s"), (0.04, "0.04s"), (1, "1.0s"), (9.94, "9.9s"), (10, "10s"), (75.5, "1m 15s")]
)
def test_short_times_have_tenths(seconds: float, words: str) -> None:
    assert length(seconds) == words


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1.5 * 1024**3, "1.5 GiB"), (5000 * 1024**4, "5000.0 TiB")],
)
def test_sizes_have_the_largest_unit(count: float, words: str) -> None:
    assert size(count) == words
