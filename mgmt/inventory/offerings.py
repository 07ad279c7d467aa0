"""Compute and disk offerings: finding them, and the fields of their answers.

Every offering is public and fits every zone here. Upstream: server/.../api/query/QueryManagerImpl.java
(searchForServiceOfferings, searchForDiskOfferings), dao/ServiceOfferingJoinDaoImpl.java, DiskOfferingJoinDaoImpl.java.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Select, false, select
from sqlalchemy.orm import Session, joinedload

from mgmt.errors import InvalidParameterValueError, PermissionDeniedError
from mgmt.inventory.listing import Window, any_like_keyword, equals_ignoring_case, in_window, page
from mgmt.inventory.lookup import get_live
from mgmt.inventory.scope import ROOT_ADMIN, CallerLike, check_domain_access
from mgmt.store.models import DiskOffering, Domain, ServiceOffering, StoragePool, VmInstance, Volume

GIB = 1024**3
_STATES = ("active", "inactive")


def find_service_offerings(
    session: Session, caller: CallerLike, params: Mapping[str, Any], window: Window
) -> tuple[list[ServiceOffering], int]:
    """The compute offerings that the parameters of listServiceOfferings ask for, and how many there are in all."""
    statement = (
        select(ServiceOffering)
        .join(DiskOffering, ServiceOffering.disk_offering_id == DiskOffering.id, isouter=True)
        .where(ServiceOffering.removed.is_(None))
        .order_by(ServiceOffering.id)
        .options(joinedload(ServiceOffering.disk_offering))
    )
    statement = _by_domain(session, caller, params, statement)
    statement = statement.where(*_state_clause(ServiceOffering.state, params["state"]))
    if params["id"] is not None:
        statement = statement.where(ServiceOffering.id == params["id"])
    if params["name"] is not None:
        statement = statement.where(equals_ignoring_case(ServiceOffering.name, params["name"]))
    if params["keyword"] is not None:
        statement = statement.where(
            any_like_keyword((ServiceOffering.name, ServiceOffering.display_text), params["keyword"])
        )
    if params["storagetype"] is not None:
        statement = statement.where(DiskOffering.use_local_storage == (params["storagetype"].lower() == "local"))
    if params["issystem"]:
        if caller.account_type != ROOT_ADMIN:
            raise InvalidParameterValueError("Only ROOT admins can access system's offering")
        statement = statement.where(false())  # no offering is for system VMs here
    if params["encryptroot"] or params["gpuenabled"] or params["vgpuprofileid"] is not None:
        statement = statement.where(false())
    if params["virtualmachineid"] is not None:
        statement = _other_than_that_of(session, statement, params["virtualmachineid"])
    return _sized(session, statement, params, window)


def _other_than_that_of(session: Session, statement: Select[ServiceOffering], vm_id: int) -> Select[ServiceOffering]:
    """Narrow to what an instance could change to: other offerings with the same kind of storage."""
    vm = get_live(session, VmInstance, vm_id)
    if vm is None:
        raise InvalidParameterValueError(f"unable to find a virtual machine with id {vm_id}")
    current = vm.service_offering.disk_offering
    statement = statement.where(ServiceOffering.id != vm.service_offering_id)
    return statement.where(DiskOffering.use_local_storage == current.use_local_storage) if current else statement


def _sized(
    session: Session, statement: Select[ServiceOffering], params: Mapping[str, Any], window: Window
) -> tuple[list[ServiceOffering], int]:
    """The page of the offerings that can have the wanted CPU number, speed and memory.

    The limits of custom offerings lie in their details, so with such a filter the page is cut here.
    """
    cpu_number, cpu_speed_mhz, memory_mb = params["cpunumber"], params["cpuspeed"], params["memory"]
    if cpu_number is None and cpu_speed_mhz is None and memory_mb is None:
        return page(session, statement, window)
    fitting = [
        offering
        for offering in session.scalars(statement)
        if _in_range(cpu_number, offering.cpu_number, offering.details, "mincpunumber", "maxcpunumber")
        and _in_range(memory_mb, offering.memory_mb, offering.details, "minmemory", "maxmemory")
        and (cpu_speed_mhz is None or offering.cpu_speed_mhz is None or offering.cpu_speed_mhz >= cpu_speed_mhz)
    ]
    return in_window(fitting, window), len(fitting)


def _in_range(wanted: int | None, fixed: int | None, details: Mapping[str, str], low: str, high: str) -> bool:
    """Upstream's rule: no limit at all, or within the limits, or the least is at least the wanted number."""
    if wanted is None:
        return True
    least = int(details[low]) if low in details else fixed
    most = int(details[high]) if high in details else fixed
    if least is None:
        return True
    return least >= wanted or (most is not None and least <= wanted <= most)


