"""virt-v2v: reads a VM by VDDK or from an OVF directory, writes sparse qcow2 files and the domain XML.

Lines, order and failures are those of the real program as measured; every failure ends with exit status 1.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator, Mapping

from agent_sim.ledger import FILE
from agent_sim.toolchain.domain import disk_suffix, write_domain_xml
from agent_sim.toolchain.options import UsageError, V2vOptions, VpxAddress, read_vpx_url
from agent_sim.toolchain.ovf import OvfError, read_ovf_directory
from agent_sim.toolchain.run import Run, ToolFailure
from agent_sim.toolchain.source import SourceDisk, SourceMachine
from agent_sim.toolchain.vsphere import (
    LoginRefusedError,
    NotFoundError,
    VcenterLookupError,
    VcenterUnreachableError,
    vcenter_reader,
)

_COPY_STEPS = 10
_TRANSPORTS = frozenset({"nbd", "nbdssl", "file"})
# Shares of the fixed time at which the stages begin, as measured on real runs
_OPENED, _INSPECTED, _CONVERTED, _MAPPED = 0.31, 0.57, 0.9, 0.98


def failure(text: str, *before: str) -> ToolFailure:
    """virt-v2v's last words: what came before, the error, and how to report a bug."""
    return ToolFailure(
        *before,
        f"virt-v2v: error: {text}",
        "",
        "If reporting bugs, run virt-v2v with debugging enabled and include the complete output:",
        "",
        "  virt-v2v -v -x [...]",
        "",
    )


async def run_virt_v2v(run: Run, options: V2vOptions, environment: Mapping[str, str]) -> None:
    """One conversion; raises ToolFailure with what virt-v2v prints."""
    from_ova = options.values.get("-i") == "ova"
    run.knows(source="ovf" if from_ova else "vddk", uri=options.values.get("-ic", ""), **_vddk_facts(options))
    if from_ova:
        machine = await _open_ova(run, options)
    else:
        machine = await _open_vddk(run, options)
        backend = environment.get("LIBGUESTFS_BACKEND", "direct")
        if backend != "direct":
            raise failure(
                f"libguestfs error: could not create appliance through {backend}.",
                f"libguestfs: error: the backend '{backend}' cannot be used with nbdkit sockets",
            )
    output_dir = options.values.get("-os", "")
    run.knows(output=f"{output_dir}/{options.values.get('-on', machine.name)}")
    directory = run.bench.files.real(output_dir)
    if not directory.is_dir():
        raise failure(f"-os {output_dir}: output directory does not exist or is not a directory")
    if not machine.disks:
        raise failure("source metadata doesn't list any hard disks")
    await inspect_source(run, machine, options)
    await copy_disks(run, machine, options, from_ova=from_ova)
    await _finish(run, machine, options)


def _vddk_facts(options: V2vOptions) -> dict[str, object]:
    return {f"vddk_{name}": options.io.get(f"vddk-{name}", "") for name in ("libdir", "thumbprint", "transports")}


# -- sources


async def _open_ova(run: Run, options: V2vOptions) -> SourceMachine:
    if len(options.guests) != 1:
        raise failure("expecting an OVA file name on the command line")
    source = options.guests[0]
    run.stage(f"Setting up the source: -i ova {source.rstrip('/')}")
    await run.advance(0.05)
    try:
        machine = await run.bench.blocking(read_ovf_directory, run.bench.files.real(source), source)
    except OvfError as error:
        raise failure(str(error)) from None
    await run.advance(1.0)
    _tell(run, machine)
    run.stage("Opening the source")
    return machine


def _tell(run: Run, machine: SourceMachine) -> None:
    """Let faults know what is converted."""
    first = machine.disks[0].file if machine.disks else ""
    run.knows(esxi=machine.esxi_host, guest=machine.guest_os, vmdk=first, disks=len(machine.disks))


async def _open_vddk(run: Run, options: V2vOptions) -> SourceMachine:
    if len(options.guests) != 1:
        raise failure("expecting a libvirt guest name on the command line")
    url, guest = options.values.get("-ic", ""), options.guests[0]
    run.stage(f"Setting up the source: -i libvirt -ic {url} -it vddk {guest}")
    if not options.io.get("vddk-thumbprint"):
        raise failure(
            "You must pass the ‘-io vddk-thumbprint’ option with the SSL thumbprint of the VMware server.  "
            "To find the thumbprint, see the virt-v2v-input-vmware(1) manual."
        )
    password = _read_password(run, options)
    try:
        address = read_vpx_url(url)
    except UsageError as error:
        raise ToolFailure(*failure(error.lines[0].removeprefix("virt-v2v: error: ")).lines) from None
    await run.advance(0.2)
    machine, certificate = await _find_guest(run, address, password, guest)
    await run.advance(0.6)
    await _check_vddk(run, options)
    await run.advance(0.4)
    _tell(run, machine)
    actual = hashlib.sha1(certificate, usedforsecurity=False).hexdigest().upper()
    run.knows(thumbprint=":".join(actual[i : i + 2] for i in range(0, len(actual), 2)))
    run.stage("Opening the source")
    await _check_thumbprint(run, certificate, options.io["vddk-thumbprint"], machine)
    if machine.powered_on:
        run.say(f"virt-v2v: warning: domain {guest} is running or paused: the copy is not consistent")
    return machine


