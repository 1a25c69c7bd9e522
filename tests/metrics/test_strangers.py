"""Whatever strings Nova gives, they break neither the exposition, nor the page for people, nor the log."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
from collections import Counter
from html.parser import HTMLParser

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain
from prometheus_client.samples import Sample

from exporter import logs
from exporter.domain.cloud import RejectReason
from exporter.domain.names import LONGEST_NAME
from exporter.domain.server import Server
from exporter.domain.view import StrandedServer, View
from exporter.landing import landing_page
from exporter.metrics.exposition import Exposition
from exporter.pages import ViewPages
from exporter.source.nova import RejectionLog
from exporter.source.parsing import MAX_TEXT, parse_all
from exporter.strangers import printable
from tests.metrics.views import STRANDED
from tests.metrics.views import cloud_view as made_cloud_view
from tests.metrics.views import view as made_view
from tests.source.cloud import record, uuid_of
from tests.test_poller import Play

OPENMETRICS = "application/openmetrics-text; version=1.0.0"

HOSTILE = {
    "newline": 'x\ny{cloud="z"} 1\r\n# HELP openstack_migration_up no',
    "quotes": '"\'`\\\\" \\',
    "sample": 'openstack_migration_up{cloud="prod"} 0',
    "braces": "{} # = , ; # EOF",
    "controls": "".join(map(chr, range(32))) + "\x7f\x80\x85\x9b\x9d",
    "terminal": "\x1b[2J\x1b]0;title\x07\x1b[31m",
    "separators": "\u2028\u2029\x0b\x0c\x1c\x1d\x1e\x85",
    "right to left": "\u202egnikcattA\u2066\u2069\u200f\u061c",
    "invisible": "\u200b\u200d\ufeff\u00ad\u2060\U000e0041",
    "hebrew": "\u05d0\u05d1\u05d2 (1)",
    "not a character": "\uffff\ufffe\U0010ffff",
    "html": "<script>alert(1)</script><img src=x onerror=alert(1)></td></table><h1>",
    "attribute": "\" onmouseover=\"alert(1)\" '><a href='javascript:alert(1)'>",
    "entity": "&lt;b&gt; &#0; &amp;amp;",
    "comment": "<!-- --> <![CDATA[ ]]> <?php ?>",
    "template": "{{7*7}} ${7*7} %s %(x)s {0}",
    "blank": " ",
    "longest": "h" * MAX_TEXT,
    "longest of wide characters": "\U0001f9ca" * MAX_TEXT,
}
REJECTED = {
    "too long": "h" * 10_000,
    "one too long": "h" * (MAX_TEXT + 1),
    "half a character": "x\ud800",
    "reversed": "\udc00\ud800",
}


def moving(value: str, number: int = 1) -> dict[str, object]:
    """Return a record with a value wherever Nova has free text."""
    return record(number, status=value, source_compute=value, dest_compute=value, project_id=value)


def seen(*records: dict[str, object]) -> View:
    """Return what a poller shows of records that Nova gave as JSON."""
    understood, _ = parse_all(json.loads(json.dumps(records)))
    play = Play(*understood, per_host=True)
    assert play.poll()
    assert play.poll(after=600.0)
    return View(made_view().process, (play.view,))


def samples(shown: View) -> list[Sample]:
    """Return every sample of the page, having found both formats to say the same, a sample a line, none twice."""
    exposition = Exposition(lambda: shown, process_metrics=False)
    text, modern = (exposition.page(accept)[0].decode() for accept in ("", OPENMETRICS))
    found = [sample for family in plain(text) for sample in family.samples]
    assert len([line for line in text.split("\n") if line and not line.startswith("#")]) == len(found)
    again = [sample for family in openmetrics(modern) for sample in family.samples]
    assert [sample._replace(exemplar=None) for sample in again] == found
    assert max(Counter((each.name, *sorted(each.labels.items())) for each in found).values()) == 1
    return found


def comes_back(value: str) -> None:
    """Show a value in every label that it can reach, and find it there; an empty one is the same as none."""
    found = samples(seen(moving(value), record(2)))
    (info,) = (
        each for each in found if each.name == "openstack_migration_info" and each.labels["migration_id"] == uuid_of(1)
    )
    assert {info.labels[name] for name in ("source_host", "dest_host", "initiator_project_id")} == {value}
    statuses = {
        each.labels["status"]
        for each in found
        if each.labels.get("migration_id") == uuid_of(1) and "status" in each.labels
    }
    assert statuses == {value[:LONGEST_NAME]}
    assert {each.labels["host"] for each in found if each.name == "openstack_migrations_per_host"} == {
        value,
        "host1",
        "host2",
    }


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_value_comes_back_as_it_was(name: str) -> None:
    comes_back(HOSTILE[name])


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=MAX_TEXT))
def test_any_value_comes_back_as_it_was(value: str) -> None:
    comes_back(value)


def is_told_of_a_stranded_server(value: str) -> None:
    """Show a value in every label of a stranded server that is free text, or may be, and find it there."""
    stranded = StrandedServer(Server(value, "RESIZE", host=value), 1.0)
    found = samples(made_view(made_cloud_view(stranded=(stranded, STRANDED))))
    told = {
        (each.name.removeprefix("openstack_migration_"), each.labels["server_id"], each.labels.get("host"))
        for each in found
        if "_stranded_" in each.name
    }
    plain_id, plain_host = STRANDED.server.id, STRANDED.server.host
    assert told == {
        ("stranded_info", value, value),
        ("stranded_since_timestamp_seconds", value, None),
        ("stranded_info", plain_id, plain_host),
        ("stranded_since_timestamp_seconds", plain_id, None),
    }


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_value_of_a_stranded_server_comes_back_as_it_was(name: str) -> None:
    is_told_of_a_stranded_server(HOSTILE[name])


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=MAX_TEXT))
def test_any_value_of_a_stranded_server_comes_back_as_it_was(value: str) -> None:
    is_told_of_a_stranded_server(value)


@pytest.mark.parametrize("name", REJECTED)
@pytest.mark.parametrize(
    ("field", "reason"),
    [
        ("status", RejectReason.BAD_STATUS),
        ("source_compute", RejectReason.BAD_FIELD),
        ("dest_compute", RejectReason.BAD_FIELD),
        ("project_id", RejectReason.BAD_FIELD),
        ("uuid", RejectReason.NO_UUID),
        ("instance_uuid", RejectReason.NO_SERVER),
        ("migration_type", RejectReason.BAD_TYPE),
        ("created_at", RejectReason.BAD_TIME),
    ],
)
def test_a_value_that_no_column_of_nova_holds_costs_its_record_alone(
    name: str, field: str, reason: RejectReason
) -> None:
    understood, rejected = parse_all([record(1, **{field: REJECTED[name]}), record(2)])
    assert ([each.uuid for each in understood], [each.reason for each in rejected]) == ([uuid_of(2)], [reason])
    assert all(len(each.detail) < 120 and each.detail.isprintable() and each.record.isprintable() for each in rejected)


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("field", ["uuid", "instance_uuid", "migration_type", "created_at", "updated_at"])
def test_what_is_no_free_text_takes_no_free_text(name: str, field: str) -> None:
    understood, rejected = parse_all([record(1, **{field: HOSTILE[name]})])
    assert (understood, len(rejected)) == ((), 1)


def test_statuses_without_end_become_twenty_names_and_other() -> None:
    records = [record(number, status=f"{number:03} {'x' * 200}") for number in range(1, 101)]
    names = {each.labels["status"] for each in samples(seen(*records)) if each.name == "openstack_migrations"}
    unknown = {name for name in names if "x" in name}
    assert len(unknown) == 20 and "other" in names
    assert all(len(name) == LONGEST_NAME for name in unknown)


def test_statuses_that_are_the_same_once_cut_are_one_series() -> None:
    records = [record(number, status=f"{'x' * LONGEST_NAME}{number}") for number in (1, 2)]
    (count,) = (
        each
        for each in samples(seen(*records))
        if each.name == "openstack_migrations" and "x" * 9 in each.labels["status"]
    )
    assert count.value == 2


def test_a_status_that_is_called_as_ours_is_no_series_twice() -> None:
    names = ("other", "deleted", "unknown", "Migrating", "migrating ")
    samples(seen(*(record(number, status=name) for number, name in enumerate(names, 1))))


@pytest.mark.system
@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool: Debian's package `prometheus`")
def test_promtool_finds_nothing_to_say_of_hostile_values() -> None:
    shown = seen(*(moving(value, number) for number, value in enumerate(HOSTILE.values(), 1)))
    page = Exposition(lambda: shown).page("")[0]
    done = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


# --- the page for people ---


class Reader(HTMLParser):
    """The tags of a page with their attributes, and its texts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: Counter[tuple[str, tuple[str, ...]]] = Counter()
        self.others: list[str] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags[tag, tuple(name for name, _ in attributes)] += 1

    def handle_data(self, text: str) -> None:
        if text != "\n":
            self.texts.append(text)

    def handle_comment(self, text: str) -> None:
        self.others.append(text)

    def unknown_decl(self, text: str) -> None:
        self.others.append(text)

    def handle_pi(self, text: str) -> None:
        self.others.append(text)


