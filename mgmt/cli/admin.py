"""Calls of the admin endpoints of a server that runs, for commands of the command line."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
import requests

TIMEOUT_S = 120.0
_OPTIONS = (
    click.option("--url", help="Address of the admin endpoints, such as http://127.0.0.1:8080/mock."),
    click.option("--ready-file", type=click.Path(path_type=Path), help="Take the address from this file."),
    click.option("--token", envvar="CLOUDSTACK_MOCK_ADMIN_TOKEN", help="The server's admin_token, when it has one."),
)


class AdminClient:
    """Calls the admin endpoints at `url`; a refusal ends the command with the server's words."""

    def __init__(self, url: str, token: str | None) -> None:
        self.url = url.rstrip("/")
        self.token = token
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


def admin_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a click command the options that say whose admin endpoints are meant: url, ready_file, token."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def admin_client(url: str | None, ready_file: Path | None, token: str | None) -> AdminClient:
    """The client that the options mean; raises click.UsageError naming what is missing."""
    if url is None:
        url = _admin_of(ready_file) if ready_file is not None else None
    if url is None:
        raise click.UsageError("--url or --ready-file (of a server with --admin) is needed")
    return AdminClient(url, token)


def _admin_of(ready_file: Path) -> str:
    try:
        content = json.loads(ready_file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise click.UsageError(f"{ready_file} cannot be read: {error}") from error
    found = content.get("admin") if isinstance(content, dict) else None
    if not isinstance(found, str):
        raise click.UsageError(f"{ready_file} names no admin endpoints: start the server with --admin")
    return found
