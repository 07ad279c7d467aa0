"""The recorder between an agent and a server, and the player of what it wrote."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mgmt.agents.certificates import tls_context
from mgmt.cli import main
from mgmt.protocol.commands import ModifyStoragePoolCommand
from mgmt.protocol.link import client_context
from mgmt.providers import Providers, RealClock
from mgmt.recording.lines import Line, LinesError, load
from mgmt.recording.proxy import Recorder
from mgmt.recording.replay import Difference, Player
from mgmt.recording.streams import MessageStream, connect

VARIES = ("interval",)


@pytest.fixture
def recorded(edge: Any, tmp_path: Path) -> Path:
    """The recording of an agent that attached through the recorder and went."""
    return record_attach(edge, tmp_path)


def record_attach(edge: Any, tmp_path: Path, client: ssl.SSLContext | None = None) -> Path:
    """What the recorder wrote of an agent that attached and went; with `client` to show to a strict server."""
    written: list[str] = []

    async def record() -> None:
        context = tls_context(None, Providers().utcnow())
        recorder = Recorder(edge.manager.address, context, RealClock(), written.append, client)
        address = await recorder.listen("127.0.0.1", 0)

        def attach() -> None:
            agent = edge.agent()
            agent.sock.close()
            if client is not None:
                edge.set("ca.plugin.root.auth.strictness", "true")
            agent.sock = socket.create_connection(address, timeout=60)
            agent.link = type(agent.link)(False, client_context())
            agent.shake_hands()
            agent.attach()
            edge.wait_for_status("Up")
            agent.close()

        await asyncio.to_thread(attach)
        await asyncio.to_thread(edge.wait_for, lambda: any('"event"' in line for line in written), "the end")
        await recorder.stop()

    asyncio.run(record())
    file = tmp_path / "recorded.jsonl"
    file.write_text("\n".join(written) + "\n")
    return file


def altered(line: Line, changed: dict[str, Any]) -> Line:
    """The line with other fields, when it is an answer of the agent."""
    if line.sender != "agent" or line.is_request:
        return line
    return dataclasses.replace(
        line, content=[{name: fields | changed} for element in line.content for name, fields in element.items()]
    )


async def play_both(file: Path, changed: dict[str, Any] | None = None) -> tuple[Difference | None, Difference | None]:
    """What the players of both sides find when they play against each other."""
    lines = load(file)
    found: asyncio.Future[Difference | None] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        stream = MessageStream(reader, writer, tls_context(None, Providers().utcnow()), server_side=True)
        await stream.secure()
        found.set_result(await Player(lines, "server", timeout_s=60.0).play(stream))
        await stream.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        stream = await connect(*server.sockets[0].getsockname()[:2], client_context())
        mine = [line if changed is None else altered(line, changed) for line in lines]
        agent = await Player(mine, "agent", timeout_s=60.0).play(stream)
        result = await found
        await stream.close()
    return agent, result


def test_what_passes_is_written_down_without_secrets(edge: Any, recorded: Path) -> None:
    """Both directions in order, named after the host, with header fields; keys are masked and the end is noted."""
    lines = [json.loads(text) for text in recorded.read_text().splitlines()]
    assert [line["from"] for line in lines[:3]] == ["agent", "server", "server"]
    assert {line["host"] for line in lines} == {"kvm1"}
    assert (lines[0]["flags"], lines[0]["seq"], lines[0]["mgmt"], lines[0]["agent"]) == ("0x01", 0, -1, -1)
    assert lines[0]["content"][0]["com.cloud.agent.api.StartupRoutingCommand"]["name"] == "kvm1"
    assert '"_prvKey":"PRIVATE_KEY"' in recorded.read_text()
    assert "BEGIN OPENSSH" not in recorded.read_text()
    assert lines[-1]["event"] == "closed"


def test_a_strict_server_lets_a_recorder_with_a_certificate_in(edge: Any, tmp_path: Path) -> None:
    """The recorder shows the certificate that it was given; the command line wants both files, and readable ones."""
    issued = edge.manager.trust.issue(["recorder"], ["127.0.0.1"], days=1)
    certificate, key = tmp_path / "recorder.crt", tmp_path / "recorder.key"
    certificate.write_text(issued.certificate_pem)
    key.write_text(issued.key_pem)
    client = client_context()
    client.load_cert_chain(certificate, key)
    assert "ReadyAnswer" in record_attach(edge, tmp_path, client).read_text()
    words = ["wire", "record", "--listen", "127.0.0.1:0", "--to", "127.0.0.1:1", "--certificate", str(certificate)]
    result = CliRunner().invoke(main, words)
    assert (result.exit_code, "--certificate and --key go together" in result.output) == (2, True)
    key.write_text("nonsense")
    result = CliRunner().invoke(main, [*words, "--key", str(key)])
    assert (result.exit_code, "cannot be used" in result.output) == (1, True)


def test_the_agents_side_plays_against_the_server(edge: Any, recorded: Path) -> None:
    """The server does again what was recorded of it."""

    async def play() -> Difference | None:
        stream = await connect(*edge.manager.address, client_context())
        try:
            return await Player(load(recorded), "agent", ignored=VARIES).play(stream)
        finally:
            await stream.close()

    assert asyncio.run(play()) is None


def test_the_first_difference_is_named(edge: Any, recorded: Path) -> None:
    """Another pool path: the message, the place and both values are told; the command line ends with status 1."""
    host, port = edge.manager.address
    file = recorded.with_name("other.jsonl")
    path = json.dumps("/export/n1")
    assert ModifyStoragePoolCommand.__name__ in recorded.read_text()
    file.write_text(recorded.read_text().replace(f'"path":{path}', '"path":"/export/other"', 1))
    words = ["wire", "replay", str(file), "--as", "agent", "--connect", f"{host}:{port}", "--ignore", "interval"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 1
    assert "ModifyStoragePoolCommand.pool.path: recorded '/export/other', now '/export/n1'" in result.output
    result = CliRunner().invoke(main, [word if word != str(file) else str(recorded) for word in words])
    assert (result.exit_code, "as recorded" in result.output) == (0, True)


def test_both_sides_play_against_each_other(edge: Any, recorded: Path) -> None:
    """A recording agrees with itself, and either side notices when the other leaves it."""
    assert asyncio.run(play_both(recorded)) == (None, None)
    _, server = asyncio.run(play_both(recorded, changed={"result": False}))
    assert server is not None
    assert server.where.endswith(".result")
    assert (server.recorded, server.live) == (True, False)


@pytest.mark.parametrize(
    ("text", "reason"),
    [("", "there is no message in it"), ("no json\n", "line 1 is no recorded"), ('{"from":"agent"}\n', "line 1 is no")],
)
def test_what_is_no_recording(tmp_path: Path, text: str, reason: str) -> None:
    """A file without messages, or with broken ones, is refused with its line."""
    file = tmp_path / "broken.jsonl"
    file.write_text(text)
    with pytest.raises(LinesError, match=reason):
        load(file)


def test_every_recorded_conversation_can_be_loaded(request: pytest.FixtureRequest) -> None:
    """The conversations in fixtures/wire are in the recorder's format."""
    for file in sorted((request.config.rootpath / "fixtures" / "wire").glob("*.jsonl")):
        assert load(file)


@pytest.mark.parametrize("words", [("--as", "agent"), ("--as", "server", "--connect", "127.0.0.1:1")])
def test_a_side_needs_its_address(tmp_path: Path, words: tuple[str, ...]) -> None:
    """--connect goes with the agent's side, --listen with the server's."""
    result = CliRunner().invoke(main, ["wire", "replay", str(tmp_path / "file"), *words])
    assert (result.exit_code, "--connect with --as agent" in result.output) == (2, True)
