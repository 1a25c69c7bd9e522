"""Log lines: one for each record whatever it contains, as logfmt or JSON, and no secret in any."""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TextIO

from exporter.strangers import printable, redact

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}

#: Loggers of libraries. They are never heard below INFO: at DEBUG keystoneauth and urllib3 write whole requests, and
#: with them tokens and passwords. Their warnings still quote the auth_url (keystoneauth1/identity/generic/base.py,
#: `_do_create_plugin`) and headers (urllib3/connection.py, `getresponse`): what looks like a secret is hidden in every line.
LIBRARIES = (
    "asyncio",
    "dogpile",
    "keystoneauth",
    "keystoneauth1",
    "openstack",
    "requests",
    "stevedore",
    "urllib3",
    "uvicorn",
)

#: What every record has; anything else in it came by `extra`.
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}

_FIRST_KEYS = frozenset({"ts", "level", "logger", "msg", "exception"})
_BARE = re.compile(r"[^\s=\"\\]+")

_Fields = Iterator[tuple[str, object]]


def configure(level: str, format: str, stream: TextIO) -> None:  # noqa: A002  # named as the flag that it stands for
    """Send every record from `level` on to a stream, in place of what was set before.

    `level` is a key of LEVELS, `format` one of FORMATS.
    """
    threshold = LEVELS[level]
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Formatter(FORMATS[format]))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(threshold)
    logging.captureWarnings(True)
    for name in LIBRARIES:
        logging.getLogger(name).setLevel(
            logging.INFO if threshold == logging.DEBUG else max(threshold, logging.WARNING)
        )


class _Formatter(logging.Formatter):
    def __init__(self, write: Callable[[_Fields], str]) -> None:
        super().__init__()
        self._write = write

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line."""
        return self._write(self._fields(record))

    def _fields(self, record: logging.LogRecord) -> _Fields:
        yield (
            "ts",
            datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        )
        yield "level", _level(record.levelno)
        yield "logger", record.name
        yield "msg", _message(record)
        for key, value in vars(record).items():
            if key not in _OWN:
                name = re.sub(r"[^A-Za-z0-9_.-]", "_", key)
                yield (f"extra_{name}" if name in _FIRST_KEYS else name), value
        if record.exc_info and record.exc_info[0]:
            yield "exception", self.formatException(record.exc_info)


def _level(number: int) -> str:
    names = [name for name, least in LEVELS.items() if number >= least]
    return names[-1] if names else "debug"


def _message(record: logging.LogRecord) -> str:
    """Return the message; one whose arguments do not fit it is shown with them rather than lost."""
    try:
        return record.getMessage()
    except Exception:  # whatever is wrong with an argument must not cost the line
        return f"{record.msg} {_text(record.args)}"


def _text(value: object) -> str:
    try:
        return redact(str(value))
    except Exception:  # as above
        return f"<unprintable {type(value).__name__}>"


def _quoted(text: str) -> str:
    """Return a text in quotes and on one line: whatever breaks, moves or turns a line around is escaped."""
    return printable(json.dumps(text, ensure_ascii=False))


def _logfmt(fields: _Fields) -> str:
    return " ".join(f"{key}={_logfmt_value(value)}" for key, value in fields)


def _logfmt_value(value: object) -> str:
    text = "" if value is None else str(value).lower() if isinstance(value, bool) else _text(value)
    return text if text.isprintable() and _BARE.fullmatch(text) else _quoted(text)


def _json(fields: _Fields) -> str:
    return "{" + ", ".join(f"{_quoted(key)}: {_json_value(value)}" for key, value in fields) + "}"


def _json_value(value: object) -> str:
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if type(value) is int or (type(value) is float and math.isfinite(value)):
        return json.dumps(value)
    return _quoted(_text(value))


FORMATS: dict[str, Callable[[_Fields], str]] = {"logfmt": _logfmt, "json": _json}
