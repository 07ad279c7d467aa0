"""The SOAP side of a look-up in vCenter. See `agent_sim.toolchain.vsphere` for what callers use.

Like libvirt's esx driver this writes the few calls it needs as text and picks what it needs from the answers: a
general client would read the whole type system of vSphere first.
"""

from __future__ import annotations

import http.client
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from xml.etree import ElementTree
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape, quoteattr

from agent_sim.toolchain.source import SourceDisk, SourceMachine, SourceNic
from agent_sim.toolchain.vsphere import (
    LoginRefusedError,
    NotFoundError,
    VcenterFaultError,
    VcenterUnreachableError,
    split_address,
)
from mgmt.protocol.https import HttpsConnection, unverified_context

# An API version that every vCenter in use speaks; nothing newer is asked for.
_ACTION = '"urn:vim25/6.0"'
_PAGE_SIZE = 200
_REQUEST_TIMEOUT_S = 60.0
_VIM = "{urn:vim25}"
_SOAP = "{http://schemas.xmlsoap.org/soap/envelope/}"
_XSI_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"'
    ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema"><soapenv:Body>'
)
_TAIL = "</soapenv:Body></soapenv:Envelope>"
_NIC_TYPES = frozenset(
    {
        "VirtualEthernetCard",
        "VirtualE1000",
        "VirtualE1000e",
        "VirtualPCNet32",
        "VirtualSriovEthernetCard",
        "VirtualVmxnet",
        "VirtualVmxnet2",
        "VirtualVmxnet3",
        "VirtualVmxnet3Vrdma",
    }
)
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
# From the root folder down to the ESXi hosts, through all folders, datacenters and compute resources.
_DOWN_TO_HOSTS = (
    '<selectSet xsi:type="TraversalSpec"><name>folders</name><type>Folder</type><path>childEntity</path>'
    "<skip>false</skip><selectSet><name>folders</name></selectSet>"
    '<selectSet xsi:type="TraversalSpec"><name>datacenters</name><type>Datacenter</type><path>hostFolder</path>'
    "<skip>false</skip><selectSet><name>folders</name></selectSet></selectSet>"
    '<selectSet xsi:type="TraversalSpec"><name>hosts</name><type>ComputeResource</type><path>host</path>'
    "<skip>false</skip></selectSet></selectSet>"
)
_VMS = '<selectSet xsi:type="TraversalSpec"><type>HostSystem</type><path>vm</path><skip>false</skip></selectSet>'


@dataclass(frozen=True)
class _Reference:
    """A managed object reference."""

    type: str
    moid: str

    @classmethod
    def of(cls, element: Element | None) -> _Reference | None:
        return None if element is None else cls(element.get("type", ""), element.text or "")

    def xml(self, tag: str) -> str:
        return f"<{tag} type={quoteattr(self.type)}>{escape(self.moid)}</{tag}>"


@dataclass(frozen=True)
class _Found:
    """An object of a property collector's answer with the properties that it has."""

    reference: _Reference
    values: Mapping[str, Element]

    def text(self, path: str) -> str | None:
        value = self.values.get(path)
        return None if value is None else value.text

    def link(self, path: str) -> _Reference | None:
        return _Reference.of(self.values.get(path))


