"""The records of an imported VM: the VM, its volumes, its NICs, usage events (import-vm 3.8).

All are written in one transaction, and the undo list takes them back when a later step fails. Upstream:
UnmanagedVMsManagerImpl.importVirtualMachineInternal, UserVmManagerImpl.importVM, VolumeOrchestrator.importVolume,
NetworkOrchestrator.importNic.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Select, bindparam, delete, select
from sqlalchemy.orm import Session

from mgmt.errors import INTERNAL_ERROR, CloudError, CloudRuntimeError, ResourceAllocationError, ServerApiError
from mgmt.imports.checks import Plan
from mgmt.imports.disks import DiskRules, PlacedDisk, place_disks, split_disks
from mgmt.imports.facts import NetworkFacts
from mgmt.imports.networks import GuestNic, NicRules, is_free, mac_is_used, next_free, place_nics
from mgmt.imports.numbers import MAX_LONG, whole_number
from mgmt.imports.offerings import Size, fit_offering
from mgmt.imports.pools import Offerings
from mgmt.imports.ports import ImportServices
from mgmt.imports.request import AUTO_ADDRESS
from mgmt.imports.trace import Trace
from mgmt.imports.undo import UndoList
from mgmt.inventory.limits import PRIMARY_STORAGE, VOLUME, reserve
from mgmt.protocol.commands import UnmanagedInstanceTO
from mgmt.quirks import USAGE_ZONE_OF_ACCOUNT, VDDK_DETAILS_STORED
from mgmt.store.models import Network, Nic, UsageEvent, VmDetail, VmInstance, Volume
from mgmt.store.rows import add_row, add_rows, change_row, find_row, run, table_of

INSTANCE_NAME_SETTING = "instance.name"

_MAC = re.compile(r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}")

PlacedNic = tuple[GuestNic, NetworkFacts, str | None]


def _go_on() -> None:
    """Nothing that could still stop the import."""


@dataclass(frozen=True)
class Registration:
    """One VM to be recorded. `commit` is called before usage is charged and may still raise."""

    services: ImportServices
    plan: Plan
    offerings: Offerings
    nic_rules: NicRules
    instance: UnmanagedInstanceTO
    claims: list[tuple[int, ...]]
    commit: Callable[[], None] = _go_on

    @property
    def trace(self) -> Trace:
        """What the checks of this import are noted in."""
        return self.nic_rules.trace

    def register(self, undo: UndoList) -> int:
        """Write all records and return the VM's internal number.

        Raises CloudErrors with CloudStack's texts; `undo` then holds how to take the records back.
        """
        instance = self.instance
        with self.trace.rule("3.8-1", cpus=instance.cpuCores, mhz=instance.cpuSpeed, memory_mb=instance.memory):
            size = fit_offering(
                self.plan.offering,
                self.plan.details,
                cpu_number=instance.cpuCores,
                cpu_speed_mhz=instance.cpuSpeed,
                memory_mb=instance.memory,
                name=self.plan.display_name,
            )
        with self.services.store.session() as session:
            disks = self._place_disks(session)
        with self.services.store.session() as session:
            nics = place_nics(session, self._guest_nics(), self.nic_rules)
        with self.services.store.session() as session:
            vm_id = self.add_vm(session, size, disks, nics)
            self.add_parts(session, vm_id, disks, nics)
            self.charge(session, vm_id, size)
        undo.add(f"remove the records of VM {vm_id}", lambda: self._remove(vm_id))
        return vm_id

    def add_parts(self, session: Session, vm_id: int, disks: Sequence[PlacedDisk], nics: Sequence[PlacedNic]) -> None:
        """Write volumes and NICs; a failure says in its text which of them it met."""
        name = self.plan.display_name
        with (
            self.trace.rule("3.8-7", disks=len(disks), details=list(self.plan.details)),
            _stage(f"Failed to import volumes while importing vm: {name}."),
        ):
            self._add_volumes(session, vm_id, disks)
        with (
            self.trace.rule("3.8-8", nics=len(nics)),
            _stage(f"Failed to import NICs while importing vm: {name}."),
        ):
            self.add_nics(session, vm_id, nics)
        self.commit()

    def charge(self, session: Session, vm_id: int, size: Size) -> None:
        """Write usage."""
        with self.trace.rule("3.8-9", vm=vm_id):
            self._publish_usage(session, vm_id, size)

    def _place_disks(self, session: Session) -> list[PlacedDisk]:
        rules = DiskRules(self.plan.display_name, self.plan.zone_uuid, self.plan.cluster, self.offerings, self.trace)
        root, data = split_disks(self.instance.disks or [], rules)
        owner = self.plan.owner
        disks = place_disks(session, root, data, rules)
        amounts = {VOLUME: len(disks), PRIMARY_STORAGE: sum(disk.size_bytes for disk in disks)}
        with self.trace.rule("3.8-5", account=owner.account_uuid, amounts=amounts):
            try:
                claim = reserve(session, owner.account_id, amounts)
            except ResourceAllocationError as error:
                raise ServerApiError(
                    INTERNAL_ERROR,
                    f"Volume resource allocation error for owner: {owner.account_uuid}. {error.text}",
                    row="3.8-5",
                ) from error
        self.claims.append(claim)
        return disks

    def _guest_nics(self) -> list[GuestNic]:
        return [
            GuestNic(nic.nicId, nic.macAddress, nic.adapterType, tuple(nic.ipAddress or ()))
            for nic in self.instance.nics or []
        ]

    # The VM -------------------------------------------------------------------------------------------------------

    def _own_details(self) -> dict[str, str]:
        given = self.plan.details
        if self.services.quirks.is_faithful(VDDK_DETAILS_STORED):
            return dict(given)
        return {name: value for name, value in given.items() if not name.startswith("vddk.")}

    def _details(self, size: Size, disks: Sequence[PlacedDisk], nics: Sequence[PlacedNic]) -> dict[str, str]:
        # `deployvm`: UserVmManagerImpl.commitUserVm marks every VM that it writes
        details = {**self._own_details(), **size.details, "deployvm": "true"}
        details["rootDiskController"] = disks[0].disk.controller or ""
        if len(disks) > 1:
            details["dataDiskController"] = disks[1].disk.controller or ""
        if nics:
            details["nicAdapter"] = nics[0][0].adapter_type or ""
        if self.instance.vncPassword:
            details["kvm.vnc.password"] = self.instance.vncPassword
        if (self.instance.bootType or "").upper() == "UEFI" and self.instance.bootMode:
            details["UEFI"] = self.instance.bootMode
        return details

    def add_vm(self, session: Session, size: Size, disks: Sequence[PlacedDisk], nics: Sequence[PlacedNic]) -> int:
        """Write the VM with its details; returns its internal number, which its instance name holds."""
        plan, providers = self.plan, self.services.providers
        values = {
            "uuid": providers.ids.uuid(),
            "name": plan.host_name,
            "display_name": plan.display_name,
            "instance_name": "",
            "state": "Stopped",
            "power_state": "PowerOff",
            "hypervisor_type": plan.cluster.hypervisor_type,
            "account_id": plan.owner.account_id,
            "domain_id": plan.owner.domain_id,
            "user_id": plan.owner.user_id,
            "zone_id": plan.zone_id,
            "template_id": plan.template_id,
            "guest_os_id": plan.guest_os_id,
            "service_offering_id": plan.offering.id,
            "cpu_number": size.cpu_number,
            "cpu_speed_mhz": size.cpu_speed_mhz,
            "memory_mb": size.memory_mb,
            "created": providers.utcnow(),
        }
        vm_id = add_row(session, VmInstance, values)
        suffix = self.services.settings.get_text(INSTANCE_NAME_SETTING) or "VM"
        change_row(session, VmInstance, vm_id, {"instance_name": f"i-{plan.owner.account_id}-{vm_id}-{suffix}"})
        details = self._details(size, disks, nics)
        add_rows(session, VmDetail, [{"vm_id": vm_id, "name": key, "value": text} for key, text in details.items()])
        return vm_id

    # Volumes ------------------------------------------------------------------------------------------------------

    def _add_volumes(self, session: Session, vm_id: int, disks: Sequence[PlacedDisk]) -> None:
        now = self.services.providers.utcnow()
        rows = [
            {
                "uuid": self.services.providers.ids.uuid(),
                "name": f"DATA-{vm_id}-{placed.disk.diskId}" if device_id else f"ROOT-{vm_id}",
                "volume_type": "DATADISK" if device_id else "ROOT",
                "state": "Ready",
                "account_id": self.plan.owner.account_id,
                "domain_id": self.plan.owner.domain_id,
                "zone_id": self.plan.zone_id,
                "pool_id": placed.pool.id,
                "vm_id": vm_id,
                "disk_offering_id": placed.offering.id if placed.offering else None,
                "template_id": None if device_id else self.plan.template_id,
                "device_id": device_id,
                "size_bytes": placed.size_bytes,
                "path": placed.disk.fileBaseName,
                "format": "QCOW2",
                "provisioning_type": placed.offering.provisioning_type if placed.offering else "thin",
                "min_iops": None if device_id else self._iops("miniops"),
                "max_iops": None if device_id else self._iops("maxiops"),
                "created": now,
                "attached": now,
            }
            for device_id, placed in enumerate(disks)
        ]
        add_rows(session, Volume, rows)

    def _iops(self, key: str) -> int | None:
        text = self.plan.details.get(key)
        if text is None:
            return None
        number = whole_number(text, MAX_LONG)
        if number is None:
            raise CloudRuntimeError(f'For input string: "{text}"', row="3.8-7")  # Long.parseLong's words
        return number

    # NICs ---------------------------------------------------------------------------------------------------------

    def add_nics(self, session: Session, vm_id: int, nics: Sequence[PlacedNic]) -> None:
        """Write the NICs, each with its address and a MAC address that nobody in its network has."""
        for device_id, (nic, network, asked) in enumerate(nics):
            address = self._choose_address(session, network, asked)
            vlan_uri = f"vlan://{network.vlan}" if network.vlan else None
            values = {
                "uuid": self.services.providers.ids.uuid(),
                "vm_id": vm_id,
                "network_id": network.id,
                "device_id": device_id,
                "mac_address": self._choose_mac(session, network, nic),
                "is_default": device_id == 0,
                "ip4_address": address,
                "gateway": network.gateway if address else None,
                "netmask": network.netmask if address else None,
                "broadcast_uri": vlan_uri,
                "isolation_uri": vlan_uri,
                "state": "Reserved",
                "strategy": "Start",
                "reservation_id": self.services.providers.ids.uuid(),
                "created": self.services.providers.utcnow(),
            }
            add_row(session, Nic, values)  # one by one: the next NIC must see this one's address and MAC

    def _choose_address(self, session: Session, network: NetworkFacts, asked: str | None) -> str | None:
        if network.guest_type == "L2" or not asked:
            return None
        if asked == AUTO_ADDRESS:
            free = next_free(session, network)
            if free is None:
                raise CloudRuntimeError(
                    f"Cannot find a free IP to assign to VM NIC on network {network.name}", row="3.8-8"
                )
            return free
        if not is_free(session, network, asked):
            raise CloudRuntimeError(f"Unable to acquire Guest IP  address for network {network.shown}", row="3.8-8")
        return asked

    def _choose_mac(self, session: Session, network: NetworkFacts, nic: GuestNic) -> str:
        mac = (nic.mac_address or "").strip()
        if not mac:
            raise CloudRuntimeError("Mac address not specified", row="3.8-8")
        if not _MAC.fullmatch(mac):
            raise CloudRuntimeError(f"Invalid mac address: {mac}", row="3.8-8")
        if not mac_is_used(session, network.id, mac):
            return mac
        if not self.nic_rules.forced:
            raise CloudRuntimeError(
                f"NIC with MAC address {mac} exists on network {network.shown} and forced flag is disabled",
                row="3.8-8",
            )
        return self.new_mac(session, network)

    def new_mac(self, session: Session, network: NetworkFacts) -> str:
        """A MAC address of CloudStack's own range that is free in `network`."""
        while True:
            number = self.services.providers.random.getrandbits(24)
            mac = f"02:01:00:{number >> 16:02x}:{number >> 8 & 0xFF:02x}:{number & 0xFF:02x}"
            if not mac_is_used(session, network.id, mac):
                return mac

    # Usage, and the way back ----------------------------------------------------------------------------------------

    def _publish_usage(self, session: Session, vm_id: int, size: Size) -> None:
        try:
            self.add_vm_usage(session, vm_id, size)
            self._add_volume_usage(session, vm_id)
            self.add_nic_usage(session, vm_id)
        except CloudError as error:
            instance_name = session.scalar(select(VmInstance.instance_name).where(VmInstance.id == vm_id))
            raise ServerApiError(
                INTERNAL_ERROR,
                f"VM import failed for unmanaged vm {instance_name} during publishing usage records",
                row="3.8-9",
            ) from error

    def add_vm_usage(self, session: Session, vm_id: int, size: Size, type_: str = "VM.CREATE") -> None:
        """Record VM.CREATE, or VM.START for a VM that runs."""
        account_id, zone_id = self.plan.owner.account_id, self.plan.zone_id
        vm = find_row(session, VmInstance, vm_id, "name")
        is_wrong = self.plan.offering.is_dynamic and self.services.quirks.is_faithful(USAGE_ZONE_OF_ACCOUNT)
        values = {
            "type": type_,
            "account_id": account_id,
            # upstream passes the account id here (import-vm 7, no. 8)
            "zone_id": account_id if is_wrong else zone_id,
            "resource_id": vm_id,
            "resource_name": vm.name if vm else None,
            "offering_id": self.plan.offering.id,
            "template_id": self.plan.template_id,
            "details": dict(size.details),
            "created": self.services.providers.utcnow(),
        }
        add_rows(session, UsageEvent, [values])

    def _add_volume_usage(self, session: Session, vm_id: int) -> None:
        rows = [
            {
                "type": "VOLUME.CREATE",
                "account_id": self.plan.owner.account_id,
                "zone_id": self.plan.zone_id,
                "resource_id": volume.id,
                "resource_name": volume.name,
                "offering_id": volume.disk_offering_id,
                "size_bytes": volume.size_bytes,
                "created": self.services.providers.utcnow(),
            }
            for volume in run(session, _volumes(), {"vm": vm_id})
        ]
        add_rows(session, UsageEvent, rows)

    def add_nic_usage(self, session: Session, vm_id: int) -> None:
        """Record NETWORK.OFFERING.ASSIGN for every NIC."""
        rows = [
            {
                "type": "NETWORK.OFFERING.ASSIGN",
                "account_id": self.plan.owner.account_id,
                "zone_id": self.plan.zone_id,
                "resource_id": vm_id,
                "resource_name": str(nic.id),
                "offering_id": nic.network_offering_id,
                "size_bytes": 1,
                "created": self.services.providers.utcnow(),
            }
            for nic in run(session, _nics(), {"vm": vm_id})
        ]
        add_rows(session, UsageEvent, rows)

    def _remove(self, vm_id: int) -> None:
        with self.services.store.session() as session:
            for model in (Nic, Volume, VmDetail):
                session.execute(delete(model).where(model.vm_id == vm_id))
            session.execute(delete(VmInstance).where(VmInstance.id == vm_id))


@cache
def _volumes() -> Select[Any]:
    volume = table_of(Volume).c
    shown = (volume.id, volume.name, volume.disk_offering_id, volume.size_bytes)
    return select(*shown).where(volume.vm_id == bindparam("vm")).order_by(volume.device_id)


@cache
def _nics() -> Select[Any]:
    nic, network = table_of(Nic), table_of(Network)
    both = nic.join(network, network.c.id == nic.c.network_id)
    shown = select(nic.c.id, network.c.network_offering_id).select_from(both)
    return shown.where(nic.c.vm_id == bindparam("vm")).order_by(nic.c.device_id)


@contextmanager
def _stage(failure: str) -> Iterator[None]:
    try:
        yield
    except CloudError as error:
        raise ServerApiError(INTERNAL_ERROR, f"{failure} {error.text}", row=error.row or "3.8") from error


# What stands in docs/import-rules.md: when each row holds, and what it gives where it refuses nothing.
RULES: Mapping[str, str] = {
    "3.8-5": "a limit of volumes or of primary storage would be passed",
    "3.8-7": "miniops or maxiops of the details is no number",
    "3.8-8": "a NIC has no usable MAC address, or its network has no address left for it",
    "3.8-9": "the usage record of the VM cannot be written",
}
