"""List commands of resources that this world does not have: an empty list is the truth here.

`fixtures/catalog/empty.json` names them. Some of the real commands refuse a call without one of certain parameters; the
entry then has that refusal as a real server words it. Parameters are bound and checked as those of any command.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec

from mgmt.commands.catalogue import CatalogueDeclaration
from mgmt.commands.declaration import Bound, Call, Handler, Listing
from mgmt.errors import ServerApiError
from mgmt.fixtures import fixtures_dir


class Refusal(msgspec.Struct, frozen=True):
    """The error of a call that carries none of the parameters `without`."""

    without: tuple[str, ...]
    errorcode: int
    cserrorcode: int
    text: str


class EmptyList(msgspec.Struct, frozen=True, rename={"is_list": "list", "object_name": "object"}):
    """One entry of the file: whether it pages, its release, its list's name and its refusal."""

    is_list: bool = False
    since: str | None = None
    object_name: str | None = None
    refusal: Refusal | None = None


@cache
def empty_lists() -> Mapping[str, EmptyList]:
    """The entries by the command's name."""
    content = (fixtures_dir() / "catalog" / "empty.json").read_bytes()
    return msgspec.json.decode(content, type=dict[str, EmptyList])


def declarations() -> list[CatalogueDeclaration]:
    """The declarations of all commands that are empty by truth."""
    return [
        CatalogueDeclaration(
            name, _handler(entry.refusal), object_name=entry.object_name, is_list=entry.is_list, since=entry.since
        )
        for name, entry in empty_lists().items()
    ]


def _handler(refusal: Refusal | None) -> Handler:
    def handle(call: Call, bound: Bound) -> Listing:
        if refusal is not None and bound.given.isdisjoint(refusal.without):
            raise ServerApiError(refusal.errorcode, refusal.text, cserrorcode=refusal.cserrorcode)
        return Listing([], 0)

    return handle


def is_empty_by_truth(declaration: Any) -> bool:
    """True for a declaration that stands for an entry of the file."""
    return isinstance(declaration, CatalogueDeclaration) and declaration.name in empty_lists()
