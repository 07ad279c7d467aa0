"""What the server does inside one vCenter session: look up, list, clone, export, destroy."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from mgmt.vmware.collector import Collector, Found, again, below, filter_of, start_at, step
from mgmt.vmware.devices import (
    PortVlan,
    datastores_of,
    port_vlan_of,
    read_disks,
    read_nics,
    thin_locators,
)
from mgmt.vmware.errors import (
    CloneError,
    DatacenterNotFoundError,
    HostNotFoundError,
    VcenterError,
    VcenterFaultError,
    VmNotFoundError,
)
from mgmt.vmware.export import Export, ExportRules
from mgmt.vmware.link import VcenterLink
from mgmt.vmware.reading import FULL_PATHS, THIN_PATHS, full_record, thin_record
from mgmt.vmware.records import POWER_OFF, POWER_ON, SourceHost, SourceVm
from mgmt.vmware.sdk import moref, vim

log = logging.getLogger(__name__)

INTERNAL_NAME_FIELD = "cloud.vm.internal.name"
ZONE_FIELD = "cloud.zone"
HOST_PATHS = ("name", "parent", "config.product.version")
# HostMO.isUserVMInternalCSName: only user VMs go by their internal name, not system VMs.
_USER_VM_INTERNAL_NAME = re.compile(r"i-[0-9]+-[0-9]+-")


class VcenterSession:
    """One logged-in session for one datacenter; made by `VcenterConnector.connect`. All but `cancel` is for one thread.

    Every method may raise VcenterError: unreachable, refused, `Unable to find VMware datacenter ...`.
    """

    def __init__(self, link: VcenterLink, vcenter: str, datacenter: str, *, max_wait_s: int) -> None:
        self.vcenter = vcenter
        self.datacenter = datacenter
        self._link = link
        self._collector = Collector(link, max_wait_s=max_wait_s)

    def cancel(self) -> None:
        """End the clone or the export that the session's thread is in: it raises VcenterError, or is done first."""
        self._link.cancellation.cancel()

    # Looking up ---------------------------------------------------------------------------------------------------

    @cached_property
    def _entry(self) -> list[Found]:
        """The datacenters and the custom fields: what nearly every look-up begins with, in one call."""
        root, fields = self._link.content.rootFolder, self._link.content.customFieldsManager
        key = ("entry", moref(root), None if fields is None else moref(fields))
        return self._collector.retrieve(key, lambda: _entry_filters(root, fields))

    @cached_property
    def _datacenter(self) -> Any:
        wanted = self.datacenter.lower()
        for found in self._entry:
            if isinstance(found.reference, vim.Datacenter) and str(found.get("name")).lower() == wanted:
                return found.reference
        raise DatacenterNotFoundError(self.datacenter, self.vcenter)

    def check_datacenter(self) -> None:
        """Return when the datacenter is there (its name compared ignoring case); raises DatacenterNotFoundError."""
        self._datacenter  # noqa: B018 - the look-up is the check

    def is_managed_elsewhere(self) -> bool:
        """True when the datacenter carries CloudStack's mark `cloud.zone=true`: some deployment has it in a zone."""
        key = self._custom_field_key(ZONE_FIELD, vim.Datacenter)
        if key is None:
            return False
        (found,) = self._collector.read([self._datacenter], vim.Datacenter, [f"value[{key}]"])
        return _custom_text(found, key).lower() == "true"

    def _custom_field_key(self, name: str, kind: Any) -> int | None:
        if self._link.content.customFieldsManager is None:
            return None
        for found in self._entry:
            for definition in found.get("field", ()):
                if definition.name == name and definition.managedObjectType in (None, kind):
                    return int(definition.key)
        return None

    @cached_property
    def _internal_name_key(self) -> int | None:
        return self._custom_field_key(INTERNAL_NAME_FIELD, vim.VirtualMachine)

    def _name_paths(self) -> list[str]:
        key = self._internal_name_key
        return ["name"] if key is None else ["name", f"value[{key}]"]

    def _internal_name(self, found: Found) -> str:
        key = self._internal_name_key
        return "" if key is None else _custom_text(found, key)

    def _walk_vms(self, paths: Sequence[str]) -> list[Found]:
        return self._collector.walk(self._datacenter, vim.VirtualMachine, paths, _to_vms)

    def _find_reference(self, name: str) -> Any | None:
        wanted = name.lower()
        for found in self._walk_vms(self._name_paths()):
            if wanted in (str(found.get("name")).lower(), self._internal_name(found).lower()):
                return found.reference
        return None

    # Listing ------------------------------------------------------------------------------------------------------

    def list_vms(self, keyword: str | None = None) -> list[SourceVm]:
        """The VMs in the datacenter's folders as thin records, by name; templates and VMs in vApps are not listed.

        `keyword` is a case-sensitive part of the name (upstream: DatacenterMO.getAllVmsOnDatacenter).
        """
        shown = [
            found
            for found in self._walk_vms(THIN_PATHS)
            if found.get("config.template") is not True and (not keyword or keyword in str(found.get("name", "")))
        ]
        hosts = self._hosts(found.get("runtime.host") for found in shown)
        return sorted((thin_record(found, hosts) for found in shown), key=lambda vm: vm.name or "")

    def list_hosts(self) -> list[SourceHost]:
        """The ESXi hosts of the datacenter, by name."""
        found = self._walk_hosts(["name"])
        return sorted(self._hosts(host.reference for host in found).values(), key=lambda host: host.name)

    def _walk_hosts(self, paths: Sequence[str]) -> list[Found]:
        return self._collector.walk(self._datacenter, vim.HostSystem, paths, _to_hosts)

    def _hosts(self, references: Iterable[Any]) -> dict[str, SourceHost]:
        """Records of the given hosts (None among them is skipped) by moref, each with its cluster."""
        wanted = {moref(reference): reference for reference in references if reference is not None}
        key = ("hosts", tuple(wanted))
        found = self._collector.retrieve(key, lambda: _host_filters(wanted.values())) if wanted else []
        around = {moref(entry.reference): entry for entry in found}
        return {key: _host_record(around[key], around) for key in wanted if key in around}

    def vm_on_host(self, hostname: str, instancename: str) -> SourceVm:
        """The full record of a VM on an ESXi host, both by exact name; raises HostNotFoundError.

        A user VM of CloudStack goes by its internal name. For an unknown VM a record that says nothing comes back, as
        upstream catches the null reference.
        """
        host = next((found for found in self._walk_hosts(["name"]) if found.get("name") == hostname), None)
        if host is None:
            raise HostNotFoundError(hostname, self.vcenter)
        vms = self._collector.walk(host.reference, vim.VirtualMachine, self._name_paths(), _to_vms_of_host)
        for found in vms:
            internal = self._internal_name(found)
            known_as = internal if _USER_VM_INTERNAL_NAME.match(internal) else found.get("name")
            if known_as == instancename:
                return self._full_record(found.reference, internal_cs_name=internal or None)
        log.warning("host %s of vCenter %s has no VM %s", hostname, self.vcenter, instancename)
        return SourceVm()

    def find_vm(self, name: str) -> SourceVm | None:
        """The full record of the first VM whose name or `cloud.vm.internal.name` is `name` ignoring case, or None."""
        reference = self._find_reference(name)
        return None if reference is None else self._full_record(reference)

    def vm_record(self, ref: str) -> SourceVm:
        """The full record of the VM with moref `ref`, such as `vm-42`; raises VcenterFaultError when it is gone."""
        return self._full_record(self._vm(ref))

    def _vm(self, ref: str) -> Any:
        return vim.VirtualMachine(ref, self._link.stub)

    # The full record ----------------------------------------------------------------------------------------------

    def _properties(self, reference: Any, kind: Any, paths: Sequence[str]) -> Found:
        found = self._collector.read([reference], kind, paths)
        if not found:
            raise VcenterFaultError(f"The object {moref(reference)} is gone", "ManagedObjectNotFound")
        return found[0]

    def _full_record(self, reference: Any, internal_cs_name: str | None = None) -> SourceVm:
        key = ("vm with surroundings", moref(reference))
        read = self._collector.retrieve(key, lambda: [_vm_with_surroundings(reference)])
        around = {moref(found.reference): found for found in read}
        vm = around.get(moref(reference))
        if vm is None:
            raise VcenterFaultError(f"The object {moref(reference)} is gone", "ManagedObjectNotFound")
        host_reference = vm.get("runtime.host")
        host = around.get(moref(host_reference)) if host_reference is not None else None
        devices = vm.get("config.hardware.device", ())
        tools_ok = str(vm.get("guest.toolsStatus")) == "toolsOk"
        return full_record(
            vm,
            host=None if host is None else _host_record(host, around),
            path=_folder_path(vm, around),
            internal_cs_name=internal_cs_name,
            disks=read_disks(
                devices,
                {
                    moref(store): around[moref(store)].get("info")
                    for store in datastores_of(devices)
                    if moref(store) in around
                },
            ),
            nics=read_nics(
                devices,
                guest_nics=vm.get("guest.net", ()) if tools_ok else (),
                portgroup_vlans=_portgroup_vlans(host),
                port_vlan=self._port_vlan,
            ),
        )

    def _port_vlan(self, switch_uuid: str, portgroup_key: str, port_key: str | None) -> PortVlan:
        manager = self._link.content.dvSwitchManager
        if manager is None:
            raise VcenterError("This vCenter has no distributed switches")
        switch = self._link.call(manager.QueryDvsByUuid, switch_uuid)
        if switch is None:
            raise VcenterError(f"There is no distributed switch {switch_uuid}")
        criteria = vim.dvs.PortCriteria(inside=True, portgroupKey=[portgroup_key])
        ports = self._link.call(switch.FetchDVPorts, criteria) or ()
        port = next((port for port in ports if port.key == port_key), None)
        setting = getattr(getattr(port, "config", None), "setting", None)
        spec = getattr(setting, "vlan", None)
        if not isinstance(spec, vim.dvs.VmwareDistributedVirtualSwitch.PvlanSpec):
            return port_vlan_of(spec, ())
        config = self._properties(switch, vim.DistributedVirtualSwitch, ["config"]).get("config")
        return port_vlan_of(spec, getattr(config, "pvlanConfig", None) or ())

    # Cloning ------------------------------------------------------------------------------------------------------

    def clone_vm(self, vm: SourceVm, clone_name: str) -> SourceVm:
        """Make a full, powered-off, thin clone in the datacenter's root VM folder and return its full record.

        Disk ids are the source's, index by index; `clone_source_power_state` says whether the source runs. Raises
        CloneError with CloudStack's text, or VcenterTaskError with the reason of vCenter (VMwareGuru.createVMClone).
        """
        assert vm.moref is not None, "a clone is made of a VM that was found"
        source = self._properties(
            self._vm(vm.moref), vim.VirtualMachine, ["datastore", "runtime.host", "config.hardware.device"]
        )
        datastores = source.get("datastore", ())
        if not datastores:
            raise CloneError(f"Unable to fetch datastores, could not clone VM {vm.name} for migration from VMware")
        source_host = source.get("runtime.host")
        if source_host is None:
            raise VcenterError(f"VM {vm.name} is on no host")
        spec = self._clone_spec(vm, source, datastores[0])
        folder = self._properties(self._datacenter, vim.Datacenter, ["vmFolder"]).get("vmFolder")
        task = self._link.call(source.reference.CloneVM_Task, folder, clone_name, spec)
        self._collector.wait_for_task(task)
        clone = self._find_reference(clone_name)
        if clone is None:
            raise CloneError(f"Could not clone VM {vm.name} before migration from VMware")
        self._move_to_host(clone, clone_name, source_host, vm.host_name)
        record = self._full_record(clone)
        disks = tuple(
            replace(disk, disk_id=of_source.disk_id) for disk, of_source in zip(record.disks, vm.disks, strict=False)
        )
        return replace(
            record,
            disks=disks + record.disks[len(disks) :],
            clone_source_power_state=POWER_ON if vm.power_state == POWER_ON else POWER_OFF,
        )

    def _clone_spec(self, vm: SourceVm, source: Found, datastore: Any) -> Any:
        host = self._properties(source.get("runtime.host"), vim.HostSystem, ["parent"])
        compute = self._properties(host.get("parent"), vim.ComputeResource, ["resourcePool"])
        try:
            locators = thin_locators(source.get("config.hardware.device", ()), datastore)
        except ValueError as disk:
            raise VcenterError(f"disk {disk} of VM {vm.name} is no flat disk and cannot be cloned") from None
        placement = vim.vm.RelocateSpec(datastore=datastore, pool=compute.get("resourcePool"), disk=locators)
        return vim.vm.CloneSpec(location=placement, powerOn=False, template=False)

    def _move_to_host(self, clone: Any, clone_name: str, host: Any, host_name: str | None) -> None:
        placed = self._properties(clone, vim.VirtualMachine, ["runtime.host"]).get("runtime.host")
        if placed is not None and moref(placed) == moref(host):
            return
        try:
            task = self._link.call(clone.RelocateVM_Task, vim.vm.RelocateSpec(host=host))
            self._collector.wait_for_task(task)
        except VcenterError as error:
            log.warning("vCenter %s would not move clone %s: %s", self.vcenter, clone_name, error.text)
            raise CloneError(f"Cannot relocate cloned VM {clone_name} to the source host {host_name}") from error

    def destroy_vm(self, name: str) -> None:
        """Destroy the VM called `name` with its disks; raises VmNotFoundError, or VcenterTaskError with the reason."""
        reference = self._find_reference(name)
        if reference is None:
            raise VmNotFoundError(name, self.vcenter, self.datacenter)
        self._collector.wait_for_task(self._link.call(reference.Destroy_Task))

    # Exporting ----------------------------------------------------------------------------------------------------

    def export_vm(self, name: str, directory: Callable[[], Path], stem: str, rules: ExportRules) -> None:
        """Export the stopped VM called `name` into `directory()`, asked for once the VM is found, as `<stem>.ovf`.

        Raises VmNotFoundError, VcenterError with the reason, and what `directory` raises (VMwareGuru.
        createVMTemplateOutOfBand, VirtualMachineMO.exportVm).
        """
        reference = self._find_reference(name)
        if reference is None:
            raise VmNotFoundError(name, self.vcenter, self.datacenter, purpose="to create template file")
        target = directory()
        vm = self._properties(reference, vim.VirtualMachine, ["name", "runtime.powerState", "runtime.host"])
        host = vm.get("runtime.host")
        if host is None:
            raise VcenterError(f"VM {name} is on no host")
        if vm.get("runtime.powerState") != vim.VirtualMachine.PowerState.poweredOff:
            host_name = self._properties(host, vim.HostSystem, ["name"]).get("name")
            raise VcenterError(
                f"Unable to export VM because it is not at powerdOff state. vmName: {vm.get('name')}, host: {host_name}"
            )
        Export(self._link, self._collector, self.vcenter, rules).run(reference, host, target, stem)


