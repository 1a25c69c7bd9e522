"""docs/configuration-reference.md, made of the keys."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from exporter.config_schema import duration_text
from exporter.domain.lifecycle import CONFIRM_WINDOW_GRACE
from tools.reference.keys import Key, keys, sections

_INTRODUCTION = """\
# Reference of the configuration file

<!-- Written by `make generate`; change exporter/config_schema.py instead. -->

Every key that the file may have, by its path: `poll.interval` is the key `interval` below `poll`. A whole example, and what
the features are for, stand in [configuration.md](configuration.md). Every key may be left out, and so may the file. Unknown keys,
keys that are there twice and values of another kind are faults, all of which are reported at once.

- **Durations** are written as in Prometheus: a whole number with a unit, or several from the longest to the shortest: `500ms`,
  `15s`, `2m`, `1h30m`, `7d`. The units are `y`, `w`, `d`, `h`, `m`, `s` and `ms`. A number without a unit is a fault, except 0.
- **All clouds, or one**: the key may stand at the top of the file, and again in an entry of `clouds`, where it holds for that
  cloud alone. What an entry says is laid over what the top says, key by key.
- Where there is **no default**, the meaning says what holds without the key.
"""

_THRESHOLDS_NOTE = f"""\
The defaults are those of [statuses.md](statuses.md). `finished` waits for a person: without a threshold here it is stuck only
with `resize_confirm_window`, {duration_text(CONFIRM_WINDOW_GRACE)} after that time. A status that is an end is no key. What is in
force shows as `openstack_migration_expected_seconds`.
"""

_HEADS = ("key", "value", "default", "holds for", "meaning")


def page() -> str:
    """Return the page."""
    parts, about = [_INTRODUCTION], sections()
    for section, members in groupby(keys(), key=lambda key: key.section):
        for path in _beginning(section, about):
            parts.append(_heading(path, about.pop(path, "")))
        parts.append(_table([_HEADS, ["---"] * len(_HEADS), *map(_cells, members)]))
    return "\n".join(parts)


def _beginning(section: str, about: dict[str, str]) -> list[str]:
    """Return the sections that begin here: this one, and the one around it where this is its first."""
    around = section.rpartition(".")[0]
    return [around, section] if around in about else [section]


def _heading(path: str, text: str) -> str:
    note = {"thresholds": f"\n{_THRESHOLDS_NOTE}"}.get(path, "")
    return f"{'###' if '.' in path else '##'} `{path}`\n" + (f"\n{text}\n{note}" if text else "")


def _cells(key: Key) -> Sequence[str]:
    default = "" if key.default is None else f"`{key.default}`"
    return (f"`{key.path}`", key.value, default, key.scope, key.meaning)


def _table(rows: Sequence[Sequence[str]]) -> str:
    return "".join(f"| {' | '.join(cells)} |\n" for cells in rows)
