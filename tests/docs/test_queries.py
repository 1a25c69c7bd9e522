"""Every expression in the documents is PromQL, asks for metrics and labels that there are, and the joins find something."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from exporter.metrics.catalogue import Kind
from exporter.metrics.exposition import FAMILIES
from tests.docs.blocks import PAGES, ROOT, blocks
from tests.programs import Release, program
from tools.rules import GROUPS
from tools.rules.rows import Record

SUFFIXES = {Kind.GAUGE: ("",), Kind.COUNTER: ("",), Kind.HISTOGRAM: ("_bucket", "_count", "_sum")}
OURS = {
    f"{family.name}{suffix}": {*family.labels, "job", "instance", *(["le"] if suffix == "_bucket" else [])}
    for family in FAMILIES
    for suffix in SUFFIXES[family.kind]
}
RECORDS = {rule.name for group in GROUPS for rule in group.rules if isinstance(rule, Record)}

#: Names of other exporters, and where they were read: openstack-exporter 1.7 (exporters/nova.go, keystone.go), node_exporter's and
#: libvirt_exporter's own lists. Whoever uses another one looks it up first.
THEIRS = {
    "libvirt_domain_info_cpu_time_seconds_total",
    "node_boot_time_seconds",
    "node_filesystem_avail_bytes",
    "node_network_transmit_bytes_total",
    "openstack_identity_project_info",
    "openstack_nova_agent_state",
    "openstack_nova_server_status",
    "up",
}

JOINS = "docs/joins.md"


def queries_of(text: str) -> list[str]:
    """Return the one expression of a fence, or one for each line where they are no whole together."""
    try:
        promql_parser.parse(text)
    except ValueError:
        return text.splitlines()
    return [text]


FENCED = [(str(block), query) for block in blocks("promql") for query in queries_of(block.text)]
_TABLE = re.compile(r"^\|.*\bexpression \|\n\|[-| ]+\|\n((?:\|.*\n)+)", re.MULTILINE)


def in_tables() -> Iterator[tuple[str, str]]:
    """Yield what stands in the column of expressions of tables, each piece of code by itself."""
    for page in PAGES:
        for table in _TABLE.findall(page.read_text()):
            for row in table.splitlines():
                cell = re.split(r"(?<!\\)\|", row)[-2].replace("\\|", "|")
                yield from ((str(page.relative_to(ROOT)), code) for code in re.findall(r"`([^`]+)`", cell))


QUERIES = [*FENCED, *in_tables()]


def nodes(expression: Any) -> Iterator[Any]:
    """Yield an expression and all below it."""
    yield expression
    for part in ("lhs", "rhs", "expr", "vector_selector", "args", "param"):
        below = getattr(expression, part, None)
        for each in below if isinstance(below, list) else [below]:
            if each is not None:
                yield from nodes(each)


@pytest.mark.parametrize(("place", "query"), QUERIES)
def test_an_expression_asks_for_metrics_and_labels_that_there_are(place: str, query: str) -> None:
    selectors = [each for each in nodes(promql_parser.parse(query)) if isinstance(each, promql_parser.VectorSelector)]
    assert selectors
    for selector in selectors:
        assert selector.name in {*OURS, *RECORDS, *THEIRS}
        if selector.name in OURS:
            assert {matcher.name for matcher in selector.matchers.matchers} <= OURS[selector.name]


def test_expressions_are_found() -> None:
    """A search that finds nothing would agree with any page."""
    pages = {place.split(":")[0] for place, _ in QUERIES}
    assert {JOINS, "docs/metrics.md", "docs/operations.md", "docs/reliability.md"} <= pages


def test_every_foreign_name_is_used() -> None:
    used = {
        each.name
        for _, query in QUERIES
        for each in nodes(promql_parser.parse(query))
        if isinstance(each, promql_parser.VectorSelector)
    }
    assert used >= THEIRS


#: A cloud in which each join finds something: a live migration that is stuck, watched by two exporters of ours, of a server that
#: theirs knows; hosts that are disabled, down, and were started anew; a server that moves and that nobody of ours knows.
_RECORD = 'cloud="c",migration_id="m1"'
_BOTH = ('instance="a"', 'instance="b"')
_SERVER = 'id="s1",name="web",tenant_id="p1",instance_libvirt="instance-1"'
SERIES = {
    **{
        f"{name}{{{_RECORD},{labels}{instance}}}": values
        for instance in _BOTH
        for name, labels, values in (
            ("openstack_migration_stuck_info", 'status="running",reason="overdue",server_id="s1",', "1x60"),
            (
                "openstack_migration_info",
                'migration_type="live-migration",server_id="s1",source_host="h1",dest_host="h2",',
                "1x60",
            ),
            ("openstack_migration_status_timestamp_seconds", 'status="running",', "100x60"),
            ("openstack_migration_memory_processed_bytes", "", "0+100x60"),
        )
    },
    **{
        f'openstack_migration_info{{cloud="c",migration_id="m2",migration_type="resize",source_host="h1",dest_host="h2",{instance}}}': "1x60"
        for instance in _BOTH
    },
    f'openstack_migration_stranded_info{{cloud="c",server_id="s9",{_BOTH[0]}}}': "1x60",
    f'openstack_nova_server_status{{{_SERVER},status="MIGRATING"}}': "15x60",
    'openstack_nova_server_status{id="s7",name="lost",status="RESIZE"}': "10x60",
    'openstack_nova_agent_state{service="nova-compute",hostname="h1",adminState="disabled",disabledReason="drain"}': "0x60",
    'openstack_identity_project_info{id="p1",name="shop"}': "1x60",
    'node_network_transmit_bytes_total{instance="h1:9100",device="eth0"}': "0+1000x60",
    'node_boot_time_seconds{instance="h1:9100"}': "2000x60",
    'node_filesystem_avail_bytes{instance="h2:9100",mountpoint="/var"}': "5x60",
    'libvirt_domain_info_cpu_time_seconds_total{domain="instance-1",instance="h1:9177"}': "0+30x60",
}


@pytest.mark.system
@pytest.mark.parametrize("release", Release)
@pytest.mark.parametrize("query", [text for place, text in FENCED if place.startswith(JOINS)])
def test_a_join_finds_something(query: str, release: Release, tmp_path: Path) -> None:
    """Each finds just one thing there, although two exporters of ours see it."""
    case = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in SERIES.items()],
        "promql_expr_test": [
            {"expr": f"count({query})", "eval_time": "50m", "exp_samples": [{"labels": "{}", "value": 1}]}
        ],
    }
    (tmp_path / "case.yml").write_text(yaml.safe_dump({"evaluation_interval": "1m", "tests": [case]}))
    command = [program("promtool", release), "test", "rules", str(tmp_path / "case.yml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
