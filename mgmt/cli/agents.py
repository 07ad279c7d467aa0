"""`cloudstack-mock agents`."""

from __future__ import annotations

import socket
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console

from agent_sim.crowd import Crowd
from agent_sim.fleet import Fleet, load_hosts
from agent_sim.fleetprofile import FleetProfile, load_profile
from agent_sim.host import HostDescription, HostFileError
from mgmt.cli.fleet_run import FleetRun
from mgmt.cli.openfiles import allow_open_files
from mgmt.cli.serve import start_logging
from mgmt.cli.signals import StopFlag, stop_signals
from mgmt.cli.wording import counted
from mgmt.providers import RealClock
from mgmt.workfolders import WorkFolder, remove_left_folders

READY_TIMEOUT_S = 5.0
LOOK_S = 0.5


def endpoint(context: click.Context, parameter: click.Parameter, value: str) -> tuple[str, int]:
    """HOST:PORT as a pair."""
    host, separator, port = value.rpartition(":")
    if not separator or not port.isdigit() or not 0 < int(port) <= 65535:
        raise click.BadParameter(f"{value!r}: expected HOST:PORT, such as 127.0.0.1:8250")
    return host.removeprefix("[").removesuffix("]"), int(port)


@click.command()
@click.option("--connect", required=True, callback=endpoint, help="HOST:PORT of the management server's agent port.")
@click.option("--hosts", "hosts_file", type=click.Path(path_type=Path), help="YAML file that describes the hosts.")
@click.option("--count", type=click.IntRange(1, 10_000), help="Connect that many generated hosts instead.")
@click.option("--profile", "profile_file", type=click.Path(path_type=Path), help="YAML: what generated hosts are like.")
@click.option("--workers", type=click.IntRange(1, 64), help="Run the generated hosts in that many processes.")
@click.option("--summary", "summary_file", type=click.Path(path_type=Path), help="Write the JSON summary here.")
@click.option("--zone", help="Zone, by name or number, of generated hosts [1].")
@click.option("--pod", help="Pod, by name or number, of generated hosts [1].")
@click.option("--cluster", help="Cluster, by name or number, of generated hosts [1].")
@click.option("--time-scale", default=1.0, show_default=True, help="How many times faster than real conversions run.")
@click.option("--work-dir", type=click.Path(path_type=Path), help="Folder for the hosts' files [temporary].")
@click.option("--log-level", default="warning", type=click.Choice(["debug", "info", "warning", "error"]))
def agents(
    connect: tuple[str, int],
    hosts_file: Path | None,
    count: int | None,
    profile_file: Path | None,
    workers: int | None,
    summary_file: Path | None,
    zone: str | None,
    pod: str | None,
    cluster: str | None,
    time_scale: float,
    work_dir: Path | None,
    log_level: str,
) -> None:
    """Connect simulated KVM hosts to a management server, until SIGINT or SIGTERM.

    With --profile or --workers a table of the hosts' states is shown meanwhile, and a JSON summary at the end
    (docs/agents.md).
    """
    if (hosts_file is None) == (count is None):
        raise click.UsageError("give either --hosts FILE or --count N")
    if hosts_file is not None and (profile_file or workers or summary_file):
        raise click.UsageError("--profile, --workers and --summary go with --count N")
    if time_scale <= 0:
        raise click.UsageError(f"--time-scale {time_scale}: expected a number greater than 0")
    start_logging(log_level)
    try:
        profile = load_profile(profile_file) if profile_file else FleetProfile()
        profile = replace(
            profile, zone=zone or profile.zone, pod=pod or profile.pod, cluster=cluster or profile.cluster
        )
        hosts = load_hosts(hosts_file) if hosts_file else profile.hosts(count or 0)
    except HostFileError as error:
        raise click.ClickException(str(error)) from error
    allow_open_files()
    with ExitStack() as stack:
        folder = work_dir
        if folder is None:
            remove_left_folders()
            folder = stack.enter_context(WorkFolder("agents-"))
        folder.mkdir(parents=True, exist_ok=True)
        stopped = stack.enter_context(stop_signals())
        if profile_file or workers or summary_file:
            crowd = Crowd(hosts, connect, folder, profile, workers=workers or 1, time_scale=time_scale)
            _follow(crowd, hosts, profile, connect, stopped, summary_file)
        else:
            _serve(Fleet(hosts, connect=connect, work_dir=folder, time_scale=time_scale), hosts, connect, stopped)


def _serve(fleet: Fleet, hosts: Sequence[HostDescription], connect: tuple[str, int], stopped: StopFlag) -> None:
    fleet.start()
    was_welcome = False
    try:
        click.echo("{} to {}:{}; stop with Ctrl-C".format(_connecting(hosts), *connect))
        was_welcome = fleet.wait_until_ready(READY_TIMEOUT_S)
        if not was_welcome and not stopped.is_set():
            refusals = {member.exit_reason for member in fleet.agents if member.exit_reason is not None}
            why = _why_not(refusals, connect)
            click.echo(f"not all hosts were welcome within {READY_TIMEOUT_S:g} s; they go on trying{why}", err=True)
        while not was_welcome and not stopped.wait(LOOK_S):
            was_welcome = fleet.wait_until_ready(0)
        if was_welcome:
            click.echo(_welcome(hosts))
        stopped.wait()
        was_welcome = was_welcome or fleet.census()["ready"] > 0
    finally:
        fleet.stop()
    if not was_welcome:
        raise click.ClickException("no host was ever welcome")


def _connecting(hosts: Sequence[HostDescription]) -> str:
    return f"{counted(len(hosts), 'host')} {'connects' if len(hosts) == 1 else 'connect'}"


def _welcome(hosts: Sequence[HostDescription]) -> str:
    return f"all {counted(len(hosts), 'host')} are welcome" if len(hosts) > 1 else "the host is welcome"


def _why_not(refusals: Collection[str], connect: tuple[str, int]) -> str:
    """What stands in the way of the hosts, as far as it can be seen from here."""
    return f" (the server refuses: {'; '.join(sorted(refusals))})" if refusals else _why_no_link(connect)


def _why_no_link(connect: tuple[str, int]) -> str:
    try:
        socket.create_connection(connect, timeout=READY_TIMEOUT_S).close()
    except OSError as error:
        return f" ({connect[0]}:{connect[1]}: {error.strerror or error})"
    return f" (what listens at {connect[0]}:{connect[1]} does not answer as a management server)"


def _follow(
    crowd: Crowd,
    hosts: Sequence[HostDescription],
    profile: FleetProfile,
    connect: tuple[str, int],
    stopped: StopFlag,
    summary_file: Path | None,
) -> None:
    run = FleetRun(crowd, profile, [host.name for host in hosts], RealClock(), Console())
    crowd.start()
    try:
        click.echo("{} to {}:{}; stop with Ctrl-C".format(_connecting(hosts), *connect))
        run.follow(stopped, lambda took_s: click.echo(f"{_welcome(hosts)} after {took_s:.1f} s"))
    except ChildProcessError as error:
        raise click.ClickException(str(error)) from error
    finally:
        crowd.stop()
    run.tell(summary_file)
    if run.ready_after_s is None and not any(report.census["ready"] for report in run.reports):
        refusals = {text for report in run.reports for text in report.refusals}
        raise click.ClickException(f"no host was ever welcome{_why_not(refusals, connect)}")
