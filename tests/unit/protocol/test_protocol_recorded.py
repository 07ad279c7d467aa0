"""Every recorded message of the real server and the real KVM agent, read and written again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mgmt.protocol.message import COMPRESS_FROM_BYTES
from mgmt.protocol.records import declared, decode_answers, decode_commands, encode_array

PLACEHOLDERS = ("PEM", "PRIVATE_KEY", "PUBLIC_KEY", "PASSWORD", "STORAGE_SECRET")
FIXTURES = Path(__file__).parents[3] / "fixtures" / "wire"
SERVER_FILES = sorted(file.stem for file in FIXTURES.glob("*.jsonl") if file.stem != "kvm-agent")


# Classes without a declaration: reading and writing them proves nothing.
UNDECLARED = {
    "com.cloud.agent.api.FooCommand",
    "com.cloud.agent.api.PingTestCommand",
    "com.cloud.agent.api.CancelCommand",
}


def recorded(root: Path, name: str) -> list[dict[str, Any]]:
    lines = (root / "fixtures" / "wire" / f"{name}.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def codec(flags: str, content: bytes) -> list[Any]:
    return list(decode_commands(content) if int(flags, 16) & 1 else decode_answers(content))


def comparable(content: list[dict[str, dict[str, Any]]]) -> list[dict[str, dict[str, Any]]]:
    """Without what is known to differ: VDDK fields (recorded before them), and the ping that an answer repeats.

    A Java reader, like ours, reads the repeated ping as the base class PingCommand.
    """
    return [
        {name: {key: value for key, value in fields.items() if key not in ("useVddk", "_command")}}
        for element in content
        for name, fields in element.items()
    ]


@pytest.mark.parametrize("name", SERVER_FILES)
def test_the_servers_messages_are_written_as_recorded(name: str, request: pytest.FixtureRequest) -> None:
    """What the real server sent is read without loss and written again with the same fields in the same order."""
    compared = 0
    for row in recorded(request.config.rootpath, name):
        if row.get("from") != "server":
            continue
        wanted = json.dumps(row["content"], separators=(",", ":"), ensure_ascii=False)
        written = encode_array(codec(row["flags"], wanted.encode()))
        assert json.dumps(comparable(json.loads(written))) == json.dumps(comparable(row["content"]))
        is_whole = not any(known in wanted for known in (*PLACEHOLDERS, "_command", "CheckConvertInstanceCommand"))
        if is_whole and row["size"] < COMPRESS_FROM_BYTES:
            assert len(written.encode()) == row["size"]
        compared += 1
    assert compared >= 3


def test_the_kvm_agents_messages_are_written_as_recorded(request: pytest.FixtureRequest) -> None:
    """What the real KVM agent sent is read without loss and written again with the same fields."""
    compared = 0
    for row in recorded(request.config.rootpath, "kvm-agent"):
        records = codec(row["flags"], json.dumps(row["content"]).encode())
        if row["from"] == "agent":
            assert json.loads(encode_array(records)) == row["content"]
            compared += 1
    assert compared >= 30


@pytest.mark.parametrize("name", [*SERVER_FILES, "kvm-agent"])
def test_recorded_classes_are_declared(name: str, request: pytest.FixtureRequest) -> None:
    """Every class of the recorded messages is a typed record, not carried along unread."""
    rows = recorded(request.config.rootpath, name)
    elements = [element for row in rows for element in row.get("content") or []]
    used = {class_name for element in elements if isinstance(element, dict) for class_name in element}
    assert used - set(declared()) <= UNDECLARED