class _Client:
    """Calls over one connection; faults and failures are raised as errors of `vsphere`."""

    def __init__(self, host: str, port: int) -> None:
        self._where = f"{host} port {port}"
        self.connection = HttpsConnection(host.strip("[]"), port, unverified_context(), _REQUEST_TIMEOUT_S)
        self._cookie = ""
        self._collector: _Reference | None = None

    def call(self, method: str, this: _Reference, arguments: str = "") -> Element:
        """The response element of `method`."""
        body = f'{_HEAD}<{method} xmlns="urn:vim25">{this.xml("_this")}{arguments}</{method}>{_TAIL}'
        headers = {"SOAPAction": _ACTION, "Content-Type": "text/xml; charset=UTF-8", "User-Agent": "libvirt-esx"}
        if self._cookie:
            headers["Cookie"] = self._cookie
        try:
            answer = self.connection.exchange("POST", "/sdk", headers, body.encode())
            if answer.status not in (200, 500):
                raise http.client.HTTPException(f"{answer.status} {answer.reason}")
            content = _first_child(ElementTree.fromstring(answer.body).find(f"{_SOAP}Body"))
        except (OSError, http.client.HTTPException) as error:
            raise VcenterUnreachableError(f"Failed to connect to {self._where}: {error or 'timed out'}") from None
        except ElementTree.ParseError:
            content = None
        self._cookie = answer.headers.get("set-cookie", self._cookie).partition(";")[0]
        if content is None:
            raise VcenterUnreachableError(f"Failed to connect to {self._where}: the answer is no vSphere SOAP")
        if content.tag == f"{_SOAP}Fault":
            raise _fault(content)
        return content

    def login(self, username: str, password: str) -> _Reference:
        """Open a session; returns the service content's element."""
        content = self.call("RetrieveServiceContent", _Reference("ServiceInstance", "ServiceInstance"))
        self.content = content.find(f"{_VIM}returnval")
        self._collector = self.of_content("propertyCollector")
        credentials = f"<userName>{escape(username)}</userName><password>{escape(password)}</password>"
        self.call("Login", self.of_content("sessionManager"), credentials)
        return self.of_content("rootFolder")

    def of_content(self, name: str) -> _Reference:
        """The object that the service content names so."""
        found = _Reference.of(self.content.find(f"{_VIM}{name}")) if self.content is not None else None
        if found is None:
            raise VcenterUnreachableError(f"Failed to connect to {self._where}: the answer is no vSphere SOAP")
        return found

    def retrieve(
        self, start: _Reference, properties: Mapping[str, Iterable[str]], onward: str = "", *, skip: bool = False
    ) -> Iterator[_Found]:
        """The properties, by type, of `start` and what `onward` leads to."""
        assert self._collector is not None
        wanted = "".join(
            f"<propSet><type>{kind}</type>{''.join(f'<pathSet>{path}</pathSet>' for path in paths)}</propSet>"
            for kind, paths in properties.items()
        )
        spec = f"{wanted}<objectSet>{start.xml('obj')}<skip>{str(skip).lower()}</skip>{onward}</objectSet>"
        page = self.call(
            "RetrievePropertiesEx",
            self._collector,
            f"<specSet>{spec}</specSet><options><maxObjects>{_PAGE_SIZE}</maxObjects></options>",
        ).find(f"{_VIM}returnval")
        while page is not None:
            for found in page.iterfind(f"{_VIM}objects"):
                reference = _Reference.of(found.find(f"{_VIM}obj"))
                if reference is not None:
                    yield _Found(reference, dict(_properties(found)))
            token = page.findtext(f"{_VIM}token")
            if not token:
                return
            page = self.call("ContinueRetrievePropertiesEx", self._collector, f"<token>{escape(token)}</token>").find(
                f"{_VIM}returnval"
            )


def _properties(found: Element) -> Iterator[tuple[str, Element]]:
    for entry in found.iterfind(f"{_VIM}propSet"):
        value = entry.find(f"{_VIM}val")
        if value is not None:
            yield entry.findtext(f"{_VIM}name", ""), value


def _first_child(element: Element | None) -> Element | None:
    return None if element is None else next(iter(element), None)


def _type_of(element: Element) -> str:
    return element.get(_XSI_TYPE, "").rpartition(":")[2]


def _fault(fault: Element) -> Exception:
    text = fault.findtext("faultstring") or ""
    detail = _first_child(fault.find("detail"))
    if detail is None:
        return VcenterFaultError(text)
    name = _type_of(detail) or detail.tag.rpartition("}")[2].removesuffix("Fault")
    return (
        LoginRefusedError(text or "Login failure") if name == "InvalidLogin" else VcenterFaultError(f"{name}: {text}")
    )


