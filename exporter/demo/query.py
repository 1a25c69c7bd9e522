"""The query parameters of Nova's listings: what is valid at which microversion, and what it means."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from exporter.demo.microversion import Microversion
from exporter.demo.refusal import Refusal
from exporter.demo.stamps import parse_isotime
from exporter.demo.table import Selection

Parameters = Sequence[tuple[str, str]]

PAGED = Microversion(2, 59)
CHANGES_BEFORE = Microversion(2, 66)
INITIATOR = Microversion(2, 80)

_FILTERS = frozenset({"hidden", "host", "instance_uuid", "source_compute", "status", "migration_type"})


@dataclass(frozen=True, slots=True)
class MigrationQuery:
    """One listing of migrations as asked for; limit and marker None where not given."""

    selection: Selection
    limit: int | None
    marker: str | None


def _single_parameters(version: Microversion) -> frozenset[str]:
    names = {"limit", "marker", "changes-since"} if version >= PAGED else set()
    names |= {"changes-before"} if version >= CHANGES_BEFORE else set()
    return frozenset(names | ({"user_id", "project_id"} if version >= INITIATOR else set()))


def migration_query(parameters: Parameters, version: Microversion) -> MigrationQuery:
    """Read the query of GET /os-migrations (nova/api/openstack/compute/schemas/migrations.py).

    Of a parameter given twice the last one counts. Below 2.59 what is not a filter is silently dropped.
    """
    single = _single_parameters(version)
    if version >= PAGED:
        refuse_unknown(parameters, _FILTERS | single)
        check_single(parameters, single)
    last = {name: value for name, value in parameters if name in _FILTERS | single}
    since, before = _moment(last.get("changes-since")), _moment(last.get("changes-before"))
    if since is not None and before is not None and before < since:
        raise Refusal(400, "The value of changes-since must be less than or equal to changes-before.")
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


def _moment(text: str | None) -> float | None:
    return None if text is None else parse_isotime(text)


def limit_of(text: str | None) -> int | None:
    """Read a limit that was found valid."""
    return None if text is None else int(text)


def refuse_unknown(parameters: Parameters, known: frozenset[str]) -> None:
    """Refuse parameters outside the schema, in the words of jsonschema."""
    unknown = list(dict.fromkeys(name for name, _ in parameters if name not in known))
    if unknown:
        names = ", ".join(repr(name) for name in sorted(unknown))
        verb = "was" if len(unknown) == 1 else "were"
        raise Refusal(400, f"Additional properties are not allowed ({names} {verb} unexpected)")


def check_single(parameters: Parameters, single: frozenset[str]) -> None:
    """Refuse parameters of one value that come twice or that are not what they should be."""
    for name in sorted(single):
        values = [value for given, value in parameters if given == name]
        if len(values) > 1:
            raise _invalid(name, str(values), f"{values} is too long")
        if values:
            check_value(name, values[0])


def check_value(name: str, value: str) -> None:
    """Refuse a value that is not of its parameter's form."""
    fault = _FORMS[name](value) if name in _FORMS else None
    if fault is not None:
        raise _invalid(name, value, f"'{value}' {fault}")


def _invalid(name: str, value: str, fault: str) -> Refusal:
    return Refusal(400, f"Invalid input for query parameters {name}. Value: {value}. {fault}")


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