def _read_password(run: Run, options: V2vOptions) -> str:
    name = options.values.get("-ip") or options.values.get("--password-file") or ""
    try:
        text = run.bench.files.real(name).read_text(encoding="utf-8")
    except OSError:
        raise failure(f"{name}: No such file or directory") from None
    return text.removesuffix("\n")


def _libvirt(text: str) -> ToolFailure:
    return failure(f"exception: libvirt: VIR_ERR_INTERNAL_ERROR: VIR_FROM_ESX: internal error: {text}")


def _no_connection(error: VcenterUnreachableError) -> ToolFailure:
    return _libvirt(f"curl_easy_perform() returned an error: Couldn't connect to server (7) : {error}")


async def _find_guest(run: Run, address: VpxAddress, password: str, guest: str) -> tuple[SourceMachine, bytes]:
    """The VM as libvirt's esx driver finds it, by datacenter, compute resource, host of the path, and name.

    And the certificate that vCenter showed.
    """
    path = "/" + "/".join(address.parts)
    if len(address.parts) < 2:
        raise _libvirt(f"Path '{path}' does not specify a {('datacenter', 'compute resource')[len(address.parts)]}")
    datacenter, compute = address.parts[0], address.parts[-2] if len(address.parts) > 2 else address.parts[1]
    host = address.parts[-1] if len(address.parts) > 2 else None
    reader = vcenter_reader(address.vcenter, address.username, password)
    try:
        machine = await run.bench.blocking(reader.find_on_host, datacenter, compute, host, guest)
        return machine, reader.certificate_der
    except NotFoundError as error:
        if error.kind == "vm":
            raise failure(
                f"cannot find libvirt domain ‘{guest}’: Domain not found: Could not find domain with name '{guest}'"
            ) from None
        raise _libvirt(f"Could not find {error.kind} specified in '{path}'") from None
    except LoginRefusedError as error:
        raise _libvirt(f"HTTP response code 500 for call to 'Login'. Fault: ServerFaultCode - {error}") from None
    except VcenterUnreachableError as error:
        raise _no_connection(error) from None
    except VcenterLookupError as error:
        raise _libvirt(str(error)) from None
    except asyncio.CancelledError:
        reader.abort()
        raise


async def _check_vddk(run: Run, options: V2vOptions) -> None:
    """nbdkit, its plug-in, the library directory and the transports, in the order of the real program."""
    tools, libdir = run.bench.host.tools, options.io.get("vddk-libdir", "")
    if tools.nbdkit is None:
        raise failure("nbdkit is not installed or not working.  It is required to use ‘-it vddk’.")
    if tools.nbdkit_vddk_plugin is None:
        raise failure("nbdkit-vddk-plugin is not installed")
    directory = run.bench.files.real(libdir)
    if not directory.is_dir():
        raise failure(
            f"‘-io vddk-libdir={libdir}’ does not point to a directory.  See the virt-v2v-input-vmware(1) manual."
        )
    if not any(directory.glob("lib64/libvixDiskLib.so*")):
        await run.advance(31.0)  # a fixed wait of the real program
        raise failure(
            "nbdkit did not start up.  There may be errors printed by nbdkit above.",
            "nbdkit: error: libvixDiskLib.so.8: cannot open shared object file: No such file or directory",
        )
    transports = options.io.get("vddk-transports")
    if transports and not set(transports.split(":")) <= _TRANSPORTS:
        raise failure(
            "libguestfs error: guestfs_launch failed.",
            "nbdkit: vddk[1]: error: VixDiskLib_ConnectEx: One of the parameters was invalid "
            f"(transports={transports})",
        )


async def _check_thumbprint(run: Run, certificate: bytes, thumbprint: str, machine: SourceMachine) -> None:
    """VDDK compares the thumbprint with the server's certificate when it opens the disk."""
    actual = hashlib.sha1(certificate, usedforsecurity=False).hexdigest()
    if thumbprint.replace(":", "").lower() != actual:
        await run.advance(2.4)
        raise failure(
            "libguestfs error: guestfs_launch failed.",
            f"nbdkit: vddk[1]: error: VixDiskLib_Open: [{machine.esxi_host}] {machine.name}: Unknown error",
            'nbdkit: vddk[1]: error: Please verify whether the "thumbprint" parameter '
            f"({thumbprint}) matches the SHA1 fingerprint of the remote VMware server.",
        )


# -- stages


