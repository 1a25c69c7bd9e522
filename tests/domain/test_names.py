"""Every status has a name to be exposed under, and there are not too many of them."""

from __future__ import annotations

import pytest

from exporter.domain.lifecycle import TABLE, MigrationType, Row
from exporter.domain.names import LONGEST_NAME, MOST_NAMES, OTHER, StatusNames
from tests.domain.records import LIVE, RESIZE


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.migration_type}:{row.status}")
def test_a_known_status_keeps_its_name_and_takes_no_place(row: Row) -> None:
    names = StatusNames()
    assert names.of(row.migration_type, row.status) == row.status
    assert names.unknown_pairs == set()


def test_an_unknown_status_is_cut_to_sixty_four_characters() -> None:
    names = StatusNames()
    assert names.of(LIVE, "x" * 255) == "x" * 64
    assert LONGEST_NAME == 64
    assert names.unknown_pairs == {(LIVE, "x" * 64)}


def test_only_twenty_unknown_names_are_exposed_and_the_rest_are_other() -> None:
    names = StatusNames()
    given = [names.of(LIVE, f"odd-{i}") for i in range(25)]
    assert MOST_NAMES == 20
    assert given == [f"odd-{i}" for i in range(20)] + [OTHER] * 5


def test_a_name_once_given_stays() -> None:
    names = StatusNames()
    for i in range(25):
        names.of(LIVE, f"odd-{i}")
    assert names.of(LIVE, "odd-3") == "odd-3"
    assert names.of(LIVE, "odd-24") == OTHER


def test_an_unknown_name_counts_once_over_all_types() -> None:
    names = StatusNames()
    for kind in MigrationType:
        names.of(kind, "odd")
    assert [names.of(LIVE, f"odd-{i}") for i in range(19)] == [f"odd-{i}" for i in range(19)]
    assert {pair for pair in names.unknown_pairs if pair[1] == "odd"} == {(kind, "odd") for kind in MigrationType}


def test_a_status_is_unknown_under_a_type_that_never_has_it() -> None:
    names = StatusNames()
    assert names.of(RESIZE, "running") == "running"
    assert names.unknown_pairs == {(RESIZE, "running")}
