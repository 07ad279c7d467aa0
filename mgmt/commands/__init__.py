"""The API commands: one module a resource, each with its `COMMANDS`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mgmt.commands.declaration import Declaration
    from mgmt.profiles import Profile

MODULES: tuple[str, ...] = (
    "session",
    "password_reset",
    "second_factor",
    "discovery",
    "asyncjobs",
    "capabilities",
    "configurations",
    "zones",
    "pods",
    "clusters",
    "hosts",
    "host_life",
    "certificates",
    "alerts",
    "storage",
    "pool_life",
    "offerings",
    "networks",
    "network_admin",
    "public_ips",
    "accounts",
    "users",
    "account_admin",
    "user_admin",
    "projects",
    "roles",
    "metrics",
    "tags",
    "keypairs",
    "groups",
    "security_groups",
    "user_data",
    "limits",
    "place_admin",
    "offering_admin",
    "fixed",
    "vm_deploy",
    "installation",
    "vms",
    "volumes",
    "nics",
    "events",
    "housekeeping",
    "ostypes",
    "templates",
    "template_admin",
    "vmware",
    "imports",
    "import_control",
    "vm_life",
    "vm_records",
    "vm_reinstall",
    "volume_life",
    "volume_snapshots",
    "unmanaged",
    "import_leaks",
    "simulator",
    "server_shutdown",
    "journal",
)


class DuplicateCommandError(ValueError):
    """Two declarations of one API command."""


def all_declarations() -> dict[str, Declaration]:
    """Every declared command by its name: the implemented ones, and those that are empty by truth."""
    declarations = collect(import_module(f"mgmt.commands.{name}").COMMANDS for name in MODULES)
    for declaration in import_module("mgmt.commands.empty").declarations():
        declarations.setdefault(declaration.name, declaration)
    return declarations


def collect(groups: Iterable[Iterable[Declaration]]) -> dict[str, Declaration]:
    """Declarations by name; raises DuplicateCommandError."""
    declarations: dict[str, Declaration] = {}
    for group in groups:
        for declaration in group:
            if declaration.name in declarations:
                raise DuplicateCommandError(f"API command {declaration.name} is declared twice")
            declarations[declaration.name] = declaration
    return declarations


def of_release(
    declarations: Mapping[str, Declaration], profile: Profile, *, extensions: bool = False
) -> dict[str, Declaration]:
    """What one CloudStack release knows of these commands and of their parameters, by their `since`.

    What is marked as an extension of ours is there with `extensions` only.
    """

    def is_known(item: object) -> bool:
        is_ours = getattr(item, "extension", False)
        return extensions if is_ours else profile.has(getattr(item, "since", None))

    return {item.name: item.narrowed(is_known) for item in declarations.values() if is_known(item)}
