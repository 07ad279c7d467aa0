"""Imports of the server, which are most of what the first world of a process takes."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from mgmt.cli.collector import paused_collector


def imported(name: str) -> ModuleType:
    """The module, imported if it is not yet, without looks for garbage meanwhile."""
    with paused_collector():
        return import_module(name)
