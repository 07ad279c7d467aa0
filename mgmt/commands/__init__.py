"""The API commands: one module a resource, each with its `COMMANDS`."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mgmt.commands.declaration import Declaration

MODULES: tuple[str, ...] = (
    "session",
    "discovery",
    "asyncjobs",
    "capabilities",
    "configurations",
    "zones",
    "pods",
    "clusters",
    "hosts",
    "storage",
    "offerings",
    "networks",
    "accounts",
    "users",
    "vms",
    "volumes",
    "nics",
    "events",
    "ostypes",
    "templates",
    "vmware",
    "imports",
    "vm_life",
    "vm_records",
    "volume_life",
    "unmanaged",
)


class DuplicateCommandError(ValueError):
    """Two declarations of one API command."""


def all_declarations() -> dict[str, Declaration]:
    """Every declared command by its name."""
    return collect(import_module(f"mgmt.commands.{name}").COMMANDS for name in MODULES)


def collect(groups: Iterable[Iterable[Declaration]]) -> dict[str, Declaration]:
    """Declarations by name; raises DuplicateCommandError."""
    declarations: dict[str, Declaration] = {}
    for group in groups:
        for declaration in group:
            if declaration.name in declarations:
                raise DuplicateCommandError(f"API command {declaration.name} is declared twice")
            declarations[declaration.name] = declaration
    return declarations
