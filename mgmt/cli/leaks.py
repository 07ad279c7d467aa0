"""`cloudstack-mock leaks`."""

from __future__ import annotations

import json
from collections.abc import Callable

import click

from mgmt.cli.client import ApiCallError, ApiClient
from mgmt.cli.profiles import server_options
from mgmt.cli.wording import counted


@click.command()
@server_options
@click.option("--job", help="Only what the import with this job id left.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole report as JSON.")
def leaks(
    connect: Callable[[], ApiClient],
    job: str | None,
    as_json: bool,
) -> None:
    """Say what imports left behind, one line each.

    The server must run with --extensions. Exit status 0: nothing is left; 1: something is; 2: it could not be asked.
    """
    client = connect()
    try:
        report = client.call("listImportLeaks", jobid=job)["importleaks"]
    except ApiCallError as error:
        click.echo(str(error), err=True)
        raise SystemExit(2) from error
    finally:
        client.close()
    found = report.get("leak", [])
    if as_json:
        click.echo(json.dumps(report, ensure_ascii=False))
    else:
        for leak in found:
            reason = f": {leak['reason']}" if leak.get("reason") else ""
            click.echo(
                f"{leak['kind']} {leak['name']} on {leak['place']} (import of {leak['virtualmachines']}){reason}"
            )
        click.echo(f"{len(found)} left by {counted(report['comparedimports'], 'import')}", err=True)
        for note in report.get("unseen", []):
            click.echo(f"not seen: {note}", err=True)
        if report["runningimports"]:
            click.echo(f"not compared yet: {counted(report['runningimports'], 'import')} under way", err=True)
    raise SystemExit(1 if found else 0)
