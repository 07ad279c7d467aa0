"""`cloudstack-mock journal`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import click

from mgmt.cli.client import ApiCallError, ApiClient
from mgmt.cli.profiles import server_options
from mgmt.observe.journal import KINDS

FOLLOW_INTERVAL_S = 0.5
PAGE_SIZE = 500


@click.command()
@server_options
@click.option("--kind", type=click.Choice(KINDS), help="Only entries of this kind.")
@click.option("--name", help="Only entries with this name, such as ConvertInstanceCommand.")
@click.option("--job", help="Only what belongs to the call that made the job with this id.")
@click.option("--correlation", help="Only what belongs to one API call, by its correlation id.")
@click.option("--last", type=click.IntRange(1), default=100, show_default=True, help="How many of the newest entries.")
@click.option("--follow", is_flag=True, help="Go on with new entries until interrupted.")
@click.option("--json", "as_json", is_flag=True, help="Print each entry as a line of JSON.")
def journal(
    connect: Callable[[], ApiClient],
    kind: str | None,
    name: str | None,
    job: str | None,
    correlation: str | None,
    last: int,
    follow: bool,
    as_json: bool,
) -> None:
    """Show what crossed the server's edges, oldest first, a line each; secrets are masked.

    The server must run with --extensions. Exit status 2: it could not be asked.
    """
    wanted = {"kind": kind, "name": name, "jobid": job, "correlationid": correlation}
    client = connect()
    try:
        shown = _show(client, wanted | {"last": last}, as_json)
        while follow:
            client.clock.sleep(FOLLOW_INTERVAL_S)
            shown = max(shown, _show(client, wanted | {"after": shown}, as_json))
    except ApiCallError as error:
        click.echo(str(error), err=True)
        raise SystemExit(2) from error
    except KeyboardInterrupt:
        raise SystemExit(0) from None
    finally:
        client.close()


def _show(client: ApiClient, wanted: Mapping[str, object], as_json: bool) -> int:
    """Print what is there; returns the highest number seen, 0 for none."""
    highest = 0
    page = 1
    while True:
        answer = client.send("listJournalEntries", {**wanted, "page": page, "pagesize": PAGE_SIZE})
        entries = answer.get("journalentry", [])
        for entry in entries:
            click.echo(json.dumps(entry, ensure_ascii=False) if as_json else _line(entry))
            highest = max(highest, entry["number"])
        if len(entries) < PAGE_SIZE:
            return highest
        page += 1


def _line(entry: Mapping[str, Any]) -> str:
    details = " ".join(f"{name}={_short(value)}" for name, value in entry.get("details", {}).items())
    correlation = str(entry.get("correlationid", "-"))[:8]
    head = f"{entry['number']:>6} {entry['at'][11:23]} {correlation:<8} {entry['kind']:<7}"
    return f"{head} {entry['name']} {details}".rstrip()


def _short(value: object, longest: int = 120) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text if len(text) <= longest else text[: longest - 3] + "..."