class SoapReader:
    """One login to one vCenter, for a look-up or two."""

    def __init__(self, vcenter: str, username: str, password: str) -> None:
        self._vcenter = vcenter
        self._username = username
        self._password = password
        self._client: _Client | None = None
        self._certificate: bytes | None = None

    def __repr__(self) -> str:
        return f"SoapReader({self._vcenter!r}, {self._username!r})"

    @property
    def certificate_der(self) -> bytes:
        """The certificate that vCenter showed in the last look-up; empty before one."""
        return self._certificate or b""

    def abort(self) -> None:
        """Close the sockets, so that a look-up that runs in another thread ends soon."""
        if self._client is not None:
            self._client.connection.abort()

    @contextmanager
    def _session(self) -> Iterator[tuple[_Client, _Reference]]:
        client = self._client = _Client(*split_address(self._vcenter))
        try:
            root = client.login(self._username, self._password)
            self._certificate = client.connection.certificate_der
            try:
                yield client, root
            finally:
                if client.connection.is_open:
                    client.call("Logout", client.of_content("sessionManager"))
        finally:
            client.connection.close()

    def find_on_host(self, datacenter: str, compute: str, host: str | None, vm_name: str) -> SourceMachine:
        """The VM of that exact name on one ESXi host, as `vpx://.../datacenter/compute[/host]` sees it.

        Raises NotFoundError and the other errors of this module.
        """
        with self._session() as (client, root):
            system = _find_host(client, root, datacenter, compute, host)
            for machine in client.retrieve(system.reference, {"VirtualMachine": ("name",)}, _VMS, skip=True):
                if machine.text("name") == vm_name:
                    return _read_machine(client, machine.reference, {system.reference: system.text("name") or ""})
            raise NotFoundError("vm", vm_name)

    def find_by_path(self, inventory_path: str) -> SourceMachine:
        """The VM at `datacenter/vm/folder/name`, to export it; raises NotFoundError and the other errors here."""
        with self._session() as (client, _):
            path = f"<inventoryPath>{escape(inventory_path)}</inventoryPath>"
            answer = client.call("FindByInventoryPath", client.of_content("searchIndex"), path)
            machine = _Reference.of(answer.find(f"{_VIM}returnval"))
            if machine is None or machine.type != "VirtualMachine":
                raise NotFoundError("vm", inventory_path)
            found = _read_machine(client, machine, {})
            return replace(found, lost_iso=_lost_iso(client, machine, found)) if found.isos else found


def _find_host(client: _Client, root: _Reference, datacenter: str, compute: str, host: str | None) -> _Found:
    """The ESXi host, all objects above it read in one call; raises NotFoundError for the first part that is missing."""
    properties = {
        "Folder": ("parent",),
        "Datacenter": ("name",),
        "ComputeResource": ("name", "parent", "host"),
        "HostSystem": ("name",),
    }
    found = {entry.reference: entry for entry in client.retrieve(root, properties, _DOWN_TO_HOSTS)}
    wanted = next((e for r, e in found.items() if r.type == "Datacenter" and e.text("name") == datacenter), None)
    if wanted is None:
        raise NotFoundError("datacenter", datacenter)

    def is_inside(entry: _Found | None) -> bool:
        while entry is not None and entry is not wanted:
            parent = entry.link("parent")
            entry = found.get(parent) if parent is not None else None
        return entry is wanted

    resource = next(
        (e for r, e in found.items() if "host" in e.values and e.text("name") == compute and is_inside(e)), None
    )
    if resource is None:
        raise NotFoundError("compute resource", compute)
    for element in resource.values["host"]:
        reference = _Reference.of(element)
        system = found.get(reference) if reference is not None else None
        if system is not None and host in (None, system.text("name")):
            return system
    raise NotFoundError("host system", host or "")


