"""Every declaration is what the catalogue of CloudStack's API says, or its difference is listed with a reason."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from mgmt.commands import DuplicateCommandError, all_declarations, collect, of_release
from mgmt.commands.declaration import Declaration
from mgmt.commands.fields import ListOf, Out, Param, Response
from mgmt.profiles import PROFILES

ROOT = Path(__file__).parents[2]
CATALOGUE = json.loads((ROOT / "fixtures" / "catalog" / "api.json").read_text(encoding="utf-8"))
DIFFERENCES = yaml.safe_load((Path(__file__).parent / "data" / "catalogue_differences.yaml").read_text("utf-8"))
NEVER_LISTED = {"response", "customjobid", "starteventid"}
DECLARATIONS = of_release(all_declarations(), PROFILES["main"])


def wanted_parameters(command: dict[str, Any]) -> dict[str, tuple[Any, ...]]:
    return {
        each["name"]: (
            each["type"], each.get("of") if each["type"] == "list" else None, each.get("required", False),
            each.get("since"), each.get("length", 255),
        )
        for each in command["params"]
        if each["name"] not in NEVER_LISTED
    }  # fmt: skip


def declared_parameters(declaration: Declaration) -> dict[str, tuple[Any, ...]]:
    return {
        name: (field.api_type, field.item.api_type if isinstance(field, ListOf) else None, field.required,
               field.since, field.max_length)
        for name, field in declaration.params._declared_fields.items()
        if isinstance(field, Param)
    }  # fmt: skip


def responses(response: type[Response] | None) -> Iterator[type[Response]]:
    """A response class and those nested in it."""
    if response is not None:
        yield response
        for field in response._declared_fields.values():
            if isinstance(field, Out) and field.nested is not None and field.nested is not response:
                yield from responses(field.nested)


def simple_type(java_type: str) -> str:
    """The lower-case simple name that listApis shows for a Java type."""
    return re.sub("<.*", "", java_type).rpartition(".")[2].lower()


def check_command(name: str) -> None:
    listed = DIFFERENCES["commands"].get(name)
    wanted = CATALOGUE["commands"].get(name)
    assert (wanted is None) == (listed is not None), listed
    if wanted is None:
        return
    declaration = DECLARATIONS[name]
    assert declaration.is_async == wanted.get("async", False)
    assert declaration.is_list == wanted.get("list", False)
    assert declaration.since == wanted.get("since")
    assert declaration.java_class == wanted["class"]
    assert (declaration.response.catalogue if declaration.response else "SuccessResponse") == wanted["response"]


def test_command_is_in_the_catalogue(for_each: Callable[..., None]) -> None:
    """A declared command is in the catalogue with the same kind, release and Java class."""
    for_each(sorted(DECLARATIONS), check_command)


def check_parameters(name: str) -> None:
    if name in DIFFERENCES["commands"]:
        return
    wanted = wanted_parameters(CATALOGUE["commands"][name])
    declared = declared_parameters(DECLARATIONS[name])
    different = {each for each in wanted.keys() | declared.keys() if wanted.get(each) != declared.get(each)}
    assert different == set(DIFFERENCES["parameters"].get(name, {}))


def test_parameters_match_the_catalogue(for_each: Callable[..., None]) -> None:
    """Name, type, item type, required, since and length of every parameter are the catalogue's."""
    for_each(sorted(DECLARATIONS), check_parameters)


def check_response_fields(name: str) -> None:
    if name in DIFFERENCES["commands"]:
        return
    for response in responses(DECLARATIONS[name].response):
        wanted = {each["name"]: simple_type(each["type"]) for each in CATALOGUE["responses"][response.catalogue]}
        declared = {name: field.api_type for name, field in response._declared_fields.items()}
        different = {each for each in wanted.keys() | declared.keys() if wanted.get(each) != declared.get(each)}
        assert different == set(DIFFERENCES["response_fields"].get(response.catalogue, {})), response.__name__


def test_response_fields_match_the_catalogue(for_each: Callable[..., None]) -> None:
    """Name and type of every response field, nested ones too, are the catalogue's."""
    for_each(sorted(DECLARATIONS), check_response_fields)


def test_listed_differences_are_of_declared_commands() -> None:
    """The list of differences names declared commands only."""
    assert set(DIFFERENCES["commands"]) | set(DIFFERENCES["parameters"]) <= set(DECLARATIONS)


def test_texts_are_our_own_and_there() -> None:
    """Every command, parameter and response field has a description."""
    for declaration in DECLARATIONS.values():
        assert declaration.description
        fields: list[Any] = list(declaration.params._declared_fields.values())
        for response in responses(declaration.response):
            fields += response._declared_fields.values()
        assert all(field.description for field in fields), declaration.name


def test_a_command_cannot_be_declared_twice() -> None:
    """Two declarations of one name are refused."""
    declaration = DECLARATIONS["logout"]
    with pytest.raises(DuplicateCommandError, match="logout is declared twice"):
        collect([[declaration], [declaration]])
