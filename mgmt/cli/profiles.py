"""Which server `cloudstack-mock api` talks to: options, a ready file, environment, or a named profile."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Callable, Mapping
from functools import partial, wraps
from pathlib import Path
from typing import Any

import click

from mgmt.cli.client import ApiClient

_NAMES = ("url", "api_key", "secret_key")
_SERVER_OPTIONS = (
    click.option("--url", help="API address, such as http://127.0.0.1:8080/client/api."),
    click.option("--api-key", help="API key of the caller."),
    click.option(
        "--secret-key", help="Secret key of the caller; CLOUDSTACK_MOCK_SECRET_KEY keeps it off the command line."
    ),
    click.option("--ready-file", type=click.Path(path_type=Path), help="Take address and keys from this file."),
    click.option("--profile", help="Take address and keys from this profile of profiles.toml."),
)


def profiles_file() -> Path:
    """The user's profiles: `cloudstack-mock/profiles.toml` in the config folder, one table a profile."""
    return Path(click.get_app_dir("cloudstack-mock")) / "profiles.toml"


def server_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a click command the options that say which server is meant; it gets `connect`, which makes the client."""

    @wraps(command)
    def with_connect(**given: Any) -> None:
        meant = {name: given.pop(name) for name in (*_NAMES, "ready_file", "profile")}
        command(connect=partial(client_for, **meant), **given)

    for option in reversed(_SERVER_OPTIONS):
        with_connect = option(with_connect)
    return with_connect


def client_for(
    *, profile: str | None, ready_file: Path | None, url: str | None, api_key: str | None, secret_key: str | None
) -> ApiClient:
    """The client that options, ready file, environment and profile give together, the first that names a value wins.

    Raises click.UsageError naming what is missing.
    """
    values: dict[str, str | None] = {"url": url, "api_key": api_key, "secret_key": secret_key}
    sources: list[Mapping[str, Any]] = [values]
    if ready_file is not None:
        content = _load(ready_file, json.loads)
        sources.append({"url": content.get("api"), **{name: content.get(name) for name in _NAMES[1:]}})
    if profile is not None:
        sources.append(_profile(profile))
    sources.append({name: os.environ.get(f"CLOUDSTACK_MOCK_{name.upper()}") for name in _NAMES})
    if profile is None and ready_file is None and profiles_file().is_file():
        sources.append(_load(profiles_file(), tomllib.loads).get("default", {}))
    found = {name: next((source[name] for source in sources if source.get(name)), None) for name in _NAMES}
    missing = ["--" + name.replace("_", "-") for name in _NAMES if not found[name]]
    if missing:
        raise click.UsageError(
            f"{', '.join(missing)} not given: use these options, --ready-file FILE (written by serve --ready-file), "
            f"CLOUDSTACK_MOCK_URL, CLOUDSTACK_MOCK_API_KEY and CLOUDSTACK_MOCK_SECRET_KEY, "
            f"or --profile NAME from {profiles_file()}"
        )
    return ApiClient(str(found["url"]), str(found["api_key"]), str(found["secret_key"]))


def _profile(name: str) -> Mapping[str, Any]:
    file = profiles_file()
    if not file.is_file():
        raise click.UsageError(f"--profile {name}: there is no file of profiles {file} (docs/settings.md shows one)")
    profiles = _load(file, tomllib.loads)
    table = profiles.get(name)
    if not isinstance(table, dict):
        there = ", ".join(name for name, value in profiles.items() if isinstance(value, dict)) or "none"
        raise click.UsageError(f"there is no profile {name!r} in {file}: there are {there}")
    return table


def _load(path: Path, parse: Any) -> dict[str, Any]:
    try:
        content = parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise click.UsageError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise click.UsageError(f"{path}: {error}") from error
    if not isinstance(content, dict):
        raise click.UsageError(f"{path}: expected an object at the top")
    return content