def _read_machine(client: _Client, machine: _Reference, host_names: Mapping[_Reference, str]) -> SourceMachine:
    """The machine; `host_names` are the names of hosts known already."""
    found = next(client.retrieve(machine, {"VirtualMachine": _VM_PATHS}), None)
    if found is None:
        raise NotFoundError("vm", machine.moid)
    devices = list(found.values.get("config.hardware.device", ()))
    boot, host = found.values.get("config.bootOptions"), found.link("runtime.host")
    esxi_host = host_names.get(host) if host is not None else ""
    if esxi_host is None and host is not None:
        esxi_host = next((entry.text("name") for entry in client.retrieve(host, {"HostSystem": ("name",)})), None)
    return SourceMachine(
        name=found.text("name") or "",
        guest_os=found.text("config.guestFullName") or "",
        cpus=int(found.text("config.hardware.numCPU") or 1),
        memory_mb=int(found.text("config.hardware.memoryMB") or 1024),
        uefi=(found.text("config.firmware") or "").lower() == "efi",
        secure_boot=boot is not None and boot.findtext(f"{_VIM}efiSecureBootEnabled") in ("true", "1"),
        disks=_disks(devices, found.values.get("summary.storage")),
        nics=tuple(_nic(device) for device in devices if _type_of(device) in _NIC_TYPES),
        esxi_host=esxi_host or "",
        powered_on=found.text("runtime.powerState") == "poweredOn",
        isos=tuple(_isos(devices)),
    )


def _lost_iso(client: _Client, machine: _Reference, found: SourceMachine) -> str | None:
    """The image in one of its drives that is no longer there: vCenter gives no lease on such a VM."""
    try:
        lease = _Reference.of(client.call("ExportVm", machine).find(f"{_VIM}returnval"))
    except VcenterFaultError as error:
        return next((iso for iso in found.isos if iso.partition("] ")[2] in str(error)), None)
    if lease is not None:
        client.call("HttpNfcLeaseAbort", lease)
    return None


def _isos(devices: list[Element]) -> Iterator[str]:
    for device in devices:
        backing = device.find(f"{_VIM}backing")
        if _type_of(device) == "VirtualCdrom" and backing is not None and "IsoBacking" in _type_of(backing):
            yield backing.findtext(f"{_VIM}fileName") or ""


def _disks(devices: list[Element], storage: Element | None) -> tuple[SourceDisk, ...]:
    """The disks in label order; what they hold is the VM's committed space, shared out by size."""
    found = []
    for device in devices:
        if _type_of(device) == "VirtualDisk":
            key = device.findtext(f"{_VIM}key")
            label = device.findtext(f"{_VIM}deviceInfo/{_VIM}label") or f"disk-{key}"
            in_kb = int(device.findtext(f"{_VIM}capacityInKB") or 0)
            capacity = int(device.findtext(f"{_VIM}capacityInBytes") or 0) or in_kb * 1024
            digits = "".join(character for character in label if character.isdigit())
            file = device.findtext(f"{_VIM}backing/{_VIM}fileName") or ""
            found.append((int(digits or 0), label, capacity, file))
    found.sort(key=lambda disk: disk[0])
    provisioned = sum(disk[2] for disk in found)
    committed = int((storage.findtext(f"{_VIM}committed") if storage is not None else None) or 0) or provisioned
    share = min(1.0, committed / provisioned) if provisioned else 0.0
    return tuple(SourceDisk(label, capacity, int(capacity * share), file) for _, label, capacity, file in found)


def _nic(device: Element) -> SourceNic:
    network = device.findtext(f"{_VIM}backing/{_VIM}deviceName") or device.findtext(f"{_VIM}deviceInfo/{_VIM}summary")
    return SourceNic(network, device.findtext(f"{_VIM}macAddress"))
