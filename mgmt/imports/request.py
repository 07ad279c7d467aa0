"""importVm's parameters as one record, and the parsers of its maps.

The parsers run inside the job, so their errors end the job and not the call. Upstream:
api/.../command/admin/vm/ImportUnmanagedInstanceCmd.java, ImportVmCmd.java.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Protocol

from mgmt.errors import InvalidParameterValueError

AUTO_ADDRESS = "auto"

# `{index: {key: value}}`, as the binder gives a map parameter.
MapValue = Mapping[str, Mapping[str, str]]
Lookup = Callable[[str], int | None]


class Requester(Protocol):
    """Who asks for the import: what the pipeline needs of `mgmt.commands.declaration.Caller`."""

    @property
    def user_id(self) -> int: ...
    @property
    def account_id(self) -> int: ...
    @property
    def account_uuid(self) -> str: ...
    @property
    def account_type(self) -> int: ...
    @property
    def domain_id(self) -> int: ...


@dataclass(frozen=True)
class ImportRequest:
    """The bound parameters of importVm. Ids are internal numbers; the password does not show in `repr`."""

    clusterid: int | None
    name: str
    importsource: str
    hypervisor: str
    zoneid: int | None
    serviceofferingid: int | None
    displayname: str | None = None
    hostname: str | None = None
    account: str | None = None
    domainid: int | None = None
    projectid: int | None = None
    templateid: int | None = None
    osid: int | None = None
    nicnetworklist: MapValue = field(default_factory=dict)
    nicipaddresslist: MapValue = field(default_factory=dict)
    datadiskofferinglist: MapValue = field(default_factory=dict)
    details: MapValue = field(default_factory=dict)
    migrateallowed: bool = False
    forced: bool = False
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    host: str | None = None
    diskpath: str | None = None
    networkid: int | None = None
    hostid: int | None = None
    storageid: int | None = None
    temppath: str | None = None
    existingvcenterid: int | None = None
    vcenter: str | None = None
    datacentername: str | None = None
    convertinstancehostid: int | None = None
    importinstancehostid: int | None = None
    convertinstancepoolid: int | None = None
    forcemstoimportvmfiles: bool = False
    extraparams: str | None = None
    forceconverttopool: bool = False
    usevddk: bool = True

    @classmethod
    def from_bound(cls, bound: Mapping[str, Any]) -> ImportRequest:
        """The request of bound parameters; a parameter that was not given leaves the default."""
        names = {item.name for item in fields(cls)}
        given = {name: value for name, value in bound.items() if name in names and value is not None}
        for name in ("clusterid", "zoneid", "serviceofferingid"):
            given.setdefault(name, None)
        return cls(**given)

    @property
    def detail_map(self) -> dict[str, str]:
        """The details: only the first element of the map counts (import-vm 1.1)."""
        return dict(next(iter(self.details.values()), {}))

    @property
    def event_description(self) -> str:
        """The text of the VM.IMPORT events (import-vm 3.6); a missing display name prints as Java's null."""
        shown = "null" if self.displayname is None else self.displayname
        if self.existingvcenterid is not None:
            return (
                f"Importing unmanaged VM: {shown} from existing vCenter Datacenter with ID: "
                f"{self.existingvcenterid} - VM: {self.name}"
            )
        if self.vcenter:
            return (
                f"Importing unmanaged VM: {shown} from external vCenter: {self.vcenter} - "
                f"datacenter: {self.datacentername} - VM: {self.name}"
            )
        return f"Importing unmanaged VM: {self.name}"


def _shown(value: str | None) -> str:
    return "null" if value is None else value


def parse_nic_networks(value: MapValue, network_id_of: Lookup) -> dict[str, int]:
    """`nicnetworklist` as NIC id -> internal network id."""
    networks: dict[str, int] = {}
    for entry in value.values():
        nic, network = entry.get("nic"), entry.get("network")
        network_id = network_id_of(network) if nic and network else None
        if not nic or network_id is None:
            raise InvalidParameterValueError(
                f"Network ID: {_shown(network)} for NIC ID: {_shown(nic)} is invalid", row="13b"
            )
        networks[nic] = network_id
    return networks


def parse_nic_addresses(value: MapValue) -> dict[str, str]:
    """`nicipaddresslist` as NIC id -> IPv4 address or `auto`."""
    addresses: dict[str, str] = {}
    for entry in value.values():
        nic, address = entry.get("nic"), entry.get("ip4Address")
        if not nic:
            raise InvalidParameterValueError(f"NIC ID: '{_shown(nic)}' is invalid for IP address mapping", row="13b")
        if not address:
            raise InvalidParameterValueError(f"Empty address for NIC ID: {nic} is invalid", row="13b")
        if address != AUTO_ADDRESS and not is_ipv4(address):
            raise InvalidParameterValueError(f"IP address '{address}' for NIC ID: {nic} is invalid", row="13b")
        addresses[nic] = address
    return addresses


def parse_disk_offerings(value: MapValue, offering_id_of: Lookup) -> dict[str, int]:
    """`datadiskofferinglist` as disk id -> internal disk offering id."""
    offerings: dict[str, int] = {}
    for entry in value.values():
        disk, offering = entry.get("disk"), entry.get("diskOffering")
        offering_id = offering_id_of(offering) if disk and offering else None
        if not disk or offering_id is None:
            raise InvalidParameterValueError(
                f"Disk offering ID: {_shown(offering)} for disk ID: {_shown(disk)} is invalid", row="13b"
            )
        offerings[disk] = offering_id
    return offerings


def is_ipv4(text: str) -> bool:
    """True for a dotted IPv4 address."""
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


# What stands in docs/import-rules.md: when each row holds, and what it gives where it refuses nothing.
RULES: Mapping[str, str] = {
    "13b": "an entry of a map parameter names an unknown network or offering, or an address that is none",
}
