"""Compute and disk offerings: making, changing and deleting them.

Upstream: server/.../configuration/ConfigurationManagerImpl.java (createServiceOffering, createDiskOffering, ...).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from mgmt.errors import InvalidParameterValueError
from mgmt.inventory.lookup import get_live
from mgmt.inventory.tags import pairs
from mgmt.providers import Providers
from mgmt.store.models import DiskOffering, ServiceOffering

GIB = 1024**3
INT_MAX = 2**31 - 1
LEAST_MEMORY_MB = 32
_PROVISIONING = ("thin", "sparse", "fat")


def create_service_offering(session: Session, providers: Providers, params: Mapping[str, Any]) -> ServiceOffering:
    """Record a compute offering from the bound parameters of createServiceOffering, with its disk offering.

    Raises InvalidParameterValueError with CloudStack's texts.
    """
    name = _checked_name(params["name"], "service offering")
    is_custom = params["customized"]
    if is_custom is None:
        is_custom = params["cpunumber"] is None or params["memory"] is None
    details = {key: value or "" for key, value in pairs(params["serviceofferingdetails"]).items()}
    if is_custom:
        details |= _checked_custom(name, params)
    else:
        _checked_fixed(name, params)
    disk = _disk_of(session, providers, name, params)
    now = providers.utcnow().replace(microsecond=0)
    offering = ServiceOffering(
        uuid=providers.ids.uuid(),
        name=name,
        display_text=params["displaytext"] or name,
        disk_offering=disk,
        cpu_number=None if is_custom else params["cpunumber"],
        cpu_speed_mhz=params["cpuspeed"],
        memory_mb=None if is_custom else params["memory"],
        host_tag=params["hosttags"] or None,
        offer_ha=bool(params["offerha"]),
        limit_cpu_use=bool(params["limitcpuuse"]),
        dynamic_scaling_enabled=params["dynamicscalingenabled"] is not False,
        details=details,
        created=now,
    )
    session.add(offering)
    session.flush()
    return offering


def _checked_name(name: str, what: str) -> str:
    if not name.strip():
        raise InvalidParameterValueError(f"Failed to create {what}: specify the name that has non-zero length")
    return name


def _checked_custom(name: str, params: Mapping[str, Any]) -> dict[str, str]:
    """The limits of a custom offering as its details."""
    if params["cpunumber"] is not None or params["memory"] is not None:
        raise InvalidParameterValueError("For creating a custom compute offering cpu and memory all should be null")
    limits = {name: params[name] for name in ("mincpunumber", "maxcpunumber", "minmemory", "maxmemory")}
    given = [value is not None for value in (*limits.values(), params["cpuspeed"])]
    if not any(given):
        return {}
    if not all(given):
        raise InvalidParameterValueError(
            "For creating a custom compute offering min/max cpu and min/max memory/cpu speed should all be null or all"
            " specified"
        )
    prefix = f"Failed to create service offering {name}: specify the"
    if not 0 <= params["cpuspeed"] <= INT_MAX:
        raise InvalidParameterValueError(f"{prefix} cpu speed value between 1 and {INT_MAX}")
    if not 0 < limits["mincpunumber"] <= limits["maxcpunumber"] <= INT_MAX:
        raise InvalidParameterValueError(f"{prefix} minimum or minimum cpu number value between 1 and {INT_MAX}")
    if not LEAST_MEMORY_MB <= limits["minmemory"] <= limits["maxmemory"] <= INT_MAX:
        raise InvalidParameterValueError(f"{prefix} memory value between {LEAST_MEMORY_MB} and {INT_MAX} MB")
    return {key: str(value) for key, value in limits.items()}


def _checked_fixed(name: str, params: Mapping[str, Any]) -> None:
    prefix = f"Failed to create service offering {name}: specify the"
    if not 0 < (params["cpunumber"] or 0) <= INT_MAX:
        raise InvalidParameterValueError(f"{prefix} cpu number value between 1 and {INT_MAX}")
    if params["cpuspeed"] is None or not 0 <= params["cpuspeed"] <= INT_MAX:
        raise InvalidParameterValueError(f"{prefix} cpu speed value between 0 and {INT_MAX}")
    if not LEAST_MEMORY_MB <= (params["memory"] or 0) <= INT_MAX:
        raise InvalidParameterValueError(f"{prefix} memory value between {LEAST_MEMORY_MB} and {INT_MAX} MB")


def _disk_of(session: Session, providers: Providers, name: str, params: Mapping[str, Any]) -> DiskOffering:
    """The disk offering of a compute offering: a named one, or one of its own."""
    if params["diskofferingid"] is not None:
        disk = get_live(session, DiskOffering, params["diskofferingid"])
        if disk is None:
            raise InvalidParameterValueError(f"Cannot find disk offering with ID {params['diskofferingid']}")
        return disk
    disk = DiskOffering(
        uuid=providers.ids.uuid(),
        name=name,
        display_text=params["displaytext"] or name,
        compute_only=True,
        disk_size_bytes=(params["rootdisksize"] or 0) * GIB,
        customized=not params["rootdisksize"],
        tags=params["tags"] or None,
        use_local_storage=_is_local(params["storagetype"]),
        provisioning_type=_provisioning(params["provisioningtype"]),
        created=providers.utcnow().replace(microsecond=0),
    )
    session.add(disk)
    session.flush()
    return disk


def _is_local(text: str | None) -> bool:
    if text is None:
        return False
    if text.lower() not in ("local", "shared"):
        raise InvalidParameterValueError(
            f"Invalid storage type {text} specified, valid types are: 'local' and 'shared'"
        )
    return text.lower() == "local"


def _provisioning(text: str | None) -> str:
    if not text:
        return "thin"
    if text.lower() not in _PROVISIONING:
        raise InvalidParameterValueError(f"Unsupported provisioning type: {text}")
    return text.lower()


def create_disk_offering(session: Session, providers: Providers, params: Mapping[str, Any]) -> DiskOffering:
    """Record a disk offering from the bound parameters of createDiskOffering."""
    is_custom, size_gib = bool(params["customized"]), params["disksize"]
    if not is_custom and size_gib is None:
        raise InvalidParameterValueError("Disksize is required for a non-customized disk offering")
    if is_custom and size_gib is not None:
        raise InvalidParameterValueError("Disksize is not allowed for a customized disk offering")
    if size_gib is not None and size_gib <= 0:
        raise InvalidParameterValueError("Please specify a disk size of at least 1 Gb.")
    offering = DiskOffering(
        uuid=providers.ids.uuid(),
        name=params["name"],
        display_text=params["displaytext"] or params["name"],
        disk_size_bytes=(size_gib or 0) * GIB,
        customized=is_custom,
        tags=params["tags"] or None,
        use_local_storage=_is_local(params["storagetype"]),
        provisioning_type=_provisioning(params["provisioningtype"]),
        display_offering=params["displayoffering"] is not False,
        created=providers.utcnow().replace(microsecond=0),
    )
    session.add(offering)
    session.flush()
    return offering


def update_service_offering(session: Session, params: Mapping[str, Any]) -> ServiceOffering:
    """Change name, text, state or tags of a compute offering."""
    offering = get_live(session, ServiceOffering, params["id"])
    if offering is None:
        raise InvalidParameterValueError(f"unable to find service offering {params['id']}")
    _change(offering, params)
    if params["hosttags"] is not None:
        offering.host_tag = params["hosttags"] or None
    if params["storagetags"] is not None and offering.disk_offering is not None:
        offering.disk_offering.tags = params["storagetags"] or None
    return offering


def update_disk_offering(session: Session, params: Mapping[str, Any]) -> DiskOffering:
    """Change name, text, state or tags of a disk offering."""
    offering = get_live(session, DiskOffering, params["id"])
    if offering is None or offering.compute_only:
        raise InvalidParameterValueError(f"Unable to find disk offering by id {params['id']}")
    _change(offering, params)
    if params["tags"] is not None:
        offering.tags = params["tags"] or None
    if params["displayoffering"] is not None:
        offering.display_offering = params["displayoffering"]
    return offering


def _change(offering: ServiceOffering | DiskOffering, params: Mapping[str, Any]) -> None:
    if params["name"] is not None:
        offering.name = params["name"]
    if params["displaytext"] is not None:
        offering.display_text = params["displaytext"]
    if params["state"] is not None:
        if params["state"].lower() not in ("active", "inactive"):
            raise InvalidParameterValueError(f"Invalid state value: {params['state']}")
        offering.state = params["state"].capitalize()


def delete_service_offering(session: Session, providers: Providers, offering_id: int) -> ServiceOffering:
    """Take a compute offering away; instances that have it keep it."""
    offering = get_live(session, ServiceOffering, offering_id)
    if offering is None:
        raise InvalidParameterValueError(f"unable to find service offering {offering_id}")
    offering.removed, offering.state = providers.utcnow(), "Inactive"
    disk = offering.disk_offering
    if disk is not None and disk.compute_only:
        disk.removed, disk.state = providers.utcnow(), "Inactive"
    return offering


def delete_disk_offering(session: Session, providers: Providers, offering_id: int) -> DiskOffering:
    """Take a disk offering away; volumes that have it keep it."""
    offering = get_live(session, DiskOffering, offering_id)
    if offering is None or offering.compute_only:
        raise InvalidParameterValueError(f"Unable to find disk offering by id {offering_id}")
    offering.removed, offering.state = providers.utcnow(), "Inactive"
    return offering
