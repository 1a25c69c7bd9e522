"""Which migrations a program asks for: the filters of the JSON, read strictly, for a typing error must not look like calm."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from exporter.domain.lifecycle import MigrationType
from exporter.strangers import printable

#: The filters there are; where a filter has a closed list of values, that list.
_FILTERS: Mapping[str, tuple[str, ...]] = {
    "cloud": (),
    "migration_type": tuple(MigrationType),
    "status": (),
    "stuck": ("true", "false"),
    "host": (),
    "server_id": (),
}

#: Characters of what a client wrote that are told back to it.
_LONGEST_QUOTE = 100


class WrongFilterError(Exception):
    """A filter that cannot be understood; the message names the cause and the cure."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What is asked for: by name of a filter the values of which any will do; without any filter, everything."""

    wanted: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def let_through(self, traits: Mapping[str, Collection[str | None]]) -> bool:
        """Tell whether something with these traits is asked for; a filter by a trait that it cannot have says nothing."""
        return all(values.intersection(traits[name]) for name, values in self.wanted.items() if name in traits)


def read_filters(asked: Iterable[tuple[str, str]]) -> Filters:
    """Return the filters of a query, of which each may be repeated; raise WrongFilterError."""
    wanted: dict[str, frozenset[str]] = {}
    for name, value in asked:
        _check(name, value)
        wanted[name] = wanted.get(name, frozenset()) | {value}
    return Filters(wanted)


def _check(name: str, value: str) -> None:
    if name not in _FILTERS:
        raise WrongFilterError(f"there is no filter {_quoted(name)}: the filters are {', '.join(_FILTERS)}")
    choice = _FILTERS[name]
    if choice and value not in choice:
        raise WrongFilterError(f"{name} cannot be {_quoted(value)}: write one of {', '.join(choice)}")
    if not value:
        raise WrongFilterError(f"{name} has no value: write {name}=VALUE, or leave it out for all")


def _quoted(text: str) -> str:
    shown = text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}..."
    return f"'{printable(shown)}'"
