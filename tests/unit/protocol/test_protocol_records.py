"""Records: registry, array codec, wrapped fields, secrets."""

from __future__ import annotations

import json

import pytest

from mgmt.protocol import records
from mgmt.protocol.commands import (
    Answer,
    CheckConvertInstanceCommand,
    CheckHealthAnswer,
    ConvertInstanceCommand,
    GetHostStatsAnswer,
    HostStatsEntry,
    ModifySshKeysCommand,
    NfsTO,
    PingRoutingCommand,
    PrimaryDataStoreTO,
    RemoteInstanceTO,
    StartupAnswer,
    StorageFilerTO,
    UnknownAnswer,
    UnknownCommand,
    UnmanagedInstanceTO,
)

API = "com.cloud.agent.api."


def content(name: str, fields: object) -> bytes:
    return json.dumps([{name: fields}]).encode()


def convert_command() -> ConvertInstanceCommand:
    return ConvertInstanceCommand(
        sourceInstance=RemoteInstanceTO(hypervisorType="VMware", instanceName="web01", vcenterPassword="secret"),
        originalVMName="web01",
        destinationHypervisorType="KVM",
        conversionTemporaryLocation=PrimaryDataStoreTO(
            uuid="p", name="nfs", id=3, poolType="NetworkFilesystem", host="192.0.2.20", path="/p", port=2049
        ),
        useVddk=True,
        wait=10800,
    )


def test_a_data_store_travels_inside_an_object_that_names_its_class() -> None:
    """DataStoreTO fields are wrapped, plain nested objects are not."""
    text = records.encode_array([convert_command()])
    fields = json.loads(text)[0][API + "ConvertInstanceCommand"]
    assert fields["sourceInstance"]["instanceName"] == "web01"
    assert fields["conversionTemporaryLocation"] == {
        "org.apache.cloudstack.storage.to.PrimaryDataStoreTO": {
            "uuid": "p",
            "name": "nfs",
            "id": 3,
            "poolType": "NetworkFilesystem",
            "host": "192.0.2.20",
            "path": "/p",
            "port": 2049,
            "isManaged": False,
        }
    }
    assert records.decode_commands(text.encode()) == [convert_command()]


def test_either_kind_of_data_store_is_read() -> None:
    """An NfsTO comes back as an NfsTO."""
    share = NfsTO(_url="nfs://192.0.2.20/s", _role="Image", uuid="u")
    command = ConvertInstanceCommand(conversionTemporaryLocation=share)
    assert records.decode_commands(records.encode_array([command]).encode()) == [command]


@pytest.mark.parametrize(
    "location",
    [
        {"uuid": "p", "id": 3},
        {"com.example.Other": {}},
        {API + "to.RemoteInstanceTO": {}},
        "text",
        {API + "to.NfsTO": 1},
    ],
    ids=["unwrapped", "unknown class", "class of another kind", "no object", "no fields"],
)
def test_a_data_store_without_its_class_makes_the_request_bad(location: object) -> None:
    """An unwrapped or unknown class in a DataStoreTO field cannot be read."""
    with pytest.raises(records.ContentError):
        records.decode_commands(content(API + "ConvertInstanceCommand", {"conversionTemporaryLocation": location}))


def test_secrets_do_not_show_in_repr() -> None:
    """Passwords, private keys and pool secrets are masked in `repr`; nulls are left out."""
    shown = repr(
        [
            convert_command(),
            ModifySshKeysCommand(_pubKey="public", _prvKey="hidden-key"),
            StorageFilerTO(uuid="u", userInfo="admin:hidden-info"),
            UnmanagedInstanceTO(name="vm", vncPassword="hidden-vnc"),
        ]
    )
    assert "secret" not in shown
    assert "hidden" not in shown
    assert shown.count("*****") == 4
    assert "public" in shown
    assert "vcenterHost" not in shown


def test_an_undeclared_command_keeps_its_class_and_fields() -> None:
    """A command of an unknown class is kept as it came, and is written as it came."""
    text = '[{"com.example.FooCommand":{"a":[1,2],"contextMap":{"logid":"x"},"wait":5}}]'
    (command,) = records.decode_commands(text.encode())
    assert isinstance(command, UnknownCommand)
    assert (records.java_class(command), command.wait, command.contextMap) == (
        "com.example.FooCommand",
        5,
        {"logid": "x"},
    )
    assert records.simple_name(command) == "FooCommand"
    assert records.encode_array([command]) == text
    assert records.as_wire_mapping(command) == {"a": [1, 2], "contextMap": {"logid": "x"}, "wait": 5}


