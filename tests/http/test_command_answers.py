"""What commands return and raise, as JSON and XML, and what listApis tells of them."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from mgmt.api.app import create_wsgi
from mgmt.commands.declaration import Fields, Item, Listing, Success
from mgmt.errors import (
    AgentUnavailableError,
    CloudRuntimeError,
    InsufficientCapacityError,
    InvalidParameterValueError,
    PermissionDeniedError,
    ResourceAllocationError,
    ServerApiError,
)
from mgmt.store.models import Zone

HEAD = '<?xml version="1.0" encoding="UTF-8"?>'
USER_TEXT = "Internal error executing command, please contact your system administrator"
ITEM = {
    "id": "i",
    "name": "a<b>&\"'=\\/é漢😀",
    "allocationstate": None,
    "details": {"k": "v", "n": None, "b": True, "l": ["x", "y"]},
    "tags": [{"key": "env", "value": "prod"}, {"key": "t"}],
    "created": datetime(2026, 3, 1, 10, 15, 30),
}


@pytest.mark.parametrize(
    ("result", "body"),
    [
        (Listing([], 0), "{}"),
        (Listing([], 2), '{"count":2}'),
        (Listing([{"id": "i"}], 7), '{"count":7,"host":[{"id":"i"}]}'),
        (Listing([{"id": "i"}], 7, object_name="VMwareDC", omit_count=True), '{"VMwareDC":[{"id":"i"}]}'),
        (Item(ITEM), ('{"host":{"id":"i","name":"a<b>&\\"\'=\\\\/é漢😀","details":{"k":"v","b":true,"l":["x","y"]},'
                     '"tags":[{"key":"env","value":"prod"},{"key":"t"}],"created":"2026-03-01T10:15:30+0000"}}')),
        (Item({"a": 1, "b": 2.5, "c": 1.0, "d": False, "e": [], "f": {}, "g": ["x", None]}),
         '{"host":{"a":1,"b":2.5,"c":1.0,"d":false,"e":[],"f":{},"g":["x"]}}'),
        (Fields({"jobstatus": 0, "jobresult": None}), '{"jobstatus":0}'),
        (Success(), '{"success":true}'),
        (Success("done"), '{"success":true,"displaytext":"done"}'),
    ],
)  # fmt: skip
def test_json_answers(edge: Any, result: Any, body: str) -> None:
    """Each kind of result has CloudStack's JSON shape, without blanks and nulls."""
    edge.recorder.result = result
    answer = edge.get("listHosts")
    assert answer.get_data(as_text=True) == f'{{"listhostsresponse":{body}}}'
    assert answer.headers["Vary"] == "Accept-Encoding, User-Agent"


@pytest.mark.parametrize(
    ("result", "inner"),
    [
        (Listing([], 0), ""),
        (Listing([{"id": "i"}, {"id": "j"}], 7), "<count>7</count><host><id>i</id></host><host><id>j</id></host>"),
        (Item(ITEM), ("<host><id>i</id><name>a&lt;b&gt;&amp;&quot;&apos;=\\/é漢😀</name>"
                     "<details>{k=v, b=true, l=[x, y]}</details><tags><key>env</key><value>prod</value></tags>"
                     "<tags><key>t</key></tags><created>2026-03-01T10:15:30+0000</created></host>")),
        (Item({"details": {}, "tags": [], "x": ["p", "q"], "flag": True, "sub": {"m": 1}}),
         "<host><details>{}</details><x>p</x><x>q</x><flag>true</flag><sub><m>1</m></sub></host>"),
        (Fields({"a": "b", "c": True}), "<a>b</a><c>true</c>"),
        (Success("done"), "<success>true</success><displaytext>done</displaytext>"),
    ],
)  # fmt: skip
def test_xml_answers(edge: Any, result: Any, inner: str) -> None:
    """Each kind of result has CloudStack's XML shape: maps as Java text, nested objects as elements."""
    edge.recorder.result = result
    document = edge.get("listHosts", response="xml").get_data(as_text=True)
    attribute = ' cloud-stack-version="4.22.0.0-SNAPSHOT"'
    assert document == f"{HEAD}<listhostsresponse{attribute}>{inner}</listhostsresponse>"


def test_json_content_type_is_a_setting(edge: Any) -> None:
    """Another value of json.content.type goes out as it is, on errors too, from the next start on."""
    edge.set("json.content.type", "text/javascript; charset=UTF-8")
    assert edge.get("listZones").headers["Content-Type"] == "application/json;charset=utf-8"
    restarted = replace(edge, app=create_wsgi(edge.services))
    for name in ("listZones", "nope"):
        assert restarted.get(name).headers["Content-Type"] == "text/javascript; charset=UTF-8"


def test_version_attribute_can_be_switched_off(edge: Any) -> None:
    """Setting expose.cloudstack.version.api.xml.response takes the version out of XML."""
    edge.set("expose.cloudstack.version.api.xml.response", "false")
    assert edge.get("getLoose", response="xml").get_data(as_text=True) == (
        f"{HEAD}<getlooseresponse><a>1</a></getlooseresponse>"
    )


@pytest.mark.parametrize(
    ("error", "status", "cserrorcode", "hidden"),
    [
        (InvalidParameterValueError("bad"), 431, 4350, False),
        (PermissionDeniedError("bad"), 531, 4365, False),
        (InsufficientCapacityError("bad"), 533, 4325, True),
        (AgentUnavailableError("bad"), 534, 4285, True),
        (ResourceAllocationError("bad"), 535, 4370, False),
        (CloudRuntimeError("bad"), 530, 4250, True),
        (ServerApiError(530, "bad"), 530, 9999, False),
    ],
)  # fmt: skip
def test_error_of_a_command(edge: Any, error: Exception, status: int, cserrorcode: int, hidden: bool) -> None:
    """An error keeps its code; internal failures are hidden from all but the root admin."""
    edge.recorder.error = error
    answer = edge.get("listUsers")
    assert answer.status.startswith(str(status))
    assert answer.json == {
        "listusersresponse": {"uuidList": [], "errorcode": status, "cserrorcode": cserrorcode, "errortext": "bad"}
    }
    assert answer.headers["X-Description"] == "bad"
    shown = edge.get("listUsers", who="user1").json["listusersresponse"]["errortext"]
    assert shown == (USER_TEXT if hidden else "bad")


