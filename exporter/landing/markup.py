"""HTML that no value can break out of: text becomes HTML in one place, and nothing else is text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from exporter.strangers import printable


@dataclass(frozen=True, slots=True)
class Html:
    """What is HTML already; made by `element` and `together` alone, apart from constants."""

    text: str


NOTHING = Html("")


def element(tag: str, *inside: Html | str, **attributes: str) -> Html:
    """Return an element; text inside and values of attributes are made harmless.

    Names of attributes are written as Python takes them: `class_`, `aria_label`.
    """
    given = "".join(f' {_attribute(name)}="{_harmless(value)}"' for name, value in attributes.items())
    return Html(f"<{tag}{given}>{together(*inside).text}</{tag}>")


def together(*parts: Html | str) -> Html:
    """Return parts one after the other."""
    return Html("".join(part.text if isinstance(part, Html) else _harmless(part) for part in parts))


def value(text: str, **attributes: str) -> Html:
    """Return what a stranger wrote, so that its direction of writing stays its own (HTML, `bdi`)."""
    return element("bdi", text, **attributes)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its head, and the class of its cells for the stylesheet."""

    head: str
    look: str = ""


Row = Sequence[Html | str]


def table(caption: str, columns: Sequence[Column], rows: Iterable[Row]) -> Html:
    """Return a table whose first column names its rows, in a box of its own that scrolls where the window is narrow."""
    heads = (element("th", column.head, scope="col") for column in columns)
    lines = "\n".join(_row(columns, row).text for row in rows)
    whole = element(
        "table",
        element("caption", caption),
        element("thead", element("tr", *heads)),
        element("tbody", Html(f"\n{lines}\n")),
    )
    return element("div", whole, class_="box", role="region", tabindex="0", aria_label=caption)


def _row(columns: Sequence[Column], row: Row) -> Html:
    first, *others = zip(columns, row, strict=True)
    return element(
        "tr",
        element("th", first[1], scope="row", **_look(first[0])),
        *(element("td", cell, **_look(column)) for column, cell in others),
    )


def _look(column: Column) -> dict[str, str]:
    """Return a cell's attributes; on a narrow screen, where a row is stacked, the head stands in the cell itself."""
    return {"data_head": column.head, **({"class_": column.look} if column.look else {})}


def _attribute(name: str) -> str:
    return name.rstrip("_").replace("_", "-")


def _harmless(text: str) -> str:
    """Return a text as HTML; the only place where text becomes it.

    Control characters, marks that turn the direction of a line and half surrogates are shown as escapes. A cell is a
    paragraph of its own (CSS 2.1, 8.6), so that what is written from right to left stays within it.
    """
    return escape(printable(text))
