"""`cloudstack-mock openapi`."""

from __future__ import annotations

import json

import click

from mgmt.profiles import DEFAULT_PROFILE, PROFILES


@click.command()
@click.option(
    "--profile", type=click.Choice(list(PROFILES)), default=DEFAULT_PROFILE, show_default=True,
    help="The CloudStack release whose commands and parameters are described.",
)  # fmt: skip
@click.option("--extensions", is_flag=True, help="Describe what CloudStack does not have, too.")
def openapi(profile: str, extensions: bool) -> None:
    """Print the API as an OpenAPI 3.1 document in JSON; a server with --extensions has it at /client/openapi.json."""
    from mgmt.commands import all_declarations, of_release
    from mgmt.commands.openapi import openapi_document

    chosen = PROFILES[profile]
    commands = of_release(all_declarations(), chosen, extensions=extensions)
    click.echo(json.dumps(openapi_document(commands.values(), release=chosen.version), ensure_ascii=False))
