"""What the configuration file may say: its keys, the values they take and their defaults."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, create_model
from pydantic_core import PydanticCustomError

from exporter.domain.lifecycle import LIVE_ROWS, NEVER, UNKNOWN_STATUS, MigrationType

_UNITS = {"y": 31_536_000, "w": 604_800, "d": 86_400, "h": 3600, "m": 60, "s": 1}
_PARTS = "".join(rf"(?:([0-9]{{1,12}}){unit})?" for unit in _UNITS)
_DURATION = re.compile(rf"(?=[0-9]){_PARTS}(?:([0-9]{{1,15}})ms)?")
_LONGEST = 292 * _UNITS["y"]
_WRITE_ONE = "write a duration such as 500ms, 30s, 2m, 1h30m or 7d"
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def seconds_of(text: str) -> float | None:
    """Return the seconds of a duration as Prometheus writes it, or None where the text is none."""
    if text == "0":
        return 0.0
    match = _DURATION.fullmatch(text)
    if match is None:
        return None
    *whole, thousandths = (int(part or 0) for part in match.groups())
    seconds = sum(count * unit for count, unit in zip(whole, _UNITS.values(), strict=True)) + thousandths / 1000
    return seconds if seconds <= _LONGEST else None


def duration_text(seconds: float) -> str:
    """Return a number of seconds as a duration that the configuration accepts; infinity is `never`."""
    if seconds == NEVER:
        return "never"
    rest, parts = round(seconds * 1000), ""
    for unit, length in {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}.items():
        count, rest = divmod(rest, length)
        parts += f"{count}{unit}" if count else ""
    return parts or "0s"


def _fault(message: str) -> PydanticCustomError:
    # Braces would be taken for placeholders.
    return PydanticCustomError("fault", "{message}", {"message": message})


def _duration(value: object) -> float:
    if type(value) is int:
        if value == 0:
            return 0.0
        raise _fault(f"{value} has no unit; {_WRITE_ONE}")
    if value == "never":
        raise _fault(f"'never' is for thresholds only; {_WRITE_ONE}")
    seconds = seconds_of(value) if isinstance(value, str) else None
    if seconds is None:
        raise _fault(f"{shown(value)} is not a duration; {_WRITE_ONE}")
    return seconds


def _threshold(value: object) -> float:
    if value == "never":
        return NEVER
    try:
        return _positive(_duration(value))
    except PydanticCustomError as error:
        raise _fault(f"{error.message()}, or never") from error


def _positive(seconds: float) -> float:
    if seconds <= 0:
        raise _fault(f"must be longer than nothing; {_WRITE_ONE}")
    return seconds


def _count(value: object) -> int:
    if type(value) is not int or value < 0:
        raise _fault(f"{shown(value)} is not a count; write a whole number, 0 or more")
    return value


def _moment(value: object) -> float | None:
    """Return the epoch seconds of a date; one without a zone is in UTC, as Nova's own are."""
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        if moment is not None:
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        pass
    raise _fault(f"{shown(value)} is not a date; write one such as 2025-01-01T00:00:00Z, or null")


def _uuid(value: object) -> str:
    text = value.strip().lower() if isinstance(value, str) else ""
    if not _UUID.fullmatch(text):
        raise _fault(
            f"{shown(value)} is not the uuid of a migration; write one such as 4cfba335-03d8-49b2-8c52-e69043d1e8fe"
        )
    return text


def shown(value: object) -> str:
    """Return a value as a message may show it: short, and in the words of YAML."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _name(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise _fault(f"{shown(value)} is not text; put it in quotes")
    if not value.strip() or not value.isprintable() or len(value) > 200:
        raise _fault(f"{shown(value)} is not a name; write one of 1 to 200 printable characters")
    return value


def _empty_if_nothing(value: object) -> object:
    """Return an empty section for one whose keys are all commented out."""
    return {} if value is None else value


Duration = Annotated[float, BeforeValidator(_duration)]
PositiveDuration = Annotated[float, BeforeValidator(_duration), AfterValidator(_positive)]
Threshold = Annotated[float, BeforeValidator(_threshold)]
Count = Annotated[int, BeforeValidator(_count)]
Moment = Annotated[float | None, BeforeValidator(_moment)]
Uuid = Annotated[str, BeforeValidator(_uuid)]
Name = Annotated[str | None, BeforeValidator(_name)]


class Section(BaseModel):
    """A mapping of the file: every key is known, nothing changes once it is read."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True)


class Poll(Section):
    """When the cloud is asked, and how long it may take; seconds."""

    interval: PositiveDuration = Field(default=30.0, description="Time between looks for changes.")
    sweep_interval: PositiveDuration = Field(
        default=300.0, description="Time between complete looks at everything that is live."
    )
    timeout: PositiveDuration = Field(
        default=75.0,
        description="Time for one request; keep it above the 60 s that Nova itself waits for a cell that hangs.",
    )
    deadline: PositiveDuration = Field(default=300.0, description="Time for one whole poll.")
    overlap: PositiveDuration = Field(default=90.0, description="How far a look reaches back behind the last one.")
    deep_interval: PositiveDuration = Field(
        default=3600.0, description="Time between looks that reach `poll.deep_overlap` back, for ends that came late."
    )
    deep_overlap: PositiveDuration = Field(default=86400.0, description="How far back those looks reach.")


