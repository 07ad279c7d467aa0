"""`cloudstack-mock agents`."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path

import click

from agent_sim.fleet import Fleet, generated_hosts, load_hosts
from agent_sim.host import HostFileError
from mgmt.cli.serve import start_logging
from mgmt.cli.signals import stop_signals

READY_TIMEOUT_S = 5.0


def _endpoint(context: click.Context, parameter: click.Parameter, value: str) -> tuple[str, int]:
    host, separator, port = value.rpartition(":")
    if not separator or not port.isdigit() or not 0 < int(port) <= 65535:
        raise click.BadParameter(f"{value!r}: expected HOST:PORT, such as 127.0.0.1:8250")
    return host.removeprefix("[").removesuffix("]"), int(port)


@click.command()
@click.option("--connect", required=True, callback=_endpoint, help="HOST:PORT of the management server's agent port.")
@click.option("--hosts", "hosts_file", type=click.Path(path_type=Path), help="YAML file that describes the hosts.")
@click.option("--count", type=click.IntRange(1, 10_000), help="Connect that many generated hosts instead.")
@click.option("--zone", default="1", show_default=True, help="Zone, by name or number, of generated hosts.")
@click.option("--pod", default="1", show_default=True, help="Pod, by name or number, of generated hosts.")
@click.option("--cluster", default="1", show_default=True, help="Cluster, by name or number, of generated hosts.")
@click.option("--time-scale", default=1.0, show_default=True, help="How many times faster than real conversions run.")
@click.option("--work-dir", type=click.Path(path_type=Path), help="Folder for the hosts' files [temporary].")
@click.option("--log-level", default="warning", type=click.Choice(["debug", "info", "warning", "error"]))
def agents(
    connect: tuple[str, int],
    hosts_file: Path | None,
    count: int | None,
    zone: str,
    pod: str,
    cluster: str,
    time_scale: float,
    work_dir: Path | None,
    log_level: str,
) -> None:
    """Connect simulated KVM hosts to a management server, until SIGINT or SIGTERM."""
    if (hosts_file is None) == (count is None):
        raise click.UsageError("give either --hosts FILE or --count N")
    if time_scale <= 0:
        raise click.UsageError(f"--time-scale {time_scale}: expected a number greater than 0")
    start_logging(log_level)
    try:
        hosts = (
            load_hosts(hosts_file) if hosts_file else generated_hosts(count or 0, zone=zone, pod=pod, cluster=cluster)
        )
    except HostFileError as error:
        raise click.ClickException(str(error)) from error
    with ExitStack() as stack:
        folder = work_dir or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cloudstack-mock-agents-")))
        folder.mkdir(parents=True, exist_ok=True)
        stopped = stack.enter_context(stop_signals())
        fleet = Fleet(hosts, connect=connect, work_dir=folder, time_scale=time_scale)
        stack.callback(fleet.stop)
        fleet.start()
        click.echo("{} hosts connect to {}:{}; stop with Ctrl-C".format(len(hosts), *connect))
        if fleet.wait_until_ready(READY_TIMEOUT_S):
            click.echo(f"all {len(hosts)} hosts are welcome")
        elif not stopped.is_set():
            click.echo(f"not all hosts were welcome within {READY_TIMEOUT_S:g} s; they go on trying", err=True)
        stopped.wait()
