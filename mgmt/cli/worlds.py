"""`cloudstack-mock worlds`: the worlds of a server that runs, through its admin endpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mgmt.cli.admin import AdminClient, admin_client, admin_options
from mgmt.starting import write_private


@click.group()
@admin_options
@click.pass_context
def worlds(context: click.Context, url: str | None, ready_file: Path | None, token: str | None) -> None:
    """Make, list, end and save worlds of a server that runs with --admin (docs/worlds.md)."""
    context.obj = admin_client(url, ready_file, token)


@worlds.command("list")
@click.pass_obj
def show(client: AdminClient) -> None:
    """Print the worlds: name ('-' for the first one), seed, clock, address of the API."""
    for each in client.call("GET", "/worlds")["worlds"]:
        click.echo(f"{each['name'] or '-':20}  {each['seed']:20}  {each['clock']:10}  {each['api']}")


@worlds.command()
@click.argument("name")
@click.option("--seed", default=None, help="Shipped seed by name, or a YAML file of this machine [lab].")
@click.option("--set", "settings", multiple=True, metavar="SETTING=VALUE", help="clock=manual, ... Repeatable.")
@click.pass_obj
def create(client: AdminClient, name: str, seed: str | None, settings: tuple[str, ...]) -> None:
    """Start another world and print the address of its API."""
    wanted: dict[str, Any] = {"name": name, "settings": dict(each.partition("=")[::2] for each in settings)}
    if seed is not None and Path(seed).is_file():
        wanted["seed"] = str(Path(seed).absolute())  # other files may stand beside it
    elif seed is not None:
        wanted["seed"] = seed
    click.echo(client.call("POST", "/worlds", wanted)["ready"]["api"])


@worlds.command()
@click.argument("name")
@click.pass_obj
def delete(client: AdminClient, name: str) -> None:
    """End a world, with all that it has."""
    client.call("DELETE", f"/worlds/{name}")


@worlds.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--world", "name", default=None, help="The world of that name, not the first one.")
@click.pass_obj
def save(client: AdminClient, file: Path, name: str | None) -> None:
    """Save a world as it is now as a seed: serve --seed FILE starts another one like it.

    The file holds keys, and no passwords of vCenters.
    """
    if name is not None:
        client = AdminClient(client.call("GET", f"/worlds/{name}")["ready"]["admin"], client.token)
    saved = client.call("POST", "/save")
    try:
        write_private(file, saved["document"])
    except OSError as error:
        raise click.ClickException(f"{file}: {error.strerror}") from None
    for datacenter in saved["masked"]:
        click.echo(f"not saved: the password of the VMware datacenter {datacenter}", err=True)