def test_uuid_list_of_an_error(edge: Any) -> None:
    """An error may name entities: as uuid and description in JSON, as uuid and uuidProperty in XML."""
    edge.recorder.error = CloudRuntimeError("no", uuid_list=({"uuid": "u1", "description": "podId"},))
    assert edge.get("listHosts").json["listhostsresponse"]["uuidList"] == [{"uuid": "u1", "description": "podId"}]
    document = edge.get("listHosts", response="xml").get_data(as_text=True)
    assert "<uuidList><uuid>u1</uuid><uuidProperty>podId</uuidProperty></uuidList><errorcode>530<" in document


def test_unexpected_exception_shows_nothing_of_itself(edge: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A Python exception is a 530 whose text says nothing; the log has the trace with secrets masked."""
    edge.services.redactor.register("VMware1!lab")
    edge.recorder.error = RuntimeError("login with VMware1!lab failed")
    with caplog.at_level(logging.ERROR, logger="mgmt.api.dispatch"):
        answer = edge.get("listHosts")
    assert answer.status == "530 530"
    assert answer.json["listhostsresponse"]["errortext"] == USER_TEXT
    assert "RuntimeError: login with ***** failed" in caplog.text
    assert "VMware1!lab" not in caplog.text


def test_failed_command_leaves_no_rows(edge: Any) -> None:
    """The transaction of a command that raises is rolled back."""

    def add_a_zone(call: Any) -> None:
        call.db.add(Zone(uuid="z", name="half made"))
        call.db.flush()

    edge.recorder.gate = add_a_zone
    edge.recorder.error = CloudRuntimeError("too late")
    assert edge.get("listHosts").status_code == 530
    with edge.services.store.session() as db:
        assert db.query(Zone).filter_by(name="half made").count() == 0


def test_texts_name_the_response_key_of_an_oddly_named_command(edge: Any) -> None:
    """`API command X` is the response key without `response`; an error has that key too."""
    answer = edge.get("updateVMAffinityGroup")
    assert answer.json["updatevirtualmachineresponse"]["errortext"] == (
        "Unable to execute API command updatevirtualmachine due to missing parameter id"
    )
    edge.recorder.result = Success()
    assert list(edge.get("updateVMAffinityGroup", id="1").json) == ["updatevirtualmachineresponse"]


def test_control_characters_are_refused_before_binding(edge: Any) -> None:
    """A control character anywhere wins over a missing parameter."""
    answer = edge.get("updateHost", foo="a\x7fb")
    assert answer.json["updatehostresponse"]["errortext"] == (
        "Received value containing illegal ASCII non-printable characters for parameter foo"
    )


def test_list_apis_shows_a_command(edge: Any) -> None:
    """listApis has what cmk, the UI and the SDK generators read."""
    answer = edge.get("listApis", name="queryAsyncJobResult").json["listapisresponse"]
    assert answer["count"] == 1
    (api,) = answer["api"]
    assert (api["name"], api["isasync"], api["related"]) == ("queryAsyncJobResult", False, "listAsyncJobs")
    (parameter,) = api["params"]
    assert parameter.pop("description")
    assert parameter == {"name": "jobid", "type": "uuid", "length": 255, "required": True}
    types = {each["name"]: each["type"] for each in api["response"]}
    assert types["created"] == "date" and types["jobstatus"] == "integer" and types["jobresult"] == "responseobject"
    (discovery,) = edge.get("listApis", name="listApis").json["listapisresponse"]["api"]
    nested = next(each for each in discovery["response"] if each["name"] == "params")
    assert nested["type"] == "set"
    assert "required" in {each["name"] for each in nested["response"]}
    (zones,) = edge.get("listApis", name="listZones").json["listapisresponse"]["api"]
    related = {each["name"]: each.get("related") for each in zones["params"]}
    assert related["id"] == "listZones" and related["ids"] == "listZones" and related["name"] is None
    (loose,) = edge.get("listApis", name="getLoose").json["listapisresponse"]["api"]
    assert "related" not in loose and loose["params"] == []
    assert [each["name"] for each in loose["response"]] == ["success", "displaytext", "jobid", "jobstatus"]


def test_list_apis_lists_what_the_role_may_use(edge: Any) -> None:
    """The root admin sees all commands, a user the user's."""
    everything = edge.get("listApis", listall="true", page="1", pagesize="1").json["listapisresponse"]
    assert everything["count"] == len(everything["api"]) == len(edge.services.commands)
    users = edge.get("listApis", who="user1").json["listapisresponse"]
    names = {each["name"] for each in users["api"]}
    assert "listZones" in names and "updateHost" not in names


@pytest.mark.parametrize(("who", "name"), [("admin", "listapis"), ("admin", ""), ("user1", "updateHost")])
def test_list_apis_of_an_unknown_command(edge: Any, who: str, name: str) -> None:
    """A name in the wrong case, an empty and a denied one give the discovery plug-in's 530."""
    body = edge.get("listApis", who=who, name=name).json["listapisresponse"]
    assert (body["errorcode"], body["cserrorcode"]) == (530, 9999)
    assert body["errortext"] == "Api Discovery plugin was unable to find an api by that name or process any apis"
