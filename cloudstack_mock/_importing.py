"""Imports of the server, which are most of what the first world of a process takes."""

from __future__ import annotations

import gc
from importlib import import_module
from types import ModuleType


def imported(name: str) -> ModuleType:
    """The module, imported if it is not yet.

    An import makes many objects that stay: looking among them for garbage, again and again, would be an eighth of it.
    """
    was_collecting = gc.isenabled()
    gc.disable()
    try:
        return import_module(name)
    finally:
        if was_collecting:
            gc.enable()
