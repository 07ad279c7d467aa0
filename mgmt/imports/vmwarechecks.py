"""The checks that importVm adds for the source vmware (import-vm 2.1, rows 14-20).

Upstream: UnmanagedVMsManagerImpl.importUnmanagedInstanceFromVmwareToKvm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.orm import Session

from mgmt.errors import PARAM_ERROR, CloudRuntimeError, ServerApiError
from mgmt.imports.checks import Plan, offerings_of
from mgmt.imports.extraparams import check_extra_params
from mgmt.imports.facts import PoolFacts
from mgmt.imports.pools import CONVERSION_POOL, VDDK_POOL, Offerings, PoolRequest, VddkPool
from mgmt.imports.ports import ImportServices
from mgmt.imports.request import ImportRequest
from mgmt.imports.trace import Trace
from mgmt.store import models
from mgmt.store.rows import live_row
from mgmt.vmware.connector import VcenterCredentials


@dataclass(frozen=True)
class VmwarePlan:
    """What the checks of the VMware source add: the conversion pool, the disk offerings and the vCenter."""

    pool: PoolFacts | None
    offerings: Offerings
    credentials: VcenterCredentials


def resolve_vmware(
    session: Session, plan: Plan, request: ImportRequest, services: ImportServices, trace: Trace
) -> VmwarePlan:
    """Rows 14 to 20."""
    _check_vcenter_parameters(request, trace)
    with trace.rule("16", forcemstoimportvmfiles=request.forcemstoimportvmfiles, usevddk=request.usevddk):
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
    with trace.rule("19", extraparams=request.extraparams):
        check_extra_params(request, services, trace)
    return VmwarePlan(pool=pool, offerings=offerings, credentials=_credentials(session, request, trace))


def _check_vcenter_parameters(request: ImportRequest, trace: Trace) -> None:
    # An empty vcenter counts as given.
    with trace.rule("14", existingvcenterid=request.existingvcenterid, vcenter=request.vcenter):
        if (request.existingvcenterid is None) == (request.vcenter is None):
            raise ServerApiError(
                PARAM_ERROR,
                "Please provide an existing vCenter ID or a vCenter IP/Name, parameters are mutually exclusive",
                row="14",
            )
    external = (request.vcenter, request.datacentername, request.username, request.password)
    with trace.rule("15", existingvcenterid=request.existingvcenterid, vcenter=request.vcenter):
        if request.existingvcenterid is None and any(not (value or "").strip() for value in external):
            raise ServerApiError(
                PARAM_ERROR,
                "Please set all the information for a vCenter IP/Name, datacenter, username and password",
                row="15",
            )


def _credentials(session: Session, request: ImportRequest, trace: Trace) -> VcenterCredentials:
    with trace.rule("20", existingvcenterid=request.existingvcenterid) as rule:
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
        rule.saw(vcenter=linked.vcenter_host, datacenter=linked.name)
        return VcenterCredentials(
            host=linked.vcenter_host, datacenter=linked.name, username=linked.username, password=linked.password
        )


# What stands in docs/import-rules.md: when each row holds, and what it gives where it refuses nothing.
RULES: Mapping[str, str] = {
    "14": "existingvcenterid and vcenter are both given, or none of them",
    "15": "vcenter, datacentername, username or password is missing and existingvcenterid is not given",
    "16": "forcemstoimportvmfiles is true and VDDK is on (it is unless usevddk=false is sent)",
    "19": "extra parameters are given -> what table E says, once more",
    "20": "existingvcenterid names no linked datacenter",
}
