"""Commands that are empty by truth, and those that are known but not simulated."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mgmt.commands import MODULES, all_declarations, empty
from mgmt.commands.catalogue import catalogue
from mgmt.commands.fields import ListOf, Uuid

NAMES = sorted(name for name, declaration in all_declarations().items() if empty.is_empty_by_truth(declaration))
UNKNOWN_UUID = "aaaaaaaa-0000-4000-8000-00000000dead"


def filled(name: str) -> dict[str, str]:
    """Values for what a command requires; internal numbers are not looked up."""
    return {
        each["name"]: "1" if each["type"] in ("uuid", "list", "long", "integer") else "2026-01-01"
        for each in catalogue().commands[name]["params"]
        if each.get("required")
    }


def check_answer(name: str, bare_world: Any) -> None:
    refusal = empty.empty_lists()[name].refusal
    response_key = catalogue().response_name(name) or f"{name.lower()}response"
    status, key, fields = bare_world.answer(name, **filled(name))
    assert key == response_key
    if refusal is None:
        assert (status, fields) == (200, {})
        return
    assert (status, fields["cserrorcode"], fields["errortext"]) == (
        refusal.errorcode,
        refusal.cserrorcode,
        refusal.text,
    )
    if refusal.without:
        declared = all_declarations()[name].params._declared_fields[refusal.without[0]]
        value = UNKNOWN_UUID if declared.api_type == "map" else "1"
        parameter = f"{refusal.without[0]}[0].name" if declared.api_type == "map" else refusal.without[0]
        assert bare_world.answer(name, **{parameter: value})[::2] == (200, {})


def test_an_empty_list_is_answered_as_a_real_server_does(bare_world: Any, for_each: Callable[..., None]) -> None:
    """The answer is `{}` under the command's key, or the refusal that the file names."""
    for_each(NAMES, lambda name: check_answer(name, bare_world))


def check_parameters(name: str, bare_world: Any) -> None:
    shown = (catalogue().response_name(name) or f"{name.lower()}response").removesuffix("response")
    prefix = f"Unable to execute API command {shown} due to"
    required = filled(name)
    for missing in required:
        rest = {other: value for other, value in required.items() if other != missing}
        status, _, fields = bare_world.answer(name, **rest)
        assert (status, fields["cserrorcode"]) == (431, 9999)
        assert fields["errortext"].startswith(f"{prefix} missing parameter ")
    for parameter, field in all_declarations()[name].params._declared_fields.items():
        target = field.item if isinstance(field, ListOf) else field
        if parameter in ("page", "pagesize"):
            continue
        if isinstance(target, Uuid):
            wrong, text = UNKNOWN_UUID, f"{prefix} invalid value. Invalid parameter {parameter} value={UNKNOWN_UUID}"
        elif target.api_type in ("integer", "long", "short"):
            wrong, text = "x", f"{prefix} invalid value x for parameter {parameter}"
        else:
            continue
        status, _, fields = bare_world.answer(name, **(required | {parameter: wrong}))
        assert (status, fields["cserrorcode"]) == (431, 9999), parameter
        assert fields["errortext"].startswith(text)


def test_parameters_of_an_empty_list_are_checked(bare_world: Any, for_each: Callable[..., None]) -> None:
    """An unknown UUID, a wrong number and a missing parameter are refused with CloudStack's texts."""
    for_each(NAMES, lambda name: check_parameters(name, bare_world))


def test_the_file_agrees_with_the_catalogue() -> None:
    """Every entry is a synchronous command of the catalogue that no module implements, with its list and release."""
    implemented = {
        declaration.name
        for name in MODULES
        for declaration in __import__(f"mgmt.commands.{name}", fromlist=["COMMANDS"]).COMMANDS
    }
    for name, entry in empty.empty_lists().items():
        known = catalogue().commands[name]
        assert name not in implemented, f"{name} is implemented: take it out of fixtures/catalog/empty.json"
        assert (entry.is_list, entry.since) == (known.get("list", False), known.get("since")), name
        assert not known.get("async", False)


