"""The checks of an import in their order, up to the point where an import task may exist (import-vm 2.1, rows 1-20).

Each raises with `row` set to its number there. Upstream: UnmanagedVMsManagerImpl.importVm,
importUnmanagedInstanceInternal, importUnmanagedInstanceFromVmwareToKvm.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypedDict

from sqlalchemy import select
from sqlalchemy.orm import Session

from mgmt.errors import (
    PARAM_ERROR,
    CloudRuntimeError,
    InvalidParameterValueError,
    JavaError,
    PermissionDeniedError,
    ServerApiError,
)
from mgmt.imports.extraparams import ALLOWED_LIST_SETTING, ALLOWED_SETTING, EXTRA_PARAMS, ExtraParams
from mgmt.imports.facts import ClusterFacts, DiskOfferingFacts, PoolFacts, ServiceOfferingFacts
from mgmt.imports.owners import Owner, find_owner
from mgmt.imports.pools import CONVERSION_POOL, VDDK_POOL, Offerings, PoolRequest, VddkPool
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
from mgmt.vmware.connector import VcenterCredentials

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


@dataclass(frozen=True)
class VmwarePlan:
    """What the checks of the VMware source add: the conversion pool, the disk offerings and the vCenter."""

    pool: PoolFacts | None
    offerings: Offerings
    credentials: VcenterCredentials


def check_source(request: ImportRequest, services: ImportServices, trace: Trace) -> str:
    """Rows 1 and 2: the import source, upper-cased."""
    source = request.importsource.upper()
    if source not in SOURCES:
        raise JavaError(f"No enum constant org.apache.cloudstack.vm.VmImportService.ImportSource.{source}", row="1")
    if source in (VMWARE, UNMANAGED):
        check_extra_params(request, services, trace)
    return source


def check_extra_params(request: ImportRequest, services: ImportServices, trace: Trace) -> None:
    """Rows 2 and 19: table E, when there are extra parameters."""
    if request.extraparams and request.extraparams.strip():
        trace.decide(
            EXTRA_PARAMS,
            ExtraParams(
                text=request.extraparams,
                allowed=services.settings.get_bool(ALLOWED_SETTING),
                allowed_list=services.settings.get_text(ALLOWED_LIST_SETTING) or "",
            ),
        )


def resolve(session: Session, request: ImportRequest, requester: Requester, services: ImportServices) -> Plan:
    """Rows 3 to 13b, for the sources vmware and unmanaged."""
    _check_name(request)
    if requester.account_type != ROOT_ADMIN:
        raise PermissionDeniedError(
            f"Cannot perform this operation, caller account [{requester.account_uuid}] is not ROOT Admin.", row="5"
        )
    cluster = _cluster(session, request.clusterid)
    zone = find_row(session, models.Zone, cluster.zone_id, "id", "uuid")
    assert zone is not None, "a cluster is in a zone"
    owner = find_owner(session, request.account, request.domainid, requester)
    template = find_template(session, services.providers, request.templateid, cluster.hypervisor_type, services.quirks)
    offering = _offering(session, request.serviceofferingid)
    display_name = request.displayname or request.name
    host_name = _host_name(request, display_name, cluster.hypervisor_type)
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
        **_maps(session, request),
    )


class _Maps(TypedDict):
    nic_networks: Mapping[str, int]
    nic_addresses: Mapping[str, str]
    disk_offerings: Mapping[str, int]
    details: Mapping[str, str]


def _maps(session: Session, request: ImportRequest) -> _Maps:
    return _Maps(
        nic_networks=parse_nic_networks(
            request.nicnetworklist, lambda uuid: find_internal_id(session, "network", uuid)
        ),
        nic_addresses=parse_nic_addresses(request.nicipaddresslist),
        disk_offerings=parse_disk_offerings(
            request.datadiskofferinglist, lambda uuid: find_internal_id(session, "diskoffering", uuid)
        ),
        details=request.detail_map,
    )


def check_kvm_source(session: Session, request: ImportRequest, requester: Requester, services: ImportServices) -> Plan:
    """The checks that the sources external, shared and local have in common (import-vm 5.2, items 1-6)."""
    if requester.account_type != ROOT_ADMIN:
        raise PermissionDeniedError(
            f"Cannot perform this operation, Calling account is not root admin: {requester.account_uuid}", row="5.2-1"
        )
    zone = live_row(session, models.Zone, request.zoneid)
    if zone is None:
        raise InvalidParameterValueError("Please specify a valid zone.", row="5.2-2")
    if request.hypervisor.upper() != "KVM":
        raise InvalidParameterValueError(
            f"VM import is currently not supported for hypervisor: {request.hypervisor}", row="5.2-3"
        )
    _check_name(request)
    owner = find_owner(session, request.account, request.domainid, requester)
    template = find_template(session, services.providers, request.templateid, "KVM", services.quirks)
    offering = _offering(session, request.serviceofferingid)
    given = (request.hostname or "").strip()
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
        **_maps(session, request),
    )


def resolve_vmware(
    session: Session, plan: Plan, request: ImportRequest, services: ImportServices, trace: Trace
) -> VmwarePlan:
    """Rows 14 to 20."""
    _check_vcenter_parameters(request)
    if request.forcemstoimportvmfiles and request.usevddk:
        raise ServerApiError(
            PARAM_ERROR, "Parameters forcemstoimportvmfiles and usevddk are mutually exclusive", row="16"
        )
    pool_row = live_row(session, models.StoragePool, request.convertinstancepoolid)
    pool = trace.decide(
        CONVERSION_POOL,
        PoolRequest(
            request.convertinstancepoolid, PoolFacts.of(pool_row) if pool_row else None, request.forceconverttopool
        ),
    )
    offerings = offerings_of(session, plan)
    trace.decide(VDDK_POOL, VddkPool(request.usevddk, pool, offerings, trace))
    check_extra_params(request, services, trace)
    return VmwarePlan(pool=pool, offerings=offerings, credentials=_credentials(session, request))


def offerings_of(session: Session, plan: Plan) -> Offerings:
    """The disk offerings that the plan's disks get."""
    return Offerings(
        service=plan.offering,
        root=_disk_offering(session, plan.offering.disk_offering_id),
        data={disk: (number, _disk_offering(session, number)) for disk, number in plan.disk_offerings.items()},
    )


