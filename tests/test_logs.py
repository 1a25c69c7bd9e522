"""Log lines: one for each record, in two formats, and never a token."""

from __future__ import annotations

import io
import json
import logging
import re
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter import logs

pytestmark = pytest.mark.usefixtures("logging_as_before")


def configured(level: str = "info", form: str = "logfmt") -> io.StringIO:
    stream = io.StringIO()
    logs.configure(level, form, stream)
    return stream


def line_of(message: str, form: str, **extra: object) -> str:
    stream = configured(form=form)
    logging.getLogger("exporter.test").warning("%s", message, extra=extra)
    return stream.getvalue()


def test_a_logfmt_line_has_time_level_logger_message_and_the_extra_fields() -> None:
    line = line_of("a poll failed", "logfmt", cloud="prod", seconds=1.5, retry=True, error=None)
    assert re.fullmatch(
        r"ts=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z level=warn logger=exporter\.test "
        r'msg="a poll failed" cloud=prod seconds=1\.5 retry=true error=""\n',
        line,
    )


def test_a_json_line_keeps_numbers_booleans_and_nulls() -> None:
    line = json.loads(
        line_of("a poll failed", "json", seconds=1.5, records=3, retry=True, error=None, never=float("inf"))
    )
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("ts"))
    assert line == {
        "level": "warn",
        "logger": "exporter.test",
        "msg": "a poll failed",
        "seconds": 1.5,
        "records": 3,
        "retry": True,
        "error": None,
        "never": "inf",
    }


@pytest.mark.parametrize("form", ["logfmt", "json"])
@given(st.text(alphabet=st.characters(exclude_categories=())), st.text())
def test_a_record_is_one_line_whatever_it_contains(form: str, message: str, value: str) -> None:
    line = line_of(message, form, value=value)
    assert line.endswith("\n")
    assert len(line[:-1].splitlines()) == 1
    assert line[:-1].isprintable()


@given(st.text(), st.text())
def test_json_gives_back_what_was_logged(message: str, value: str) -> None:
    line = json.loads(line_of(message, "json", value=value))
    assert (line["msg"], line["value"]) == (message, value)


def test_a_forged_second_record_stays_within_its_field() -> None:
    line = line_of('x\nts=2026-01-01T00:00:00Z level=error msg="forged"', "logfmt")
    assert line.count("\n") == 1
    assert r'msg="x\nts=2026-01-01T00:00:00Z level=error msg=\"forged\""' in line


def test_an_exception_is_one_field() -> None:
    stream = configured(form="json")
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        logging.getLogger("exporter.test").exception("gone wrong")
    line = json.loads(stream.getvalue())
    assert line["level"] == "error"
    assert line["exception"].startswith("Traceback (most recent call last):")
    assert line["exception"].endswith("ValueError: first\nsecond")


def test_extra_fields_cannot_pass_for_the_record_s_own() -> None:
    line = json.loads(line_of("true", "json", level="error", ts="never", **{"odd key=": 1}))
    assert (line["level"], line["extra_level"], line["extra_ts"], line["odd_key_"]) == ("warn", "error", "never", 1)


def test_a_message_whose_arguments_do_not_fit_is_shown_all_the_same() -> None:
    stream = configured()
    logging.getLogger("exporter.test").info("%d clouds", "two")
    assert "msg=\"%d clouds ('two',)\"" in stream.getvalue()


class _Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no")


def test_a_value_that_cannot_be_printed_costs_only_itself() -> None:
    assert 'value="<unprintable _Unprintable>"' in line_of("x", "logfmt", value=_Unprintable())


@pytest.mark.parametrize(
    ("level", "heard"),
    [
        ("debug", ["debug", "info", "warn", "error", "error"]),
        ("info", ["info", "warn", "error", "error"]),
        ("warn", ["warn", "error", "error"]),
        ("error", ["error", "error"]),
    ],
)
def test_records_below_the_level_are_left_out(level: str, heard: list[str]) -> None:
    stream = configured(level)
    for number in (10, 20, 30, 40, 50):
        logging.getLogger("exporter.test").log(number, "x")
    assert re.findall(r"level=(\w+)", stream.getvalue()) == heard


@pytest.mark.parametrize(
    ("level", "heard"), [("debug", ["info", "warn", "error"]), ("info", ["warn", "error"]), ("error", ["error"])]
)
@pytest.mark.parametrize(
    "library", ["keystoneauth.session.request", "urllib3.connectionpool", "openstack.config", "uvicorn.error"]
)
def test_libraries_are_heard_from_warnings_on_and_never_below_info(library: str, level: str, heard: list[str]) -> None:
    stream = configured(level)
    for number in (10, 20, 30, 40):
        logging.getLogger(library).log(number, "X-Auth-Token: secret")
    assert re.findall(r"level=(\w+)", stream.getvalue()) == heard


def test_configuring_again_replaces_the_first_stream() -> None:
    first, second = configured(), configured()
    logging.getLogger("exporter.test").info("x")
    assert (first.getvalue(), second.getvalue().count("\n")) == ("", 1)


def test_warnings_of_python_are_records_too() -> None:
    stream = configured()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        configured_again = stream
        logs.configure("info", "logfmt", configured_again)
        warnings.warn("an old way", DeprecationWarning, stacklevel=1)
    assert "logger=py.warnings" in stream.getvalue()
    assert stream.getvalue().count("\n") == 1
