"""`cloudstack-mock demo`: the main job, shown over real sockets."""

from __future__ import annotations

import json
import shlex
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn
from rich.table import Table

from agent_sim.fleet import ProgressEvent
from mgmt.cli.client import ApiCallError, ApiClient
from mgmt.cli.serve import reason, start_logging
from mgmt.cli.signals import interrupts, stop_signals
from mgmt.config import Settings
from mgmt.embedded import StartError, World
from mgmt.readyfile import ReadyFileError

SETTINGS = Settings(port=0, agent_port=0, time_scale=300.0)
VDDK_VM, OVF_VM = "web01", "db01"


class DiskProgress:
    """A bar per disk on a terminal; elsewhere one line when a disk begins and ends."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars = Progress(
            TextColumn("  {task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            console=console,
        )
        self._tasks: dict[tuple[str, str, int], TaskID] = {}

    def __enter__(self) -> DiskProgress:
        self._tasks.clear()
        if self._console.is_terminal:
            self._bars.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._bars.stop()
        for task in self._tasks.values():
            if self._console.is_terminal:
                self._bars.remove_task(task)

    def show(self, event: ProgressEvent) -> None:
        """Show one step of a conversion; called from the agents' thread."""
        if event.disk_index == 0:
            return
        text = f"{event.host}: {event.tool} {event.vm}, disk {event.disk_index}/{event.disk_count}"
        key = (event.vm, event.tool, event.disk_index)
        is_new = key not in self._tasks
        if is_new:
            self._tasks[key] = self._bars.add_task(text, total=event.bytes_total)
        self._bars.update(self._tasks[key], completed=event.bytes_done)
        if not self._console.is_terminal and (is_new or event.bytes_done == event.bytes_total):
            share = 100 * event.bytes_done // max(event.bytes_total, 1)
            self._console.print(f"  {text}: {share}% of {event.bytes_total / 2**30:.0f} GiB", highlight=False)


def _table(title: str, rows: list[Mapping[str, Any]], **columns: str) -> Table:
    table = Table(*columns.values(), title=title, title_justify="left", box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(str(row.get(name, "-")) for name in columns))
    return table


def _hosts(client: ApiClient) -> Table:
    hosts = client.call("listHosts", type="Routing")["host"]
    rows = [
        host
        | {
            "vddk": host["details"].get("host.vddk.support", "-"),
            "vddkversion": host["details"].get("host.vddk.version", "-"),
            "v2v": host["details"].get("host.virtv2v.version", "-"),
            "ovftool": host["details"].get("host.ovftool.version", "-"),
        }
        for host in hosts
    ]
    return _table(
        "Hosts (listHosts)",
        rows,
        name="host",
        state="state",
        resourcestate="resource state",
        v2v="virt-v2v",
        ovftool="ovftool",
        vddk="VDDK",
        vddkversion="VDDK version",
    )


def _commands(world: World) -> Table:
    """Commands and answers of the imports as they crossed the agent wire, from the server's journal."""
    wanted = ("CheckConvertInstance", "ConvertInstance", "ImportConvertedInstance")
    rows = [
        (str(entry.fields.get("host")), entry.name, json.dumps(entry.fields.get("content")))
        for entry in world.server.services.journal.entries(kind="agent")
        if entry.name.removesuffix("Command").removesuffix("Answer") in wanted
    ]
    table = Table("host", "message", "content", title="What crossed the agent wire", title_justify="left", box=None)
    for host, name, content in rows:
        table.add_row(host, name, content if len(content) <= 150 else content[:147] + "...")
    return table


def _tool_runs(world: World) -> Table:
    table = Table("host", "command line", title="What the hosts ran", title_justify="left", box=None)
    for entry in world.server.services.journal.entries(kind="tool"):
        argv = entry.fields["argv"]
        assert isinstance(argv, list)
        table.add_row(str(entry.fields["host"]), shlex.join(str(word) for word in argv))
    return table


def _first(client: ApiClient, command: str, key: str, **parameters: object) -> dict[str, Any]:
    found: dict[str, Any] = client.call(command, **parameters)[key][0]
    return found


def _nic_map(source: Mapping[str, Any], network_id: str) -> dict[str, str]:
    parameters = {}
    for index, nic in enumerate(source.get("nic", [])):
        parameters[f"nicnetworklist[{index}].nic"] = nic["id"]
        parameters[f"nicnetworklist[{index}].network"] = network_id
    return parameters


def _disk_map(source: Mapping[str, Any], offering_id: str) -> dict[str, str]:
    parameters = {}
    for index, disk in enumerate(source.get("disk", [])[1:]):
        parameters[f"datadiskofferinglist[{index}].disk"] = disk["id"]
        parameters[f"datadiskofferinglist[{index}].diskOffering"] = offering_id
    return parameters


