"""`cloudstack-mock wire record | replay`."""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from mgmt.agents.certificates import tls_context
from mgmt.cli.agents import endpoint
from mgmt.cli.serve import reason, start_logging
from mgmt.cli.wording import counted
from mgmt.protocol.link import client_context
from mgmt.providers import Providers, RealClock
from mgmt.recording.lines import AGENT, SERVER, LinesError, load
from mgmt.recording.proxy import Recorder
from mgmt.recording.replay import Difference, Player
from mgmt.recording.streams import MessageStream, connect


def listening_point(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, int] | None:
    """HOST:PORT with port 0 allowed: the system chooses."""
    if value is None:
        return None
    if value.endswith(":0"):
        return value.removesuffix(":0"), 0
    return endpoint(context, parameter, value)


def connecting_point(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, int] | None:
    """HOST:PORT."""
    return None if value is None else endpoint(context, parameter, value)


@contextmanager
def _told_as(what: str) -> Iterator[None]:
    """Turn what the system refuses into one line; asyncio's own texts repeat the address as Python writes it."""
    try:
        yield
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        raise click.ClickException(f"{what}: {why}") from error


@click.group()
def wire() -> None:
    """Record conversations on the agent wire, and replay one side of them."""


@wire.command()
@click.option("--listen", "listen_on", required=True, callback=listening_point, help="HOST:PORT for agents.")
@click.option("--to", "server", required=True, callback=endpoint, help="HOST:PORT of the server's agent port.")
@click.option("--output", type=click.Path(path_type=Path), help="JSON lines go here [standard output].")
@click.option("--ssl-dir", type=click.Path(path_type=Path), help="Folder of the certificate shown [in memory].")
@click.option("--certificate", type=click.Path(path_type=Path), help="PEM file, shown to a server that is strict.")
@click.option("--key", type=click.Path(path_type=Path), help="PEM file with the key of --certificate.")
@click.option("--log-level", default="warning", type=click.Choice(["debug", "info", "warning", "error"]))
def record(
    listen_on: tuple[str, int],
    server: tuple[str, int],
    output: Path | None,
    ssl_dir: Path | None,
    certificate: Path | None,
    key: Path | None,
    log_level: str,
) -> None:
    """Sit between agents and a server and write what passes as JSON lines, secrets masked, until SIGINT or SIGTERM."""
    if (certificate is None) != (key is None):
        raise click.UsageError("--certificate and --key go together")
    start_logging(log_level)
    try:
        client = client_context()
        if certificate is not None and key is not None:
            client.load_cert_chain(certificate, key)
        if output is None:
            asyncio.run(_record(listen_on, server, click.echo, ssl_dir, client))
        else:
            with output.open("a", encoding="utf-8", buffering=1) as file:
                asyncio.run(_record(listen_on, server, lambda line: print(line, file=file), ssl_dir, client))
    except ssl.SSLError as error:
        raise click.ClickException(f"{certificate} and {key} cannot be used: {error.reason or error}") from error
    except OSError as error:
        raise click.ClickException(reason(error)) from error


async def _record(
    listen_on: tuple[str, int],
    server: tuple[str, int],
    write: Callable[[str], None],
    ssl_dir: Path | None,
    client: ssl.SSLContext,
) -> None:
    recorder = Recorder(server, tls_context(ssl_dir, Providers().utcnow()), RealClock(), write, client)
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    with _told_as(f"cannot listen on {listen_on[0]}:{listen_on[1]}"):
        host, port = await recorder.listen(*listen_on)
    click.echo(f"agents connect to {host}:{port}; stop with Ctrl-C", err=True)
    try:
        await stopped.wait()
    finally:
        await recorder.stop()


@wire.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--as", "side", required=True, type=click.Choice([AGENT, SERVER]), help="The side to play.")
@click.option("--connect", "server", callback=connecting_point, help="As agent: HOST:PORT of the server.")
@click.option("--listen", "listen_on", callback=listening_point, help="As server: HOST:PORT for one agent.")
@click.option("--host", "host_name", help="Which of the file's hosts [the first].")
@click.option("--ignore", multiple=True, help="A field, or the simple name of a class, that may differ. Repeatable.")
@click.option("--timeout", "timeout_s", default=30.0, show_default=True, help="Seconds to wait for each message.")
def replay(
    file: Path,
    side: str,
    server: tuple[str, int] | None,
    listen_on: tuple[str, int] | None,
    host_name: str | None,
    ignore: tuple[str, ...],
    timeout_s: float,
) -> None:
    """Play one side of a recorded conversation against a live peer; exit status 1 at the first difference."""
    if (side == AGENT) != (server is not None) or (side == SERVER) != (listen_on is not None):
        raise click.UsageError("give --connect with --as agent, and --listen with --as server")
    try:
        lines = load(file, host_name)
    except LinesError as error:
        raise click.ClickException(str(error)) from error
    player = Player(lines, side, ignored=ignore, timeout_s=timeout_s)
    try:
        if server is not None:
            found = asyncio.run(_play_agent(player, server))
        else:
            assert listen_on is not None
            found = asyncio.run(_play_server(player, listen_on))
    except OSError as error:
        raise click.ClickException(reason(error)) from error
    if found is not None:
        raise click.ClickException(str(found))
    click.echo(f"{counted(len(lines), 'message')}, {player.compared} of the peer's as recorded")


async def _play_agent(player: Player, server: tuple[str, int]) -> Difference | None:
    with _told_as(f"no link to {server[0]}:{server[1]}"):
        stream = await connect(*server, client_context())
    try:
        return await player.play(stream)
    finally:
        await stream.close()


async def _play_server(player: Player, listen_on: tuple[str, int]) -> Difference | None:
    context = tls_context(None, Providers().utcnow())
    result: asyncio.Future[Difference | None] = asyncio.get_running_loop().create_future()

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        stream = MessageStream(reader, writer, context, server_side=True)
        try:
            await stream.secure()
            found = await player.play(stream)
            if not result.done():
                result.set_result(found)
        except OSError as error:
            click.echo(f"a link ended: {error}", err=True)
        finally:
            await stream.close()

    with _told_as(f"cannot listen on {listen_on[0]}:{listen_on[1]}"):
        listener = await asyncio.start_server(accepted, *listen_on)
    host, port = listener.sockets[0].getsockname()[:2]
    click.echo(f"the agent connects to {host}:{port}", err=True)
    async with listener:
        return await result
