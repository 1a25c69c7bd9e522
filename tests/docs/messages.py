"""Find the messages that an operator can get to see, by reading the source: logged, raised, found by `check`, answered."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "exporter"

#: Calls whose text is logged at level warn or error. `_warn` is the door's own.
LOGGERS, LOGGED = {"log", "LOG", "self"}, {"warning", "error", "exception", "critical", "_warn"}

#: Calls whose text ends the program, fails a poll or answers a client, and the place of the text among their arguments.
SHOWN = {
    "CloudError": 1,
    "ConnectConfigError": 0,
    "ListenError": 0,
    "Refusal": 1,
    "RemoteError": 0,
    "StateError": 0,
    "StateLockedError": 0,
    "UnreadableError": 0,
    "WrongAddressError": 0,
    "WrongFilterError": 0,
    "_line": 1,
}

#: Functions that return what is shown: by `check`, by `list`, on /-/healthy and /-/ready, and for a cloud that is not known.
RETURNED = {"_not_found", "_refused_listing", "healthy", "ready", "silent_clouds"}

#: What `check` found; only those that are not as they should be are of interest here.
FINDING = "Finding"

#: Functions that end a sentence of `check` for their callers.
ENDINGS = {"_deletions_hidden"}

_LITERAL, _ASSIGNED = (ast.Constant, ast.JoinedStr, ast.BinOp, ast.IfExp), ast.Assign


@dataclass(frozen=True)
class Message:
    """A message: where it stands in the source, and the literal parts of its text in the order in which they are met."""

    place: str
    parts: tuple[str, ...]


def messages() -> list[Message]:
    """Return every message that has a literal part; one that only quotes another has none."""
    found: list[Message] = []
    for path in sorted(SOURCE.rglob("*.py")):
        if "demo" not in path.parts:
            found += _messages_in(ast.parse(path.read_text()), str(path.relative_to(SOURCE.parent)))
    return [each for each in found if each.parts]


def _messages_in(tree: ast.Module, name: str) -> Iterator[Message]:
    module = _assigned(tree.body)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    seen: set[int] = set()
    for function in reversed(functions):  # inner ones first: they have names of their own
        names = {**module, **_assigned(list(ast.walk(function)))}
        yield from _calls(function, names, name, seen)
        if function.name in RETURNED:
            yield from _returns(function, names, name)
    yield from _calls(tree, module, name, seen)


def _calls(root: ast.AST, names: Mapping[str, list[ast.expr]], name: str, seen: set[int]) -> Iterator[Message]:
    for node in ast.walk(root):
        if isinstance(node, ast.Call) and id(node) not in seen:
            text = _text_of(node)
            if text is not None:
                seen.add(id(node))
                yield Message(f"{name}:{node.lineno}", tuple(_parts(text, names, set())))


def _returns(function: ast.AST, names: Mapping[str, list[ast.expr]], name: str) -> Iterator[Message]:
    for node in ast.walk(function):
        if isinstance(node, ast.Return | ast.Yield) and node.value is not None:
            yield Message(f"{name}:{node.lineno}", tuple(_parts(node.value, names, set())))


def _text_of(call: ast.Call) -> ast.expr | None:
    """Return the text of a call that shows one."""
    called = getattr(call.func, "id", "")
    if isinstance(call.func, ast.Attribute) and call.func.attr in LOGGED:
        return call.args[0] if isinstance(call.func.value, ast.Name) and call.func.value.id in LOGGERS else None
    if called in ENDINGS or (called in SHOWN and len(call.args) > SHOWN[called]):
        return call.args[SHOWN.get(called, 0)]
    if called == FINDING and not (isinstance(call.args[1], ast.Constant) and call.args[1].value is True):
        return call.args[2]
    return None


def _assigned(nodes: list[ast.AST] | list[ast.stmt]) -> dict[str, list[ast.expr]]:
    found: dict[str, list[ast.expr]] = {}
    for node in nodes:
        if isinstance(node, _ASSIGNED) and isinstance(node.targets[0], ast.Name):
            found.setdefault(node.targets[0].id, []).append(node.value)
    return found


def _parts(text: ast.AST, names: Mapping[str, list[ast.expr]], within: set[str]) -> Iterator[str]:
    """Yield the literal parts of a text, those of the names in it included."""
    if isinstance(text, ast.Constant) and isinstance(text.value, str):
        yield from (" ".join(part.split()) for part in text.value.split("%s") if re.search(r"\w", part))
    elif isinstance(text, ast.Name) and text.id not in within:
        for value in names.get(text.id, []):
            if isinstance(value, _LITERAL):
                yield from _parts(value, names, within | {text.id})
    elif isinstance(text, ast.FormattedValue):
        yield from _parts(text.value, names, within)
    elif not isinstance(text, ast.Call | ast.Compare):
        for child in ast.iter_child_nodes(text):
            yield from _parts(child, names, within)
