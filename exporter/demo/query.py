"""The query parameters of Nova's listings: what is valid at which microversion, and what it means."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from exporter.demo.microversion import Microversion
from exporter.demo.refusal import RefusedError
from exporter.demo.stamps import parse_isotime
from exporter.demo.table import Selection

Parameters = Sequence[tuple[str, str]]

PAGED = Microversion(2, 59)
CHANGES_BEFORE = Microversion(2, 66)
INITIATOR = Microversion(2, 80)
ACTIONS_PAGED = Microversion(2, 58)
STRICT = Microversion(2, 102)

_FILTERS = frozenset({"hidden", "host", "instance_uuid", "source_compute", "status", "migration_type"})


@dataclass(frozen=True, slots=True)
class MigrationQuery:
    """One listing of migrations as asked for; limit and marker None where not given."""

    selection: Selection
    limit: int | None
    marker: str | None


@dataclass(frozen=True, slots=True)
class ActionQuery:
    """One listing of actions as asked for, each None where not given; times are epoch seconds."""

    changes_since: float | None = None
    changes_before: float | None = None
    limit: int | None = None
    marker: str | None = None


def _single_parameters(version: Microversion) -> tuple[str, ...]:
    """Give the parameters of one value in the order of Nova's schema, which is that of its complaints."""
    names = {"limit": PAGED, "marker": PAGED, "changes-since": PAGED, "changes-before": CHANGES_BEFORE}
    names |= {"user_id": INITIATOR, "project_id": INITIATOR}
    return tuple(name for name, since in names.items() if version >= since)


def action_query(parameters: Parameters, version: Microversion) -> ActionQuery:
    """Read the query of GET /servers/{id}/os-instance-actions; below 2.58 none of it is looked at.

    Source: nova/api/openstack/compute/schemas/instance_actions.py.
    """
    if version < ACTIONS_PAGED:
        return ActionQuery()
    single = ("limit", "marker", "changes-since", *(("changes-before",) if version >= CHANGES_BEFORE else ()))
    check_single(parameters, single)
    refuse_unknown(parameters, frozenset(single))
    given = dict(parameters)
    since, before = _changes(given)
    return ActionQuery(since, before, limit_of(given.get("limit")), given.get("marker"))


def migration_query(parameters: Parameters, version: Microversion) -> MigrationQuery:
    """Read the query of GET /os-migrations (nova/api/openstack/compute/schemas/migrations.py).

    Of a parameter given twice the last one counts. Below 2.59 what is not a filter is silently dropped.
    """
    single = _single_parameters(version)
    known = _FILTERS.union(single)
    if version >= PAGED:
        check_single(parameters, single)
        refuse_unknown(parameters, known)
    last = {name: value for name, value in parameters if name in known}
    since, before = _changes(last)
    selection = Selection(
        status=last.get("status"),
        host=last.get("host"),
        source_compute=last.get("source_compute"),
        migration_type=last.get("migration_type"),
        instance_uuid=last.get("instance_uuid"),
        user_id=last.get("user_id"),
        project_id=last.get("project_id"),
        # SQL compares the text with the number: only "0" and "1" are numbers that the column holds.
        hidden=None if "hidden" not in last else last["hidden"] != "0",
        changes_since=since,
        changes_before=before,
    )
    return MigrationQuery(selection, limit_of(last.get("limit")), last.get("marker") or None)


def _changes(given: Mapping[str, str]) -> tuple[float | None, float | None]:
    """Read the two ends of the time in which something changed, each None where it was not given."""
    since, before = _moment(given.get("changes-since")), _moment(given.get("changes-before"))
    if since is not None and before is not None and before < since:
        raise RefusedError(400, "The value of changes-since must be less than or equal to changes-before.")
    return since, before


def _moment(text: str | None) -> float | None:
    return None if text is None else parse_isotime(text)


def limit_of(text: str | None) -> int | None:
    """Read a limit that was found valid."""
    return None if text is None else int(text)


def refuse_unknown(parameters: Parameters, known: frozenset[str], pattern: str | None = None) -> None:
    """Refuse parameters outside the schema, in the words of jsonschema; a schema may allow more by a pattern."""
    unknown = sorted({name for name, _ in parameters if name not in known})
    if unknown:
        names, several = ", ".join(repr(name) for name in unknown), len(unknown) > 1
        if pattern is not None:
            raise RefusedError(400, f"{names} {'do' if several else 'does'} not match any of the regexes: {pattern!r}")
        verb = "were" if several else "was"
        raise RefusedError(400, f"Additional properties are not allowed ({names} {verb} unexpected)")


def check_single(parameters: Parameters, single: Sequence[str]) -> None:
    """Refuse parameters of one value that are not what they should be or that come twice."""
    for name in single:
        values = [value for given, value in parameters if given == name]
        for value in values:
            check_value(name, value)
        if len(values) > 1:
            raise _invalid(name, str(values), f"{values} is too long")


def check_value(name: str, value: str) -> None:
    """Refuse a value that is not of its parameter's form."""
    fault = _FORMS[name](value) if name in _FORMS else None
    if fault is not None:
        raise _invalid(name, value, f"'{value}' {fault}")


def _invalid(name: str, value: str, fault: str) -> RefusedError:
    return RefusedError(400, f"Invalid input for query parameters {name}. Value: {value}. {fault}")


def _number_fault(value: str) -> str | None:
    if not value:
        return "should be non-empty"
    return None if value.isascii() and value.isdigit() else "does not match '^[0-9]*$'"


def _time_fault(value: str) -> str | None:
    try:
        parse_isotime(value)
    except ValueError:
        return "is not a 'date-time'"
    return None


_FORMS: dict[str, Callable[[str], str | None]] = {
    "limit": _number_fault,
    "changes-since": _time_fault,
    "changes-before": _time_fault,
}
