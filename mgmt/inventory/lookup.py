"""From a public UUID to the internal number of the row, by kind of entity.

The binder uses it for `Uuid` parameters: removed rows are found too, and the service decides what to do with them
(api-gateway 2.7).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import Select, Table, bindparam, select
from sqlalchemy.orm import Session

from mgmt.store import models
from mgmt.store.models import Base, Entity
from mgmt.store.rows import run, table_of

E = TypeVar("E", bound=Entity)

ENTITIES: Mapping[str, type[Entity]] = {
    "account": models.Account,
    "affinitygroup": models.AffinityGroup,
    "alert": models.Alert,
    "cluster": models.Cluster,
    "diskoffering": models.DiskOffering,
    "domain": models.Domain,
    "event": models.Event,
    "guestosmapping": models.GuestOsMapping,
    "host": models.Host,
    "imagestore": models.ImageStore,
    "instancegroup": models.InstanceGroup,
    "ipaddress": models.PublicIp,
    "importvmtask": models.ImportVmTask,
    "job": models.AsyncJob,
    "managementserver": models.ManagementServer,
    "network": models.Network,
    "networkoffering": models.NetworkOffering,
    "nic": models.Nic,
    "nicsecondaryip": models.NicSecondaryIp,
    "oscategory": models.GuestOsCategory,
    "ostype": models.GuestOs,
    "physicalnetwork": models.PhysicalNetwork,
    "pod": models.Pod,
    "project": models.Project,
    "projectrole": models.ProjectRole,
    "projectrolepermission": models.ProjectRolePermission,
    "networkserviceprovider": models.NetworkServiceProvider,
    "securitygroup": models.SecurityGroup,
    "securitygrouprule": models.SecurityGroupRule,
    "sshkeypair": models.SshKeyPair,
    "traffictype": models.TrafficType,
    "role": models.Role,
    "rolepermission": models.RolePermission,
    "serviceoffering": models.ServiceOffering,
    "snapshot": models.Snapshot,
    "storagepool": models.StoragePool,
    "template": models.Template,
    "user": models.User,
    "userdata": models.UserData,
    "vlaniprange": models.VlanIpRange,
    "vm": models.VmInstance,
    "vmwaredc": models.VmwareDatacenter,
    "volume": models.Volume,
    "zone": models.Zone,
}


def find_internal_id(session: Session, kind: str, uuid: str) -> int | None:
    """The internal number of the `kind` entity with public id `uuid` (any case), None when there is none.

    A kind that this world does not have (vpc, ...) holds nothing.
    """
    model = ENTITIES.get(kind)
    if model is None:
        return None
    found: int | None = run(session, _id_by_uuid(table_of(model)), {"public_id": uuid.lower()}).scalar()
    return found


@cache
def _id_by_uuid(table: Table) -> Select[Any]:
    return select(table.c.id).where(table.c.uuid == bindparam("public_id"))


def get_live(session: Session, model: type[E], internal_id: int | None) -> E | None:
    """The row with number `internal_id` unless it is missing or removed."""
    if internal_id is None:
        return None
    row = session.get(model, internal_id)
    if row is None or getattr(row, "removed", None) is not None:
        return None
    return row


def uuids_of(session: Session, model: type[Entity], internal_ids: set[int]) -> dict[int, str]:
    """Public ids by internal number, in one query."""
    if not internal_ids:
        return {}
    assert issubclass(model, Base)
    rows = session.execute(select(model.id, model.uuid).where(model.id.in_(internal_ids)))
    return dict(rows.all())
