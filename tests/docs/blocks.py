"""What stands in fences in the documents, and the commands in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATTERNS = ("*.md", "docs/**/*.md", "deploy/**/*.md", "dashboards/*.md")
PAGES = sorted({path for pattern in PATTERNS for path in ROOT.glob(pattern)})

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)

#: Words of the shell that stand before a command or by themselves.
_BEFORE = {"do", "then", "else", "time", "export", "if", "while", "!"}
_ALONE = {"done", "fi", "for"}
_VARIABLE = re.compile(r"\w+=.*", re.DOTALL)

_PIECE = r"""'[^']*'|"(?:\\.|[^"\\])*"|\\.|[^\s'"|;&()#\\]|(?<=\S)\#"""
_TOKEN = re.compile(rf"(?P<comment>(?<!\S)\#.*)|(?P<word>(?:{_PIECE})+)|(?P<end>[|;&()\n]+)")


@dataclass(frozen=True)
class Block:
    """A fence: its page, the line on which it begins, its language and its text without the indentation of the fence."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(*languages: str) -> list[Block]:
    """Return every fence in these languages, or every one where none is named."""
    return [each for page in PAGES for each in _blocks_of(page) if not languages or each.language in languages]


def _blocks_of(page: Path) -> Iterator[Block]:
    text = page.read_text()
    for match in _FENCE.finditer(text):
        inner = re.sub(f"^{match[1]}", "", match[3], flags=re.MULTILINE)
        yield Block(str(page.relative_to(ROOT)), text[: match.start()].count("\n") + 1, match[2], inner)


def commands(text: str) -> list[list[str]]:
    """Return the words of each command in a text for the shell, its variables, keywords and redirections left out.

    What ssh runs on another host, and what stands in `$(...)` outside of quotes, counts as a command, too.
    """
    found: list[list[str]] = [[]]
    for token in _TOKEN.finditer(re.sub(r"\\\n|^[#$] ", " ", text, flags=re.MULTILINE)):
        if token["end"]:
            found.append([])
        elif token["word"] and token["word"] != "$":
            found[-1].append(_unquoted(token["word"]))
    plain = [command for command in map(_without_prefixes, found) if command]
    return [command for each in plain for command in (each, *_within(each))]


def _unquoted(word: str) -> str:
    return word[1:-1] if len(word) > 1 and word[0] == word[-1] and word[0] in "'\"" else word


def _without_prefixes(words: list[str]) -> list[str]:
    while words and (words[0] in _BEFORE or _VARIABLE.fullmatch(words[0])):
        words = words[1:]
    if words[:2] == ["sudo", "-u"]:
        words = words[3:]
    if not words or words[0] in _ALONE:
        return []
    cut = next((at for at, word in enumerate(words) if re.match(r"\d?[<>]", word)), len(words))
    return words[:cut]


def _within(command: list[str]) -> list[list[str]]:
    """Return the commands that a command carries in its last word."""
    return commands(command[-1]) if command[0] == "ssh" and len(command) > 2 and " " in command[-1] else []
