"""docs/troubleshooting.md: each message that an operator can see has an entry, and each entry is a message of the source."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from exporter.domain.cloud import ErrorKind
from tests.docs.messages import Message, messages

PAGE = (Path(__file__).parents[2] / "docs/troubleshooting.md").read_text()
TABLE = re.compile(r"^\| message \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", re.MULTILINE)
ENTRIES = re.findall(r"^\| (?:`` |`)(.+?)(?: ``|`) \|", "".join(TABLE.findall(PAGE)), re.MULTILINE)
MESSAGES = messages()

#: What shares so many letters, or the whole of it where it is shorter, is the same sentence.
TELLING = 12


def fragments(entry: str) -> list[str]:
    """Return the literal parts of an entry."""
    return [part.strip() for part in entry.split("…") if re.search(r"\w", part)]


def is_of(entry: str, message: Message) -> bool:
    """Tell whether an entry is that of a message: all of it stands there, and a telling piece of it."""
    parts = fragments(entry)
    enough = min(TELLING, max(map(len, message.parts)))
    texts = (*message.parts, " ".join(message.parts))
    return all(any(part in each for each in texts) for part in parts) and max(map(len, parts)) >= enough


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.place)
def test_a_message_has_an_entry(message: Message) -> None:
    assert any(is_of(entry, message) for entry in ENTRIES), f"{message.place}: {' … '.join(message.parts)}"


@pytest.mark.parametrize("entry", sorted(set(ENTRIES)))
def test_an_entry_is_a_message_of_the_source(entry: str) -> None:
    assert any(is_of(entry, message) for message in MESSAGES), "no message of exporter/ reads so any more"


def test_every_row_is_an_entry() -> None:
    assert len(ENTRIES) == "".join(TABLE.findall(PAGE)).count("\n")


def test_every_reason_of_a_failed_poll_is_explained() -> None:
    section = PAGE.split("## Why a poll failed")[1].split("\n### ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == {kind.value for kind in ErrorKind}


def test_messages_of_all_kinds_are_found() -> None:
    """A search that finds nothing would agree with any page."""
    rooms = {message.place.rsplit(":", 1)[0] for message in MESSAGES}
    assert {
        "exporter/poller.py",
        "exporter/source/errors.py",
        "exporter/source/rights.py",
        "exporter/web/requests.py",
    } <= rooms
    assert len(MESSAGES) > 80
    assert any(message.parts == ("poll failed",) for message in MESSAGES)


def test_a_message_that_is_not_on_the_page_is_told() -> None:
    assert not any(is_of(entry, Message("nowhere:1", ("the sky has fallen on cloud '", "': run"))) for entry in ENTRIES)
