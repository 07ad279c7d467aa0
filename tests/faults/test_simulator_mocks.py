"""configureSimulator, querySimulatorMock and cleanupSimulatorMock: shapes, scopes, counts, and what hosts then do."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from cloudstack_mock import ApiCallError
from mgmt.cli.client import sign
from mgmt.faults.mocks import FAILURE, FAULT, Place, SimulatorMocks

HOST = Place(1, 1, 1, 7)
STOP = {"command": "StopCommand", "host": "kvm1"}


@pytest.fixture
def mocks() -> SimulatorMocks:
    found = SimulatorMocks()
    found.place_of = lambda name: HOST if name == "kvm1" else None
    return found


def effects(mocks: SimulatorMocks, **changes: object) -> list[tuple[str, Any]]:
    return [(effect.kind, next(iter(effect.args.values()))) for effect in mocks.effects({**STOP, **changes})]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ("wait:6000", [("wait", 6.0)]),
        ("WAIT:500|result:fail", [("wait", 0.5), ("answer", FAILURE)]),
        ("result:Fault", [("answer", FAULT)]),
        ("wait:soon", []),
        ("enabled:true|timeout:60", []),
        ("result", [("answer", "java.lang.ArrayIndexOutOfBoundsException: Index 1 out of bounds for length 1")]),
    ],
)
def test_values(mocks: SimulatorMocks, values: str, expected: list[tuple[str, Any]]) -> None:
    """Values are pairs joined by `|`; a wait is in milliseconds, what nobody knows does nothing."""
    mocks.configure(Place(), "StopCommand", values, None, None)
    assert effects(mocks) == expected
    assert effects(mocks, command="StartCommand") == effects(mocks, host="elsewhere") == []


def test_counts(mocks: SimulatorMocks) -> None:
    """A count is used up by answers, not by simulated faults; configured again it holds again, under its number."""
    mock = mocks.configure(Place(1), "StopCommand", "result:fail", 2, None)
    assert [len(effects(mocks)) for _ in range(3)] == [1, 1, 0]
    again = mocks.configure(Place(1), "StopCommand", "result:fault", 1, None)
    assert again.id == mock.id
    assert [len(effects(mocks)) for _ in range(3)] == [1, 1, 1]
    saved = mocks.save()
    assert mocks.remove(mock.id)
    assert not mocks.remove(mock.id)
    assert effects(mocks) == []
    assert mocks.configure(Place(1), "StopCommand", "wait:1", None, None).id == mock.id + 1
    mocks.load(saved)
    assert mocks.find(mock.id) == again


@pytest.mark.parametrize(
    ("place", "holds"),
    [
        (Place(), True),
        (Place(1), True),
        (Place(1, 1, 1), True),
        (Place(1, 1, 1, 7), True),
        (Place(2), False),
        (Place(1, 1, 1, 8), False),
        (Place(host_id=7), False),
        (Place(1, None, 1), False),
    ],
)
def test_scopes(mocks: SimulatorMocks, place: Place, holds: bool) -> None:
    """A configuration holds for a zone, pod, cluster or host that is named with all that it is in."""
    mocks.configure(place, "StopCommand", "wait:1", None, None)
    assert bool(effects(mocks)) is holds


def test_the_oldest_that_fits_holds(mocks: SimulatorMocks) -> None:
    """Of several the first one counts, though it is used up, as upstream."""
    mocks.configure(Place(), "StopCommand", "result:fail", 1, None)
    mocks.configure(Place(1, 1, 1, 7), "StopCommand", "wait:1", None, None)
    assert effects(mocks) == [("answer", FAILURE)]
    assert effects(mocks) == []


def raw(lab: Any, command: str, **parameters: str) -> tuple[int, str]:
    sent = {"command": command, "apiKey": str(lab.ready["api_key"]), "response": "json", **parameters}
    sent["signature"] = sign(sent, str(lab.ready["secret_key"]))
    answer = requests.get(str(lab.ready["api"]), params=sent, timeout=60)
    return answer.status_code, answer.text


def test_answers_as_recorded(lab: Any) -> None:
    """The answers are those of a real server: key, nameless object, internal numbers, errors under the usual key."""
    status, text = raw(lab, "configureSimulator", name="StopCommand", value="wait:6000", zoneid=lab.zone_id, count="1")
    number = text.partition('"id":')[2].partition(",")[0]
    expected = f'{{"simulatormock":{{"null":{{"id":{number},"zoneid":1,"name":"StopCommand","count":1}}}}}}'
    assert (status, text) == (200, expected)
    assert raw(lab, "querySimulatorMock", id=number) == (200, expected)
    assert raw(lab, "querySimulatorMock", id="999") == (
        530,
        (
            '{"querysimulatormockresponse":{"uuidList":[],"errorcode":530,"cserrorcode":9999,'
            '"errortext":"Failed to query mock"}}'
        ),
    )
    assert raw(lab, "cleanupSimulatorMock", id=number) == (200, '{"cleanupsimulatormockresponse":{"success":true}}')
    assert raw(lab, "cleanupSimulatorMock", id=number) == (
        530,
        (
            '{"cleanupsimulatormockresponse":{"uuidList":[],"errorcode":530,"cserrorcode":9999,'
            '"errortext":"Failed to cleanup mock"}}'
        ),
    )
    assert raw(lab, "configureSimulator", name="StopCommand") == (
        431,
        (
            '{"configuresimulatorresponse":{"uuidList":[],"errorcode":431,"cserrorcode":9999,"errortext":'
            '"Unable to execute API command configuresimulator due to missing parameter value"}}'
        ),
    )
    assert raw(lab, "querySimulatorMock")[0] == raw(lab, "cleanupSimulatorMock")[0] == 530


def test_hosts_do_as_told(lab: Any) -> None:
    """A host waits, fails and answers what is given; counts end it."""
    host = lab.host("kvm1")
    where = {key: host[key] for key in ("zoneid", "podid", "clusterid")} | {"hostid": host["id"]}
    call = lab.client.call

    def convert() -> str:
        with pytest.raises(ApiCallError) as raised:
            parameters = {**lab.parameters("web01"), "usevddk": False}
            lab.client.run("importVm", parameters, poll_interval_s=0.01)
        return str(raised.value)

    number = call(
        "configureSimulator", name="ImportConvertedInstanceCommand", value="wait:20000|result:fail", count=1, **where
    )["null"]["id"]
    begun_s = lab.world.clock.monotonic()
    assert convert().endswith(FAILURE)
    assert lab.world.clock.monotonic() - begun_s >= 20
    assert call("querySimulatorMock", id=number)["null"]["count"] == 0
    given = '{"com.cloud.agent.api.Answer":{"result":false,"details":"not today","wait":0}}'
    call(
        "configureSimulator",
        name="ImportConvertedInstanceCommand",
        value="wait:0",
        count=1,
        jsonresponse=given,
        **where,
    )
    assert convert().endswith("not today")
    call(
        "configureSimulator",
        name="ImportConvertedInstanceCommand",
        value="wait:0",
        jsonresponse='{"no.such":{}}',
        **where,
    )
    call("cleanupSimulatorMock", id=number)
    assert lab.world.faults.mocks.effects({"command": "ImportConvertedInstanceCommand", "host": "kvm1"}) == []
