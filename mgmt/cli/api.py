"""`cloudstack-mock api`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import click
import requests
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from mgmt.cli.client import ApiCallError, ApiClient
from mgmt.cli.completion import complete_command, complete_parameter
from mgmt.cli.exchanges import Recorder
from mgmt.cli.import_bars import ImportBars
from mgmt.cli.output import print_answer
from mgmt.cli.profiles import server_options
from mgmt.fixtures import fixtures_dir

INTERRUPTED = 130  # what shells make of an interrupt
NAME_REFUSED = (401, 432)  # what signed callers and sessions get for a name that is no command's


@click.command()
@click.argument("command", shell_complete=complete_command)
@click.argument("parameters", nargs=-1, metavar="[KEY=VALUE]...", shell_complete=complete_parameter)
@server_options
@click.option(
    "--output",
    "-o",
    "form",
    type=click.Choice(["json", "table", "csv", "xml"]),
    default="json",
    show_default=True,
    help="How to print the answer; xml is the server's own, and waits for no job.",
)
@click.option("--columns", metavar="NAME,...", help="The fields that a table or CSV shows.")
@click.option(
    "--record",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Append each exchange to this file as a line of JSON, without secrets.",
)
@click.option("--no-wait", is_flag=True, help="Print the job id of an asynchronous command instead of its result.")
def api(
    command: str,
    parameters: tuple[str, ...],
    connect: Callable[[], ApiClient],
    form: str,
    columns: str | None,
    record: Path | None,
    no_wait: bool,
) -> None:
    """Send COMMAND with KEY=VALUE parameters, wait for its job and print the answer.

    On a terminal an import shows its step and, from a server with --extensions, each disk's progress; an interrupt
    leaves it running and tells how to cancel it. An error answer goes to standard error, with exit status 1.
    """
    sent = _parameters(parameters)
    client = connect()
    if record is not None:
        client.on_exchange = Recorder(record, client.secret_key).record
    try:
        if form == "xml":
            _print_xml(client.exchange(command, sent, form="xml"))
            return
        if no_wait:
            answer = client.send(command, sent)
        elif sys.stderr.isatty():
            answer = _run_with_progress(client, command, sent)
        else:
            answer = client.run(command, sent)
    except ApiCallError as error:
        click.echo(json.dumps(error.body, indent=2, ensure_ascii=False) if error.body else str(error), err=True)
        if (error.body or {}).get("errorcode") in NAME_REFUSED:
            _hint_at_name(command)
        if command in ("importVm", "importUnmanagedInstance") and error.job_id is not None:
            _show_trace(client, error.job_id)
        raise SystemExit(1) from error
    finally:
        client.close()
    print_answer(answer, form, columns.split(",") if columns else ())


def _print_xml(answer: requests.Response) -> None:
    click.echo(answer.text, err=not answer.ok)
    if not answer.ok:
        raise SystemExit(1)


def _hint_at_name(command: str) -> None:
    """Where CloudStack has no such command: the nearest name. Servers answer as to a wrong key, and cannot tell."""
    known = json.loads((fixtures_dir() / "catalog" / "api.json").read_text(encoding="utf-8"))["commands"]
    if command not in known and (nearest := get_close_matches(command, known, n=1)):
        click.echo(f"CloudStack has no API command {command}: did you mean {nearest[0]}?", err=True)


def _show_trace(client: ApiClient, job_id: str) -> None:
    """Show the rules that refused a failed import, when the server runs with `--extensions`."""
    try:
        decisions = client.call("getImportTrace", jobid=job_id).get("decision", [])
    except ApiCallError:
        return  # a server without extensions
    for decision in decisions:
        if decision["verdict"].startswith("refused"):
            click.echo(f"{decision['table']} {decision['row']}: {decision['verdict']}", err=True)
    click.echo(f"Rows are those of docs/import-rules.md; every rule looked at: getImportTrace jobid={job_id}", err=True)


def _parameters(words: tuple[str, ...]) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for word in words:
        key, separator, value = word.partition("=")
        if not separator or not key:
            raise click.UsageError(
                f"{word!r}: expected KEY=VALUE, such as zoneid=1f0c... or details[0].vddk.lib.dir=/opt"
            )
        parameters[key] = value
    return parameters


def _run_with_progress(client: ApiClient, command: str, parameters: dict[str, str]) -> Any:
    """Run `command` with a bar; an import has one for each disk where the server has extensions."""
    console = Console(stderr=True)
    if command == "importVm":
        return _run_import(client, parameters, console)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        progress.add_task(command, total=None)
        return client.run(command, parameters)


def _run_import(client: ApiClient, parameters: dict[str, str], console: Console) -> Any:
    jobs: list[str] = []
    bars = ImportBars(client, parameters, console)
    try:
        with bars:
            return client.run("importVm", parameters, on_poll=bars.follow, on_job=jobs.append)
    except KeyboardInterrupt:
        for job_id in jobs:
            _tell_what_goes_on(job_id, can_cancel=bars.can_cancel)
        raise SystemExit(INTERRUPTED) from None


def _tell_what_goes_on(job_id: str, *, can_cancel: bool) -> None:
    click.echo(f"The import goes on, as job {job_id}. To see how it ends:", err=True)
    click.echo(f"  cloudstack-mock api queryAsyncJobResult jobid={job_id}", err=True)
    if can_cancel:
        click.echo("To cancel it and undo what it made:", err=True)
        click.echo(f"  cloudstack-mock api cancelImportVm id={job_id}", err=True)
    else:
        click.echo("CloudStack cannot cancel an import; a server with --extensions can.", err=True)