def page_of(shown: View) -> str:
    pages = ViewPages(lambda accept: (b"", ""), lambda: shown, lambda: (True, ""), lambda: (True, ""), lambda: 1e9)
    return landing_page(pages.status(), "/metrics")[0].decode()


def is_harmless(value: str) -> None:
    """Show a value on the page, and find the page as it is without it, but for the value as text where it belongs."""
    tame, wild = (Reader(page_of(seen(moving(each), record(2)))) for each in ("tame", value))
    assert (wild.tags, wild.others) == (tame.tags, [])
    shown = [each for each in zip(tame.texts, wild.texts, strict=True) if each[0] != each[1]]
    assert [before for before, _ in shown] == ["tame"] * 3, "a status, from where, to where"
    assert [after for _, after in shown] == [printable(value[:LONGEST_NAME]), *[printable(value)] * 2]
    assert page_of(seen(moving(value))).replace("\n", "").isprintable()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_value_is_text_in_its_place(name: str) -> None:
    is_harmless(HOSTILE[name])


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=MAX_TEXT))
def test_any_value_is_text_in_its_place(value: str) -> None:
    is_harmless(value)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_values_of_a_stranded_server_are_text(name: str) -> None:
    def shown(value: str) -> str:
        server = Server(value, "RESIZE", value, value, value, value, value, value)
        return page_of(made_view(made_cloud_view(stranded=(StrandedServer(server, 1.0),))))

    tame, wild = Reader(shown("tame")), Reader(shown(HOSTILE[name]))
    assert (wild.others, set(wild.tags) - set(tame.tags)) == ([], set()), "a command may be missing, nothing is new"
    assert len(shown(HOSTILE[name]).split("\n")) <= len(shown("tame").split("\n"))
    assert shown(HOSTILE[name]).replace("\n", "").isprintable()
    assert printable(HOSTILE[name]) in wild.texts


