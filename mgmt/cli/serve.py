"""`cloudstack-mock serve`."""

from __future__ import annotations

import logging
import os
import shlex
from pathlib import Path

import click

from mgmt.cli.collector import keep_what_is_there, paused_collector
from mgmt.cli.openfiles import allow_open_files
from mgmt.cli.signals import stop_signals
from mgmt.cli.wording import program
from mgmt.commands.stubs import StubError
from mgmt.config import ConfigError, Settings, load_settings
from mgmt.embedded import World
from mgmt.starting import StartError, clear_ready_file
from mgmt.store.database import StoreError
from mgmt.store.seeding import SeedError
from mgmt.workfolders import remove_left_folders
from mgmt.worlds import WorldsError


def start_logging(level: str) -> None:
    """Log to standard error at `level`."""
    logging.basicConfig(level=level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")


@click.command()
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="TOML file with settings.")
@click.option("--host", help="Address to listen on [127.0.0.1].")
@click.option("--port", help="Port of the HTTP API [8080]; 0: the system chooses.")
@click.option("--agent-port", help="Port that agents connect to [8250]; 0: the system chooses.")
@click.option("--vcenter-port", help="Port of the embedded vCenter [0: the system chooses].")
@click.option("--database", help="Database URL [in memory], such as sqlite:///cloud.db.")
@click.option("--seed", help="Shipped seed by name, or a YAML file [lab].")
@click.option("--agents", help="embedded or none [embedded].")
@click.option("--vcenter", help="embedded or none [embedded].")
@click.option("--time-scale", help="How many times faster than real conversions run [1].")
@click.option("--clock", help="real, scaled, manual or automatic [real].")
@click.option("--clock-factor", help="How many times faster the scaled clock runs [100].")
@click.option("--profile", help="CloudStack release to behave as: 4.20, 4.21, 4.22.0, 4.22.1 or main [4.22.1].")
@click.option("--fix", multiple=True, help="Repair a known upstream defect, by name; 'all' for every one. Repeatable.")
@click.option("--fault", multiple=True, help="Let something go wrong: NAME[,argument=value...]. Repeatable.")
@click.option("--fault-seed", help="What decides about faults that have a probability [0].")
@click.option(
    "--extensions", is_flag=True, default=None, help="Offer commands and parameters that CloudStack does not have."
)
@click.option("--admin", is_flag=True, default=None, help="Answer the admin endpoints /mock/ (docs/admin.md).")
@click.option(
    "--admin-token", help="What their callers must have; needed beyond loopback, better given by the environment."
)
@click.option(
    "--world", multiple=True, help="Another world behind the same port, as NAME=SEED, at /worlds/NAME/. Repeatable."
)
@click.option("--stubs", help="Folder of YAML files with answers of commands that are not simulated.")
@click.option("--ui-dir", help="Folder of a built web UI, served at /client/.")
@click.option(
    "--cors-origin", multiple=True, help="Origin whose pages may call the API, for a UI elsewhere. Repeatable."
)
@click.option("--session-timeout", help="Minutes without a call after which a login ends [30].")
@click.option("--ready-file", help="Write JSON with addresses and keys here once everything answers.")
@click.option("--work-dir", help="Folder for the simulated hosts' files [temporary].")
@click.option("--nfs-root", help="Folder with NFS exports mounted as HOST/PATH, for OVF exports without agents.")
@click.option("--encryption-key", help="Encrypts vCenter passwords in the database; better given by the environment.")
@click.option("--log-level", help="debug, info, warning or error [warning].")
def serve(config_file: Path | None, **options: str | bool | tuple[str, ...] | None) -> None:
    """Run a management server, by default with hosts and a vCenter of its own.

    Settings: defaults, then the TOML file, then CLOUDSTACK_MOCK_* variables, then options.
    """
    file = config_file or (Path(path) if (path := os.environ.get("CLOUDSTACK_MOCK_CONFIG")) else None)
    try:
        given = {name: None if value == () else value for name, value in options.items()}
        settings = load_settings(file=file, environment=os.environ, options=given)
    except ConfigError as error:
        raise click.ClickException(str(error)) from error
    start_logging(settings.log_level)
    run(settings)


def reason(error: Exception) -> str:
    """What went wrong in one line, with the file's name where there is one."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


def run(settings: Settings) -> None:
    """Run the world until SIGINT or SIGTERM; raises ClickException when it does not come up."""
    try:
        world = World(settings)
    except ConfigError as error:
        raise click.ClickException(str(error)) from error
    remove_left_folders()
    allow_open_files()
    with stop_signals() as stopped:
        try:
            if settings.ready_file is not None:
                clear_ready_file(settings.ready_file)
            with paused_collector():
                world.start()
            keep_what_is_there()
            if settings.ready_file is not None:
                world.write_ready_file(settings.ready_file)
        except (ConfigError, OSError, SeedError, StoreError, StartError, StubError, WorldsError) as error:
            world.stop()
            raise click.ClickException(reason(error)) from error
        click.echo(f"API      {world.server.api_url}")
        click.echo("agents   {}:{}".format(*world.server.agents.address))
        if world.vcenter is not None:
            click.echo("vCenter  {}:{}".format(*world.vcenter.address))
        for name in world.worlds:
            click.echo(f"world {name}  {world.worlds[name].server.api_url}")
        if settings.ready_file is not None:
            ready_file = shlex.quote(str(settings.ready_file))
            click.echo(f"try      {program()} api listHosts type=Routing --ready-file {ready_file}")
        world.server.services.server_shutdown.on_exit = stopped.set
        click.echo("stop with Ctrl-C")
        stopped.wait()
        if settings.ready_file is not None:
            world.remove_ready_file(settings.ready_file)
        world.stop()
