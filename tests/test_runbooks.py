"""Each alert has a runbook that is whole, and what a runbook names is really there: metrics, keys, statuses, flags, links."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import promql_parser
import pytest
from pydantic import BaseModel

from exporter.config_schema import Document
from exporter.domain.advice import advice_on, advice_on_stranded
from exporter.domain.cloud import ErrorKind, Feature
from exporter.domain.diagnosis import Stuck
from exporter.domain.lifecycle import LIVE_ROWS, TABLE, MigrationType, Outcome, Reason, reasons_of
from exporter.domain.migration import Migration
from exporter.domain.server import Server
from exporter.domain.view import LiveMigrationRecord, StrandedServer
from exporter.flags import parse
from exporter.metrics.catalogue import Kind
from exporter.metrics.exposition import FAMILIES
from tools.rules import GROUPS
from tools.rules.rows import PREFIX, Alert, Record

ROOT = Path(__file__).parent.parent
RUNBOOKS = ROOT / "docs/runbooks"
INDEX = RUNBOOKS / "README.md"

ALERTS: Mapping[str, Alert] = {
    rule.full_name: rule for group in GROUPS for rule in group.rules if isinstance(rule, Alert)
}
RECORDS: Mapping[str, str] = {
    rule.name: rule.expr for group in GROUPS for rule in group.rules if isinstance(rule, Record)
}
TEXTS: Mapping[str, str] = {path.stem: path.read_text() for path in sorted(RUNBOOKS.glob("*.md"))}
PAGES: Mapping[str, str] = {name: text for name, text in TEXTS.items() if name != INDEX.stem}

SECTIONS = ["Meaning", "Impact", "Diagnosis", "Mitigation"]
FENCE = re.compile(r"^( *)```([a-z]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
LANGUAGES = {"promql", "sh", "sql"}

each_page = pytest.mark.parametrize("name", PAGES)
each_text = pytest.mark.parametrize("name", TEXTS)


def blocks(text: str, *languages: str) -> list[str]:
    """Return what stands in the fences of these languages; of all where none is named."""
    return [block for _, language, block in FENCE.findall(text) if not languages or language in languages]


def prose(text: str) -> str:
    """Return a page without its fences."""
    return FENCE.sub("", text)


def in_backticks(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", prose(text))


def sections(text: str) -> dict[str, str]:
    """Return each section of a page by its head, in the order in which they stand."""
    outside_fences = re.split(r"^## (.*)$", text, flags=re.MULTILINE)
    return dict(zip(outside_fences[1::2], outside_fences[2::2], strict=True))


# That there is one for each


def test_each_alert_has_one_runbook_and_each_runbook_an_alert() -> None:
    assert set(PAGES) == set(ALERTS)
    assert {path.name for path in RUNBOOKS.iterdir()} == {f"{name}.md" for name in TEXTS}


@each_page
def test_a_runbook_has_its_title_severity_and_four_sections(name: str) -> None:
    head, severity = PAGES[name].split("\n## ", 1)[0].strip().split("\n\n")
    assert head == f"# {name}"
    assert severity == f"Severity: {ALERTS[name].severity}"
    assert list(sections(PAGES[name])) == SECTIONS
    assert all(len(text.split()) >= 10 for text in sections(PAGES[name]).values())


@each_page
@pytest.mark.parametrize("section", ["Diagnosis", "Mitigation"])
def test_a_runbook_says_what_to_type(name: str, section: str) -> None:
    assert blocks(sections(PAGES[name])[section], "promql", "sh")


@each_text
def test_fences_are_closed_and_say_what_they_hold(name: str) -> None:
    languages = {language for _, language, _ in FENCE.findall(TEXTS[name])}
    assert languages <= LANGUAGES
    assert "```" not in prose(TEXTS[name])


def test_the_index_has_every_alert_with_its_severity_and_summary() -> None:
    row = re.compile(r"^\| \[(\w+)\]\((\w+)\.md\) \| (\w+) \| (.*) \|$", re.MULTILINE)
    groups = re.findall(r"^### .*\n\n((?:\|.*\n)+)", TEXTS[INDEX.stem], re.MULTILINE)
    expected = [
        [
            (rule.full_name, rule.full_name, str(rule.severity), rule.summary)
            for rule in group.rules
            if isinstance(rule, Alert)
        ]
        for group in GROUPS
    ]
    assert [row.findall(table) for table in groups] == expected


# Metrics and PromQL

#: What every scrape brings along, whoever is scraped.
TARGET_LABELS = {"job", "instance"}
SUFFIXES = {Kind.GAUGE: ("",), Kind.COUNTER: ("",), Kind.HISTOGRAM: ("_bucket", "_count", "_sum")}
SERIES: Mapping[str, set[str]] = {
    **{
        family.name + suffix: {*family.labels, *TARGET_LABELS, *(["le"] if suffix == "_bucket" else [])}
        for family in FAMILIES
        for suffix in SUFFIXES[family.kind]
    },
    # The level of a recording rule names what it keeps (level:metric:operations).
    **{name: set(re.findall(r"cloud|migration_type|outcome|host|role", name.split(":")[0])) for name in RECORDS},
    "up": TARGET_LABELS,
}
FAMILY_NAMES = {family.name for family in FAMILIES}
QUERIES = [(name, query) for name, text in TEXTS.items() for query in blocks(text, "promql")]
METRIC = re.compile(r"\b(?:[a-z_]+:)?openstack_migration[a-z_]*(?::[a-z0-9_]+)?|\bprocess_[a-z_]+")


@each_text
def test_every_metric_named_is_served(name: str) -> None:
    named = set(METRIC.findall(TEXTS[name]))
    assert named <= {*SERIES, *FAMILY_NAMES}


def nodes(expression: Any) -> Iterator[Any]:
    """Yield an expression and all below it."""
    yield expression
    for part in ("lhs", "rhs", "expr", "vector_selector", "args", "param"):
        below = getattr(expression, part, None)
        for each in below if isinstance(below, list) else [below]:
            if each is not None:
                yield from nodes(each)


def selectors(expression: Any) -> list[Any]:
    return [each for each in nodes(expression) if isinstance(each, promql_parser.VectorSelector)]


def labels_asked_for(expression: Any) -> set[str]:
    """Return what by(), without(), on(), ignoring() and group_left() below an expression name."""
    names: set[str] = set()
    for each in nodes(expression):
        modifier = getattr(each, "modifier", None)
        for part in (modifier, getattr(modifier, "matching", None), getattr(modifier, "group_labels", None)):
            names |= set(getattr(part, "labels", None) or (part if isinstance(part, list) else ()))
    return names


@pytest.mark.parametrize(("name", "query"), QUERIES)
def test_a_query_is_promql_and_its_metrics_and_labels_exist(name: str, query: str) -> None:
    expression = promql_parser.parse(query)
    found = selectors(expression)
    assert found
    assert {each.name for each in found} <= set(SERIES)
    for each in found:
        assert {matcher.name for matcher in each.matchers.matchers} <= SERIES[each.name]
    assert labels_asked_for(expression) <= set().union(*(SERIES[each.name] for each in found))


@pytest.mark.parametrize(("name", "query"), QUERIES)
def test_a_query_asks_for_values_that_there_are(name: str, query: str) -> None:
    """Names of statuses, reasons and types in a selector are some; a pattern matches at least one."""
    for each in selectors(promql_parser.parse(query)):
        for matcher in each.matchers.matchers:
            if matcher.name in VALUES:
                parts = matcher.value.split("|")
                assert all(any(re.fullmatch(part, value) for value in VALUES[matcher.name]) for part in parts)


def counted_by_each_exporter(expression: Any, *, reduced: bool = False, adds: bool = False) -> Iterator[str]:
    """Yield the series of which two exporters have one each, where an expression adds, counts or matches them one to one.

    Buckets may be added up, for their shares stay the same; what follows `and` and `unless` may be there twice.
    """
    match expression:
        case promql_parser.VectorSelector():
            if adds and not reduced and expression.name not in RECORDS and not expression.name.endswith("_bucket"):
                yield expression.name
        case promql_parser.AggregateExpr():
            reduces = str(expression.op) in ("max", "min")
            yield from counted_by_each_exporter(expression.expr, reduced=reduces, adds=adds or not reduces)
        case promql_parser.BinaryExpr():
            matches = adds or getattr(expression.modifier, "matching", None) is not None
            is_set = str(expression.op) in ("and", "unless")
            yield from counted_by_each_exporter(expression.lhs, reduced=reduced, adds=adds if is_set else matches)
            if not is_set:
                yield from counted_by_each_exporter(expression.rhs, reduced=reduced, adds=matches)
        case _:
            for part in ("expr", "vector_selector", "args"):
                below = getattr(expression, part, None)
                for each in below if isinstance(below, list) else [below]:
                    if each is not None:
                        yield from counted_by_each_exporter(each, reduced=reduced, adds=adds)


@pytest.mark.parametrize(("name", "query"), QUERIES)
def test_a_query_means_the_same_with_two_exporters_of_one_cloud(name: str, query: str) -> None:
    assert list(counted_by_each_exporter(promql_parser.parse(query))) == []


@pytest.mark.parametrize(
    ("query", "twice"),
    [
        ("openstack_migration_up == 0", []),
        ("count(openstack_migration_stuck_info)", ["openstack_migration_stuck_info"]),
        ("sum(increase(x[1h]))", ["x"]),
        ("sum(max by (a) (increase(x[1h])))", []),
        ("max by (a) (x) * on (a) group_left (b) y", ["y"]),
        ("max by (a) (x) and on (a) y", []),
        ("count(max by (a) (x) and on (a) y)", []),
    ],
)
def test_what_two_exporters_would_double_is_found(query: str, twice: list[str]) -> None:
    assert list(counted_by_each_exporter(promql_parser.parse(query))) == twice


def test_the_queries_are_looked_into() -> None:
    """The walk over a query finds what is written in all of its corners."""
    query = 'sum by (a) (x{b="1"}) / on (c) group_left (d) rate(y{e="2"}[5m]) or topk(5, max without (f) (last_over_time(z[1h:1m])))'
    expression = promql_parser.parse(query)
    assert {each.name for each in selectors(expression)} == {"x", "y", "z"}
    assert labels_asked_for(expression) == {"a", "c", "d", "f"}


# Names in backticks

STATUSES = {row.status for row in TABLE}
VALUES: Mapping[str, set[str]] = {
    "status": STATUSES,
    "from_status": STATUSES,
    "to_status": STATUSES,
    "migration_type": set(MigrationType),
    "outcome": set(Outcome),
    "role": {"source", "dest"},
    "feature": set(Feature),
    "reason": {*Reason, *ErrorKind},
}
TASK_STATES = {task for row in LIVE_ROWS for task in row.task_states if task is not None}
LABELS = {label for family in FAMILIES for label in family.labels}


def keys(kind: type[BaseModel], path: str = "") -> Iterator[str]:
    """Yield the path of every key that the configuration may have, sections included."""
    for name, field in kind.model_fields.items():
        key = f"{path}{field.alias or name}"
        yield key
        for part in (field.annotation, *get_args(field.annotation)):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from keys(part, f"{key}.")


KEYS = set(keys(Document))

#: Words of Nova and its neighbours that runbooks write in backticks; all others must be names of the exporter's.
OF_NOVA = {
    # services and commands
    "nova-compute",
    "openstack-nova-compute",
    "audit",
    "virsh",
    "scp",
    "rsync",
    "chronyd",
    "makestep",
    "domjobinfo",
    # options of nova.conf
    "allow_resize_to_same_host",
    "cpu_mode",
    "cpu_models",
    "instances_path",
    "live_migration_completion_timeout",
    "live_migration_inbound_addr",
    "live_migration_permit_auto_converge",
    "live_migration_permit_post_copy",
    "live_migration_timeout_action",
    "max_attempts",
    "max_concurrent_live_migrations",
    "migrate_max_retries",
    "reclaim_instance_interval",
    "service_down_time",
    "vif_plugging_timeout",
    # steps and fields of servers
    "cold_migrate",
    "compute_finish_resize",
    "compute_pre_live_migration",
    "compute_prep_resize",
    "compute_resize_instance",
    "compute_terminate_instance",
    "active",
    "down",
    "fault",
    "soft-deleting",
    "instances",
    "auto",
    # annotations of alerts
    "runbook_url",
    "dashboard_url",
    # subcommands of the exporter, and a value of a threshold
    "check",
    "never",
}
WORD = re.compile(r"[a-z]+(?:[-_][a-z]+)*(?: \([a-z-]+\))?")
KNOWN = (
    set().union(*VALUES.values())
    | TASK_STATES
    | LABELS
    | KEYS
    | FAMILY_NAMES
    | {*OF_NOVA, "openstack-migration-exporter"}
)
FILE = re.compile(r"\.(?:yaml|yml|conf|db|md|log|lock)$")


@each_text
def test_every_word_in_backticks_is_a_name_that_there_is(name: str) -> None:
    words = {token for token in in_backticks(TEXTS[name]) if WORD.fullmatch(token)}
    assert words <= KNOWN


def test_the_words_of_nova_are_used_and_are_no_names_of_ours() -> None:
    used = {token for text in TEXTS.values() for token in in_backticks(text)}
    assert used >= OF_NOVA
    assert not OF_NOVA & (STATUSES | set(Reason))


@each_text
def test_every_configuration_key_exists(name: str) -> None:
    dotted = {token for token in in_backticks(TEXTS[name]) if re.fullmatch(r"[a-z][a-z_-]*(?:\.[a-z_-]+)+", token)}
    assert {token for token in dotted if not FILE.search(token)} <= KEYS


def test_the_keys_are_all_of_them() -> None:
    assert {"clouds", "resize_confirm_window", "poll.interval", "ignore.migration_ids"} <= KEYS
    assert {"thresholds.live-migration.running (post-copy)", "thresholds.evacuation.unknown"} <= KEYS
    assert "thresholds.resize.running" not in KEYS


# Commands


def commands(text: str) -> Iterator[str]:
    """Yield each line of the shell blocks of a page."""
    for block in blocks(text, "sh"):
        yield from filter(None, map(str.strip, block.splitlines()))


@each_text
def test_every_use_of_the_exporter_is_one_that_it_takes(name: str) -> None:
    for line in commands(TEXTS[name]):
        if line.startswith("openstack-migration-exporter"):
            words = shlex.split(line.split("|")[0], comments=True)
            parse(words[1:])  # ends the test with SystemExit where it does not


@each_text
def test_every_flag_of_the_exporter_exists(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--help"])
    flags = set(re.findall(r"--[a-z.-]+", capsys.readouterr().out))
    named = set(re.findall(r"--(?:config|web|state|log)\.[a-z.-]+[a-z]", TEXTS[name]))
    assert named <= flags


@each_text
def test_shell_blocks_set_the_variables_that_they_use(name: str) -> None:
    """Whoever pastes a command must not paste an empty name: a variable is set on the same page, or by a loop."""
    lines = "\n".join(commands(TEXTS[name]))
    used = set(re.findall(r"\$\{?([A-Za-z]+)", lines))
    made = set(re.findall(r"^([A-Z]+)=", lines, re.MULTILINE)) | set(re.findall(r"\bfor ([a-z]+) in", lines))
    assert used <= made


@each_text
def test_shell_blocks_can_be_pasted(name: str) -> None:
    script = "\n".join(blocks(TEXTS[name], "sh"))
    found = subprocess.run(["sh", "-n"], input=script, capture_output=True, check=False, text=True, timeout=60)
    assert (found.returncode, found.stderr) == (0, "")


@pytest.mark.parametrize("name", [name for name, text in TEXTS.items() if blocks(text, "sql")])
def test_sql_moves_one_record_and_only_from_the_status_that_was_seen(name: str) -> None:
    for block in blocks(TEXTS[name], "sql"):
        statements = [each.strip() for each in re.sub(r"^\s*--.*$", "", block, flags=re.MULTILINE).split(";")]
        for statement in filter(None, statements):
            if not statement.startswith("SELECT "):
                assert SAFE_UPDATE.fullmatch(statement + ";")


SAFE_UPDATE = re.compile(
    r"UPDATE migrations SET status='(?:error|finished)', updated_at=UTC_TIMESTAMP\(\) "
    r"WHERE uuid='<migration_id>' AND status='(?:<status>|confirming)' AND deleted=0;"
)

# That they agree with the advice that the exporter gives

#: The alerts on single records, by the reasons of which they tell.
BY_REASON: Mapping[Reason, str] = {
    Reason.SOURCE_DOWN: "HostDown",
    Reason.DEST_DOWN: "HostDown",
    Reason.SERVER_ERROR: "ServerInError",
    Reason.NO_PROGRESS: "NoProgress",
    Reason.ORPHANED: "Orphaned",
    Reason.SERVER_DELETING: "ServerDeleting",
    Reason.UNCONFIRMED: "ResizeUnconfirmed",
    Reason.OVERDUE: "Overdue",
    Reason.UNDIAGNOSED: "Overdue",
}
OF_EVACUATIONS = {Reason.OVERDUE, Reason.UNDIAGNOSED, Reason.DEST_DOWN}


def runbook_of(kind: MigrationType, reason: Reason) -> str:
    """Return the runbook of the alert that tells of a stuck record."""
    evacuation = kind is MigrationType.EVACUATION and reason in OF_EVACUATIONS
    return TEXTS[PREFIX + ("EvacuationNotFinished" if evacuation else BY_REASON[reason])]


def as_written(command: str, status: str = "") -> str:
    """Return a command of the exporter's as a runbook writes it: without what belongs to one record or server."""
    if "UPDATE" in command:
        return command.splitlines()[-1].replace("'m'", "'<migration_id>'").replace(f"status='{status}' AND", "status=")
    return command.removesuffix(" m").removesuffix(" s").removesuffix(" --host h")


