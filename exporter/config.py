"""The configuration: read, checked as a whole, and resolved for each cloud.

Every fault is reported at once, each with its path, what is wrong and what would be right. What comes out holds no
defaults to be looked up elsewhere: one value for each cloud and key.
"""

from __future__ import annotations

import difflib
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from exporter import strict_yaml
from exporter.config_schema import (
    CloudEntry,
    Document,
    Features,
    Ignore,
    Limits,
    LiveMigration,
    Overridable,
    Poll,
    Section,
    duration_text,
    shown,
)
from exporter.domain.lifecycle import (
    CONFIRM_WINDOW_GRACE,
    ENDED_ROWS,
    LIVE_ROWS,
    NEVER,
    UNKNOWN_EXPECTED,
    UNKNOWN_STATUS,
    MigrationType,
    Phase,
)
from exporter.domain.stranded import STRANDED_AFTER

#: The name of the one cloud where nothing names it; openstacksdk calls the cloud of the OS_* variables so.
ENVIRONMENT_CLOUD = "envvars"

#: Keys of `poll` of which the first must not be longer than the second.
NOT_LONGER = (
    ("interval", "sweep_interval"),
    ("interval", "deep_interval"),
    ("timeout", "deadline"),
    ("overlap", "deep_overlap"),
)

_ENDED = frozenset((row.migration_type.value, row.status) for row in ENDED_ROWS)

_Location: TypeAlias = tuple[int | str, ...]
_S = TypeVar("_S", bound=Section)


