"""Answers as `cloudstack-mock api` prints them: JSON, a table, CSV."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table

# What a table begins with where the objects have it; the others follow in the answer's order, as far as they fit.
FIRST_COLUMNS = ("id", "name", "state", "type", "zonename")
MOST_COLUMNS = 8
Row = Mapping[str, Any]


def print_answer(answer: Any, form: str, columns: Sequence[str]) -> None:
    """Print the content of an answer; `columns` are those wanted of a table or CSV, all or the first ones if empty."""
    if form == "json":
        if sys.stdout.isatty():
            Console().print_json(data=answer)
        else:
            click.echo(json.dumps(answer, ensure_ascii=False))
        return
    rows = rows_of(answer)
    names = list(columns) or _names(rows)
    if form == "csv":
        _print_csv(rows, names)
    else:
        _print_table(rows, names if columns else names[:MOST_COLUMNS])


def rows_of(answer: Any) -> list[Row]:
    """The objects of a list, or the one object that an answer is."""
    if not isinstance(answer, dict):
        return [{"value": answer}]
    inner = [value for name, value in answer.items() if name != "count" and isinstance(value, list | dict)]
    if len(inner) == 1 and len(answer) <= 2:
        found = inner[0] if isinstance(inner[0], list) else inner
        return [each if isinstance(each, dict) else {"value": each} for each in found]
    return [answer] if answer else []


def _names(rows: Sequence[Row]) -> list[str]:
    there = list(dict.fromkeys(name for row in rows for name in row))
    return [name for name in FIRST_COLUMNS if name in there] + [name for name in there if name not in FIRST_COLUMNS]


def _print_csv(rows: Sequence[Row], names: Sequence[str]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_cell(row.get(name, "")) for name in names] for row in rows)
    click.echo(text.getvalue(), nl=False)


def _print_table(rows: Sequence[Row], names: Sequence[str]) -> None:
    table = Table(*names, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(_cell(row.get(name, "-")) for name in names))
    # into a pipe a table is as wide as its lines are: nobody wants a cut id there
    console = Console(markup=False, highlight=False, width=None if sys.stdout.isatty() else 10_000)
    console.print(table)


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
