"""The checks of an import in their order, up to the point where an import task may exist (import-vm 2.1, rows 1-20).

Each raises with `row` set to its number there. Upstream: UnmanagedVMsManagerImpl.importVm,
importUnmanagedInstanceInternal, importUnmanagedInstanceFromVmwareToKvm.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from mgmt.errors import (
    InvalidParameterValueError,
    JavaError,
    PermissionDeniedError,
)
from mgmt.imports.extraparams import check_extra_params
from mgmt.imports.facts import ClusterFacts, DiskOfferingFacts, ServiceOfferingFacts
from mgmt.imports.networks import NicRules
from mgmt.imports.owners import Owner, find_owner
from mgmt.imports.pools import Offerings
from mgmt.imports.ports import ImportServices
from mgmt.imports.request import (
    ImportRequest,
    Requester,
    parse_disk_offerings,
    parse_nic_addresses,
    parse_nic_networks,
)
from mgmt.imports.templates import find_template
from mgmt.imports.trace import Trace
from mgmt.inventory.lookup import find_internal_id
from mgmt.inventory.scope import ROOT_ADMIN
from mgmt.store import models
from mgmt.store.rows import find_row, live_row

VMWARE = "VMWARE"
UNMANAGED = "UNMANAGED"
KVM_SOURCES = ("EXTERNAL", "SHARED", "LOCAL")
SOURCES = (UNMANAGED, VMWARE, *KVM_SOURCES)
INSTANCE_NAME_FLAG = "vm.instancename.flag"
DESTINATION_HYPERVISORS = ("VMware", "KVM")

_HOST_NAME = re.compile(r"[A-Za-z](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_BAD_DERIVED_NAME = (
    "Please provide a valid hostname for the VM. VM name contains unsupported characters that cannot be used as "
    "hostname."
)
_BAD_HOST_NAME = (
    "Invalid VM hostname. VM hostname can contain ASCII letters 'a' through 'z', the digits '0' through '9', and the "
    "hyphen ('-'), must be between 1 and 63 characters long, and can't start or end with \"-\" and can't start with "
    "digit"
)
_BAD_REMOTE_NAME = (
    "Please provide hostname for the VM. VM name contains unsupported characters for it to be used as hostname"
)


@dataclass(frozen=True)
class Plan:
    """What the checks resolved: who imports what to where. Ids are internal numbers."""

    cluster: ClusterFacts
    zone_id: int
    zone_uuid: str
    owner: Owner
    template_id: int
    guest_os_id: int
    offering: ServiceOfferingFacts
    display_name: str
    host_name: str
    nic_networks: Mapping[str, int] = field(default_factory=dict)
    nic_addresses: Mapping[str, str] = field(default_factory=dict)
    disk_offerings: Mapping[str, int] = field(default_factory=dict)
    details: Mapping[str, str] = field(default_factory=dict)

    def nic_rules(self, trace: Trace, *, forced: bool) -> NicRules:
        """What the checks of NICs compare them with."""
        return NicRules(
            zone_id=self.zone_id,
            owner=self.owner,
            host_name=self.host_name,
            networks=self.nic_networks,
            addresses=self.nic_addresses,
            forced=forced,
            trace=trace,
        )


def check_source(request: ImportRequest, services: ImportServices, trace: Trace) -> str:
    """Rows 1 and 2: the import source, upper-cased."""
    source = request.importsource.upper()
    with trace.rule("1", importsource=request.importsource):
        if source not in SOURCES:
            raise JavaError(f"No enum constant org.apache.cloudstack.vm.VmImportService.ImportSource.{source}", row="1")
    if source in (VMWARE, UNMANAGED):
        with trace.rule("2", extraparams=request.extraparams):
            check_extra_params(request, services, trace)
    return source


def resolve(
    session: Session, request: ImportRequest, requester: Requester, services: ImportServices, trace: Trace
) -> Plan:
    """Rows 3 to 13b, for the sources vmware and unmanaged."""
    _check_name(request, trace)
    with trace.rule("5", account=requester.account_uuid):
        if requester.account_type != ROOT_ADMIN:
            raise PermissionDeniedError(
                f"Cannot perform this operation, caller account [{requester.account_uuid}] is not ROOT Admin.", row="5"
            )
    cluster = _cluster(session, request.clusterid, trace)
    zone = find_row(session, models.Zone, cluster.zone_id, "id", "uuid")
    assert zone is not None, "a cluster is in a zone"
    owner = _owner(session, request, requester, trace)
    template = _template(session, request, cluster.hypervisor_type, services, trace)
    offering = _offering(session, request.serviceofferingid, trace)
    display_name = request.displayname or request.name
    host_name = _host_name(request, display_name, cluster.hypervisor_type, trace)
    with trace.rule("13a", hypervisor=cluster.hypervisor_type, host_name=host_name):
        if cluster.hypervisor_type == "VMware" and services.settings.get_bool(INSTANCE_NAME_FLAG):
            _check_host_name_is_free(session, request.name, host_name, zone.id, zone.uuid)
    return Plan(
        cluster=cluster,
        zone_id=zone.id,
        zone_uuid=zone.uuid,
        owner=owner,
        template_id=template.id,
        guest_os_id=request.osid if request.osid is not None else template.guest_os_id,
        offering=offering,
        display_name=display_name,
        host_name=host_name,
        **_maps(session, request, trace),
    )


def _owner(session: Session, request: ImportRequest, requester: Requester, trace: Trace) -> Owner:
    with trace.rule("10", account=request.account) as rule:
        owner = find_owner(session, request.account, request.domainid, requester, request.projectid)
        rule.saw(owner=owner.account_uuid)
        return owner


def _template(
    session: Session, request: ImportRequest, hypervisor_type: str, services: ImportServices, trace: Trace
) -> Row[Any]:
    with trace.rule("11", templateid=request.templateid) as rule:
        template = find_template(session, services.providers, request.templateid, hypervisor_type, services.quirks)
        rule.saw(template=template.name)
        return template


class _Maps(TypedDict):
    nic_networks: Mapping[str, int]
    nic_addresses: Mapping[str, str]
    disk_offerings: Mapping[str, int]
    details: Mapping[str, str]


def _maps(session: Session, request: ImportRequest, trace: Trace) -> _Maps:
    with trace.rule("13b", nics=len(request.nicnetworklist), addresses=len(request.nicipaddresslist)) as rule:
        maps = _Maps(
            nic_networks=parse_nic_networks(
                request.nicnetworklist, lambda uuid: find_internal_id(session, "network", uuid)
            ),
            nic_addresses=parse_nic_addresses(request.nicipaddresslist),
            disk_offerings=parse_disk_offerings(
                request.datadiskofferinglist, lambda uuid: find_internal_id(session, "diskoffering", uuid)
            ),
            details=request.detail_map,
        )
        rule.saw(disks=list(maps["disk_offerings"]), details=list(maps["details"]))
        return maps


def check_kvm_source(
    session: Session, request: ImportRequest, requester: Requester, services: ImportServices, trace: Trace
) -> Plan:
    """The checks that the sources external, shared and local have in common (import-vm 5.2, items 1-6)."""
    with trace.rule("5.2-1", account=requester.account_uuid):
        if requester.account_type != ROOT_ADMIN:
            raise PermissionDeniedError(
                f"Cannot perform this operation, Calling account is not root admin: {requester.account_uuid}",
                row="5.2-1",
            )
    with trace.rule("5.2-2", zoneid=request.zoneid):
        zone = live_row(session, models.Zone, request.zoneid)
        if zone is None:
            raise InvalidParameterValueError("Please specify a valid zone.", row="5.2-2")
    with trace.rule("5.2-3", hypervisor=request.hypervisor):
        if request.hypervisor.upper() != "KVM":
            raise InvalidParameterValueError(
                f"VM import is currently not supported for hypervisor: {request.hypervisor}", row="5.2-3"
            )
    _check_name(request, trace)
    owner = _owner(session, request, requester, trace)
    template = _template(session, request, "KVM", services, trace)
    offering = _offering(session, request.serviceofferingid, trace)
    given = (request.hostname or "").strip()
    with trace.rule("5.2-6", name=request.name, hostname=request.hostname):
        if not given and not _HOST_NAME.fullmatch(request.name):
            raise InvalidParameterValueError(_BAD_REMOTE_NAME, row="5.2-6")
        if given and not _HOST_NAME.fullmatch(given):
            raise InvalidParameterValueError(_BAD_HOST_NAME, row="5.2-6")
    return Plan(
        cluster=ClusterFacts(0, "", "", "KVM", zone.id),  # clusterid is mandatory on these paths and never looked at
        zone_id=zone.id,
        zone_uuid=zone.uuid,
        owner=owner,
        template_id=template.id,
        guest_os_id=request.osid if request.osid is not None else template.guest_os_id,
        offering=offering,
        display_name=request.displayname or request.name,
        host_name=given or request.name,
        **_maps(session, request, trace),
    )


def offerings_of(session: Session, plan: Plan) -> Offerings:
    """The disk offerings that the plan's disks get."""
    return Offerings(
        service=plan.offering,
        root=_disk_offering(session, plan.offering.disk_offering_id),
        data={disk: (number, _disk_offering(session, number)) for disk, number in plan.disk_offerings.items()},
    )


