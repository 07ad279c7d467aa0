"""VMs on the host: start, stop, restart, look.

Upstream: Libvirt{Start,Stop,Reboot,CheckVirtualMachine}CommandWrapper.
"""

from __future__ import annotations

import re

from agent_sim.commands.base import API, HandlerTable, pool_of, volume_file
from agent_sim.errors import AgentFailure, domain_not_found
from agent_sim.host import Domain, DomainDisk, DomainNic
from agent_sim.hypervisor import Hypervisor
from agent_sim.toolchain.images import ImageError, read_image
from mgmt.protocol.commands import (
    Answer,
    CheckVirtualMachineAnswer,
    CheckVirtualMachineCommand,
    NicTO,
    RebootAnswer,
    RebootCommand,
    StartAnswer,
    StartCommand,
    StopAnswer,
    StopCommand,
    VirtualMachineTO,
    VolumeObjectTO,
)

_MIB = 1024**2
_STATES = {"running": "PowerOn", "paused": "PowerUnknown", "shut off": "PowerOff"}


async def start(hypervisor: Hypervisor, command: StartCommand) -> Answer:
    """Create a transient domain; an inactive persistent one of the same name goes. False when a disk is not there."""
    vm = command.vm
    if vm is None or not vm.name:
        raise AgentFailure(
            'Cannot invoke "com.cloud.agent.api.to.VirtualMachineTO.getName()" because "vmSpec" is null',
            java_class="java.lang.NullPointerException",
        )
    try:
        domain = await hypervisor.bench.blocking(domain_of, hypervisor, vm)
        known = hypervisor.domains.get(vm.name)
        if known is not None and known.state != "shut off":
            raise AgentFailure(f"Requested operation is not valid: domain '{vm.name}' is already active")
    except (AgentFailure, OSError) as error:
        return StartAnswer(result=False, details=str(error), vm=vm)
    hypervisor.run_domain(domain)
    return StartAnswer(result=True, vm=vm)


def domain_of(hypervisor: Hypervisor, vm: VirtualMachineTO) -> Domain:
    """The domain that the specification asks for, shut off. Reads the disks' files: for a worker thread.

    Raises AgentFailure for a disk that is not in its pool.
    """
    details = vm.details or {}
    disks = []
    for disk in sorted(vm.disks or [], key=lambda each: each.diskSeq or 0):
        if disk.type == "ISO" or not isinstance(disk.data, VolumeObjectTO):
            continue
        key = "rootDiskController" if disk.type == "ROOT" else "dataDiskController"
        disks.append(domain_disk(hypervisor, disk.data, details.get(key) or "virtio"))
    cpus = max(1, vm.cpus)
    return Domain(
        name=vm.name or "",
        state="shut off",
        cpu_cores=cpus,
        cpu_shares=cpus * (vm.minSpeed or vm.speed or 1000),
        memory_mb=(vm.maxRam or vm.minRam) // _MIB,
        boot_type="UEFI" if (vm.bootType or "").upper() == "UEFI" else "BIOS",
        boot_mode="SECURE" if (vm.bootMode or "").upper() == "SECURE" else "LEGACY",
        vnc_password=vm.vncPassword,
        disks=tuple(disks),
        nics=tuple(_nic(hypervisor, nic, details.get("nicAdapter") or "virtio") for nic in vm.nics or []),
    )


def domain_disk(hypervisor: Hypervisor, volume: VolumeObjectTO, bus: str) -> DomainDisk:
    """A volume as a disk of a domain; raises AgentFailure for one that is not in its pool. Reads the file."""
    pool = pool_of(hypervisor, volume)
    path = volume.path or ""
    capacity_bytes = volume.size or 0
    file = volume_file(pool, path)
    if file is not None:
        try:
            capacity_bytes = read_image(file).virtual_size_bytes
        except ImageError as error:
            raise AgentFailure(f"org.libvirt.LibvirtException: internal error: {error}") from None
    return DomainDisk(path=f"{pool.target}/{path.rpartition('/')[2]}", capacity_bytes=capacity_bytes, bus=bus)


def _nic(hypervisor: Hypervisor, nic: NicTO, model: str) -> DomainNic:
    vlan = re.fullmatch(r"vlan://(\d+)", nic.broadcastUri or "")
    bridge = nic.name or hypervisor.host.properties.guest_network_device
    return DomainNic(mac=nic.mac or "", model=model, bridge=bridge, vlan=int(vlan[1]) if vlan else None)


async def stop(hypervisor: Hypervisor, command: StopCommand) -> Answer:
    """End the domain and its definition; one that is not there counts as stopped."""
    name = command.vmName or ""
    domain = hypervisor.domains.get(name)
    if command.checkBeforeCleanup and domain is not None and domain.state == "running":
        return StopAnswer(result=False, details="vm is still running on host")
    hypervisor.domains.pop(name, None)
    return StopAnswer(result=True)


async def reboot(hypervisor: Hypervisor, command: RebootCommand) -> Answer:
    """Restart a domain that is active."""
    name = command.vmName or ""
    domain = hypervisor.domains.get(name)
    if domain is None or domain.state == "shut off":
        return RebootAnswer(result=False, details=domain_not_found(name))
    hypervisor.set_domain_state(name, "running")
    return RebootAnswer(result=True, vncPort=domain.vnc_display)


async def check(hypervisor: Hypervisor, command: CheckVirtualMachineCommand) -> Answer:
    """The power state; a paused domain is unknown, and has its VNC display all the same."""
    name = command.vmName or ""
    domain = hypervisor.domains.get(name)
    if domain is None:
        return CheckVirtualMachineAnswer(result=False, details=domain_not_found(name))
    display = None if domain.state == "shut off" else domain.vnc_display
    return CheckVirtualMachineAnswer(result=True, state=_STATES[domain.state], vncPort=display)


HANDLERS: HandlerTable = {
    f"{API}.StartCommand": start,
    f"{API}.StopCommand": stop,
    f"{API}.RebootCommand": reboot,
    f"{API}.CheckVirtualMachineCommand": check,
}
