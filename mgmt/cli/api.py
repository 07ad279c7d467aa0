"""`cloudstack-mock api`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
import requests
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from mgmt.cli.client import ApiCallError, ApiClient
from mgmt.cli.columns import checked_columns
from mgmt.cli.completion import complete_command, complete_parameter
from mgmt.cli.exchanges import Recorder
from mgmt.cli.extensions import EXTENSION_PARAMETERS
from mgmt.cli.import_bars import ImportBars
from mgmt.cli.output import print_answer
from mgmt.cli.profiles import server_options
from mgmt.cli.wording import program

INTERRUPTED = 130  # what shells make of an interrupt


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
@click.option("--columns", metavar="NAME,...", help="The fields that a table or CSV shows (with -o table or csv).")
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
    shown = checked_columns(command, columns, form)
    client = connect()
    if record is not None:
        client.on_exchange = Recorder(record, client.secret_key).record
    try:
        _require_extensions(client, command, sent)
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
        if error.hint is not None and error.body:
            click.echo(error.hint, err=True)
        if command in ("importVm", "importUnmanagedInstance") and error.job_id is not None:
            _show_trace(client, error.job_id)
        raise SystemExit(1) from error
    finally:
        client.close()
    print_answer(answer, form, shown)


def _print_xml(answer: requests.Response) -> None:
    click.echo(answer.text, err=not answer.ok)
    if not answer.ok:
        raise SystemExit(1)


def _require_extensions(client: ApiClient, command: str, sent: Mapping[str, str]) -> None:
    """Refuse a parameter of ours for a server without: it would be ignored, and what was to be told would be done."""
    ours = [name for name in sent if (command, name.lower()) in EXTENSION_PARAMETERS]
    if not ours:
        return
    known = client.call("listApis", name=command)["api"][0]["params"]
    for name in ours:
        if name.lower() not in {parameter["name"] for parameter in known}:
            raise click.ClickException(
                f"{client.url} has no parameter {name} of {command}, and nothing was sent: "
                "start the server with --extensions"
            )


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
    click.echo(f"  {program()} api queryAsyncJobResult jobid={job_id}", err=True)
    if can_cancel:
        click.echo("To cancel it and undo what it made:", err=True)
        click.echo(f"  {program()} api cancelImportVm id={job_id}", err=True)
    else:
        click.echo("CloudStack cannot cancel an import; a server with --extensions can.", err=True)
