"""Understand one record of os-migrations, or say why not; no JSON value makes this raise."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TypeVar

from exporter.domain.cloud import Rejection, RejectReason
from exporter.domain.lifecycle import MigrationType
from exporter.domain.migration import Migration

#: Length of the columns status, source_compute, dest_compute and project_id (nova/db/main/models.py, `Migration`).
MAX_TEXT = 255

#: SQLite, where the state is kept, knows integers of 64 bits; Nova's flavor ids have 32.
MAX_INTEGER = 2**63 - 1

#: A naive time is UTC; from 1970 until the year 9000 it needs no second look.
_EPOCH = datetime(1970, 1, 1)
_FAR_OFF = datetime(9000, 1, 1, tzinfo=UTC).timestamp()

_SHORTEST_TIME = len("2026-01-01T00:00:00")
_MAX_SHOWN = 80
_is_uuid = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}").fullmatch
_TYPES: Mapping[str, MigrationType] = {kind.value: kind for kind in MigrationType}


#: Texts that many records have in common, such as the names of hosts; JSON gives each record its own.
Texts = dict[str, str]

T = TypeVar("T", str, None, str | None)


class _OddError(Exception):
    """A record that cannot be understood."""

    def __init__(self, reason: RejectReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def parse_all(raws: Iterable[object]) -> tuple[tuple[Migration, ...], tuple[Rejection, ...]]:
    """Return the records that were understood, and those that were not."""
    migrations: list[Migration] = []
    rejections: list[Rejection] = []
    texts: Texts = {}
    for raw in raws:
        record = parse(raw, texts)
        if isinstance(record, Migration):
            migrations.append(record)
        else:
            rejections.append(record)
    return tuple(migrations), tuple(rejections)


def parse(raw: object, texts: Texts | None = None) -> Migration | Rejection:
    """Return the record, or the first reason for which it cannot be understood; a text that is among `texts` is shared.

    Fields that this does not know are ignored (nova/api/openstack/compute/schemas/migrations.py lists those of today).
    """
    try:
        if not isinstance(raw, dict):
            raise _OddError(RejectReason.NOT_AN_OBJECT, _shown(raw))
        return _migration(raw, {} if texts is None else texts)
    except _OddError as odd:
        return Rejection(odd.reason, record_name(raw), odd.detail)


def _migration(raw: Mapping[str, object], texts: Texts) -> Migration:
    get = raw.get
    updated = get("updated_at")
    return Migration(
        uuid=_uuid(get("uuid"), "uuid", RejectReason.NO_UUID),
        server_id=_uuid(get("instance_uuid"), "instance_uuid", RejectReason.NO_SERVER),
        migration_type=_type(get("migration_type")),
        status=_status(get("status"), texts),
        created_at=_time(get("created_at"), "created_at"),
        updated_at=None if updated is None else _time(updated, "updated_at"),
        source_host=_text(get("source_compute"), "source_compute", texts),
        dest_host=_text(get("dest_compute"), "dest_compute", texts),
        initiator_project_id=_text(get("project_id"), "project_id", texts),
        old_flavor_id=_integer(get("old_instance_type_id"), "old_instance_type_id"),
        new_flavor_id=_integer(get("new_instance_type_id"), "new_instance_type_id"),
    )


def shared(text: T, texts: Texts) -> T:
    """Return a text that is equal, of which there is one only: half of a record's memory would be copies."""
    return text if text is None else texts.setdefault(text, text)


def parse_time(text: object) -> float | None:
    """Return a time of Nova's API in seconds since the epoch, or None where it is not a possible time.

    Nova writes migrations as naive UTC without `Z` and servers with it; a numeric offset is read as well.
    """
    if not isinstance(text, str) or len(text) < _SHORTEST_TIME:
        return None
    try:
        moment = datetime.fromisoformat(text)
        seconds = moment.timestamp() if moment.tzinfo else (moment - _EPOCH).total_seconds()
        if not 0.0 <= seconds < _FAR_OFF:
            datetime.fromtimestamp(seconds, UTC)  # an offset, or rounding, may lead past the year 9999
    except (ValueError, OverflowError):
        return None
    return seconds


def uuid_of(raw: object, field: str = "uuid") -> str | None:
    """Return the uuid of a raw record where it has a proper one: what a page can begin after."""
    uuid = raw.get(field) if isinstance(raw, dict) else None
    return uuid if isinstance(uuid, str) and _is_uuid(uuid) else None


def text_of(raw: object, field: str) -> str | None:
    """Return a text of a raw record; None where it has none, or one that no column of Nova's can hold."""
    text = raw.get(field) if isinstance(raw, dict) else None
    return text if isinstance(text, str) and text and _is_storable(text) else None


def record_name(raw: object) -> str:
    """Return what tells an odd record apart from others, as well as can be."""
    if not isinstance(raw, dict):
        return _shown(raw)
    uuid = raw.get("uuid")
    if isinstance(uuid, str) and uuid:
        return _shown(uuid)
    number = raw.get("id")
    if number is not None:
        return f"id {_shown(number)}"
    return f"server {_shown(raw.get('instance_uuid'))} at {_shown(raw.get('created_at'))}"


def _shown(value: object) -> str:
    """Return a value short and printable; containers by their type alone, for they may be nested without end."""
    if isinstance(value, str):
        return ascii(value[:_MAX_SHOWN])[1:-1][:_MAX_SHOWN] or "(empty)"
    if value is None or isinstance(value, bool | int | float):
        return _printed(value)
    return f"({type(value).__name__})"


def _printed(value: float | bool | None) -> str:
    try:
        return str(value)[:_MAX_SHOWN]
    except ValueError:  # Python prints no integer beyond sys.get_int_max_str_digits()
        return "(huge int)"


def _uuid(value: object, field: str, reason: RejectReason) -> str:
    if isinstance(value, str) and _is_uuid(value):
        return value
    raise _OddError(reason, f"{field}: {_shown(value)}")


def _type(value: object) -> MigrationType:
    kind = _TYPES.get(value) if isinstance(value, str) else None
    if kind is None:
        raise _OddError(RejectReason.BAD_TYPE, f"migration_type: {_shown(value)}")
    return kind


def _status(value: object, texts: Texts) -> str:
    if isinstance(value, str):
        if known := texts.get(value):
            return known
        if value and _is_storable(value):
            return shared(value, texts)
    raise _OddError(RejectReason.BAD_STATUS, f"status: {_shown(value)}")


def _time(value: object, field: str) -> float:
    seconds = parse_time(value)
    if seconds is None:
        raise _OddError(RejectReason.BAD_TIME, f"{field}: {_shown(value)}")
    return seconds


def _text(value: object, field: str, texts: Texts) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, str):
        if known := texts.get(value):
            return known
        if _is_storable(value):
            return shared(value, texts)
    raise _OddError(RejectReason.BAD_FIELD, f"{field}: {_shown(value)}")


def _integer(value: object, field: str) -> int | None:
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and -MAX_INTEGER <= value <= MAX_INTEGER:
        return value
    raise _OddError(RejectReason.BAD_FIELD, f"{field}: {_shown(value)}")


def _is_storable(text: str) -> bool:
    """Tell whether a text fits Nova's columns and can be written as UTF-8: JSON may hold half a surrogate pair."""
    if len(text) > MAX_TEXT:
        return False
    if text.isascii():
        return True
    return not any("\ud800" <= char <= "\udfff" for char in text)