def test_a_start_reads_no_schema_of_the_catalogue() -> None:
    """The declarations are made without their parameters, responses and roles."""
    for declaration in empty.declarations():
        assert {"params", "response", "roles"}.isdisjoint(vars(declaration))
        assert {"params", "response", "roles"}.isdisjoint(vars(declaration.narrowed(lambda item: True)))


def test_empty_lists_are_listed(bare_world: Any) -> None:
    """listApis shows an empty list with its parameters and response fields, to those whose role may call it."""
    _, _, fields = bare_world.answer("listApis", name="listVPCs")
    (api,) = fields["api"]
    assert api["description"] == "Lists VPCs."
    zone = next(each for each in api["params"] if each["name"] == "zoneid")
    assert (zone["type"], zone["related"], zone["description"]) == (
        "uuid",
        "listZones,listZonesMetrics,createZone,updateZone",
        "show VPCs of this zone",
    )
    assert {"id", "name", "cidr"} <= {each["name"] for each in api["response"]}
    _, _, fields = bare_world.answer("listApis", who="user")
    names = {each["name"] for each in fields["api"]}
    assert "listVPCs" in names
    assert "listSwifts" not in names


def test_an_empty_list_in_xml_is_a_bare_root(bare_world: Any) -> None:
    """In XML an empty list is a root without children."""
    body = bare_world.ask("listPortForwardingRules", response="xml").get_data(as_text=True)
    assert body.endswith("></listportforwardingrulesresponse>")


def test_a_command_that_is_not_simulated_says_so(bare_world: Any) -> None:
    """A known command without an answer here is unsupported, with a text of ours; an unknown one is refused as ever."""
    status, key, fields = bare_world.answer("createKubernetesCluster")
    assert (status, key, fields["cserrorcode"]) == (432, "errorresponse", 9999)
    assert fields["errortext"] == (
        "The API command createKubernetesCluster is one of CloudStack's that cloudstack-mock does not simulate; "
        "its answers can be given in files, see --stubs"
    )
    assert bare_world.answer("createKubernetesCluste")[:2] == (401, "errorresponse")
    assert bare_world.answer("quotaSummary")[:2] == (401, "errorresponse"), "a real server has quota switched off"
    status, _, fields = bare_world.answer("addTrafficType", who="user")
    assert status == 432
    assert fields["errortext"].startswith("The API [addTrafficType] does not exist or is not available for the account")
    unsigned = bare_world.client().get("/client/api?command=createKubernetesCluster&response=json")
    assert (unsigned.status_code, list(unsigned.json)) == (401, ["createkubernetesclusterresponse"])


def test_a_role_is_denied_an_empty_list(bare_world: Any) -> None:
    """A command of root admins is denied to a user with CloudStack's text."""
    status, key, fields = bare_world.answer("listSwifts", who="user")
    assert (status, key) == (432, "errorresponse")
    assert fields["errortext"].startswith("The API [listSwifts] does not exist or is not available for the account")


def test_a_parameter_of_a_later_release_is_unknown() -> None:
    """An empty list of an older release lacks what came later."""
    declaration = next(each for each in empty.declarations() if each.name == "listRouters")
    older = declaration.narrowed(lambda item: getattr(item, "since", None) != "4.20.1")
    assert "arch" in declaration.params._declared_fields
    assert "arch" not in older.params._declared_fields
    assert json.dumps(older.params.later) == '["arch"]'


def test_the_catalogue_is_shipped() -> None:
    """The catalogue's files stand in fixtures."""
    folder = Path(__file__).parents[2] / "fixtures" / "catalog"
    shipped = {each.name for each in folder.iterdir()}
    assert {"api.json", "empty.json", "roles.json", "response_keys.json"} <= shipped
    assert {"resource_admin.txt", "event_types.txt"} <= shipped
