"""The recorded attach of a real server, played again with the recorded agent."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mgmt.protocol.message import Request, Response
from mgmt.protocol.records import as_wire_mapping, decode_answers, decode_commands, java_class

# What differs from one run to the next: identities, keys, random intervals and correlation ids.
VARYING = {"logid", "hostId", "hostUuid", "id", "physicalNetworkId", "_pubKey", "_prvKey", "interval"}


def rows(root: Any, name: str) -> list[dict[str, Any]]:
    lines = (root / "fixtures" / "wire" / f"{name}.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines if "event" not in line]


def masked(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: "VARIES" if key in VARYING else masked(item) for key, item in value.items()}
    return [masked(item) for item in value] if isinstance(value, list) else value


def shown(message: Request | Response) -> tuple[str, Any]:
    records = message.commands if isinstance(message, Request) else message.answers
    return ("request" if isinstance(message, Request) else "response"), [
        {java_class(record): masked(as_wire_mapping(record))} for record in records
    ]


def attach_rows(recording: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows up to the answer to the second ReadyCommand."""
    ready = 0
    for number, row in enumerate(recording):
        ready += row["from"] == "agent" and "com.cloud.agent.api.ReadyAnswer" in row["content"][0]
        if ready == 2:
            return recording[: number + 1]
    raise AssertionError("the recording does not reach the state Up")


@pytest.mark.parametrize("name", ["fresh-attach"])
def test_the_server_says_what_the_real_one_said(edge: Any, request: pytest.FixtureRequest, name: str) -> None:
    """Given the recorded agent's messages, the server sends the recorded server's, but for ids and random values."""
    recording = attach_rows(rows(request.config.rootpath, name))
    edge.settings_for_recording(recording)
    agent = edge.agent()
    startup = next(row for row in recording if row["from"] == "agent")
    agent.request(*decode_commands(json.dumps(startup["content"]).encode()), stop_on_error=False)
    answers = {
        row["seq"]: decode_answers(json.dumps(row["content"]).encode())
        for row in recording
        if row["from"] == "agent" and not int(row["flags"], 16) & 1
    }
    expected = [row for row in recording if row["from"] == "server"]
    for row in expected:
        message = agent.receive()
        kind = "request" if int(row["flags"], 16) & 1 else "response"
        content = [{name: masked(fields)} for element in row["content"] for name, fields in element.items()]
        assert shown(message) == (kind, content)
        flags = message.encode()[3]
        assert flags == int(row["flags"], 16)
        if isinstance(message, Request):
            agent.answer(message, *answers[row["seq"]])
    edge.wait_for_status("Up", startup["content"][0]["com.cloud.agent.api.StartupRoutingCommand"]["guid"])
