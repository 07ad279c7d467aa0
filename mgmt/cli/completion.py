"""What the shell completes for `cloudstack-mock api`: commands, and the parameters of one.

Asked of the server that the options name, as its listApis tells; of CloudStack's catalogue where none answers.
"""

from __future__ import annotations

from typing import Any

import click
from click.shell_completion import CompletionItem

from mgmt.cli.client import ApiCallError, ApiClient
from mgmt.cli.profiles import client_for
from mgmt.fixtures import api_catalogue

OPTIONS = ("url", "api_key", "secret_key", "ready_file", "profile")


def complete_command(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The commands that begin with what is there, in any case."""
    apis = _apis(ctx, {})
    return [
        CompletionItem(name, help=api.get("description"))
        for name, api in sorted(apis.items())
        if name.lower().startswith(incomplete.lower())
    ]


def complete_parameter(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The parameters of the command, each with its `=`; true and false after that of a boolean."""
    command = ctx.params.get("command")
    api = _apis(ctx, {"name": command}).get(command or "", {})
    key, separator, begun = incomplete.partition("=")
    parameters = {parameter["name"]: parameter for parameter in api.get("params", [])}
    if separator:
        is_switch = parameters.get(key, {}).get("type") == "boolean"
        return [CompletionItem(f"{key}={word}") for word in ("true", "false") if is_switch and word.startswith(begun)]
    return [
        CompletionItem(f"{name}[0]." if parameter["type"] == "map" else f"{name}=", help=parameter.get("description"))
        for name, parameter in parameters.items()
        if name.startswith(key)
    ]


def _apis(ctx: click.Context, narrowed: dict[str, Any]) -> dict[str, dict[str, Any]]:
    given = {name: ctx.params.get(name) for name in OPTIONS}
    client: ApiClient | None = None
    try:
        client = client_for(**given)
        return {api["name"]: api for api in client.send("listApis", narrowed)["api"]}
    except (ApiCallError, click.UsageError):
        known: dict[str, dict[str, Any]] = api_catalogue()["commands"]
        return known
    finally:
        if client is not None:
            client.close()
