"""The generated pages of docs/ are whole and up to date."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from mgmt.documents import PAGES
from mgmt.imports.rules import _rows, import_rules, named_tests

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
