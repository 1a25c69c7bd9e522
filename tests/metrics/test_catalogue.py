"""What holds for every row of the catalogue."""

from __future__ import annotations

import re

import pytest

from exporter.metrics.catalogue import Family, Kind
from exporter.metrics.exposition import FAMILIES

#: Labels that clash with those that Prometheus adds to a target.
CLASHING = {"region", "zone", "cluster", "service", "env", "type", "job", "instance", "le", "quantile"}

each_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)


def test_a_name_stands_once() -> None:
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)


@each_family
def test_no_label_clashes_with_those_of_a_target(family: Family) -> None:
    assert not set(family.labels) & CLASHING
    assert len(set(family.labels)) == len(family.labels)
    assert all(re.fullmatch(r"[a-z][a-z_]*", label) for label in family.labels)


@each_family
def test_only_counters_end_in_total(family: Family) -> None:
    assert family.name.endswith("_total") == (family.kind is Kind.COUNTER)


@each_family
def test_a_family_says_what_it_means_in_a_sentence(family: Family) -> None:
    assert family.help.endswith(".")
    assert "\n" not in family.help


@each_family
def test_all_but_the_families_of_the_process_tell_the_cloud(family: Family) -> None:
    assert (family.labels[:1] != ("cloud",)) == family.name.startswith("openstack_migration_exporter_")
