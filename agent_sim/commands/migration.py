"""Moving a running VM to another host of the fleet.

Upstream: LibvirtPrepareForMigrationCommandWrapper and LibvirtMigrateCommandWrapper.
"""

from __future__ import annotations

from agent_sim.commands.base import API, HandlerTable
from agent_sim.commands.machines import domain_of
from agent_sim.errors import AgentFailure, domain_not_found
from agent_sim.hypervisor import Hypervisor
from mgmt.protocol.commands import (
    Answer,
    MigrateAnswer,
    MigrateCommand,
    PrepareForMigrationAnswer,
    PrepareForMigrationCommand,
)


async def prepare(hypervisor: Hypervisor, command: PrepareForMigrationCommand) -> Answer:
    """Look that the disks are there; nothing changes on the host."""
    if command.vm is not None and not command.rollback:
        try:
            await hypervisor.bench.blocking(domain_of, hypervisor, command.vm)
        except (AgentFailure, OSError) as error:
            return PrepareForMigrationAnswer(result=False, details=str(error))
    return PrepareForMigrationAnswer(result=True)


async def migrate(hypervisor: Hypervisor, command: MigrateCommand) -> Answer:
    """Take the domain from here to the host at `destinationIp`; it keeps its state."""
    name, ip = command.vmName or "", command.destinationIp or ""
    domain, target = hypervisor.domains.get(name), hypervisor.neighbours.get(ip)
    if domain is None or domain.state == "shut off":
        return MigrateAnswer(result=False, details=domain_not_found(name))
    if target is None or target is hypervisor:
        text = f"unable to connect to server at '{ip}:16509': Connection refused"
        return MigrateAnswer(result=False, details=text)
    already = target.domains.get(name)
    if already is not None and already.state != "shut off":
        text = f"Requested operation is not valid: domain '{name}' is already active"
        return MigrateAnswer(result=False, details=text)
    target.run_domain(domain, domain.state)
    del hypervisor.domains[name]
    return MigrateAnswer(result=True)


HANDLERS: HandlerTable = {
    f"{API}.PrepareForMigrationCommand": prepare,
    f"{API}.MigrateCommand": migrate,
}
