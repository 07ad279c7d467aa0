"""`cloudstack-mock vcenter`."""

from __future__ import annotations

from pathlib import Path

import click

from mgmt.cli.serve import start_logging
from mgmt.cli.signals import stop_signals
from mgmt.fixtures import fixtures_dir
from vcenter_sim.document import InventoryError
from vcenter_sim.server import VcenterSim


@click.group()
def vcenter() -> None:
    """Run a vCenter stand-in."""


@vcenter.command()
@click.option("--inventory", type=click.Path(path_type=Path), help="YAML inventory [the lab's].")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", default=0, show_default=True, type=click.IntRange(0, 65535), help="Port; 0: the system chooses."
)
@click.option("--username", help="User name that is accepted [the inventory's].")
@click.option("--password", help="Password that is accepted [the inventory's].")
@click.option("--log-level", default="warning", type=click.Choice(["debug", "info", "warning", "error"]))
def serve(
    inventory: Path | None, host: str, port: int, username: str | None, password: str | None, log_level: str
) -> None:
    """Serve SOAP over TLS at /sdk until SIGINT or SIGTERM."""
    start_logging(log_level)
    try:
        simulator = VcenterSim(
            inventory or fixtures_dir() / "vcenters" / "lab.yaml",
            host=host,
            port=port,
            username=username,
            password=password,
        )
        with stop_signals() as stopped:
            simulator.start()
            try:
                click.echo("vCenter     https://{}:{}/sdk".format(*simulator.address))
                click.echo(f"user        {simulator.username}")
                click.echo(f"datacenter  {simulator.datacenter}")
                click.echo(f"thumbprint  {simulator.thumbprint_sha1}")
                click.echo("stop with Ctrl-C")
                stopped.wait()
            finally:
                simulator.stop()
    except InventoryError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(
            f"port {port} on {host}, wanted for the vCenter, cannot be used ({error.strerror or error}): "
            "choose another with --port, or 0 to let the system choose"
        ) from error
