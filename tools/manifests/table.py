"""The table of values, made of values.yaml: each key, its default, and the comment above it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from itertools import takewhile
from typing import Any

import yaml

_KEY = re.compile(r"( *)([A-Za-z]+):.*")


def table(text: str) -> str:
    """Return the rows of every value; a mapping that holds only defaults of Kubernetes' own is one row.

    Raises ValueError for a value that no comment explains.
    """
    values = yaml.safe_load(text)
    rows = [f"| `{'.'.join(path)}` | `{_shown(_at(values, path))}` | {comment} |" for path, comment in explained(text)]
    return "\n".join(["| value | default | meaning |", "|---|---|---|", *rows, ""])


def explained(text: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the path of each value and what the comment above it says.

    Where the keys of a mapping have no comments of their own, the mapping is the value.
    """
    lines, said, path = text.splitlines(), list[str](), list[str]()
    value_at: int | None = None
    for number, line in enumerate(lines):
        match = _KEY.fullmatch(line)
        depth = _depth(line)
        if line.strip().startswith("#"):
            said.append(line.strip().removeprefix("#").strip())
        elif match is None or (value_at is not None and depth > value_at):
            said = []
        else:
            path, value_at = [*path[:depth], match[2]], None
            if not _is_section(lines[number + 1 :], depth):
                value_at = depth
                yield tuple(path), _sentence(path, said)
            said = []


def _sentence(path: list[str], said: list[str]) -> str:
    if not said:
        raise ValueError(f"{'.'.join(path)}: no comment above it says what it means")
    return " ".join(said)


def _is_section(below: list[str], depth: int) -> bool:
    """Tell whether the keys below a line are explained one by one."""
    inside = takewhile(lambda line: _depth(line) > depth, below)
    return any(line.strip().startswith("#") for line in inside)


def _depth(line: str) -> int:
    return (len(line) - len(line.lstrip(" "))) // 2


def _at(values: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    found: Any = values
    for key in path:
        found = found[key]
    return found


def _shown(value: object) -> str:
    return json.dumps(value).replace("|", "\\|")
