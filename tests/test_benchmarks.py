"""The benchmarks are what their README says; none of them is timed here."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from benchmarks.__main__ import BEGIN, END, NAMES, README, Told, table, write
from benchmarks.figures import Figure, count, cpu, ratio, same, share, shown, times

ROOT = README.parent


@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_says_what_it_compares(name: str) -> None:
    module = importlib.import_module(f"benchmarks.{name}")
    assert module.TITLE
    assert len(module.ABOUT) > 200
    assert callable(module.measure)


def test_none_is_left_out() -> None:
    with_measure = {
        path.stem for path in ROOT.glob("*.py") if re.search(r"^def measure\(", path.read_text(), re.MULTILINE)
    }
    assert with_measure == set(NAMES)


def test_the_readme_holds_the_table_of_each() -> None:
    text = README.read_text()
    told = text[text.index(BEGIN) : text.index(END)]
    for name in NAMES:
        assert f"### {importlib.import_module(f'benchmarks.{name}').TITLE}\n" in told, "run `make bench`"


@pytest.mark.parametrize(
    ("number", "text"),
    [(0.0123, "0.0123"), (1.5, "1.5"), (99.96, "100"), (123.4, "123"), (5678.0, "5,680"), (1234567, "1,230,000")],
)
def test_a_number_is_shown_to_three_digits(number: float, text: str) -> None:
    assert shown(number) == text


@pytest.mark.parametrize(
    ("figure", "value", "met"),
    [
        (times("a", 100.0, 2.0, at_least=50), "50 times", True),
        (times("a", 99.0, 2.0, at_least=50), "49.5 times", False),
        (times("a", 99.0, 2.0), "49.5 times", None),
        (share("a", 4.0, 100.0, below=0.05), "4 %", True),
        (share("a", 5.0, 100.0, below=0.05), "5 %", False),
        (ratio("a", 3.0, 2.0, below=1.5), "1.5", False),
        (ratio("a", 2.9, 2.0, below=1.5), "1.45", True),
        (count("a", 20, at_most=20), "20", True),
        (count("a", 21, at_most=20, unit="requests"), "21 requests", False),
        (same("a", {1: 2}, {1: 2}), "yes", True),
        (same("a", 1, 2), "no: 1 is not 2", False),
    ],
)
def test_a_goal_is_met_or_not(figure: Figure, value: str, met: bool | None) -> None:
    assert (figure.value, figure.met) == (value, met)


def test_cpu_is_that_of_the_work() -> None:
    assert cpu(lambda: None) < cpu(lambda: sum(range(2_000_000)))


def test_the_tables_are_written_between_the_marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{BEGIN}{END}after\n")
    monkeypatch.setattr("benchmarks.__main__.README", readme)
    page, soak = (importlib.import_module(f"benchmarks.{name}").TITLE for name in ("page", "soak"))
    write([Told(soak, "About.", [count("one", 1)], 30.0)])
    write([Told(page, "About.", [count("one", 2)], 30.0), Told(soak, "About.", [count("one", 3, at_most=2)], 60.0)])
    write([told := Told(page, "About.", [count("one", 4)], 90.0)])
    text = readme.read_text()
    assert text.startswith(f"before\n{BEGIN}")
    assert text.endswith(f"{END}after\n")
    assert re.findall(r"^### .*|\| one.*", text, re.MULTILINE) == [
        f"### {page}",
        "| one | 4 |  |  |",
        f"### {soak}",
        "| one | 3 | at most 2 | **missed** |",
    ]
    assert table(told) in text
