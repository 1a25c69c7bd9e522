"""The reference of the configuration file: it is current, and what it says of each key is what the exporter does."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.config import Configuration, ConfigurationError, load
from tools.reference.__main__ import main
from tools.reference.keys import Key, Scope, keys, sections
from tools.reference.page import page

DOCS = Path(__file__).parents[2] / "docs"
KEYS = keys()
BY_PATH = {key.path: key for key in KEYS}

A_UUID = "4cfba335-03d8-49b2-8c52-e69043d1e8fe"

#: What each kind of value takes and what it refuses, by the words of the page; bounds by other keys come behind them.
ACCEPTED_AND_REFUSED: dict[str, tuple[list[object], list[object]]] = {
    "a duration, or 0": ([0, "0s", "10m"], ["never", "-1s", 5, None]),
    "a duration longer than 0": (["4m"], [0, "0s", "never", 5, None]),
    "a duration longer than 0, or `never`": (["never", "10m"], [0, "0s", 5, "ever", None]),
    "a whole number, 0 or more": ([0, 7], [-1, 1.5, "7", None]),
    "`true` or `false`": ([True, False], ["true", 1, None]),
    "a date such as `2025-01-01T00:00:00Z`, in UTC where it names no zone, or `null`": (
        ["2025-01-01T00:00:00Z", None],
        [1735689600, "soon"],
    ),
    "text of 1 to 200 printable characters": (["x", "x" * 200], ["", "x" * 201, "a\tb", 7]),
    "a list of the uuids of migrations": ([[], [A_UUID]], [["x"], A_UUID]),
}


def nested(path: str, value: object) -> dict[str, Any]:
    """Return a file, or a part of one, that says one thing."""
    head, _, rest = path.partition(".")
    inner = nested(rest, value) if rest else value
    return {head.removesuffix("[]"): [inner]} if head.endswith("[]") else {head: inner}


def loaded(directory: Path, content: Mapping[str, Any]) -> Configuration:
    path = directory / "exporter.yaml"
    path.write_text(yaml.safe_dump(content))
    return load(str(path), {})


def said(tree: object, at: str = "") -> Iterator[str]:
    """Yield the path of every value of a file, written as on the page."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from said(value, f"{at}.{key}".removeprefix("."))
    elif at == "clouds" and isinstance(tree, list):
        for value in tree:
            yield from said(value, "clouds[]")
    else:
        yield at


def test_the_page_is_current() -> None:
    assert (DOCS / "configuration-reference.md").read_text() == page(), "run `make generate` and commit what it changes"


def test_the_page_is_written_where_it_belongs(tmp_path: Path) -> None:
    main(tmp_path / "reference.md")
    assert (tmp_path / "reference.md").read_text() == page()


def test_every_key_and_every_section_is_described() -> None:
    texts = {**sections(), **{key.path: key.meaning for key in KEYS}}
    assert [path for path, text in texts.items() if not re.fullmatch(r"[A-Z0-9].+\.", text)] == []
    assert len(BY_PATH) == len(KEYS) > 40


def test_the_page_has_a_row_for_every_key_and_a_heading_for_every_section() -> None:
    assert re.findall(r"^\| `([^`]+)` \|", page(), re.MULTILINE) == [key.path for key in KEYS]
    single = {key.path for key in KEYS if "." not in key.path}
    assert set(re.findall(r"^##+ `([^`]+)`$", page(), re.MULTILINE)) == set(sections()) | single


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.path)
def test_what_is_said_of_a_value_is_what_is_accepted_and_refused(key: Key, tmp_path: Path) -> None:
    accepted, refused = ACCEPTED_AND_REFUSED[key.value.partition(", not longer than")[0]]
    for value in accepted:
        loaded(tmp_path, nested(key.path, value))
    place = key.path.replace("[]", "[0]")
    for value in [each for each in refused if each is not None or "null" not in key.value]:
        with pytest.raises(ConfigurationError) as error:
            loaded(tmp_path, nested(key.path, value))
        assert error.value.faults[0].startswith(place), value


@pytest.mark.parametrize("key", [key for key in KEYS if key.default is not None], ids=lambda key: key.path)
def test_a_default_that_is_written_out_changes_nothing(key: Key, tmp_path: Path) -> None:
    written = nested(key.path, yaml.safe_load(str(key.default)))
    assert loaded(tmp_path, written) == load(None, {})


def test_a_key_without_a_default_may_be_left_out(tmp_path: Path) -> None:
    without = [key for key in KEYS if key.default is None]
    assert {key.path for key in without} == {"clouds[].cloud", "clouds[].region", "clouds[].name"}
    assert loaded(tmp_path, {"clouds": [{}]}) == load(None, {})


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.path)
def test_a_key_stands_where_its_scope_says_and_nowhere_else(key: Key, tmp_path: Path) -> None:
    value = ACCEPTED_AND_REFUSED[key.value.partition(", not longer than")[0]][0][-1]
    path = key.path.removeprefix("clouds[].")
    places = {True: nested(path, value), False: {"clouds": [nested(path, value)]}}
    right = {Scope.ALL: {True}, Scope.ALL_OR_ONE: {True, False}, Scope.ONE: {False}}[key.scope]
    for top, content in places.items():
        if top in right:
            loaded(tmp_path, content)
        else:
            with pytest.raises(ConfigurationError, match="unknown key"):
                loaded(tmp_path, content)


@pytest.mark.parametrize("key", [key for key in KEYS if "not longer than" in key.value], ids=lambda key: key.path)
def test_a_bound_by_another_key_holds(key: Key, tmp_path: Path) -> None:
    low = key.path.removeprefix("poll.")
    for high in re.findall(r"`poll\.(\w+)`", key.value):
        with pytest.raises(ConfigurationError, match=f"poll.{low}: .* is longer than {high} "):
            loaded(tmp_path, {"poll": {low: "3y", high: "2y"}})


def test_the_example_of_the_docs_names_every_key() -> None:
    """Of thresholds it shows some: there is one for each status, all of which are on the page of statuses."""
    (example,) = re.findall(r"```yaml\n(.*?)```", (DOCS / "configuration.md").read_text(), re.DOTALL)
    shown = set(said(yaml.safe_load(example)))
    shared = {path.removeprefix("clouds[].") for path in shown}
    assert {key.path for key in KEYS if not key.path.startswith("thresholds.")} <= shown
    assert shared - {"cloud", "region", "name"} <= set(BY_PATH)
    assert any(path.startswith("thresholds.") for path in shown)
