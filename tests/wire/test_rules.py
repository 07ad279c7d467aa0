"""The rules of start-up, ready and ping each have tests that name them."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

TESTS = Path(__file__).parents[1]
RULES: dict[str, list[dict[str, Any]]] = yaml.safe_load((TESTS / "wire" / "data" / "rules.yaml").read_text())


@cache
def names_in(file: str) -> set[str]:
    """The names of the tests in a file below `tests`."""
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


@pytest.mark.parametrize("family", RULES)
def test_each_rule_has_tests(family: str) -> None:
    """Every rule says something of its own and names tests that are there."""
    rules = RULES[family]
    assert len({rule["rule"] for rule in rules}) == len(rules)
    for rule in rules:
        assert rule["tests"], rule
        missing = [
            name for name in rule["tests"] for file, _, test in [name.partition("::")] if test not in names_in(file)
        ]
        assert not missing, rule