def _check_name(request: ImportRequest, trace: Trace) -> None:
    with trace.rule("3", name=request.name):
        if not request.name:
            raise InvalidParameterValueError("Instance name cannot be empty", row="3")
    with trace.rule("4", domainid=request.domainid, account=request.account):
        if request.domainid is not None and not request.account:
            raise InvalidParameterValueError("domainid parameter must be specified with account parameter", row="4")


def _cluster(session: Session, cluster_id: int | None, trace: Trace) -> ClusterFacts:
    with trace.rule("6", clusterid=cluster_id):
        if cluster_id is None:
            raise InvalidParameterValueError("Cluster ID cannot be null.", row="6")
    cluster = check_cluster(session, cluster_id, trace)
    with trace.rule("9", cluster=cluster.name, allocation_state=cluster.allocation_state):
        if cluster.allocation_state != "Enabled":
            raise InvalidParameterValueError(f"Cluster [{cluster.shown}] is not enabled.", row="9")
    return cluster


def check_cluster(session: Session, cluster_id: int | None, trace: Trace) -> ClusterFacts:
    """Rows 7 and 8: the cluster, if it is there and its hypervisor can take VMs in."""
    with trace.rule("7", clusterid=cluster_id):
        row = live_row(session, models.Cluster, cluster_id)
        if row is None:
            raise InvalidParameterValueError(f"Cluster with ID [{cluster_id}] cannot be found.", row="7")
    with trace.rule("8", cluster=row.name, hypervisor=row.hypervisor_type):
        if row.hypervisor_type not in DESTINATION_HYPERVISORS:
            raise InvalidParameterValueError(
                f"VM import is currently not supported for hypervisor [{row.hypervisor_type}].", row="8"
            )
    return ClusterFacts.of(row)


