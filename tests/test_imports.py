"""Which room may import what; read from the import statements, nothing is executed."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

#: Each module of the exporter and what its import statements name.
Imports = Mapping[str, frozenset[str]]


def imported(source: str) -> frozenset[str]:
    """Return the modules that a source text names in its import statements, wherever they stand."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute, so that they can be read"
            # `from exporter import web` names a module, `from exporter.web import Pages` does not.
            names |= (
                {f"{node.module}.{alias.name}" for alias in node.names}
                if node.module == "exporter"
                else {str(node.module)}
            )
    return frozenset(names)


def modules() -> Imports:
    paths = {path: path.relative_to(ROOT).with_suffix("").parts for path in (ROOT / "exporter").rglob("*.py")}
    return {".".join(parts).removesuffix(".__init__"): imported(path.read_text()) for path, parts in paths.items()}


def within(name: str, *rooms: str) -> bool:
    return any(name == room or name.startswith(f"{room}.") for room in rooms)


def strangers_in_domain(imports: Imports) -> Iterator[str]:
    """Yield what `domain` imports beyond itself and the standard library."""
    for module, names in imports.items():
        if within(module, "exporter.domain"):
            yield from (
                f"{module} imports {name}"
                for name in names
                if not within(name, "exporter.domain") and name.split(".")[0] not in sys.stdlib_module_names
            )


def importers_outside(imports: Imports, room: str, *libraries: str) -> Iterator[str]:
    """Yield who imports libraries that belong to one room."""
    for module, names in imports.items():
        if not within(module, room):
            yield from (f"{module} imports {name}" for name in names if within(name, *libraries))


def ways(imports: Imports, start: str, end: str) -> Iterator[str]:
    """Yield how one room reaches another, over whatever modules lie between."""
    waiting: list[tuple[str, ...]] = [(module,) for module in imports if within(module, start)]
    seen = {path[-1] for path in waiting}
    while waiting:
        path = waiting.pop(0)
        for name in imports.get(path[-1], frozenset()) - seen:
            if within(name, end):
                yield " -> ".join((*path, name))
            seen.add(name)
            waiting.append((*path, name))


def test_every_module_is_read() -> None:
    assert {"exporter", "exporter.cli", "exporter.domain", "exporter.domain.lifecycle"} <= set(modules())


def test_the_domain_imports_itself_and_the_standard_library_alone() -> None:
    assert list(strangers_in_domain(modules())) == []


@pytest.mark.parametrize(
    ("room", "libraries"),
    [
        ("exporter.source", ("openstack", "keystoneauth1", "os_service_types")),
        ("exporter.metrics", ("prometheus_client",)),
        ("exporter.__main__", ("exporter.cli",)),
        ("exporter.cli", ("exporter.__main__",)),
    ],
)
def test_what_belongs_to_one_room_is_imported_there_alone(room: str, libraries: tuple[str, ...]) -> None:
    assert list(importers_outside(modules(), room, *libraries)) == []


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("exporter.source", "exporter.metrics"),
        ("exporter.metrics", "exporter.source"),
        ("exporter.demo", "exporter.source"),
        ("exporter.demo", "openstack"),
        ("exporter.demo", "keystoneauth1"),
        ("exporter.web", "exporter.source"),
        ("exporter.poller", "exporter.source"),
    ],
)
def test_rooms_that_must_not_know_each_other_do_not(start: str, end: str) -> None:
    assert list(ways(modules(), start, end)) == []


def test_the_laws_see_what_breaks_them() -> None:
    broken = {
        "exporter.domain.lifecycle": imported("import math\nimport requests"),
        "exporter.source": imported("def later():\n    from exporter import between"),
        "exporter.between": imported("from exporter.metrics.catalogue import Family"),
        "exporter.web": imported("import prometheus_client.exposition"),
    }
    assert list(strangers_in_domain(broken)) == ["exporter.domain.lifecycle imports requests"]
    assert list(ways(broken, "exporter.source", "exporter.metrics")) == [
        "exporter.source -> exporter.between -> exporter.metrics.catalogue"
    ]
    assert list(importers_outside(broken, "exporter.metrics", "prometheus_client")) == [
        "exporter.web imports prometheus_client.exposition"
    ]