@pytest.mark.parametrize(
    "moment",
    [
        "0001-01-01T00:00:00",
        "9999-12-31T23:59:59.999999",
        "9999-12-31T23:59:59-23:59",
        "0001-01-01T00:00:00+23:59",
        "1970-01-01T00:00:00",
        "9999-12-31T00:00:00",
    ],
)
@pytest.mark.parametrize("field", ["created_at", "updated_at"])
def test_a_moment_at_the_end_of_the_calendar_breaks_no_page(moment: str, field: str) -> None:
    shown = seen(record(1, **{field: moment}), record(2))
    samples(shown)
    assert uuid_of(2) in page_of(shown)


# --- the log ---


@pytest.mark.usefixtures("logging_as_before")
@pytest.mark.parametrize("form", ["logfmt", "json"])
@pytest.mark.parametrize("name", [*HOSTILE, *REJECTED])
def test_a_rejected_record_is_one_line_of_the_log(name: str, form: str) -> None:
    stream = io.StringIO()
    logs.configure("debug", form, stream)
    value = {**HOSTILE, **REJECTED}[name]
    for field in ("uuid", "instance_uuid", "migration_type", "created_at"):
        RejectionLog(lambda: 0.0).note(value, parse_all([record(1, **{field: value})])[1])
    lines = stream.getvalue().split("\n")
    assert len(lines) == 5 and lines.pop() == ""
    assert all(line.isprintable() and re.match(r'(ts=|\{"ts": ")2', line) for line in lines)
    stream.getvalue().encode()
