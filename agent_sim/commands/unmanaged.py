"""Domains on the host that CloudStack does not manage, and letting go of one that it does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath

from agent_sim.commands.base import API, HandlerTable
from agent_sim.commands.machines import domain_of
from agent_sim.errors import AgentFailure, domain_not_found
from agent_sim.host import Domain
from agent_sim.hypervisor import Hypervisor
from agent_sim.storage import name_uuid
from agent_sim.toolchain.domain import disk_suffix
from mgmt.protocol.commands import (
    Answer,
    GetUnmanagedInstancesAnswer,
    GetUnmanagedInstancesCommand,
    PrepareUnmanageVMInstanceAnswer,
    PrepareUnmanageVMInstanceCommand,
    UnmanagedDisk,
    UnmanagedInstanceTO,
    UnmanagedNic,
    UnmanageInstanceAnswer,
    UnmanageInstanceCommand,
)

_VNC_PASSWORD_LENGTH = 22


async def get_unmanaged(hypervisor: Hypervisor, command: GetUnmanagedInstancesCommand) -> Answer:
    """All running or paused domains but the managed ones, or the one of that name (shut off: an empty map)."""
    managed = set(command.managedInstancesNames or [])

    def refuse(text: str) -> Answer:
        return GetUnmanagedInstancesAnswer(result=False, details=f"Error listing unmanaged instances: {text}")

    name = command.instanceName
    if name:
        if name not in hypervisor.domains:
            return refuse(domain_not_found(name))
        if name in managed:
            return refuse(f"GetUnmanagedInstancesCommand:  vm already managed {name}")
        domains = [hypervisor.domains[name]]
    else:
        domains = [domain for domain in hypervisor.domains.values() if domain.name not in managed]
    found = {domain.name: _describe(domain) for domain in domains if domain.state != "shut off"}
    return GetUnmanagedInstancesAnswer(result=True, details="OK", instanceName=name, unmanagedInstances=found)


def _describe(domain: Domain) -> UnmanagedInstanceTO:
    return UnmanagedInstanceTO(
        name=domain.name,
        powerState="PowerOn",  # a paused domain too
        cpuCores=domain.cpu_cores,
        cpuCoresPerSocket=domain.cpu_cores,
        memory=domain.memory_mb,
        cpuSpeed=domain.cpu_shares // domain.cpu_cores,
        disks=[
            UnmanagedDisk(
                diskId=str(index),
                label=f"vd{disk_suffix(index)}",
                capacity=disk.capacity_bytes,
                fileBaseName=PurePosixPath(disk.path).name,
                imagePath=disk.path,
                controller=disk.bus,
                position=index,
                datastoreName=str(PurePosixPath(disk.path).parent),
                datastorePath=str(PurePosixPath(disk.path).parent),
                datastoreType="file",
            )
            for index, disk in enumerate(domain.disks)
        ],
        nics=[
            UnmanagedNic(
                nicId=str(index),
                adapterType=nic.model,
                macAddress=nic.mac,
                network=f"vnet{index}",
                vlan=nic.vlan,
                pciSlot=str(3 + index),
            )
            for index, nic in enumerate(domain.nics)
        ],
        vncPassword=_padded(domain),
        bootType=domain.boot_type,
        bootMode=domain.boot_mode,
    )


def _padded(domain: Domain) -> str | None:
    """The VNC password filled up to 22 characters; upstream draws the letters, here the name gives them."""
    if domain.vnc_password is None:
        return None
    letters = "".join(character for character in name_uuid(domain.name) if character.isalpha()) * 4
    return (domain.vnc_password + letters + "a" * _VNC_PASSWORD_LENGTH)[:_VNC_PASSWORD_LENGTH]


async def prepare_unmanage(hypervisor: Hypervisor, command: PrepareUnmanageVMInstanceCommand) -> Answer:
    """True when the domain is there; nothing changes on the host."""
    name = command.instanceName or ""
    if name not in hypervisor.domains:
        return PrepareUnmanageVMInstanceAnswer(result=False, details=f"Error: {domain_not_found(name)}")
    return PrepareUnmanageVMInstanceAnswer(result=True, details="OK")


async def unmanage(hypervisor: Hypervisor, command: UnmanageInstanceCommand) -> Answer:
    """Keep a persistent domain: from its present form when it is there, else from the specification, shut off."""
    name = command.instanceName or ""
    domain = hypervisor.domains.get(name)
    try:
        if command.vm is not None and (domain is None or domain.state == "shut off"):
            domain = await hypervisor.bench.blocking(domain_of, hypervisor, command.vm)
        elif domain is None:
            raise AgentFailure(domain_not_found(name))
    except (AgentFailure, OSError) as error:
        return UnmanageInstanceAnswer(result=False, details=f"Error: {error}")
    hypervisor.domains[name] = replace(domain, name=name, persistent=True)
    return UnmanageInstanceAnswer(result=True, details="OK")


HANDLERS: HandlerTable = {
    f"{API}.GetUnmanagedInstancesCommand": get_unmanaged,
    f"{API}.PrepareUnmanageVMInstanceCommand": prepare_unmanage,
    f"{API}.UnmanageInstanceCommand": unmanage,
}
