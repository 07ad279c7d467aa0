"""Descriptions made from names, for commands that are declared from the catalogue."""

from __future__ import annotations

import re
from collections.abc import Mapping

_WORD = re.compile(r"[A-Z]+s(?![a-z])|[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z0-9]+|[A-Z]+")
_VERBS: Mapping[str, str] = {
    "list": "Lists",
    "add": "Adds",
    "create": "Creates",
    "delete": "Deletes",
    "update": "Updates",
    "get": "Gets",
}
_PARAMETERS: Mapping[str, str] = {
    "account": "of this account; its domain goes with it in domainid",
    "domainid": "of this domain",
    "id": "with this id",
    "ids": "with these ids",
    "isrecursive": "with domainid: of the domains below too",
    "keyword": "whose name contains this text",
    "listall": "that the caller may see but does not own too",
    "name": "with this name",
    "projectid": "of this project; -1 stands for all projects",
    "state": "in this state",
    "tags": "with these tags",
    "zoneid": "of this zone",
}
_SHARED: Mapping[str, str] = {
    "page": "the page to show, from 1; goes with pagesize",
    "pagesize": "how many entries a page has; goes with page",
}


def words(name: str) -> list[str]:
    """`listVpnGateways` as `list`, `Vpn`, `Gateways`."""
    return _WORD.findall(name)


def _noun(parts: list[str]) -> str:
    return " ".join(part if part[:2].isupper() else part.lower() for part in parts)


def command(name: str) -> str:
    """What an API command does, in a sentence: `Lists vpn gateways.`"""
    verb, *rest = words(name)
    return f"{_VERBS.get(verb, _third_person(verb))} {_noun(rest)}".rstrip() + "."


def _third_person(verb: str) -> str:
    return verb.capitalize() + ("es" if verb.endswith(("s", "x", "ch", "sh")) else "s")


def parameter(name: str, of_command: str) -> str:
    """What a parameter of a command is for."""
    if name in _SHARED:
        return _SHARED[name]
    verb, *rest = words(of_command)
    if verb == "list" and name in _PARAMETERS:
        return f"show {_noun(rest)} {_PARAMETERS[name]}"
    if name.endswith("ids") and len(name) > 3:
        return f"ids of {name.removesuffix('ids')}s"
    if name.endswith("id") and len(name) > 2:
        return f"id of the {name.removesuffix('id')}"
    return f"{name} of the {_noun(rest)}"


def response_field(name: str, response: str) -> str:
    """What a field of a response class tells."""
    return f"{name} of the {_noun(words(response.removesuffix('Response')))}"
