"""Which columns a table or CSV of an answer may have: the fields that CloudStack's catalogue names for the command."""

from __future__ import annotations

from difflib import get_close_matches

import click

from mgmt.fixtures import api_catalogue

TABULAR = ("table", "csv")
_OF_EVERY_ANSWER = ("jobid", "jobstatus", "success", "displaytext")


def checked_columns(command: str, columns: str | None, form: str) -> tuple[str, ...]:
    """The names in `columns`; none where it was not given.

    Raises click.UsageError for a form that has no columns, and for a name that no answer of the command has, with the
    nearest ones. Commands that the catalogue does not hold may have any.
    """
    if columns is None:
        return ()
    if form not in TABULAR:
        raise click.UsageError(f"--columns {columns} goes with --output table or --output csv")
    names = tuple(name.strip() for name in columns.split(",") if name.strip())
    if not names:
        raise click.UsageError(f"--columns {columns!r}: expected names of fields, such as id,name,state")
    known = _fields_of(command)
    for name in names:
        if known and name not in known:
            near = get_close_matches(name, known, n=3)
            hint = f"near it are {', '.join(near)}" if near else f"there are {', '.join(known)}"
            raise click.UsageError(f"--columns: {command} answers no field {name!r}; {hint}")
    return names


def _fields_of(command: str) -> list[str]:
    catalogue = api_catalogue()
    response = catalogue["commands"].get(command, {}).get("response")
    fields = catalogue["responses"].get(response)
    return [*(field["name"] for field in fields), *_OF_EVERY_ANSWER] if fields else []