class Demo:
    """The scenes of the demo, on a running world."""

    def __init__(self, world: World, console: Console, progress: DiskProgress) -> None:
        self.world = world
        self.console = console
        self.progress = progress
        ready = world.ready()
        self.client = ApiClient(str(ready["api"]), str(ready["api_key"]), str(ready["secret_key"]))
        self.zone_id, self.cluster_id = str(ready["zone_id"]), str(ready["cluster_id"])

    def run(self) -> None:
        """Play all scenes; raises ApiCallError when a call fails."""
        self.console.print(_hosts(self.client), "")
        datacenter = _first(self.client, "listVmwareDcs", "VMwareDC", zoneid=self.zone_id)
        vms = self.client.call("listVmwareDcVms", existingvcenterid=datacenter["id"])["unmanagedinstance"]
        self.console.print(
            _table(
                f"VMs in vCenter, datacenter {datacenter['name']} (listVmwareDcVms)",
                vms,
                name="VM",
                powerstate="power",
                osdisplayname="operating system",
                hostname="ESXi host",
                clustername="cluster",
            ),
            "",
        )
        by_name = {vm["name"]: vm for vm in vms}
        self._import(datacenter["id"], by_name[VDDK_VM], use_vddk=True)
        self._import(datacenter["id"], by_name[OVF_VM], use_vddk=False)
        self.console.print("", _commands(self.world), "", _tool_runs(self.world), "")
        imported = self.client.call("listVirtualMachines", listall=True)["virtualmachine"]
        self.console.print(
            _table(
                "KVM VMs (listVirtualMachines)",
                imported,
                name="VM",
                instancename="instance",
                state="state",
                hypervisor="hypervisor",
                cpunumber="CPUs",
                memory="MB",
                serviceofferingname="offering",
            )
        )

    def _import(self, datacenter_id: str, vm: Mapping[str, Any], *, use_vddk: bool) -> None:
        way = "VDDK" if use_vddk else "OVF export"
        self.console.print(f"[bold]importVm {vm['name']} by {way}[/]")
        source = _first(
            self.client,
            "listVmwareDcVms",
            "unmanagedinstance",
            existingvcenterid=datacenter_id,
            hostname=vm["hostname"],
            instancename=vm["name"],
        )
        network = _first(self.client, "listNetworks", "network", listall=True, type="L2")
        data_offering = _first(self.client, "listDiskOfferings", "diskoffering", name="Custom Disk")
        offering = _first(self.client, "listServiceOfferings", "serviceoffering", name="Medium Instance")
        with self.progress:
            result = self.client.run(
                "importVm",
                {
                    "name": vm["name"],
                    "zoneid": self.zone_id,
                    "clusterid": self.cluster_id,
                    "hypervisor": "KVM",
                    "importsource": "vmware",
                    "existingvcenterid": datacenter_id,
                    "serviceofferingid": offering["id"],
                    "usevddk": use_vddk,
                }
                | _nic_map(source, network["id"])
                | _disk_map(source, data_offering["id"]),
                poll_interval_s=0.1,
            )
        imported = result["virtualmachine"]
        self.console.print(f"  imported as {imported['instancename']}, state {imported['state']}\n", highlight=False)


@click.command()
@click.option("--keep", is_flag=True, help="Leave the server running afterwards and say how to call it.")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port of the HTTP API [the system chooses; with --keep 8080]."
)
@click.option(
    "--agent-port", type=click.IntRange(0, 65535), help="Port for agents [the system chooses; with --keep 8250]."
)
@click.option("--time-scale", type=click.FloatRange(0, min_open=True), help="How many times faster than real [300].")
def demo(keep: bool, port: int | None, agent_port: int | None, time_scale: float | None) -> None:
    """Show the main job: list hosts and VMware VMs, import one by VDDK and one by OVF, over real sockets."""
    start_logging("error")
    console = Console(width=None if Console().is_terminal else 160)
    progress = DiskProgress(console)
    settings = replace(
        SETTINGS,
        port=port if port is not None else (8080 if keep else 0),
        agent_port=agent_port if agent_port is not None else (8250 if keep else 0),
        time_scale=time_scale or SETTINGS.time_scale,
    )
    try:
        with interrupts(), World(settings, on_progress=progress.show) as world:
            scenes = Demo(world, console, progress)
            try:
                scenes.run()
            finally:
                scenes.client.close()
            if keep:
                _keep(world, console)
    except ApiCallError as error:
        raise click.ClickException(str(error)) from error
    except (OSError, StartError, ReadyFileError) as error:
        raise click.ClickException(reason(error)) from error


def _keep(world: World, console: Console) -> None:
    """Say how to call the server, and wait for SIGINT or SIGTERM."""
    with stop_signals() as stopped, tempfile.TemporaryDirectory(prefix="cloudstack-mock-demo-") as folder:
        ready_file = Path(folder) / "lab.json"
        world.write_ready_file(ready_file)
        ready = world.ready()
        console.print(
            f"\nThe server runs at {ready['api']} until Ctrl-C.",
            f"  user {ready['username']}, password {ready['password']}; addresses and keys in {ready_file}",
            f"  .venv/bin/cloudstack-mock api listVirtualMachines listall=true --ready-file {ready_file}",
            sep="\n",
            highlight=False,
            soft_wrap=True,
        )
        stopped.wait()