def _entry_filters(root: Any, fields: Any) -> list[Any]:
    folders = step(vim.Folder, "childEntity", again("folders"), name="folders")
    filters = [filter_of([start_at(root, folders, skip=True)], {vim.Datacenter: ["name"]})]
    if fields is not None:
        filters.append(filter_of([start_at(fields)], {vim.CustomFieldsManager: ["field"]}))
    return filters


def _to_vms() -> Any:
    return below("vmFolder")


def _to_hosts() -> Any:
    return below("hostFolder", step(vim.ComputeResource, "host"))


def _to_vms_of_host() -> Any:
    return step(vim.HostSystem, "vm")


def _host_filters(hosts: Iterable[Any]) -> list[Any]:
    starts = [start_at(host, step(vim.HostSystem, "parent")) for host in hosts]
    return [filter_of(starts, {vim.HostSystem: HOST_PATHS, vim.ClusterComputeResource: ["name"]})]


def _vm_with_surroundings(reference: Any) -> Any:
    """The filter for a VM, its host with the cluster, its datastores, and the folders above it."""
    start = start_at(
        reference,
        step(vim.VirtualMachine, "runtime.host", step(vim.HostSystem, "parent")),
        step(vim.VirtualMachine, "datastore"),
        step(vim.ManagedEntity, "parent", again("up"), name="up"),
    )
    paths = {
        vim.VirtualMachine: FULL_PATHS,
        vim.HostSystem: [*HOST_PATHS, "config.network.portgroup"],
        vim.ClusterComputeResource: ["name"],
        vim.Datastore: ["info"],
        vim.Folder: ["name", "parent"],
    }
    return filter_of([start], paths)


def _host_record(host: Found, around: Mapping[str, Found]) -> SourceHost:
    parent = host.get("parent")
    cluster = around.get(moref(parent)) if isinstance(parent, vim.ClusterComputeResource) else None
    return SourceHost(
        name=str(host.get("name", "")),
        moref=moref(host.reference),
        cluster_name=None if cluster is None else cluster.get("name"),
        hypervisor_version=host.get("config.product.version"),
    )


def _folder_path(vm: Found, around: Mapping[str, Found]) -> str | None:
    names: list[str] = []
    parent = vm.get("parent")
    while isinstance(parent, vim.Folder) and (folder := around.get(moref(parent))) is not None:
        names.append(str(folder.get("name")))
        parent = folder.get("parent")
    return "/".join(reversed(names)) or None


def _portgroup_vlans(host: Found | None) -> dict[str, int]:
    groups = () if host is None else host.get("config.network.portgroup", ())
    return {group.spec.name: group.spec.vlanId for group in groups}


def _custom_text(found: Found, key: int) -> str:
    """The text of custom value `key`, "" when the object has none."""
    return str(getattr(found.get(f"value[{key}]"), "value", None) or "")
