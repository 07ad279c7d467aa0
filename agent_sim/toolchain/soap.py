"""The SOAP side of a look-up in vCenter, on pyVmomi. See `agent_sim.toolchain.vsphere` for what callers use."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any  # pyVmomi makes its classes at run time: its objects have no static types

from pyVmomi import SoapAdapter, vim, vmodl

from agent_sim.toolchain.source import SourceDisk, SourceMachine, SourceNic
from agent_sim.toolchain.vsphere import (
    LoginRefusedError,
    NotFoundError,
    VcenterFaultError,
    VcenterUnreachableError,
    split_address,
)

# An API version that every vCenter in use speaks; nothing newer is asked for.
_API_VERSION = "vim.version.version10"
_PAGE_SIZE = 200
_REQUEST_TIMEOUT_S = 10
_VM_PATHS = (
    "name",
    "config.hardware.device",
    "config.hardware.numCPU",
    "config.hardware.memoryMB",
    "config.firmware",
    "config.bootOptions",
    "config.guestFullName",
    "runtime.powerState",
    "runtime.host",
    "summary.storage",
)


class _Stub(SoapAdapter.SoapStubAdapter):
    """A SOAP stub that remembers its connections, so that they can be closed whatever happened."""

    def __init__(self, **arguments: Any) -> None:
        self.opened: list[http.client.HTTPConnection] = []
        super().__init__(**arguments)  # type: ignore[no-untyped-call]

    def GetConnection(self) -> Any:
        connection = super().GetConnection()  # type: ignore[no-untyped-call]
        if connection not in self.opened:
            self.opened.append(connection)
        return connection

    def close_all(self) -> None:
        for connection in self.opened:
            connection.close()


class SoapReader:
    """One login to one vCenter, for a look-up or two."""

    def __init__(self, vcenter: str, username: str, password: str) -> None:
        self._vcenter = vcenter
        self._username = username
        self._password = password
        self._stub: _Stub | None = None

    def __repr__(self) -> str:
        return f"SoapReader({self._vcenter!r}, {self._username!r})"

    def abort(self) -> None:
        """Close the sockets, so that a look-up that runs in another thread ends soon."""
        if self._stub is not None:
            for connection in self._stub.opened:
                if connection.sock is not None:
                    try:
                        connection.sock.shutdown(2)
                    except OSError:
                        continue  # already gone

    @contextmanager
    def _session(self) -> Iterator[Any]:
        host, port = split_address(self._vcenter)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        stub = _Stub(
            host=host,
            port=port,
            version=_API_VERSION,
            path="/sdk",
            sslContext=context,
            httpConnectionTimeout=_REQUEST_TIMEOUT_S,
        )
        self._stub = stub
        try:
            content = vim.ServiceInstance("ServiceInstance", stub).RetrieveContent()  # type: ignore[call-arg]
            content.sessionManager.Login(self._username, self._password, None)
            try:
                yield content
            finally:
                content.sessionManager.Logout()
        except vim.fault.InvalidLogin as fault:
            raise LoginRefusedError(fault.msg or "Login failure") from None
        except vmodl.MethodFault as fault:
            raise VcenterFaultError(f"{type(fault).__name__.rpartition('.')[2]}: {fault.msg}") from None
        except (OSError, http.client.HTTPException) as error:
            raise VcenterUnreachableError(f"Failed to connect to {host} port {port}: {error}") from None
        finally:
            stub.close_all()

    def find_on_host(self, datacenter: str, compute: str, host: str | None, vm_name: str) -> SourceMachine:
        """The VM of that exact name on one ESXi host, as `vpx://.../datacenter/compute[/host]` sees it.

        Raises NotFoundError and the other errors of this module.
        """
        with self._session() as content:
            found_dc = _by_name(content, content.rootFolder, vim.Datacenter, datacenter)
            if found_dc is None:
                raise NotFoundError("datacenter", datacenter)
            folder = _one(content, found_dc, ("hostFolder",))["hostFolder"]
            found_compute = _by_name(content, folder, vim.ComputeResource, compute)
            if found_compute is None:
                raise NotFoundError("compute resource", compute)
            hosts = _one(content, found_compute, ("host",)).get("host", [])
            system = next((found for name, found in _names(content, hosts) if host in (None, name)), None)
            if system is None:
                raise NotFoundError("host system", host or "")
            for name, machine in _names(content, _one(content, system, ("vm",)).get("vm", [])):
                if name == vm_name:
                    return _read_machine(content, machine)
            raise NotFoundError("vm", vm_name)

    def find_by_path(self, inventory_path: str) -> SourceMachine:
        """The VM at `datacenter/vm/folder/name`; raises NotFoundError and the other errors of this module."""
        with self._session() as content:
            machine = content.searchIndex.FindByInventoryPath(inventory_path)
            if not isinstance(machine, vim.VirtualMachine):
                raise NotFoundError("vm", inventory_path)
            return _read_machine(content, machine)


def _by_name(content: Any, container: Any, kind: Any, name: str) -> Any:
    """The managed object of `kind` below `container` with that name, None when there is none."""
    view = content.viewManager.CreateContainerView(container, [kind], True)
    try:
        traversal = vmodl.query.PropertyCollector.TraversalSpec(name="view", path="view", skip=False, type=type(view))
        spec = vmodl.query.PropertyCollector.FilterSpec(
            objectSet=[vmodl.query.PropertyCollector.ObjectSpec(obj=view, skip=True, selectSet=[traversal])],
            propSet=[vmodl.query.PropertyCollector.PropertySpec(type=kind, pathSet=["name"])],
        )
        for found in _retrieve(content, spec):
            if any(prop.name == "name" and prop.val == name for prop in found.propSet):
                return found.obj
        return None
    finally:
        view.DestroyView()


def _one(content: Any, entity: Any, paths: tuple[str, ...]) -> dict[str, Any]:
    """Properties of one object; a path that it does not have is left out."""
    spec = vmodl.query.PropertyCollector.FilterSpec(
        objectSet=[vmodl.query.PropertyCollector.ObjectSpec(obj=entity, skip=False)],
        propSet=[vmodl.query.PropertyCollector.PropertySpec(type=type(entity), pathSet=list(paths))],
    )
    return {prop.name: prop.val for found in _retrieve(content, spec) for prop in found.propSet}


def _names(content: Any, entities: list[Any]) -> list[tuple[str, Any]]:
    """Names of objects of one type, in one round trip for all."""
    if not entities:
        return []
    spec = vmodl.query.PropertyCollector.FilterSpec(
        objectSet=[vmodl.query.PropertyCollector.ObjectSpec(obj=entity, skip=False) for entity in entities],
        propSet=[vmodl.query.PropertyCollector.PropertySpec(type=type(entities[0]), pathSet=["name"])],
    )
    return [(prop.val, found.obj) for found in _retrieve(content, spec) for prop in found.propSet]


def _retrieve(content: Any, spec: Any) -> Iterator[Any]:
    collector = content.propertyCollector
    options = vmodl.query.PropertyCollector.RetrieveOptions(maxObjects=_PAGE_SIZE)
    result = collector.RetrievePropertiesEx([spec], options)
    while result is not None:
        yield from result.objects
        if not result.token:
            return
        result = collector.ContinueRetrievePropertiesEx(result.token)


def _read_machine(content: Any, machine: Any) -> SourceMachine:
    values = _one(content, machine, _VM_PATHS)
    devices = values.get("config.hardware.device") or []
    boot = values.get("config.bootOptions")
    host = values.get("runtime.host")
    return SourceMachine(
        name=values.get("name", ""),
        guest_os=values.get("config.guestFullName") or "",
        cpus=values.get("config.hardware.numCPU") or 1,
        memory_mb=values.get("config.hardware.memoryMB") or 1024,
        uefi=str(values.get("config.firmware", "")).lower() == "efi",
        secure_boot=bool(boot is not None and boot.efiSecureBootEnabled),
        disks=_disks(devices, values.get("summary.storage")),
        nics=tuple(_nic(device) for device in devices if isinstance(device, vim.vm.device.VirtualEthernetCard)),
        esxi_host=(_one(content, host, ("name",)).get("name") or "") if host is not None else "",
        powered_on=values.get("runtime.powerState") == "poweredOn",
    )


def _disks(devices: list[Any], storage: Any) -> tuple[SourceDisk, ...]:
    """The disks in label order; what they hold is the VM's committed space, shared out by size."""
    found = []
    for device in devices:
        if isinstance(device, vim.vm.device.VirtualDisk):
            label = device.deviceInfo.label if device.deviceInfo else f"disk-{device.key}"
            capacity = device.capacityInBytes or (device.capacityInKB or 0) * 1024
            digits = "".join(character for character in label if character.isdigit())
            found.append((int(digits or 0), label, int(capacity)))
    found.sort(key=lambda disk: disk[0])
    provisioned = sum(capacity for _, _, capacity in found)
    committed = int(storage.committed) if storage is not None and storage.committed else provisioned
    share = min(1.0, committed / provisioned) if provisioned else 0.0
    return tuple(SourceDisk(label, capacity, int(capacity * share)) for _, label, capacity in found)


def _nic(device: Any) -> SourceNic:
    backing = device.backing
    network = getattr(backing, "deviceName", None) or (device.deviceInfo.summary if device.deviceInfo else None)
    return SourceNic(network, device.macAddress)
