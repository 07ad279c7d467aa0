"""`cloudstack-mock fault`: failures by name in a server that runs, through its admin endpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from mgmt.cli.admin import AdminClient, admin_client, admin_options
from mgmt.faults import FaultRefusedError, fault_of_line
from mgmt.faults.choices import OPTIONS


@click.group()
@admin_options
@click.pass_context
def fault(context: click.Context, url: str | None, ready_file: Path | None, token: str | None) -> None:
    """Let things go wrong in a server that runs with --admin (docs/faults.md)."""
    context.obj = admin_client(url, ready_file, token)


@fault.command()
@click.argument("line", metavar="NAME[,argument=value...]")
@click.option("--after", type=int, help="The number of an armed fault that has to happen before.")
@click.pass_obj
def arm(client: AdminClient, line: str, after: int | None) -> None:
    """Arm a failure and print its number."""
    try:
        name, choices = fault_of_line(line)
    except FaultRefusedError as error:
        raise click.ClickException(str(error)) from error
    body: dict[str, Any] = {key: choices.pop(key) for key in OPTIONS if key in choices}
    body |= {"name": name, "choices": choices} | ({} if after is None else {"after": after})
    armed = client.call("POST", "/faults", body)
    for warning in armed["warnings"]:
        click.echo(f"warning: {warning}", err=True)
    click.echo(armed["id"])


@fault.command("list")
@click.option("--known", is_flag=True, help="All that can be had by name, instead of what is armed.")
@click.pass_obj
def show(client: AdminClient, known: bool) -> None:
    """Print the armed failures: number, name, how often it happened, choices."""
    if known:
        click.echo(f"{'id':6}{'name':32}what happens")
        for each in client.call("GET", "/faults/known")["faults"]:
            click.echo(f"{each['id']:6}{each['name']:32}{each['text']}")
        return
    click.echo(f"{'number':8}{'name':32}{'happened':10}choices")
    for each in client.call("GET", "/faults")["faults"]:
        choices = ",".join(f"{key}={value}" for key, value in each["choices"].items())
        click.echo(f"{each['id']:<8}{each['name']:32}{each['fired']:<10}{choices}")


@fault.command()
@click.argument("number", required=False)
@click.pass_obj
def clear(client: AdminClient, number: str | None) -> None:
    """Take all failures back, or one by its number."""
    client.call("DELETE", "/faults" if number is None else f"/faults/{quote(number, safe='')}")
