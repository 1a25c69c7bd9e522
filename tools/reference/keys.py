"""The keys of the configuration file, read from its schema and said in an operator's words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import StrictBool
from pydantic.fields import FieldInfo

from exporter.config import NOT_LONGER, load
from exporter.config_schema import (
    CloudEntry,
    Count,
    Document,
    Duration,
    Moment,
    Name,
    Overridable,
    PositiveDuration,
    Section,
    Threshold,
    Uuid,
    duration_text,
)


class Scope(StrEnum):
    """For which clouds a key holds, which is where it may stand."""

    ALL = "all clouds"
    ALL_OR_ONE = "all clouds, or one"
    ONE = "one cloud"


@dataclass(frozen=True, slots=True)
class Key:
    """A key that takes a value; `path` leads to it from the top of the file, `[]` stands for each entry of a list.

    `default` is written as in the file; None where leaving the key out means something that no value does.
    """

    path: str
    value: str
    default: str | None
    scope: Scope
    meaning: str

    @property
    def section(self) -> str:
        """Return the path of the section that it stands in; a key at the top is a section of its own."""
        return self.path.rpartition(".")[0] or self.path


#: What may be written for each type of the schema.
_VALUES: dict[Any, str] = {
    Duration: "a duration, or 0",
    PositiveDuration: "a duration longer than 0",
    Threshold: "a duration longer than 0, or `never`",
    Count: "a whole number, 0 or more",
    StrictBool: "`true` or `false`",
    Moment: "a date such as `2025-01-01T00:00:00Z`, in UTC where it names no zone, or `null`",
    Name: "text of 1 to 200 printable characters",
    frozenset[Uuid]: "a list of the uuids of migrations",
}

_ENTRIES = "clouds"


def keys() -> list[Key]:
    """Return every key of the file once: those of an entry of `clouds` first, without those that it shares."""
    entry = {name: field for name, field in CloudEntry.model_fields.items() if name not in Overridable.model_fields}
    top = {name: field for name, field in Document.model_fields.items() if name != _ENTRIES}
    found = list(_keys(entry, f"{_ENTRIES}[]", Scope.ONE))
    for name, field in top.items():
        found += _keys({name: field}, "", Scope.ALL_OR_ONE if name in Overridable.model_fields else Scope.ALL)
    return found


def sections() -> dict[str, str]:
    """Return what each section is about, by its path."""
    found = {f"{_ENTRIES}[]": str(Document.model_fields[_ENTRIES].description)}
    for name, field in Document.model_fields.items():
        found |= _sections(field, name)
    return found


def _sections(field: FieldInfo, path: str) -> dict[str, str]:
    section = _section(field)
    found = {path: str(field.description)} if section else {}
    for name, inner in section.model_fields.items() if section else ():
        found |= _sections(inner, f"{path}.{inner.alias or name}")
    return found


def _keys(fields: dict[str, FieldInfo], at: str, scope: Scope) -> Iterator[Key]:
    for name, field in fields.items():
        path = f"{at}.{field.alias or name}".removeprefix(".")
        section = _section(field)
        if section:
            yield from _keys(section.model_fields, path, scope)
        else:
            yield Key(path, _value(field, path), _default(field, path), scope, str(field.description))


def _section(field: FieldInfo) -> type[Section] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None


def _value(field: FieldInfo, path: str) -> str:
    whole = field.rebuild_annotation()
    return _VALUES[whole if whole in _VALUES else field.annotation] + _bounds(path)


def _bounds(path: str) -> str:
    """Return which other keys bound this one."""
    longer = [f"`poll.{high}`" for low, high in NOT_LONGER if path == f"poll.{low}"]
    return f", not longer than {' or '.join(longer)}" if longer else ""


def _default(field: FieldInfo, path: str) -> str | None:
    if path.startswith("thresholds."):
        return duration_text(_THRESHOLDS[path])
    if field.rebuild_annotation() == Name:
        return None
    value = field.get_default()
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return duration_text(value)
    return {None: "null", frozenset(): "[]"}.get(value, str(value))


#: The schema knows only what a file itself says of thresholds; the table is laid under it later.
_THRESHOLDS = {
    f"thresholds.{kind}.{status}": seconds for (kind, status), seconds in load(None, {}).clouds[0].thresholds.items()
}
