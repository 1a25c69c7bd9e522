"""The configuration: one bad file per mistake with its exact message, and what good files resolve to."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from exporter.config import CloudConfiguration, ConfigurationError, load
from exporter.config_schema import duration_text, seconds_of
from exporter.domain.lifecycle import LIVE_ROWS, NEVER, MigrationType

WRITE_ONE = "write a duration such as 500ms, 30s, 2m, 1h30m or 7d"
A_UUID = "write one such as 4cfba335-03d8-49b2-8c52-e69043d1e8fe"

HERE = Path(__file__).parent / "config"

#: What each file of config/bad is told; {path} stands for the file itself.
FAULTS: dict[str, tuple[str, ...]] = {
    "alias_bomb": ("{path}: more than 50000 values, or nested deeper than 50; use fewer aliases (*name)",),
    "alias_to_itself": ("{path}: more than 50000 values, or nested deeper than 50; use fewer aliases (*name)",),
    "boolean_as_duration": (f"poll.interval: true is not a duration; {WRITE_ONE}",),
    "boolean_as_number": ("features.per_host: 1 is neither true nor false; write one of them",),
    "boolean_in_quotes": ("features.diagnosis: 'true' is neither true nor false; write one of them",),
    "cloud_empty_entry": ("clouds[0]: nothing is not a mapping; write `key: value` lines below it",),
    "cloud_not_a_mapping": ("clouds[0]: 'prod' is not a mapping; write `key: value` lines below it",),
    "clouds_empty": ("clouds: names no cloud; add one, or leave the key out for the cloud of the environment",),
    "clouds_not_a_list": ("clouds: a mapping is not a list; write `- ` before each entry",),
    "clouds_of_one_name": (
        "clouds[1].name: the name 'prod' is that of clouds[0] already; set `name` to another",
        "clouds[2]: the name 'prod' is that of clouds[0] already; set `name` to another",
    ),
    "control_character": (
        '{path}: unacceptable character #x0001: special characters are not allowed in "<unicode string>", position 18',
    ),
    "count_boolean": ("limits.per_migration_series: true is not a count; write a whole number, 0 or more",),
    "count_fraction": ("limits.action_requests_per_poll: 1.5 is not a count; write a whole number, 0 or more",),
    "count_negative": ("limits.per_migration_series: -1 is not a count; write a whole number, 0 or more",),
    "date_number": (
        "ignore.created_before: 1735689600 is not a date; write one such as 2025-01-01T00:00:00Z, or null",
    ),
    "date_wrong": (
        "ignore.created_before: '2025-13-01' is not a date; write one such as 2025-01-01T00:00:00Z, or null",
    ),
    "duration_beyond_prometheus": (f"poll.interval: '300y' is not a duration; {WRITE_ONE}",),
    "duration_negative": (f"poll.timeout: '-5s' is not a duration; {WRITE_ONE}",),
    "duration_units_out_of_order": (f"poll.interval: '30s1m' is not a duration; {WRITE_ONE}",),
    "duration_zero": (f"poll.timeout: must be longer than nothing; {WRITE_ONE}",),
    "ended_status": ("thresholds.resize.confirmed: 'confirmed' is an end, in which no record can be stuck; remove it",),
    "huge_number": ("{path}: holds a number that is too long, or a value that is not what its tag (!!) says",),
    "ids_not_a_list": (
        "ignore.migration_ids: '4cfba335-03d8-49b2-8c52-e69043d1e8fe' is not a list; write `- ` before each entry",
    ),
    "interval_above_deep_interval": (
        "poll.deep_interval: 10s is shorter than interval (30s, its default); change one of them",
    ),
    "interval_above_default_sweep_interval": (
        "poll.interval: 10m is longer than sweep_interval (5m, its default); change one of them",
    ),
    "interval_above_sweep_interval": ("poll.interval: 10m is longer than sweep_interval (5m); change one of them",),
    "key_not_text": ("[1]: a key must be text; put it in quotes",),
    "key_twice": ("poll.interval: set twice, in lines 2 and 4; keep one",),
    "many_at_once": (
        f"poll.interval: 30 has no unit; {WRITE_ONE}",
        f"thresholds.resize.migrating: 'soon' is not a duration; {WRITE_ONE}, or never",
        f"resize_confirm_window: true is not a duration; {WRITE_ONE}",
        "features.diagnosis: 'maybe' is neither true nor false; write one of them",
        f"ignore.migration_ids[0]: 'x' is not the uuid of a migration; {A_UUID}",
        "clouds[0].regoin: unknown key; did you mean 'region'?",
        "clouds[2]: 'three' is not a mapping; write `key: value` lines below it",
        "poll.timeout: 10m is longer than deadline (5m, its default); change one of them",
        "clouds[1].name: the name 'one' is that of clouds[0] already; set `name` to another",
    ),
    "name_blank": ("clouds[0].name: '' is not a name; write one of 1 to 200 printable characters",),
    "name_number": ("clouds[0].name: 7 is not text; put it in quotes",),
    "never_outside_thresholds": (f"resize_confirm_window: 'never' is for thresholds only; {WRITE_ONE}",),
    "not_utf8": ("{path}: byte 20 is not UTF-8; save the file as UTF-8 text",),
    "nothing_as_duration": (f"poll.interval: nothing is not a duration; {WRITE_ONE}",),
    "number_as_duration": (f"poll.interval: 30 has no unit; {WRITE_ONE}",),
    "overlap_above_deep_overlap": ("poll.overlap: 1h is longer than deep_overlap (30m); change one of them",),
    "override_contradicts_global": (
        "clouds[1].poll.interval: 2m is longer than sweep_interval (1m); change one of them",
    ),
    "password_in_cloud": (
        "clouds[0].password: unknown key; known here are "
        "poll, thresholds, resize_confirm_window, features, limits, ignore, cloud, region, name",
    ),
    "python_object": (
        "{path}: line 1, column 7: could not determine a constructor for the tag "
        "'tag:yaml.org,2002:python/object/apply:os.system'",
    ),
    "section_not_a_mapping": ("poll: '30s' is not a mapping; write `key: value` lines below it",),
    "section_twice": ("poll: set twice, in lines 3 and 4; keep one",),
    "sexagesimal_duration": (f"poll.interval: 90 has no unit; {WRITE_ONE}",),
    "status_of_another_type": (
        "thresholds.evacuation.running (post-copy): unknown key; known here are accepted, pre-migrating, unknown",
    ),
    "syntax_bracket": (
        "{path}: line 3, column 1: while parsing a flow sequence, expected ',' or ']', but got '<stream end>'",
    ),
    "syntax_tab": (
        "{path}: line 2, column 1: while scanning for the next token, "
        "found character '\\t' that cannot start any token",
    ),
    "threshold_number": (f"thresholds.resize.migrating: 3600 has no unit; {WRITE_ONE}, or never",),
    "threshold_of_whole_type": ("thresholds.resize: '3h' is not a mapping; write `key: value` lines below it",),
    "threshold_zero": (f"thresholds.resize.migrating: must be longer than nothing; {WRITE_ONE}, or never",),
    "timeout_above_deadline": ("poll.deadline: 30s is shorter than timeout (1m15s, its default); change one of them",),
    "two_documents": (
        "{path}: line 2, column 1: expected a single document in the stream, but found another document",
    ),
    "unknown_alias": ("{path}: line 1, column 7: found undefined alias 'nowhere'",),
    "unknown_key": ("poll.intervall: unknown key; did you mean 'interval'?",),
    "unknown_key_far_from_any": (
        "limits.colour: unknown key; known here are per_migration_series, action_requests_per_poll",
    ),
    "unknown_migration_type": ("thresholds.livemigration: unknown key; did you mean 'live-migration'?",),
    "unknown_section": ("featurs: unknown key; did you mean 'features'?",),
    "unknown_status": ("thresholds.resize.migratin: unknown key; did you mean 'migrating'?",),
    "uuid_wrong": (f"ignore.migration_ids[1]: 17 is not the uuid of a migration; {A_UUID}",),
    "whole_file_a_list": ("the file holds a list, not a mapping; write keys such as `poll:` and `clouds:`",),
    "whole_file_a_word": ("the file holds 'prod', not a mapping; write keys such as `poll:` and `clouds:`",),
    "words_as_duration": (f"poll.interval: '5 minutes' is not a duration; {WRITE_ONE}",),
}


@pytest.mark.parametrize("mistake", sorted(path.stem for path in (HERE / "bad").iterdir()))
def test_each_mistake_is_told_exactly(mistake: str) -> None:
    path = str(HERE / "bad" / f"{mistake}.yaml")
    with pytest.raises(ConfigurationError) as caught:
        load(path, {})
    assert caught.value.faults == tuple(fault.replace("{path}", path) for fault in FAULTS[mistake])
    assert str(caught.value).splitlines() == list(caught.value.faults)


def test_every_expected_fault_has_its_file() -> None:
    assert set(FAULTS) == {path.stem for path in (HERE / "bad").iterdir()}


def test_a_secret_in_the_wrong_place_is_not_repeated() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(str(HERE / "bad" / "password_in_cloud.yaml"), {})
    assert "s3cret" not in str(caught.value)


def test_a_fault_is_one_line_whatever_the_key_is_called(tmp_path: Path) -> None:
    path = tmp_path / "odd.yaml"
    path.write_text('"a\\nb": 1\n"a\\nb": 2\n')
    with pytest.raises(ConfigurationError) as caught:
        load(str(path), {})
    assert len(str(caught.value).splitlines()) == len(caught.value.faults) == 2


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(str(tmp_path / "none.yaml"), {})
    assert caught.value.faults == (f"{tmp_path}/none.yaml: cannot be read: No such file or directory",)


def test_a_directory_is_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(str(tmp_path), {})
    assert caught.value.faults == (f"{tmp_path}: cannot be read: Is a directory",)


def test_a_file_too_long_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "long.yaml"
    path.write_text("# " + "x" * 1_000_000)
    with pytest.raises(ConfigurationError, match="longer than 1000000 characters"):
        load(str(path), {})


def test_endless_brackets_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "deep.yaml"
    path.write_text("[" * 100_000)
    with pytest.raises(ConfigurationError, match="nested too deeply"):
        load(str(path), {})


def good(name: str, **environ: str) -> tuple[CloudConfiguration, ...]:
    return load(str(HERE / "good" / f"{name}.yaml"), environ).clouds


def test_without_a_file_the_cloud_is_that_of_the_environment() -> None:
    assert [(each.name, each.cloud, each.region) for each in load(None, {}).clouds] == [("envvars", None, None)]
    assert [(each.name, each.cloud) for each in load(None, {"OS_CLOUD": "prod"}).clouds] == [("prod", None)]
    assert [each.name for each in load(None, {"OS_CLOUD": ""}).clouds] == ["envvars"]


@pytest.mark.parametrize("name", ["empty", "empty_sections"])
def test_an_empty_file_or_section_means_the_defaults(name: str) -> None:
    assert good(name) == load(None, {}).clouds


def test_the_defaults_are_those_of_the_contract() -> None:
    (cloud,) = load(None, {}).clouds
    assert cloud.poll.model_dump() == {
        "interval": 30,
        "sweep_interval": 300,
        "timeout": 75,
        "deadline": 300,
        "overlap": 90,
        "deep_interval": 3600,
        "deep_overlap": 86400,
    }
    assert cloud.resize_confirm_window == 0
    assert cloud.live_migration.model_dump() == {"completion_timeout_per_gib": 800, "no_progress": 300}
    assert cloud.features.model_dump() == {
        "exact_durations": True,
        "diagnosis": True,
        "live_progress": True,
        "per_host": False,
    }
    assert cloud.limits.model_dump() == {"per_migration_series": 1000, "action_requests_per_poll": 50}
    assert cloud.ignore.model_dump() == {"created_before": None, "migration_ids": frozenset()}


def test_the_default_thresholds_are_the_table_and_one_for_unknown_statuses() -> None:
    (cloud,) = load(None, {}).clouds
    expected = {(row.migration_type, row.status): row.expected for row in LIVE_ROWS}
    unknown = {(kind, "unknown"): 6 * 3600.0 for kind in MigrationType}
    assert dict(cloud.thresholds) == expected | unknown
    assert cloud.thresholds[MigrationType.RESIZE, "finished"] == NEVER


def test_every_key_of_a_full_file_arrives() -> None:
    first, _, _ = good("full")
    assert (first.name, first.cloud, first.region) == ("prod-one", "prod", "RegionOne")
    assert list(first.poll.model_dump().values()) == [15, 240, 65, 270, 90, 7200, 172800]
    assert first.resize_confirm_window == 3600
    assert first.live_migration.model_dump() == {"completion_timeout_per_gib": 0, "no_progress": 120.5}
    assert list(first.features.model_dump().values()) == [False, False, False, True]
    assert list(first.limits.model_dump().values()) == [20, 5]
    assert first.ignore.created_before == 1735689600
    assert first.ignore.migration_ids == {"4cfba335-03d8-49b2-8c52-e69043d1e8fe"}


def test_what_a_cloud_says_is_laid_over_what_holds_for_all_key_by_key() -> None:
    first, second, third = good("full")
    assert list(second.poll.model_dump().values()) == [60, 600, 65, 270, 90, 7200, 172800]
    assert list(second.features.model_dump().values()) == [False, False, False, False]
    assert list(second.limits.model_dump().values()) == [0, 5]
    assert second.resize_confirm_window == 0
    assert second.ignore.created_before == 1748736000
    assert second.ignore.migration_ids == first.ignore.migration_ids
    assert second.live_migration == first.live_migration
    assert (third.poll, third.thresholds) == (first.poll, first.thresholds)


def test_thresholds_merge_by_type_and_status() -> None:
    first, second, _ = good("full")
    pairs = [
        (MigrationType.RESIZE, "migrating"),
        (MigrationType.RESIZE, "finished"),
        (MigrationType.EVACUATION, "unknown"),
    ]
    assert [first.thresholds[pair] for pair in pairs] == [10800, 604800, 5400]
    assert [second.thresholds[pair] for pair in pairs] == [math.inf, 604800, 5400]
    assert first.thresholds[MigrationType.LIVE_MIGRATION, "running (post-copy)"] == 3600
    assert second.thresholds[MigrationType.LIVE_MIGRATION, "running (post-copy)"] == 5400


def test_a_confirm_window_limits_finished_where_no_threshold_does() -> None:
    first, second, _ = good("full")
    assert first.thresholds[MigrationType.MIGRATION, "finished"] == 3600 + 120
    assert second.thresholds[MigrationType.MIGRATION, "finished"] == NEVER


def test_names_come_from_name_then_cloud_and_region_then_the_environment() -> None:
    assert [each.name for each in good("full")] == ["prod-one", "prod/RegionTwo", "envvars/Edge"]
    assert [each.name for each in good("full", OS_CLOUD="lab")][2] == "lab/Edge"


def test_clouds_may_share_settings_by_alias() -> None:
    assert [(each.poll.interval, each.poll.timeout) for each in good("shared_by_alias")] == [(120, 75), (120, 90)]


def test_nothing_of_a_configuration_can_be_changed() -> None:
    configuration = load(None, {})
    with pytest.raises(FrozenInstanceError):
        configuration.clouds = ()  # type: ignore[misc]
    with pytest.raises(ValidationError):
        configuration.clouds[0].poll.interval = 1.0
    with pytest.raises(TypeError):
        configuration.clouds[0].thresholds[MigrationType.RESIZE, "migrating"] = 1.0  # type: ignore[index]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5),
        ("15s", 15),
        ("2m", 120),
        ("1h30m", 5400),
        ("7d", 604800),
        ("1y2w3d4h5m6s7ms", 31536000 + 2 * 604800 + 3 * 86400 + 4 * 3600 + 5 * 60 + 6.007),
        ("0", 0),
        ("0s", 0),
        ("1.5h", None),
        ("1H", None),
        (" 1h", None),
        ("1h 30m", None),
        ("1h1h", None),
        ("ms", None),
        ("10", None),
        ("", None),
        ("\u0661s", None),
        ("293y", None),
        ("9" * 5000 + "s", None),
    ],
)
def test_durations_are_those_of_prometheus(text: str, seconds: float | None) -> None:
    assert seconds_of(text) == seconds


@given(st.integers(min_value=0, max_value=10**12))
def test_a_duration_written_out_is_read_back(milliseconds: int) -> None:
    text = duration_text(milliseconds / 1000)
    assert seconds_of(text) == pytest.approx(milliseconds / 1000)


def test_infinity_is_written_never() -> None:
    assert duration_text(math.inf) == "never"
