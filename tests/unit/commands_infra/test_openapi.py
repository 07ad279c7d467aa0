"""The OpenAPI document, as the command line prints it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner

from mgmt.cli import main


def document(*words: str) -> dict[str, Any]:
    result = CliRunner().invoke(main, ["openapi", *words])
    assert result.exit_code == 0, result.output
    made: dict[str, Any] = json.loads(result.output)
    return made


@pytest.fixture(scope="module")
def default() -> dict[str, Any]:
    """Of the default profile."""
    return document()


def test_each_command_has_a_path_that_a_server_answers(default: dict[str, Any]) -> None:
    """Fixed command and response parameters, typed ones, the wrapped answer and the error."""
    zones = default["paths"]["/client/api/listZones"]["get"]
    by_name = {parameter["name"]: parameter for parameter in zones["parameters"]}
    assert by_name["command"]["schema"] == {"type": "string", "enum": ["listZones"]}
    assert by_name["available"]["schema"] == {"type": "boolean"}
    answer = zones["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer["required"] == ["listzonesresponse"]
    zone = answer["properties"]["listzonesresponse"]["properties"]["zone"]
    assert zone == {"type": "array", "items": {"$ref": "#/components/schemas/ZoneResponse"}}
    assert default["components"]["schemas"]["ZoneResponse"]["properties"]["localstorageenabled"]["type"] == "boolean"
    assert default["info"]["version"] == "4.22.1.0"


def test_jobs_maps_lists_and_the_login(default: dict[str, Any]) -> None:
    """An asynchronous command answers a job; map parameters are exploded, lists are not; login is posted."""
    imported = default["paths"]["/client/api/importVm"]["get"]
    answer = imported["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer["properties"]["importvmresponse"] == {"$ref": "#/components/schemas/Job"}
    assert "virtualmachine" in imported["x-cloudstack-jobresult"]["properties"]
    by_name = {parameter["name"]: parameter for parameter in imported["parameters"]}
    assert by_name["details"]["explode"] is True
    assert list(by_name["nicnetworklist"]["schema"]["patternProperties"]) == [r"^nicnetworklist\[\d+\](\.[ -~]+)?$"]
    hosts = default["paths"]["/client/api/listHosts"]["get"]["parameters"]
    assert next(each for each in hosts if each["name"] == "details")["explode"] is False
    login = default["paths"]["/client/api/login"]["post"]
    form = login["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]
    assert set(form["required"]) == {"command", "response", "username", "password"}


def test_profile_and_extensions_decide_what_is_described(default: dict[str, Any]) -> None:
    """A release without VDDK has no usevddk; what CloudStack has not is described on demand."""
    old = document("--profile", "4.20")
    names = {each["name"] for each in old["paths"]["/client/api/importVm"]["get"]["parameters"]}
    assert "usevddk" not in names
    assert "/client/api/listJournalEntries" not in default["paths"]
    more = document("--extensions")
    assert more["paths"]["/client/api/listJournalEntries"]["get"]["x-cloudstack-mock-extension"] is True


def test_every_reference_is_there(default: dict[str, Any]) -> None:
    """No schema is named that the document has not."""
    text = json.dumps(default)
    named = {piece.partition('"')[0] for piece in text.split("#/components/schemas/")[1:]}
    assert named <= set(default["components"]["schemas"])