def service_offering_view(offering: ServiceOffering) -> dict[str, Any]:
    """A compute offering's answer; a custom one has no CPU number, speed or memory of its own."""
    disk = offering.disk_offering
    return {
        "id": offering.uuid,
        "name": offering.name,
        "state": offering.state,
        "displaytext": offering.display_text,
        "cpunumber": offering.cpu_number,
        "cpuspeed": offering.cpu_speed_mhz,
        "memory": offering.memory_mb,
        "created": offering.created,
        "storagetype": _storage_type(disk),
        "provisioningtype": disk.provisioning_type if disk else "thin",
        "offerha": offering.offer_ha,
        "limitcpuuse": offering.limit_cpu_use,
        "isvolatile": False,
        "storagetags": disk.tags if disk else None,
        "hosttags": offering.host_tag,
        "issystem": False,
        "defaultuse": False,
        "serviceofferingdetails": offering.details or None,
        "iscustomized": offering.is_dynamic,
        "rootdisksize": disk.disk_size_bytes // GIB if disk else 0,
        "dynamicscalingenabled": offering.dynamic_scaling_enabled,
        "diskofferingstrictness": False,
        "diskofferingid": disk.uuid if disk else None,
        "diskofferingname": disk.name if disk else None,
        "diskofferingdisplaytext": disk.display_text if disk else None,
        "encryptroot": False,
        "hasannotations": False,
    }


def find_disk_offerings(
    session: Session, caller: CallerLike, params: Mapping[str, Any], window: Window
) -> tuple[list[DiskOffering], int]:
    """The disk offerings that the parameters of listDiskOfferings ask for, and how many there are in all.

    Those that belong to a compute offering are never among them.
    """
    statement = (
        select(DiskOffering)
        .where(DiskOffering.removed.is_(None), DiskOffering.compute_only.is_(False))
        .order_by(DiskOffering.id)
    )
    statement = _by_domain(session, caller, params, statement)
    statement = statement.where(*_state_clause(DiskOffering.state, params["state"]))
    if caller.account_type != ROOT_ADMIN:
        statement = statement.where(DiskOffering.display_offering.is_(True))
    if params["id"] is not None:
        statement = statement.where(DiskOffering.id == params["id"])
    if params["name"] is not None:
        statement = statement.where(equals_ignoring_case(DiskOffering.name, params["name"]))
    if params["keyword"] is not None:
        statement = statement.where(any_like_keyword((DiskOffering.name, DiskOffering.display_text), params["keyword"]))
    if params["storagetype"] is not None:
        statement = statement.where(DiskOffering.use_local_storage == (params["storagetype"].lower() == "local"))
    if params["encrypt"]:
        statement = statement.where(false())
    tags = _wanted_tags(session, params)
    if tags is None:
        return page(session, statement, window)
    fitting = [each for each in session.scalars(statement) if tags(each)]
    return in_window(fitting, window), len(fitting)


def _wanted_tags(session: Session, params: Mapping[str, Any]) -> Any:  # a predicate on disk offerings, or None
    """With storageid: offerings that the pool's tags allow; with volumeid: those with the tags of the volume's own."""
    if params["storageid"] is not None:
        pool = get_live(session, StoragePool, params["storageid"])
        have = _tag_set(pool.tags) if pool else set()
        return lambda offering: _tag_set(offering.tags) <= have
    if params["volumeid"] is not None:
        volume = get_live(session, Volume, params["volumeid"])
        if volume is None:
            raise InvalidParameterValueError(f"Unable to find a volume with specified id {params['volumeid']}")
        own = _tag_set(volume.disk_offering.tags) if volume.disk_offering else set()
        return lambda offering: _tag_set(offering.tags) >= own and offering.id != volume.disk_offering_id
    return None


def _tag_set(tags: str | None) -> set[str]:
    return set(tags.split(",")) if tags else set()


def disk_offering_view(offering: DiskOffering, *, is_suitable: bool | None = None) -> dict[str, Any]:
    """A disk offering's answer; a custom one has size 0. `is_suitable`: whether it suits the instance asked for."""
    return {
        "id": offering.uuid,
        "name": offering.name,
        "state": offering.state,
        "displaytext": offering.display_text,
        "disksize": offering.disk_size_bytes // GIB,
        "created": offering.created,
        "iscustomized": offering.customized,
        "tags": offering.tags,
        "storagetype": _storage_type(offering),
        "provisioningtype": offering.provisioning_type,
        "displayoffering": offering.display_offering,
        "disksizestrictness": False,
        "suitableforvirtualmachine": is_suitable,
        "encrypt": False,
        "hasannotations": False,
    }


def _storage_type(offering: DiskOffering | None) -> str:
    return "local" if offering is not None and offering.use_local_storage else "shared"


def _state_clause(column: Any, state: str | None) -> list[Any]:  # a column, and conditions on it
    """Active ones by default; `all` both kinds."""
    if state is None:
        return [column == "Active"]
    if state.lower() == "all":
        return []
    if state.lower() not in _STATES:
        raise InvalidParameterValueError(f"Invalid state: {state}")
    return [equals_ignoring_case(column, state)]


def _by_domain(session: Session, caller: CallerLike, params: Mapping[str, Any], statement: Any) -> Any:
    """With domainid only what belongs to that domain, which is nothing: all offerings are public here."""
    if params["domainid"] is None:
        return statement
    domain = get_live(session, Domain, params["domainid"])
    if domain is None:
        raise InvalidParameterValueError(f"Unable to find domain by id {params['domainid']}")
    if caller.account_type == ROOT_ADMIN:
        return statement.where(false())
    try:
        check_domain_access(caller, domain)
    except PermissionDeniedError as error:
        raise PermissionDeniedError(
            f"The account:{caller.account_name} does not fall in the same domain hierarchy as the offering"
        ) from error
    return statement
