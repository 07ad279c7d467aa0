"""Settings of a server process: defaults < TOML file < environment (`CLOUDSTACK_MOCK_*`) < command line.

A setting is declared once in `OPTIONS`; the file, the environment, the command line and the documentation test are all
read against that list. A bad value is refused with its source, its name, what came and what was expected.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from mgmt.profiles import DEFAULT_PROFILE, PROFILES
from mgmt.quirks import KNOWN, Quirks, UnknownQuirkError

ENVIRONMENT_PREFIX = "CLOUDSTACK_MOCK_"
WORLD_NAME = r"[A-Za-z0-9_-]{1,64}"  # of a world behind another one's port
MIN_KEY_LENGTH = 16
CLOCKS = ("real", "scaled", "manual", "automatic")
_URL_PASSWORD = re.compile(r"(//[^:/]*:).*@")  # up to the last @: a password that is not encoded may hold one
_OTHER_VARIABLES = frozenset({"config", "url", "api_key", "secret_key", "vcsim", "schemathesis", "venv"})


class ConfigError(ValueError):
    """A setting that cannot be used; the text names source, setting, value and what was expected."""

    def __init__(self, source: str, name: str, value: object, expected: str) -> None:
        if isinstance(value, list | tuple):
            value = ",".join(map(str, value))
        shown = _URL_PASSWORD.sub(r"\1*****@", value) if isinstance(value, str) else value
        if name.lower().replace("-", "_").endswith(("encryption_key", "admin_token")):
            shown = "*****"
        super().__init__(f"{source}: {name} = {shown!r} cannot be used: expected {expected}")


class ConfigFileError(ConfigError):
    """A file of settings that cannot be read or is no TOML."""

    def __init__(self, file: Path, reason: str) -> None:
        ValueError.__init__(self, f"{file}: {reason}; expected a TOML file with settings (docs/settings.md)")


@dataclass(frozen=True)
class Option:
    """One setting: how it is read and what a reader is told about it."""

    name: str
    expected: str
    parse: Callable[[object], Any]
    help: str


def _port(value: object) -> int:
    number = _integer(value)
    if not 0 <= number <= 65535:
        raise ValueError
    return number


def _integer(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError
    if isinstance(value, str) and not re.fullmatch(r"[+-]?\d+", value, re.ASCII):  # int() takes 8_0 too
        raise ValueError
    return int(value)


def _positive(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError
    if isinstance(value, str) and ("_" in value or not value.isascii()):  # float() takes 1_0 too
        raise ValueError
    number = float(value)
    if not 0 < number < float("inf"):
        raise ValueError
    return number


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError
    return value


def _one_of(*allowed: str) -> Callable[[object], str]:
    def parse(value: object) -> str:
        if value not in allowed:
            raise ValueError
        return str(value)

    return parse


def _log_level(value: object) -> str:
    return _one_of("debug", "info", "warning", "error")(value.lower() if isinstance(value, str) else value)


def _database(value: object) -> str:
    url = _text(value)
    try:
        make_url(url).get_dialect()
    except (ArgumentError, NoSuchModuleError) as error:
        raise ValueError from error
    return url


def _fixes(value: object) -> tuple[str, ...]:
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, list | tuple):
        raise ValueError
    names = tuple(str(name).strip() for name in names if str(name).strip())
    try:
        Quirks(names)
    except UnknownQuirkError as error:
        raise ValueError from error
    return names


def _lines(value: object) -> tuple[str, ...]:
    lines = value.split() if isinstance(value, str) else value
    if not isinstance(lines, list | tuple):
        raise ValueError
    return tuple(str(line).strip() for line in lines if str(line).strip())


def _origins(value: object) -> tuple[str, ...]:
    origins = _lines(value)
    if not all(re.fullmatch(r"https?://[^/\s]+", origin) for origin in origins):
        raise ValueError
    return origins


def _worlds(value: object) -> tuple[str, ...]:
    lines = _lines(value)
    names = [re.fullmatch(rf"({WORLD_NAME})=.+", line) for line in lines]
    if not all(names) or len({found[1] for found in names if found}) < len(lines):
        raise ValueError
    return lines


def _switch(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if not isinstance(value, str) or value.lower() not in ("true", "false"):
        raise ValueError
    return value.lower() == "true"


def _path(value: object) -> Path:
    return Path(_text(value)) if not isinstance(value, Path) else value


def _folder(value: object) -> Path:
    folder = _path(value)
    if not folder.is_dir():
        raise ValueError
    return folder


def _ui_folder(value: object) -> Path:
    folder = _path(value)
    if not (folder / "index.html").is_file():
        raise ValueError
    return folder


def _key(value: object) -> str:
    key = _text(value)
    if len(key) < MIN_KEY_LENGTH:
        raise ValueError
    return key


OPTIONS: tuple[Option, ...] = (
    Option("host", "an address or host name to listen on", _text, "address that the API and agent ports listen on"),
    Option("port", "a port from 0 to 65535", _port, "port of the HTTP API; 0 lets the system choose"),
    Option("agent_port", "a port from 0 to 65535", _port, "port that agents connect to; 0 lets the system choose"),
    Option("vcenter_port", "a port from 0 to 65535", _port, "port of the embedded vCenter; 0 lets the system choose"),
    Option("database", "a database URL such as sqlite:///cloud.db", _database, "where the state is kept"),
    Option("seed", "the name of a shipped seed, or the path of a YAML file", _text, "the world to start with"),
    Option("agents", "'embedded' or 'none'", _one_of("embedded", "none"), "run the seed's simulated KVM hosts here"),
    Option("vcenter", "'embedded' or 'none'", _one_of("embedded", "none"), "run the seed's vCenter stand-in here"),
    Option("time_scale", "a number greater than 0", _positive, "how many times faster than real conversions run"),
    Option("clock", f"one of {', '.join(CLOCKS)}", _one_of(*CLOCKS), "what makes the time of this world pass"),
    Option("clock_factor", "a number greater than 0", _positive, "how many times faster the scaled clock runs"),
    Option("profile", f"one of {', '.join(PROFILES)}", _one_of(*PROFILES), "the CloudStack release to behave as"),
    Option("fix", f"'all', or names out of {', '.join(sorted(KNOWN))}", _fixes, "repair known upstream defects"),
    Option("extensions", "'true' or 'false'", _switch, "offer commands and parameters that CloudStack has not"),
    Option("admin", "'true' or 'false'", _switch, "answer the admin endpoints /mock/: see docs/admin.md"),
    Option("admin_token", "a text of at least 16 characters", _key, "what callers of the admin endpoints must have"),
    Option("fault", "faults as NAME[,argument=value...]", _lines, "what goes wrong from the start: see docs/faults.md"),
    Option("fault_seed", "a whole number", _integer, "what decides about faults that have a probability"),
    Option(
        "world",
        "worlds as NAME=SEED, each name once",
        _worlds,
        "other worlds behind the same port, at /worlds/NAME/: see docs/worlds.md",
    ),
    Option("stubs", "the path of a folder", _path, "YAML files with answers of commands that are not simulated"),
    Option(
        "ui_dir",
        "the folder of a built web UI, with an index.html in it",
        _ui_folder,
        "a built web UI, served at /client/ beside the API",
    ),
    Option(
        "cors_origin",
        "origins such as http://localhost:5050",
        _origins,
        "origins whose pages may call the API, for a UI on another port",
    ),
    Option("session_timeout", "a number greater than 0", _positive, "minutes without a call after which a login ends"),
    Option("ready_file", "the path of a file to write", _path, "JSON file written once everything answers"),
    Option("work_dir", "the path of a folder", _path, "where simulated hosts keep their files; default temporary"),
    Option(
        "nfs_root", "a folder that is there", _folder, "where NFS exports are mounted, as HOST/PATH, for OVF exports"
    ),
    Option(
        "encryption_key",
        "a text of at least 16 characters",
        _key,
        "what the passwords of vCenters are encrypted with; by default a key file beside an SQLite database",
    ),
    Option(
        "log_level",
        "one of debug, info, warning, error",
        _log_level,
        "how much is written to standard error",
    ),
)
_BY_NAME = {option.name: option for option in OPTIONS}


@dataclass(frozen=True)
class Settings:
    """The settings of one server process."""

    host: str = "127.0.0.1"
    port: int = 8080
    agent_port: int = 8250
    vcenter_port: int = 0
    database: str = "sqlite://"
    seed: str = "lab"
    agents: str = "embedded"
    vcenter: str = "embedded"
    time_scale: float = 1.0
    clock: str = "real"
    clock_factor: float = 100.0
    profile: str = DEFAULT_PROFILE
    fix: tuple[str, ...] = field(default=())
    extensions: bool = False
    admin: bool = False
    admin_token: str | None = field(default=None, repr=False)
    fault: tuple[str, ...] = field(default=())
    fault_seed: int = 0
    world: tuple[str, ...] = field(default=())
    stubs: Path | None = None
    ui_dir: Path | None = None
    cors_origin: tuple[str, ...] = field(default=())
    session_timeout: float = 30.0
    ready_file: Path | None = None
    work_dir: Path | None = None
    nfs_root: Path | None = None
    encryption_key: str | None = field(default=None, repr=False)
    log_level: str = "warning"


def load_settings(
    *,
    file: Path | None = None,
    environment: Mapping[str, str] | None = None,
    options: Mapping[str, object] | None = None,
    keywords: Mapping[str, object] | None = None,
) -> Settings:
    """The settings that file, environment and options give together; `None` options count as not given.

    `keywords` are those of a Python caller, and named as he does. Raises ConfigError for an unknown name or a value
    that cannot be used, and for a file that cannot be read.
    """
    values: dict[str, Any] = {}
    if file is not None:
        values |= _checked(str(file), _file_values(file))
    named = {
        name.removeprefix(ENVIRONMENT_PREFIX).lower(): value
        for name, value in (environment or {}).items()
        if name.startswith(ENVIRONMENT_PREFIX) and name.removeprefix(ENVIRONMENT_PREFIX).lower() not in _OTHER_VARIABLES
    }
    values |= _checked("environment", named, show=lambda name: ENVIRONMENT_PREFIX + name.upper())
    given = {name: value for name, value in (options or {}).items() if value is not None}
    values |= _checked("command line", given, show=lambda name: "--" + name.replace("_", "-"))
    values |= _checked("settings", keywords or {})
    return Settings(**values)


def changed_settings(settings: Settings, changes: Mapping[str, object]) -> Settings:
    """The settings with others in their place; raises ConfigError as `load_settings` does."""
    return replace(settings, **_checked("settings", changes))


def _file_values(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigFileError(file, error.strerror or "cannot be read") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigFileError(file, str(error)) from error


def _checked(source: str, values: Mapping[str, Any], show: Callable[[str], str] = lambda name: name) -> dict[str, Any]:
    checked: dict[str, Any] = {}
    for name, value in values.items():
        option = _BY_NAME.get(name)
        if option is None:
            raise ConfigError(
                source, show(name), value, "one of the settings " + ", ".join(map(show, sorted(_BY_NAME)))
            )
        try:
            checked[name] = option.parse(value)
        except ValueError as error:
            raise ConfigError(source, show(name), value, option.expected) from error
    return checked


assert {option.name for option in OPTIONS} == {item.name for item in fields(Settings)}
