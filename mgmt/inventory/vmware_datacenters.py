"""VMware datacenters linked to zones, one each (VmwareManagerImpl; vmware_data_center and its zone map upstream)."""

from __future__ import annotations

import logging

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mgmt.errors import CloudRuntimeError, InvalidParameterValueError, JavaError
from mgmt.providers import Providers
from mgmt.store.models import Cluster, VmwareDatacenter, Zone
from mgmt.vmware.connector import VcenterConnector, VcenterCredentials
from mgmt.vmware.errors import DatacenterNotFoundError, VcenterError

log = logging.getLogger(__name__)

NO_DATACENTER_TEXT = (
    'Cannot invoke "com.cloud.hypervisor.vmware.VmwareDatacenterZoneMap.getVmwareDcId()" because "vdcMap" is null'
)


def credentials_of(row: VmwareDatacenter) -> VcenterCredentials:
    """The credentials that a linked datacenter keeps."""
    return VcenterCredentials(host=row.vcenter_host, datacenter=row.name, username=row.username, password=row.password)


def find_datacenter(session: Session, internal_id: int) -> VmwareDatacenter | None:
    """The linked datacenter with that internal number, or None."""
    return session.get(VmwareDatacenter, internal_id)


def datacenter_of_zone(session: Session, zone_id: int) -> VmwareDatacenter | None:
    """The datacenter linked to the zone, or None."""
    return session.scalar(select(VmwareDatacenter).where(VmwareDatacenter.zone_id == zone_id))


def check_zone(session: Session, zone_id: int) -> None:
    """Return when the zone exists; raises InvalidParameterValueError for an unknown or removed one."""
    zone = session.get(Zone, zone_id)
    if zone is None or zone.removed is not None:
        raise InvalidParameterValueError("Can't find zone by the id specified.")


def _check_no_vmware_cluster(session: Session, zone_id: int, action: str) -> None:
    clusters = select(Cluster.id).where(
        Cluster.zone_id == zone_id, Cluster.removed.is_(None), Cluster.hypervisor_type == "VMware"
    )
    if session.scalar(clusters.limit(1)) is not None:
        raise CloudRuntimeError(f"Zone has one or more clusters. Can't {action} which already has clusters.")


def add_datacenter(
    session: Session,
    providers: Providers,
    vcenters: VcenterConnector,
    *,
    zone_id: int,
    credentials: VcenterCredentials,
) -> VmwareDatacenter:
    """Link the datacenter to the zone once the vCenter confirmed it; linking the same one again gives the row there is.

    The vCenter is read only. CloudStack writes the custom value `cloud.zone=true` on the datacenter, which would lock a
    real datacenter to a server that forgets; a mark that is there is respected, none is made.

    Raises CloudRuntimeError or InvalidParameterValueError with CloudStack's text.
    """
    check_zone(session, zone_id)
    linked = datacenter_of_zone(session, zone_id)
    if linked is not None:
        if (linked.vcenter_host.lower(), linked.name.lower()) == (
            credentials.host.lower(),
            credentials.datacenter.lower(),
        ):
            log.info("VMware datacenter %s of %s is linked to this zone already", linked.name, linked.vcenter_host)
            return linked
        raise CloudRuntimeError(
            f"Zone {zone_id} is already associated with a VMware datacenter. "
            "Only 1 VMware DC can be associated with a zone."
        )
    _check_no_vmware_cluster(session, zone_id, "add VMware datacenter to zone")
    try:
        _check_on_vcenter(vcenters, credentials)
        _check_not_linked(session, credentials)
    except CloudRuntimeError as error:
        raise CloudRuntimeError(f"Failed to add VMware DC to zone due to : {error.text}") from error
    row = VmwareDatacenter(
        uuid=providers.ids.uuid(),
        name=credentials.datacenter,
        vcenter_host=credentials.host,
        username=credentials.username,
        password=credentials.password,
        zone_id=zone_id,
    )
    session.add(row)
    session.flush()
    return row


def _check_on_vcenter(vcenters: VcenterConnector, credentials: VcenterCredentials) -> None:
    with vcenters.connect(credentials) as vcenter:
        try:
            vcenter.check_datacenter()
        except DatacenterNotFoundError as error:
            raise VcenterError(
                f"Unable to find VMware DC {credentials.datacenter} in vCenter {credentials.host}. "
            ) from error
        if vcenter.is_managed_elsewhere():
            raise CloudRuntimeError(
                "This DC is being managed by other CloudStack deployment. Cannot add this DC to zone."
            )


def _check_not_linked(session: Session, credentials: VcenterCredentials) -> None:
    # The mark in vCenter is what tells CloudStack that another of its zones has the datacenter; here the table does.
    same = select(VmwareDatacenter.id).where(
        func.lower(VmwareDatacenter.vcenter_host) == credentials.host.lower(),
        func.lower(VmwareDatacenter.name) == credentials.datacenter.lower(),
    )
    if session.scalar(same.limit(1)) is not None:
        raise CloudRuntimeError("This DC is being managed by other CloudStack deployment. Cannot add this DC to zone.")


def update_datacenter(
    session: Session,
    zone_id: int,
    *,
    name: str | None,
    vcenter: str | None,
    username: str | None,
    password: str | None,
) -> VmwareDatacenter:
    """Change what is kept of the zone's datacenter; None and "" leave a value as it is. The vCenter is not asked.

    A zone without a datacenter ends in Java's null pointer, as upstream (VmwareManagerImpl.updateVmwareDatacenter).
    """
    linked = datacenter_of_zone(session, zone_id)
    if linked is None:
        raise JavaError(NO_DATACENTER_TEXT)
    linked.username = username or linked.username
    linked.password = password or linked.password
    linked.vcenter_host = vcenter or linked.vcenter_host
    linked.name = name or linked.name
    session.flush()
    return linked


def remove_datacenter(session: Session, zone_id: int) -> None:
    """Unlink the zone's datacenter; raises CloudRuntimeError when it has none or still has VMware clusters."""
    check_zone(session, zone_id)
    _check_no_vmware_cluster(session, zone_id, "remove VMware datacenter to zone")
    linked = datacenter_of_zone(session, zone_id)
    if linked is None:
        raise CloudRuntimeError(f"Zone {zone_id} is not associated with any VMware datacenter.")
    session.delete(linked)
    session.flush()