class LiveMigration(Section):
    """How long a running live migration may take; seconds, where 0 per GiB means no limit of its own."""

    completion_timeout_per_gib: Duration = Field(
        default=800.0,
        description="What nova.conf says, there in seconds: how long Nova lets a live migration run for each GiB of memory and "
        "disk. With `features.live_progress` it is the threshold once the size is known. 0: there is no such limit.",
    )
    no_progress: PositiveDuration = Field(
        default=300.0, description="A running live migration whose heartbeat stops for so long is stuck."
    )


class Features(Section):
    """What is looked up beyond the records themselves."""

    exact_durations: StrictBool = Field(
        default=True, description="Read the instance actions of moves that went faster than they were polled."
    )
    diagnosis: StrictBool = Field(
        default=True,
        description="Read servers and compute services, to say why something is stuck and which servers are stranded.",
    )
    live_progress: StrictBool = Field(default=True, description="Read what running live migrations have moved.")
    per_host: StrictBool = Field(
        default=False, description="Count by source and destination host, too; this makes series for each host."
    )


class Limits(Section):
    """How much is shown and asked at most."""

    per_migration_series: Count = Field(default=1000, description="How many migrations get series of their own.")
    action_requests_per_poll: Count = Field(
        default=50, description="How many requests one poll spends on instance actions; the rest waits for the next."
    )


class Ignore(Section):
    """Records that an operator knows about; `created_before` in epoch seconds."""

    created_before: Moment = Field(
        default=None, description="Records that were created before this moment are left out."
    )
    migration_ids: Annotated[frozenset[Uuid], BeforeValidator(lambda value: [] if value is None else value)] = Field(
        default=frozenset(), description="Records that are left out, by the uuid of the migration."
    )


def _or_empty(kind: type[Section]) -> Any:
    """Return a section that may be left empty, as when all its keys are commented out."""
    return Annotated[kind, BeforeValidator(_empty_if_nothing)]


def _statuses_of(kind: MigrationType) -> type[Section]:
    """Return the section of a migration type's thresholds: a key for each status in which its records can stay."""
    meanings = {row.status: row.meaning for row in LIVE_ROWS if row.migration_type is kind}
    meanings[UNKNOWN_STATUS] = "Any status that the exporter does not know."
    fields: dict[str, Any] = {
        f"status_{index}": (Threshold, Field(default=NEVER, alias=name, description=meaning))
        for index, (name, meaning) in enumerate(meanings.items())
    }
    return create_model(f"{kind.name}_THRESHOLDS", __base__=Section, **fields)


def _thresholds() -> type[Section]:
    fields: dict[str, Any] = {
        kind.name: (
            _or_empty(section),
            Field(
                default=section(), alias=kind.value, description=f"When a record of type {kind.value} counts as stuck."
            ),
        )
        for kind in MigrationType
        for section in (_statuses_of(kind),)
    }
    return create_model("Thresholds", __base__=Section, **fields)


Thresholds = _thresholds()


class Overridable(Section):
    """What the file says for every cloud, and may say again for one."""

    poll: Annotated[Poll, BeforeValidator(_empty_if_nothing)] = Field(
        default=Poll(), description="When the cloud is asked, and how long it may take."
    )
    thresholds: Annotated[Thresholds, BeforeValidator(_empty_if_nothing)] = Field(  # type: ignore[valid-type]
        default=Thresholds(),
        description="When a status counts as stuck, by type and status; merged over the built-in table.",
    )
    resize_confirm_window: Duration = Field(
        default=0.0,
        description="What nova.conf says: the time after which Nova itself confirms a resize or a cold migration. "
        "0: users confirm when they like, so `finished` is never stuck.",
    )
    features: Annotated[Features, BeforeValidator(_empty_if_nothing)] = Field(
        default=Features(), description="What is looked up beyond the records themselves."
    )
    limits: Annotated[Limits, BeforeValidator(_empty_if_nothing)] = Field(
        default=Limits(), description="How much is shown and asked at most."
    )
    ignore: Annotated[Ignore, BeforeValidator(_empty_if_nothing)] = Field(
        default=Ignore(), description="Records that you know about: neither stuck nor counted as live."
    )

    def thresholds_set(self) -> dict[tuple[MigrationType, str], float]:
        """Return the thresholds that the file itself sets; seconds."""
        said: dict[str, dict[str, float]] = self.thresholds.model_dump(by_alias=True, exclude_unset=True)  # type: ignore[attr-defined]
        return {
            (MigrationType(kind), status): seconds
            for kind, by_status in said.items()
            for status, seconds in by_status.items()
        }


class CloudEntry(Overridable):
    """One entry of `clouds`."""

    cloud: Name = Field(
        default=None,
        description="A cloud in `clouds.yaml`; without it, the one that `OS_CLOUD` or the `OS_*` variables name.",
    )
    region: Name = Field(
        default=None, description="Its region; without it, the one that `clouds.yaml` or `OS_REGION_NAME` names."
    )
    name: Name = Field(
        default=None,
        description="Value of the label `cloud`; without it the cloud's name, or cloud/region. No two entries may share it.",
    )


def _some(value: object) -> object:
    if value == []:
        raise _fault("names no cloud; add one, or leave the key out for the cloud of the environment")
    return () if value is None else value


class Document(Overridable):
    """The whole file."""

    clouds: Annotated[tuple[CloudEntry, ...], BeforeValidator(_some)] = Field(
        default=(), description="The clouds to watch; without it, the one of the environment."
    )
    live_migration: Annotated[LiveMigration, BeforeValidator(_empty_if_nothing)] = Field(
        default=LiveMigration(), description="How long a running live migration may take."
    )