def test_an_undeclared_answer_keeps_result_and_details() -> None:
    """An answer of an unknown class still says whether it succeeded."""
    (answer,) = records.decode_answers(content("com.example.FooAnswer", {"result": True, "details": "ok", "x": 1}))
    assert isinstance(answer, UnknownAnswer)
    assert (answer.result, answer.details, answer.fields["x"]) == (True, "ok", 1)


def test_unknown_fields_are_ignored_and_missing_ones_have_their_default() -> None:
    """Reading ignores unknown fields and takes explicit nulls as absent."""
    fields = {"newField": 1, "contextMap": None, "useVddk": True, "vddkLibDir": None}
    (command,) = records.decode_commands(content(API + "CheckConvertInstanceCommand", fields))
    assert command == CheckConvertInstanceCommand(useVddk=True)


def test_numbers_and_booleans_as_text_are_taken() -> None:
    """Java reads `"60"` as a number and `"true"` as a boolean, and so do we."""
    (answer,) = records.decode_answers(content(API + "StartupAnswer", {"pingInterval": "60", "result": "true"}))
    assert answer == StartupAnswer(pingInterval=60, result=True)


def test_nulls_in_arrays_are_kept_when_a_record_has_explicit_nulls() -> None:
    """Taking nulls as absent does not shorten arrays."""
    fields = {"a": None, "newGroupStates": {"vm": [3, None]}}
    (ping,) = records.decode_commands(content(API + "PingRoutingWithNwGroupsCommand", fields | {"contextMap": None}))
    assert ping.newGroupStates == {"vm": [3, None]}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "text",
    [
        b"{}",
        b"null",
        b"[null]",
        b'["x"]',
        b"[{}]",
        b"nonsense",
        b'[{"com.cloud.agent.api.PingCommand":null}]',
        b'[{"com.cloud.agent.api.PingCommand":{"hostId":"seven"}}]',
        b'[{"com.cloud.agent.api.PingCommand":{"hostId":{}}}]',
    ],
)
def test_a_bad_content_is_refused_as_a_whole(text: bytes) -> None:
    """Contents that are no array of one-key objects, and fields of the wrong type, are a ContentError."""
    with pytest.raises(records.ContentError):
        records.decode_commands(text)


def test_the_first_of_two_keys_counts() -> None:
    """An element with two keys is read by its first key."""
    text = b'[{"com.cloud.agent.api.CheckHealthCommand":{"wait":7},"com.cloud.agent.api.Other":{}}]'
    assert [command.wait for command in records.decode_commands(text)] == [7]


def test_a_command_is_no_answer() -> None:
    """A response that holds a command cannot be read."""
    with pytest.raises(records.ContentError, match="PingCommand is no answer"):
        records.decode_answers(content(API + "PingCommand", {}))


def test_whole_numbers_in_double_fields_are_written_as_doubles() -> None:
    """A Java double is written as one, also when the value came as a whole number."""
    answer = GetHostStatsAnswer(
        hostStats=HostStatsEntry(hostId=7, entityType="host", totalMemoryKBs=67108864), result=True
    )
    assert '"totalMemoryKBs":6.7108864E7' in records.encode_array([answer])
    assert '"cpuUtilization":0.0' in records.encode_array([answer])


def test_fields_of_the_concrete_class_come_first() -> None:
    """A ping's own fields precede those of PingCommand, and those precede Command's."""
    text = records.encode_array([PingRoutingCommand(hostType="Routing", hostId=7)])
    names = list(json.loads(text)[0][API + "PingRoutingCommand"])
    assert names == [
        "_gatewayAccessible",
        "_vnetAccessible",
        "hostType",
        "hostId",
        "outOfBand",
        "commandInfos",
        "contextMap",
        "wait",
        "bypassHostMaintenance",
    ]


def test_a_class_cannot_be_declared_twice() -> None:
    """Two records for one Java class are a mistake."""
    with pytest.raises(ValueError, match=r"com\.cloud\.agent\.api\.Answer is declared twice"):
        records.wire("com.cloud.agent.api")(Answer)


def test_all_succeeded() -> None:
    """Answers succeed together or not at all."""
    assert records.all_succeeded([CheckHealthAnswer(result=True), Answer(result=True)])
    assert not records.all_succeeded([CheckHealthAnswer(result=True), Answer()])
