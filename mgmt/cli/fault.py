"""`cloudstack-mock fault`: failures by name in a server that runs, through its admin endpoints."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click
import requests

from mgmt.faults import FaultRefusedError, fault_of_line
from mgmt.faults.choices import OPTIONS

TIMEOUT_S = 120.0


class AdminClient:
    """Calls the admin endpoints at `url`; a refusal ends the command with the server's words."""

    def __init__(self, url: str, token: str | None) -> None:
        self.url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """The answer's content; raises ClickException for a refusal or none."""
        try:
            answer = requests.request(
                method, self.url + path, json=body, headers=self._headers, timeout=TIMEOUT_S, allow_redirects=False
            )
        except requests.RequestException as error:
            raise click.ClickException(f"no answer from {self.url}: {type(error).__name__}") from None
        try:
            content = answer.json()
        except ValueError:
            raise click.ClickException(
                f"{self.url} has no admin endpoints (it answered {answer.status_code}): start the server with --admin"
            ) from None
        if answer.status_code >= 400:
            raise click.ClickException(str(content.get("text", content)))
        return content


@click.group()
@click.option("--url", help="Address of the admin endpoints, such as http://127.0.0.1:8080/mock.")
@click.option("--ready-file", type=click.Path(path_type=Path), help="Take the address from this file.")
@click.option("--token", envvar="CLOUDSTACK_MOCK_ADMIN_TOKEN", help="The server's admin_token, when it has one.")
@click.pass_context
def fault(context: click.Context, url: str | None, ready_file: Path | None, token: str | None) -> None:
    """Let things go wrong in a server that runs with --admin (docs/faults.md)."""
    if url is None:
        url = _admin_of(ready_file) if ready_file is not None else None
    if url is None:
        raise click.UsageError("--url or --ready-file (of a server with --admin) is needed")
    context.obj = AdminClient(url, token)


def _admin_of(ready_file: Path) -> str:
    try:
        content = json.loads(ready_file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise click.UsageError(f"{ready_file} cannot be read: {error}") from error
    found = content.get("admin") if isinstance(content, dict) else None
    if not isinstance(found, str):
        raise click.UsageError(f"{ready_file} names no admin endpoints: start the server with --admin")
    return found


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