def _offering(session: Session, offering_id: int | None, trace: Trace) -> ServiceOfferingFacts:
    with trace.rule("12", serviceofferingid=offering_id) as rule:
        if offering_id is None:
            raise InvalidParameterValueError("Service offering ID cannot be null", row="12")
        row = live_row(session, models.ServiceOffering, offering_id)
        if row is None:
            raise InvalidParameterValueError(f"Service offering ID: {offering_id} cannot be found", row="12")
        rule.saw(offering=row.name)
        return ServiceOfferingFacts.of(row)


def _disk_offering(session: Session, offering_id: int | None) -> DiskOfferingFacts | None:
    row = live_row(session, models.DiskOffering, offering_id)
    return DiskOfferingFacts.of(row) if row else None


def _host_name(request: ImportRequest, display_name: str, hypervisor_type: str, trace: Trace) -> str:
    given = (request.hostname or "").strip()
    derived = display_name if hypervisor_type == "KVM" else request.name
    with trace.rule("13", hostname=request.hostname, derived=derived):
        if given and not _HOST_NAME.fullmatch(given):
            raise InvalidParameterValueError(_BAD_HOST_NAME, row="13")
        if not given and not _HOST_NAME.fullmatch(derived):
            raise InvalidParameterValueError(_BAD_DERIVED_NAME, row="13")
    return given or derived


def _check_host_name_is_free(session: Session, name: str, host_name: str, zone_id: int, zone_uuid: str) -> None:
    vm = models.VmInstance
    taken = select(vm.id).where(
        vm.zone_id == zone_id, vm.name == host_name, vm.removed.is_(None), vm.state != "Expunging"
    )
    if session.scalar(taken.limit(1)) is not None:
        raise InvalidParameterValueError(
            f"Failed to import VM: {name}. There already exists a VM by the hostname: {host_name} in zone: {zone_uuid}",
            row="13a",
        )


# What stands in docs/import-rules.md: when each row holds, and what it gives where it refuses nothing.
RULES: Mapping[str, str] = {
    "2": "sources vmware, unmanaged: extra parameters are given -> what table E says",
    "1": "importsource is none of unmanaged, vmware, external, shared, local",
    "3": "name is empty",
    "4": "domainid is given without account",
    "5": "the caller is no root administrator",
    "6": "clusterid is an id of nothing",
    "7": "the cluster was removed, or there is none with that number",
    "8": "the cluster's hypervisor is neither VMware nor KVM",
    "9": "the cluster is not enabled",
    "12": "serviceofferingid is an id of nothing, or of an offering that was removed",
    "13": "the guest's host name, given or derived from the display name, is no host name",
    "13a": "VMware cluster and vm.instancename.flag: a VM of the zone has that host name",
    "5.2-1": "sources external, shared, local: the caller is no root administrator",
    "5.2-2": "sources external, shared, local: there is no such zone",
    "5.2-3": "sources external, shared, local: hypervisor is not KVM",
    "5.2-6": "sources external, shared, local: the VM's name, or the host name given, is no host name",
}
