"""ovftool: finds the VM in vCenter and writes it out as an OVF directory."""

from __future__ import annotations

import asyncio
from pathlib import PurePosixPath
from urllib.parse import unquote

from agent_sim.toolchain.interface import MASK
from agent_sim.toolchain.ovf import write_ovf_directory
from agent_sim.toolchain.run import Run, ToolFailure
from agent_sim.toolchain.source import SourceMachine
from agent_sim.toolchain.vsphere import NotFoundError, VcenterLookupError, vcenter_reader

_STEPS = 10


async def run_ovftool(run: Run, words: tuple[str, ...]) -> None:
    """Export to `<target>/<vm>/`; raises ToolFailure with what ovftool prints."""
    threads = max([int(w.partition("=")[2]) for w in words if w.startswith("--parallelThreads=")], default=1)
    locator, target = (word for word in words if not word.startswith("--"))
    user, _, rest = locator.removeprefix("vi://").partition("@")
    name, _, secret = user.partition(":")
    vcenter, _, inventory_path = rest.partition("/")
    shown = f"vi://{name}:{MASK}@{rest}"
    await run.advance(1.0)
    reader = vcenter_reader(vcenter, unquote(name), unquote(secret))
    try:
        machine = await run.bench.blocking(reader.find_by_path, inventory_path)
    except NotFoundError:
        raise ToolFailure(f"Error: Locator does not refer to an object: {shown}", "Completed with errors") from None
    except VcenterLookupError as error:
        raise ToolFailure(f"Error: {error}", "Completed with errors") from None
    except asyncio.CancelledError:
        reader.abort()
        raise
    run.say(f"Opening VI source: vi://{name}@{vcenter}/{inventory_path}")
    run.say(f"Opening OVF target: {target}")
    await _transfer(run, machine, target, threads)
    run.say("Transfer Completed")
    run.say("Completed successfully")


async def _transfer(run: Run, machine: SourceMachine, target: str, threads: int) -> None:
    bench = run.bench
    folder = PurePosixPath(target) / machine.name.replace("/", "_")
    pool = bench.storage.pool_at(target)
    size = sum(disk.allocated_bytes for disk in machine.disks)
    if pool is not None and size > await bench.blocking(pool.available_bytes):
        raise ToolFailure("Error: File I/O failed: No space left on device", "Completed with errors")
    run.knows(
        source="ovf",
        esxi=machine.esxi_host,
        guest=machine.guest_os,
        output=f"{folder}/",
        vmdk=machine.disks[0].file if machine.disks else "",
    )
    run.say(f"Writing OVF package: {folder}/{machine.name}.ovf")
    if machine.lost_iso is not None:
        datastore, _, path = machine.lost_iso.removeprefix("[").partition("] ")
        raise ToolFailure(
            f"Error: Failed to open file stream: /vmfs/volumes/{datastore}/{path}", "Completed with errors"
        )
    count = len(machine.disks)
    for number, disk in enumerate(machine.disks, start=1):
        run.progress("Exporting disks", disk=number, disks=count, bytes_total=disk.allocated_bytes)
    with bench.streams.stream(machine.esxi_host):
        for number, disk in enumerate(machine.disks, start=1):
            before = 0
            for percent, done in run.parts(_STEPS, disk.allocated_bytes, disk=number):
                if percent > 0:
                    rate = bench.model.export_rate(threads, bench.streams.count(machine.esxi_host))
                    await run.advance((done - before) / rate)
                    run.progress(
                        f"Exporting disk {number}/{count}",
                        disk=number,
                        disks=count,
                        bytes_done=done,
                        bytes_total=disk.allocated_bytes,
                    )
                    run.say(f"Disk progress: {int(percent)}%")
                before = done
                run.copied(percent, done, disk.allocated_bytes, disk=number)
    await bench.blocking(write_ovf_directory, bench.files.real(str(folder)), machine)