async def inspect_source(run: Run, machine: SourceMachine, options: V2vOptions) -> None:
    """Everything between the opening of the source and its copying."""
    fixed_s = run.bench.model.fixed_s(windows=machine.is_windows)
    started_s = run.elapsed_s
    await run.advance(fixed_s * _OPENED)
    run.stage("Inspecting the source")
    await run.advance(fixed_s * (_INSPECTED - _OPENED))
    run.stage("Checking for sufficient free disk space in the guest")
    run.stage(f"Converting {machine.guest_os or 'Linux'} to run on KVM")
    await run.advance(fixed_s * (_CONVERTED - _INSPECTED))
    if machine.is_windows and not run.bench.host.tools.virtio_win:
        run.say("virt-v2v: warning: there are no virtio drivers available for this version of Windows.")
    run.say("virt-v2v: The QEMU Guest Agent will be installed for this guest at first boot.")
    run.say("virt-v2v: This guest has virtio drivers installed.")
    run.stage("Mapping filesystem data to avoid copying unused and blank areas")
    await run.advance(fixed_s * (_MAPPED - _CONVERTED))
    run.stage("Closing the overlay")
    run.stage("Assigning disks to buses")
    run.stage("Checking if the guest needs BIOS or UEFI to boot")
    run.stage(f"Setting up the destination: -o disk -os {options.values.get('-os', '')}")
    await run.advance(max(0.0, fixed_s - (run.elapsed_s - started_s)))


async def copy_disks(run: Run, machine: SourceMachine, options: V2vOptions, *, from_ova: bool) -> None:
    """Copy the disks one after the other, as virt-v2v does without `--parallel`."""
    _announce(run, machine)
    for index, disk in enumerate(machine.disks):
        if from_ova:
            await _copy(run, machine, index, disk, options, from_ova=True)
            continue
        with run.bench.streams.stream(machine.esxi_host):
            await run.advance(run.bench.model.extent_query_s(disk.capacity_bytes))
            await _copy(run, machine, index, disk, options, from_ova=False)


def _announce(run: Run, machine: SourceMachine) -> None:
    """Tell the sizes of all disks before the first one is copied."""
    count = len(machine.disks)
    for number, disk in enumerate(machine.disks, start=1):
        run.progress("Copying disks", disk=number, disks=count, bytes_total=disk.allocated_bytes)


async def _copy(
    run: Run, machine: SourceMachine, index: int, disk: SourceDisk, options: V2vOptions, *, from_ova: bool
) -> None:
    bench = run.bench
    output_dir, name = options.values["-os"], options.values.get("-on", machine.name)
    run.knows(vmdk=disk.file, disk_gib=disk.capacity_bytes / 1024**3)
    shown = f"{output_dir}/{name}-sd{disk_suffix(index)}"
    path = bench.files.real(shown)
    pool = bench.storage.pool_at(output_dir)
    room = await bench.room(pool) if pool is not None else disk.allocated_bytes
    run.stage(f"Copying disk {index + 1}/{len(machine.disks)}")

    def write(done: int, *, is_first: bool) -> None:
        bench.grow_image(pool, path, disk.capacity_bytes, min(done, room), is_first=is_first)
        if is_first:
            bench.note_file(path, FILE, shown)
        if done > room:
            raise failure(
                "nbdcopy command failed, see earlier error messages",
                "qemu-nbd: Disconnect client, due to: Failed to send reply: Unable to write to socket: Broken pipe",
                f"nbdcopy: write at offset {room}: No space left on device",
            )

    await run.follow(_copying(run, machine, index, disk, write, from_ova=from_ova))


def _copying(
    run: Run, machine: SourceMachine, index: int, disk: SourceDisk, write: Callable[..., None], *, from_ova: bool
) -> Iterator[float]:
    """The copy of one disk, part by part: how long each takes."""
    bench, count = run.bench, len(machine.disks)
    rest = list(run.parts(_COPY_STEPS, disk.allocated_bytes, disk=index + 1))
    for part, (percent, done) in enumerate(rest):
        write(done, is_first=part == 0)
        run.progress(
            f"Copying disk {index + 1}/{count}",
            disk=index + 1,
            disks=count,
            bytes_done=done,
            bytes_total=disk.allocated_bytes,
        )
        run.bar(percent)
        run.copied(percent, done, disk.allocated_bytes, disk=index + 1)
        if part + 1 < len(rest):
            # the OVF path reads the VMDK and writes the image: twice the data at the copy rate
            share = rest[part + 1][1] - done
            rate = bench.model.vddk_rate(bench.streams.count(machine.esxi_host))
            yield 2 * share / bench.model.copy_rate() if from_ova else share / rate


async def _finish(run: Run, machine: SourceMachine, options: V2vOptions) -> None:
    bench = run.bench
    output_dir, name = options.values["-os"], options.values.get("-on", machine.name)
    run.stage("Creating output metadata")
    version = (bench.host.tools.virt_v2v or "").split(",")[0]
    text = write_domain_xml(machine, name=name, output_dir=output_dir, version=version)
    path = bench.files.real(f"{output_dir}/{name}.xml")
    bench.write_text(bench.storage.pool_at(output_dir), path, text)
    bench.note_file(path, FILE, f"{output_dir}/{name}.xml")
    run.stage("Finishing off")