class ConfigurationError(Exception):
    """A configuration that cannot be used; `faults` holds everything that is wrong with it, one line each."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True)
class CloudConfiguration:
    """All that holds for one cloud; durations in seconds.

    `name` is the value of the label `cloud`. `cloud` names an entry of clouds.yaml; None stands for whatever the
    environment names. `thresholds` has every live pair of the lifecycle table, and each type's unknown statuses under
    UNKNOWN_STATUS. `stranded_after` is no key of the file: how long a server must be in a move without a record.
    """

    name: str
    cloud: str | None
    region: str | None
    poll: Poll
    thresholds: Mapping[tuple[MigrationType, str], float]
    resize_confirm_window: float
    live_migration: LiveMigration
    features: Features
    limits: Limits
    ignore: Ignore
    stranded_after: float = STRANDED_AFTER


@dataclass(frozen=True, slots=True)
class Configuration:
    """Everything that the file, or its absence, says."""

    clouds: tuple[CloudConfiguration, ...]


def load(path: str | None, environ: Mapping[str, str]) -> Configuration:
    """Return the configuration in a file, or the one that holds without a file.

    Raises ConfigurationError with every fault there is.
    """
    if path is None:
        return _resolved(Document(), environ)
    try:
        tree = strict_yaml.read(path)
    except strict_yaml.UnreadableError as error:
        raise ConfigurationError([f"{path}: {error}"]) from error
    document, faults = _checked({} if tree.value is None else tree.value, environ)
    faults = [*tree.repetitions, *faults]
    if faults or document is None:
        raise ConfigurationError(faults)
    return _resolved(document, environ)


def _checked(tree: object, environ: Mapping[str, str]) -> tuple[Document | None, list[str]]:
    """Return the document and its faults.

    What is faulty by itself is cut out before values are compared with each other, so that one mistake hides no other
    and causes no second complaint.
    """
    if not isinstance(tree, dict):
        return None, [f"the file holds {shown(tree)}, not a mapping; write keys such as `poll:` and `clouds:`"]
    try:
        document, errors = Document.model_validate(tree), []
    except ValidationError as error:
        errors = error.errors(include_url=False)
        try:
            document = Document.model_validate(_pruned(tree, {each["loc"] for each in errors}))
        except ValidationError:
            return None, [_line(each) for each in errors]
    faulty = {each["loc"] for each in errors}
    return document, [
        *map(_line, errors),
        *_contradictions(document, faulty),
        *_repeated_names(document, faulty, environ),
    ]


def _pruned(value: object, faulty: set[_Location], at: _Location = ()) -> object:
    """Return a copy of a tree without what is faulty.

    A faulty cloud stays as an empty one, so that the others keep their number.
    """
    if isinstance(value, dict):
        return {key: _pruned(each, faulty, (*at, key)) for key, each in value.items() if (*at, key) not in faulty}
    if not isinstance(value, list):
        return value
    if at == ("clouds",):
        return [
            {} if (*at, index) in faulty else _pruned(each, faulty, (*at, index)) for index, each in enumerate(value)
        ]
    return [_pruned(each, faulty, (*at, index)) for index, each in enumerate(value) if (*at, index) not in faulty]


def _line(error: ErrorDetails) -> str:
    return f"{_path(error['loc'])}: {_message(error)}"


def _path(location: _Location) -> str:
    """Return a location as people write it: clouds[0].poll.interval."""
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            path += f".{part}" if part.isprintable() else f".{part!r}"
    return path.removeprefix(".")


def _message(error: ErrorDetails) -> str:
    kind, value = error["type"], error["input"]
    if kind == "extra_forbidden":
        return _unknown_key(error["loc"])
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return f"{shown(value)} is not a mapping; write `key: value` lines below it"
    if kind in ("tuple_type", "frozen_set_type"):
        return f"{shown(value)} is not a list; write `- ` before each entry"
    if kind == "bool_type":
        return f"{shown(value)} is neither true nor false; write one of them"
    if kind == "invalid_key":
        return "a key must be text; put it in quotes"
    return error["msg"]


def _unknown_key(location: _Location) -> str:
    *parents, key = location
    if tuple(location[-2:]) in _ENDED and "thresholds" in location:
        return f"{key!r} is an end, in which no record can be stuck; remove it"
    known = _keys_at(parents)
    nearest = difflib.get_close_matches(str(key), known, n=1)
    return (
        f"unknown key; did you mean {nearest[0]!r}?" if nearest else f"unknown key; known here are {', '.join(known)}"
    )


def _keys_at(parents: Sequence[int | str]) -> list[str]:
    """Return the keys that the schema knows at a place of the file."""
    model: type[BaseModel] = Document
    for part in parents:
        if not isinstance(part, int):
            model = next(_models_in(_fields(model)[part]))
    return list(_fields(model))


def _fields(model: type[BaseModel]) -> dict[str, object]:
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in typing.get_args(annotation):
        yield from _models_in(part)


def _contradictions(document: Document, faulty: set[_Location]) -> list[str]:
    """Return where values that are right by themselves do not fit each other."""
    lines = _poll_contradictions(document.poll, document.poll, (), faulty)
    for index, entry in enumerate(document.clouds):
        poll = _merged(document.poll, entry.poll)
        lines += _poll_contradictions(poll, entry.poll, ("clouds", index), faulty)
    return lines


def _poll_contradictions(poll: Poll, said: Poll, at: _Location, faulty: set[_Location]) -> list[str]:
    """Return what contradicts itself in `poll`, as far as `said`, the part written at this place, takes part in it."""
    lines = []
    for low, high in NOT_LONGER:
        shorter, longer = getattr(poll, low), getattr(poll, high)
        if shorter <= longer or not said.model_fields_set & {low, high} or _doubtful(at, (low, high), faulty):
            continue
        blamed, other, cure = (low, high, "longer") if low in said.model_fields_set else (high, low, "shorter")
        mine, its = duration_text(getattr(poll, blamed)), duration_text(getattr(poll, other))
        origin = "" if other in poll.model_fields_set else ", its default"
        lines.append(
            f"{_path((*at, 'poll', blamed))}: {mine} is {cure} than {other} ({its}{origin}); change one of them"
        )
    return lines


def _doubtful(at: _Location, keys: Sequence[str], faulty: set[_Location]) -> bool:
    """Tell whether a fault already reported may be why the values do not fit."""
    places = {
        place for start in ((), at) for place in (start, (*start, "poll"), *((*start, "poll", key) for key in keys))
    }
    return not places.isdisjoint(faulty)


def _repeated_names(document: Document, faulty: set[_Location], environ: Mapping[str, str]) -> list[str]:
    lines, first = [], dict[str, int]()
    for index, entry in enumerate(document.clouds):
        at = ("clouds", index)
        if not faulty.isdisjoint([at, *((*at, key) for key in ("cloud", "region", "name"))]):
            continue
        name = _label(entry, environ)
        if name in first:
            place = _path((*at, "name") if entry.name else at)
            lines.append(f"{place}: the name {name!r} is that of clouds[{first[name]}] already; set `name` to another")
        first.setdefault(name, index)
    return lines


def _label(entry: CloudEntry, environ: Mapping[str, str]) -> str:
    """Return the value of the label `cloud` for an entry."""
    if entry.name:
        return entry.name
    cloud = entry.cloud or environ.get("OS_CLOUD") or ENVIRONMENT_CLOUD
    return f"{cloud}/{entry.region}" if entry.region else cloud


def _resolved(document: Document, environ: Mapping[str, str]) -> Configuration:
    entries = document.clouds or (CloudEntry(),)
    return Configuration(clouds=tuple(_cloud(document, entry, environ) for entry in entries))


def _cloud(document: Document, entry: CloudEntry, environ: Mapping[str, str]) -> CloudConfiguration:
    own_window = "resize_confirm_window" in entry.model_fields_set
    window = (entry if own_window else document).resize_confirm_window
    return CloudConfiguration(
        name=_label(entry, environ),
        cloud=entry.cloud,
        region=entry.region,
        poll=_merged(document.poll, entry.poll),
        thresholds=_thresholds(window, (document, entry)),
        resize_confirm_window=window,
        live_migration=document.live_migration,
        features=_merged(document.features, entry.features),
        limits=_merged(document.limits, entry.limits),
        ignore=_merged(document.ignore, entry.ignore),
    )


def _merged(everywhere: _S, here: _S) -> _S:
    """Return a section with what one cloud's own section says laid over it, key by key."""
    return everywhere.model_copy(update={key: getattr(here, key) for key in here.model_fields_set})


def _thresholds(window: float, layers: Sequence[Overridable]) -> Mapping[tuple[MigrationType, str], float]:
    """Return the threshold of every live pair: the table's, then the confirm window's, then the file's."""
    confirmed_by = window + CONFIRM_WINDOW_GRACE if window else NEVER
    table = {
        (row.migration_type, row.status): confirmed_by if row.phase is Phase.WAITING else row.expected
        for row in LIVE_ROWS
    }
    table |= {(kind, UNKNOWN_STATUS): UNKNOWN_EXPECTED for kind in MigrationType}
    for layer in layers:
        table |= layer.thresholds_set()
    return MappingProxyType(table)
