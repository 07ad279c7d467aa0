"""The rows of the import as documentation: read from the code itself, so that none can be forgotten.

A row is a `Row("H3", ...)` of a decision table (or one of a module's own small table), an error that is raised with
`row="13b"`, or a step that is only noted (`trace.rule("19")`) and that the module's `RULES` describes. Its texts are
taken from the source (a value that a text quotes stands as `<value>`); its condition is a sentence of the module's
`RULES`, `condition -> result` where the row refuses nothing.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "mgmt.imports"
_FOLDER = Path(__file__).parent
_ROW_CLASSES = {"Row", "_Row", "_Refusal"}
_NOT_SHOWN = {"f", "facts", "self", "rules", "request", "error", "shown", "text"}


@dataclass(frozen=True)
class Rule:
    """A row of one module: its id, when it holds, and what then happens; several texts are several cases."""

    id: str
    module: str
    condition: str
    results: tuple[str, ...]
    refuses: bool

    @property
    def slug(self) -> str:
        """The id as it stands in the name of a test: `2.7-1` is `2p7i1`."""
        return self.id.replace(".", "p").replace("-", "i")


class UndescribedRuleError(LookupError):
    """The code has a row that its module's `RULES` does not describe, or the other way round."""


def import_rules() -> list[Rule]:
    """All rows of the import, by module and in the order of the code; raises UndescribedRuleError."""
    rules: list[Rule] = []
    for file in sorted(_FOLDER.glob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        described: Mapping[str, str] = getattr(importlib.import_module(f"{PACKAGE}.{file.stem}"), "RULES", {})
        found: dict[str, list[str]] = {row: [] for row in traced_rows(tree) if row in described} | dict(_rows(tree))
        for missing in found.keys() ^ described.keys():
            known = "its RULES do not describe it" if missing in found else "no code of it has that row"
            raise UndescribedRuleError(f"{PACKAGE}.{file.stem}: row {missing}: {known}")
        for row, texts in found.items():
            condition, _, result = described[row].partition(" -> ")
            if not texts and not result:
                raise UndescribedRuleError(f"{PACKAGE}.{file.stem}: row {row}: RULES must say what it gives")
            rules.append(Rule(row, file.stem, condition, tuple(texts) or (result,), refuses=bool(texts)))
    return rules


def traced_rows(tree: ast.Module) -> list[str]:
    """The rows that a module notes in the trace, in the order of the code."""
    return [
        row
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("rule", "passed")
        for row in _strings(node.args[0])
    ]


def _rows(tree: ast.Module) -> Iterator[tuple[str, list[str]]]:
    """Each row of a module with its texts, in the order of the code."""
    texts_of = _Texts(tree)
    rows: dict[str, list[str]] = {}
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    for call in sorted(calls, key=lambda node: node.lineno):
        if isinstance(call.func, ast.Name) and call.func.id in _ROW_CLASSES:
            identity, outcome = call.args[0], call.args[2]
            ids = _strings(identity)
            text = texts_of.outcome(outcome)
        else:
            ids = [row for keyword in call.keywords if keyword.arg == "row" for row in _strings(keyword.value)]
            text = texts_of.text(call, {})
        for row in ids:
            kept = rows.setdefault(row, [])
            if text is not None and text not in kept:
                kept.append(text)
    yield from rows.items()


def _strings(node: ast.expr) -> list[str]:
    """The row ids that an expression can give: `"3.4" if ... else "3.5"` gives two."""
    if isinstance(node, ast.IfExp):
        return [*_strings(node.body), *_strings(node.orelse)]
    return [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []


class _Texts:
    """Finds the text of the error that an expression makes, through helpers and constants of its module."""

    def __init__(self, tree: ast.Module) -> None:
        self._helpers = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
        self._constants = {
            target.id: node.value
            for node in tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }

    def outcome(self, node: ast.expr) -> str | None:
        """The text that a table's row gives: an error, or in the simple tables the text itself."""
        if not isinstance(node, ast.Lambda):
            return self._shown(node, {}) if isinstance(node, ast.Constant) else None
        if isinstance(node.body, ast.JoinedStr | ast.Constant):
            return self._shown(node.body, {})
        return self.text(node.body, {})

    def text(self, node: ast.expr, known: Mapping[str, str]) -> str | None:
        """The error's text, None when `node` makes no error."""
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            return None
        if node.func.id.endswith("Error"):
            words = [item for item in node.args if not (isinstance(item, ast.Name) and item.id.endswith("_ERROR"))]
            return self._shown(words[0], known) if words else None
        helper = self._helpers.get(node.func.id)
        made = (
            [item.value for item in ast.walk(helper) if isinstance(item, ast.Return) and item.value] if helper else []
        )
        if helper is None or len(made) != 1:
            return None
        names = [argument.arg for argument in helper.args.args]
        values = {name: self._shown(value, known) for name, value in zip(names, node.args, strict=False)}
        return self.text(made[0], values)

    def _shown(self, node: ast.expr, known: Mapping[str, str]) -> str:
        if isinstance(node, ast.Constant):
            return str(node.value)
        if isinstance(node, ast.JoinedStr):
            return "".join(self._shown(part, known) for part in node.values)
        if isinstance(node, ast.FormattedValue):
            return self._shown(node.value, known)
        if isinstance(node, ast.Name) and node.id in known:
            return known[node.id]
        if isinstance(node, ast.Name) and node.id in self._constants:
            return self._shown(self._constants[node.id], known)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in self._helpers:
            returned = [item.value for item in ast.walk(self._helpers[node.func.id]) if isinstance(item, ast.Return)]
            if len(returned) == 1 and returned[0] is not None:
                return self._shown(returned[0], {})
        return _placeholder(node)


def _placeholder(node: ast.expr) -> str:
    """What stands for a value in a text: `f.cluster.name` is `<cluster name>`."""
    if isinstance(node, ast.IfExp | ast.BoolOp):
        node = node.body if isinstance(node, ast.IfExp) else node.values[0]
    words = [word for word in re.findall(r"[A-Za-z]\w*", ast.unparse(node)) if word not in _NOT_SHOWN]
    return f"<{' '.join(words).replace('_', ' ') or 'reason'}>"


def named_tests(rules: list[Rule], folder: Path) -> dict[str, list[str]]:
    """The tests that are named after each row: `test_H5_H6_...` names two, `test_H5b_...` is a case of H5."""
    by_slug = {rule.slug: rule.id for rule in rules}
    named: dict[str, list[str]] = {rule.id: [] for rule in rules}
    for file in sorted(folder.rglob("test_*.py")):
        for name in re.findall(r"^def (test_\w+)\(", file.read_text(encoding="utf-8"), re.MULTILINE):
            for row in _named_rows(name, by_slug):
                named[row].append(f"{file.relative_to(folder.parent).as_posix()}::{name}")
    return named


def named_cases(cases: Iterable[str], folder: Path) -> dict[str, list[str]]:
    """The tests that are named after exactly these ids: `test_H12_H13_...` names two."""
    named: dict[str, list[str]] = {case: [] for case in cases}
    for file in sorted(folder.rglob("test_*.py")):
        for name in re.findall(r"^def (test_\w+)\(", file.read_text(encoding="utf-8"), re.MULTILINE):
            for word in name.removeprefix("test_").removeprefix("row_").split("_"):
                case = word.replace("p", ".").replace("i", "-") if word[:1].isdigit() else word
                if case in named:
                    named[case].append(f"{file.relative_to(folder.parent).as_posix()}::{name}")
    return named


def _named_rows(test: str, by_slug: Mapping[str, str]) -> Iterator[str]:
    for word in test.removeprefix("test_").removeprefix("row_").split("_"):
        found = by_slug.get(word) or by_slug.get(word.rstrip("abcdefgh"))
        if found is not None:
            yield found
        elif not re.fullmatch(r"[A-Z]*\d+\w?", word):
            return
