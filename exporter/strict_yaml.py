"""Reading a small YAML file without its traps: keys set twice, aliases that explode, dates that are none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

#: Characters of a file; a configuration of a thousand clouds is far below it.
MOST_CHARACTERS = 1_000_000

#: Values after every alias is followed, so that ten nested aliases cannot fill the memory.
MOST_VALUES = 50_000

DEEPEST = 50


class UnreadableError(Exception):
    """A file that holds no readable YAML; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Tree:
    """What a file says, and the keys that it says twice (`path: message`)."""

    value: object
    repetitions: tuple[str, ...]


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, to which a timestamp is plain text: its own rules accept and refuse too much of them."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read(path: str) -> Tree:
    """Return what a YAML file says; None for an empty one.

    Raises UnreadableError where the file or its syntax cannot be read.
    """
    try:
        with Path(path).open(encoding="utf-8") as file:
            text = file.read(MOST_CHARACTERS + 1)
    except OSError as error:
        raise UnreadableError(f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UnreadableError(f"byte {error.start} is not UTF-8; save the file as UTF-8 text") from error
    if len(text) > MOST_CHARACTERS:
        raise UnreadableError(f"longer than {MOST_CHARACTERS} characters")
    return parse(text)


def parse(text: str) -> Tree:
    """Return what a YAML text says; raises UnreadableError with line and column where its syntax is broken."""
    try:
        return _parse(text)
    except yaml.MarkedYAMLError as error:
        raise UnreadableError(_located(error)) from error
    except yaml.YAMLError as error:
        raise UnreadableError(" ".join(str(error).split())) from error
    except RecursionError as error:
        raise UnreadableError("nested too deeply") from error
    except (ValueError, OverflowError) as error:
        raise UnreadableError(
            "holds a number that is too long, or a value that is not what its tag (!!) says"
        ) from error


def _parse(text: str) -> Tree:
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return Tree(None, ())
        repetitions = tuple(_repetitions(node))
        return Tree(loader.construct_document(node), repetitions)
    finally:
        loader.dispose()


def _located(error: yaml.MarkedYAMLError) -> str:
    """Return PyYAML's complaint in one line, counted from 1 as editors do."""
    mark = error.problem_mark or error.context_mark
    words = ", ".join(part for part in (error.context, error.problem) if part)
    return f"line {mark.line + 1}, column {mark.column + 1}: {words}" if mark else words


def _repetitions(root: yaml.Node) -> Iterator[str]:
    """Yield the keys that are set twice in one mapping; raise for a tree that explodes once aliases are followed."""
    seen = 0
    waiting: list[tuple[yaml.Node, str, int]] = [(root, "", 0)]
    while waiting:
        node, path, depth = waiting.pop()
        seen += 1
        if seen > MOST_VALUES or depth > DEEPEST:
            raise UnreadableError(
                f"more than {MOST_VALUES} values, or nested deeper than {DEEPEST}; use fewer aliases (*name)"
            )
        if isinstance(node, yaml.MappingNode):
            yield from _twice(node, path)
        waiting += reversed([(child, below, depth + 1) for child, below in _children(node, path)])


def _children(node: yaml.Node, path: str) -> list[tuple[yaml.Node, str]]:
    if isinstance(node, yaml.MappingNode):
        return [(value, _below(path, key)) for key, value in node.value]
    if isinstance(node, yaml.SequenceNode):
        return [(value, f"{path}[{index}]") for index, value in enumerate(node.value)]
    return []


def _below(path: str, key: yaml.Node) -> str:
    name = key.value if isinstance(key, yaml.ScalarNode) else "?"
    name = name if name.isprintable() else repr(name)
    return f"{path}.{name}" if path else name


def _twice(node: yaml.MappingNode, path: str) -> Iterator[str]:
    lines: dict[tuple[str, str], int] = {}
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            continue
        name, line = (key.tag, key.value), key.start_mark.line + 1
        if name in lines:
            yield f"{_below(path, key)}: set twice, in lines {lines[name]} and {line}; keep one"
        lines.setdefault(name, line)