@pytest.mark.parametrize(
    ("kind", "status", "reason"),
    [(row.migration_type, row.status, reason) for row in LIVE_ROWS for reason in reasons_of(row)],
)
def test_what_the_exporter_offers_for_a_record_stands_in_its_runbook(
    kind: MigrationType, status: str, reason: Reason
) -> None:
    migration = Migration("m", kind, status, "s", 0.0, source_host="h", dest_host="h")
    server = Server("s", "ACTIVE", task_state="deleting", host="h")
    advice = advice_on(LiveMigrationRecord(migration, status, 0.0, None, Stuck(reason, 0.0), server=server))
    assert advice is not None
    page = re.sub(r"status='(?:<status>|confirming)' AND", "status=", runbook_of(kind, reason))
    offered = [as_written(command, status) for command in advice.commands]
    assert [
        command for command in offered if command not in page and ABORT_EARLY.get(command, command) not in page
    ] == []


#: An abort of what runs needs less than the abort that the runbook has, which serves for what is queued, too.
_ABORT = "openstack --os-compute-api-version {} server migration abort"
ABORT_EARLY = {_ABORT.format("2.59"): _ABORT.format("2.65")}


@pytest.mark.parametrize(
    ("status", "task"),
    [("RESIZE", "resize_prep"), ("MIGRATING", "migrating"), ("VERIFY_RESIZE", None), ("REBUILD", "rebuilding")],
)
def test_what_the_exporter_offers_for_a_stranded_server_stands_in_its_runbook(status: str, task: str | None) -> None:
    advice = advice_on_stranded(StrandedServer(Server("s", status, task_state=task, host="h"), 0.0))
    page = TEXTS[f"{PREFIX}ServerStranded"]
    assert [command for command in advice.commands if as_written(command) not in page] == []


