"""The live, stuck and stranded as a table for a terminal, made from the same JSON that programs read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from exporter.landing.words import age, counted
from exporter.strangers import printable

Json = Mapping[str, Any]
Cell = Callable[[Json], str]

#: Between two columns.
_GAP = "  "

#: How a terminal is told to write in bold red, and no more so (ECMA-48, select graphic rendition).
_RED, _PLAIN = "\x1b[1;31m", "\x1b[0m"


def table(found: Json, now: float, *, colours: bool = False) -> str:
    """Return what moves, what is stuck first, and which servers are stranded; `now` is in epoch seconds.

    What strangers can write into a record cannot move the cursor: it is made printable.
    """
    moves, stranded = found["migrations"], found["stranded"]

    def red(bad: Callable[[Json], bool]) -> Callable[[Json], bool]:
        return lambda each: colours and bad(each)

    parts = [_summary(moves, stranded)]
    if moves:
        parts.append(_columns(_of_migrations(now), moves, red(_is_stuck)))
    if stranded:
        parts.append(_columns(_of_stranded(now), stranded, red(lambda _: True)))
    if hints := _hints([*filter(_is_stuck, moves)], stranded):
        parts.append(hints)
    return "\n\n".join(parts) + "\n"


def something_is_stuck(found: Json) -> bool:
    """Tell whether a migration is stuck or a server stranded."""
    return any(map(_is_stuck, found["migrations"])) or bool(found["stranded"])


def silent_clouds(found: Json) -> list[str]:
    """Return in words which clouds did not answer, so that the list is not complete."""
    return [
        f"cloud {printable(each['cloud'])} does not answer: {printable(each['error'] or 'it was not asked yet')}"
        for each in found["clouds"]
        if not each["up"]
    ]


def _is_stuck(entry: Json) -> bool:
    return entry["stuck"] is not None


def _summary(moves: Sequence[Json], stranded: Sequence[Json]) -> str:
    live = counted(len(moves), "migration is live", "migrations are live")
    servers = counted(len(stranded), "server is stranded", "servers are stranded")
    return f"{live}, {sum(map(_is_stuck, moves))} of them stuck; {servers}."


def _of_migrations(now: float) -> Mapping[str, Cell]:
    return {
        "CLOUD": lambda each: each["cloud"],
        "TYPE": lambda each: each["migration_type"],
        "STATUS": lambda each: each["status"],
        "FOR": lambda each: _age(each["since"], now),
        "STUCK": lambda each: each["stuck"]["reason"] if _is_stuck(each) else "-",
        "FROM": lambda each: each["source_host"] or "-",
        "TO": lambda each: each["dest_host"] or "-",
        "SERVER": lambda each: each["server"]["id"],
        "MIGRATION": lambda each: each["migration_id"],
    }


def _of_stranded(now: float) -> Mapping[str, Cell]:
    return {
        "CLOUD": lambda each: each["cloud"],
        "STRANDED SERVER": lambda each: each["server"]["id"],
        "STATUS": lambda each: each["server"]["status"] or "-",
        "FOR": lambda each: _age(each["since"], now),
        "HOST": lambda each: each["server"]["host"] or "-",
    }


def _age(since: str | None, now: float) -> str:
    return "?" if since is None else age(now - datetime.fromisoformat(since).timestamp())


def _columns(cells: Mapping[str, Cell], entries: Sequence[Json], is_red: Callable[[Json], bool]) -> str:
    """Return a line for each entry below the titles, in columns as wide as what stands in them."""
    rows = [[printable(cell(each)) for cell in cells.values()] for each in entries]
    widths = [max(map(len, column)) for column in zip(cells, *rows, strict=True)]
    lines = [_line(row, widths) for row in (list(cells), *rows)]
    marked = (f"{_RED}{line}{_PLAIN}" if is_red(each) else line for line, each in zip(lines[1:], entries, strict=True))
    return "\n".join([lines[0], *marked])


def _line(row: Iterable[str], widths: Iterable[int]) -> str:
    return _GAP.join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()


def _hints(stuck: Iterable[Json], stranded: Sequence[Json]) -> str:
    """Return what each reason that occurs means and what to do first, once."""
    hints = {each["stuck"]["reason"]: each["stuck"]["hint"] for each in stuck}
    if stranded:
        hints["stranded"] = stranded[0]["hint"]
    return "\n".join(f"{reason}: {printable(hint)}" for reason, hint in hints.items())