def _check_name(request: ImportRequest) -> None:
    if not request.name:
        raise InvalidParameterValueError("Instance name cannot be empty", row="3")
    if request.domainid is not None and not request.account:
        raise InvalidParameterValueError("domainid parameter must be specified with account parameter", row="4")


def _cluster(session: Session, cluster_id: int | None) -> ClusterFacts:
    if cluster_id is None:
        raise InvalidParameterValueError("Cluster ID cannot be null.", row="6")
    cluster = check_cluster(session, cluster_id)
    if cluster.allocation_state != "Enabled":
        raise InvalidParameterValueError(f"Cluster [{cluster.shown}] is not enabled.", row="9")
    return cluster


def check_cluster(session: Session, cluster_id: int | None) -> ClusterFacts:
    """Rows 7 and 8: the cluster, if it is there and its hypervisor can take VMs in."""
    row = live_row(session, models.Cluster, cluster_id)
    if row is None:
        raise InvalidParameterValueError(f"Cluster with ID [{cluster_id}] cannot be found.", row="7")
    if row.hypervisor_type not in DESTINATION_HYPERVISORS:
        raise InvalidParameterValueError(
            f"VM import is currently not supported for hypervisor [{row.hypervisor_type}].", row="8"
        )
    return ClusterFacts.of(row)


def _offering(session: Session, offering_id: int | None) -> ServiceOfferingFacts:
    if offering_id is None:
        raise InvalidParameterValueError("Service offering ID cannot be null", row="12")
    row = live_row(session, models.ServiceOffering, offering_id)
    if row is None:
        raise InvalidParameterValueError(f"Service offering ID: {offering_id} cannot be found", row="12")
    return ServiceOfferingFacts.of(row)


def _disk_offering(session: Session, offering_id: int | None) -> DiskOfferingFacts | None:
    row = live_row(session, models.DiskOffering, offering_id)
    return DiskOfferingFacts.of(row) if row else None


def _host_name(request: ImportRequest, display_name: str, hypervisor_type: str) -> str:
    given = (request.hostname or "").strip()
    if given:
        if not _HOST_NAME.fullmatch(given):
            raise InvalidParameterValueError(_BAD_HOST_NAME, row="13")
        return given
    derived = display_name if hypervisor_type == "KVM" else request.name
    if not _HOST_NAME.fullmatch(derived):
        raise InvalidParameterValueError(_BAD_DERIVED_NAME, row="13")
    return derived


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


def _check_vcenter_parameters(request: ImportRequest) -> None:
    # An empty vcenter counts as given.
    if (request.existingvcenterid is None) == (request.vcenter is None):
        raise ServerApiError(
            PARAM_ERROR,
            "Please provide an existing vCenter ID or a vCenter IP/Name, parameters are mutually exclusive",
            row="14",
        )
    external = (request.vcenter, request.datacentername, request.username, request.password)
    if request.existingvcenterid is None and any(not (value or "").strip() for value in external):
        raise ServerApiError(
            PARAM_ERROR,
            "Please set all the information for a vCenter IP/Name, datacenter, username and password",
            row="15",
        )


def _credentials(session: Session, request: ImportRequest) -> VcenterCredentials:
    if request.existingvcenterid is None:
        return VcenterCredentials(
            host=request.vcenter or "",
            datacenter=request.datacentername or "",
            username=request.username or "",
            password=request.password or "",
        )
    linked = live_row(session, models.VmwareDatacenter, request.existingvcenterid)
    if linked is None:
        raise CloudRuntimeError(f"Cannot find any existing VMware DC with ID {request.existingvcenterid}", row="20")
    return VcenterCredentials(
        host=linked.vcenter_host, datacenter=linked.name, username=linked.username, password=linked.password
    )


# What stands in docs/import-rules.md: when each row holds, and what it gives where it refuses nothing.
RULES: Mapping[str, str] = {
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
    "14": "existingvcenterid and vcenter are both given, or none of them",
    "15": "vcenter, datacentername, username or password is missing and existingvcenterid is not given",
    "16": "forcemstoimportvmfiles is true and VDDK is on (it is unless usevddk=false is sent)",
    "20": "existingvcenterid names no linked datacenter",
    "5.2-1": "sources external, shared, local: the caller is no root administrator",
    "5.2-2": "sources external, shared, local: there is no such zone",
    "5.2-3": "sources external, shared, local: hypervisor is not KVM",
    "5.2-6": "sources external, shared, local: the VM's name, or the host name given, is no host name",
}