# Messages and links

SOURCES = "\n".join(path.read_text() for path in sorted((ROOT / "exporter").rglob("*.py")))


@each_text
def test_every_message_of_the_exporter_that_is_quoted_is_one(name: str) -> None:
    messages = re.findall(r"\b(?:msg|error)=\"([^\"(]+?)[\" ]*(?=[\"(])", TEXTS[name])
    assert [message for message in messages if message not in SOURCES] == []
    # One word stands without quotes in a log line.
    assert [message for message in re.findall(r"\bmsg=\"([^\"]*)\"", TEXTS[name]) if " " not in message] == []
    assert [word for word in re.findall(r"\bmsg=([a-z]+)", TEXTS[name]) if f'"{word}"' not in SOURCES] == []


@pytest.mark.parametrize("alert", ["PollFailing", "LoginRefused", "DataStale", "StateNotDurable", "FeatureUnavailable"])
def test_runbooks_of_the_exporter_quote_its_messages(alert: str) -> None:
    assert re.search(r"\b(?:msg|error)=\"", TEXTS[PREFIX + alert])


LINK = re.compile(r"\[[^\]]*\]\((?!https?://)([^)#]*)(?:#([^)]*))?\)")


def anchors(path: Path) -> set[str]:
    """Return the anchors of a page's heads, as those who render Markdown make them."""
    heads = re.findall(r"^#+ (.*)$", prose(path.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@each_text
def test_every_link_and_anchor_leads_somewhere(name: str) -> None:
    broken = []
    for target, anchor in LINK.findall(TEXTS[name]):
        path = (RUNBOOKS / target).resolve() if target else RUNBOOKS / f"{name}.md"
        if not path.is_file() or (anchor and anchor not in anchors(path)):
            broken.append(f"{target}#{anchor}")
    assert broken == []


@each_page
def test_a_page_is_short_enough_for_the_night(name: str) -> None:
    assert len(PAGES[name].splitlines()) <= 140
    assert [
        line for line in prose(PAGES[name]).splitlines() if len(line) > 140 and not line.lstrip().startswith("|")
    ] == []
