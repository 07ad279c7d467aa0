"""The generated pages of docs/ are whole and up to date."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from mgmt.documents import PAGES
from mgmt.imports.rules import _rows, import_rules, named_cases, named_tests
from mgmt.imports.steps import CASES, STEPS

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", PAGES)
def test_generated_pages_are_up_to_date(name: str) -> None:
    """What stands in docs/ is what scripts/docs would write now."""
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == PAGES[name](ROOT), "run scripts/docs"


def test_every_row_has_a_test() -> None:
    """Each row of the import is named by a test, so that its text can be looked up there."""
    named = named_tests(import_rules(), ROOT / "tests")
    assert [row for row, tests in named.items() if not tests] == []
    assert "tests/imports/test_import_host_tables.py::test_H3_host_not_up" in named["H3"]
    assert any(test.endswith("::test_2p7i2_network_not_found") for test in named["2.7-2"])
    assert not any("13a" in test for test in named["13"])


def _ids(prefix: str, last: int) -> list[str]:
    return [f"{prefix}{number}" for number in range(1, last + 1)]


# The row ids of the import's specification, by its sections.
ROW_IDS = {
    "2.1": [*map(str, range(1, 35)), "13a", "13b", "13c", "13d", "13e"],
    "2.3": [*(f"H{n}" for n in range(1, 14)), *(f"I{n}" for n in range(9))],
    "2.4": [*_ids("P", 5), *_ids("V", 5), *_ids("T", 7), *_ids("D", 7), *_ids("S", 5), "T4b"],
    "2.5": [f"C{n}" for n in range(1, 8)],
    "2.6": [f"E{n}" for n in range(1, 5)],
    "2.7": [f"2.7-{n}" for n in range(1, 9)],
    "3": ["3.2", "3.4", "3.5", "3.7", *(f"3.8-{n}" for n in range(1, 10))],
    "5": ["5.1", *(f"5.2-{n}" for n in range(1, 8))],
}
CASE_IDS = [
    *["H2a", "H2b", "H5a", "H5b", "H5c", "H5d", "H8", "H9", "H12", "H13", "I5a", "V2a", "V4a", "V5a", "V5b", "V5c"],
    *["P3a", "T5a", "T5b", "T6a", "T3a", "S16", "S14", "E3a", "W1", "W2", "C7a", "N1t", "A1", "A2", "A3", "A4", "J1"],
    *["D1t", "D2t"],
]


def test_page_of_rules_is_whole() -> None:
    """Every row id of the specification, and every case of its matrix, stands in the page with a test or its rows."""
    text = (ROOT / "docs" / "import-rules.md").read_text(encoding="utf-8")
    found: dict[str, str] = {}
    for line in re.findall(r"^\| (?!id |step |case )(.*) \|$", text, re.MULTILINE):
        first, *_, last = line.split(" | ")
        found[first] = found.get(first, "") + last
    wanted = [row for rows in ROW_IDS.values() for row in rows]
    assert [row for row in (*wanted, *CASE_IDS) if row not in found] == []
    assert list(CASES) == CASE_IDS
    pointers = {step for step, what in STEPS.items() if what.rows}
    assert [row for row, tests in found.items() if row not in pointers and "`test_" not in tests] == []


def test_steps_point_to_rows_that_are_there() -> None:
    """What a step is said to stand for are rows of the code, and the tables are those of the specification."""
    rules = {rule.id for rule in import_rules()}
    for number, step in STEPS.items():
        for row in re.findall(r"\d+(?:\.\d+(?:-\d+)?)?", step.rows):
            assert row in rules | STEPS.keys(), (number, row)
        for table in re.findall(r"\b[A-Z]\b", step.rows):
            assert f"{table}1" in rules, (number, table)
        assert number not in rules


def test_no_test_is_skipped_or_expected_to_fail() -> None:
    """Tests of the import's rows run: none is marked to be skipped or to fail."""
    for folder in ("imports", "matrix"):
        for file in (ROOT / "tests" / folder).rglob("*.py"):
            assert not re.search(r"mark\.(skip|xfail)|pytest\.(skip|xfail|importorskip)", file.read_text()), file


def test_every_case_of_the_matrix_has_a_test_over_http() -> None:
    """Each case has a test of its own in the folder whose tests go over HTTP."""
    named = named_cases(CASES, ROOT / "tests" / "matrix")
    assert [case for case, tests in named.items() if not tests] == []


def test_rows_are_read_from_the_code() -> None:
    """Rows of tables, raised rows, helpers, constants and rows that depend are found with their texts."""
    code = """
_TEXT = "a constant"
def _refuse(f, reason):
    return CloudRuntimeError(f"no {f.host.shown} as {reason}")
TABLE = Table("Q", (
    Row("Q1", lambda f: True, lambda f: _refuse(f, "it is off")),
    Row("Q2", lambda f: True, lambda f: f.host),
))
def work():
    raise ServerApiError(PARAM_ERROR, _TEXT, row="7")
    raise OtherError(f"{a.b} of {x or y}", row="8" if z else "9")
"""
    assert dict(_rows(ast.parse(code))) == {
        "Q1": ["no <host> as it is off"],
        "Q2": [],
        "7": ["a constant"],
        "8": ["<a b> of <x>"],
        "9": ["<a b> of <x>"],
    }
