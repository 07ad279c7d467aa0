"""What the decision tables look at: records as plain values, cut off from the database.

`shown` is the form in which CloudStack's texts print an object (its `toString`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row

from mgmt.store import models

VDDK_SUPPORT_DETAIL = "host.vddk.support"
CONVERSION_DETAIL = "host.instance.conversion"


@dataclass(frozen=True)
class ClusterFacts:
    """A cluster."""

    id: int
    uuid: str
    name: str
    hypervisor_type: str
    zone_id: int
    allocation_state: str = "Enabled"

    @classmethod
    def of(cls, row: models.Cluster | Row[Any]) -> ClusterFacts:
        return cls(row.id, row.uuid, row.name, row.hypervisor_type, row.zone_id, row.allocation_state)

    @property
    def shown(self) -> str:
        return f'Cluster {{id: "{self.id}", name: "{self.name}", uuid: "{self.uuid}"}}'

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class HostFacts:
    """A host; `details` are its host_details."""

    id: int
    uuid: str
    name: str
    zone_id: int
    cluster_id: int | None
    type: str = "Routing"
    status: str = "Up"
    resource_state: str = "Enabled"
    hypervisor_type: str = "KVM"
    details: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, row: models.Host) -> HostFacts:
        return cls.with_details(row, {detail.name: detail.value for detail in row.details})

    @classmethod
    def with_details(cls, row: models.Host | Row[Any], details: Mapping[str, str]) -> HostFacts:
        return cls(
            id=row.id,
            uuid=row.uuid,
            name=row.name,
            zone_id=row.zone_id,
            cluster_id=row.cluster_id,
            type=row.type,
            status=row.status,
            resource_state=row.resource_state,
            hypervisor_type=row.hypervisor_type,
            details=details,
        )

    @property
    def shown(self) -> str:
        return "Host " + json.dumps(
            {"id": self.id, "name": self.name, "type": self.type, "uuid": self.uuid}, separators=(",", ":")
        )

    @property
    def is_usable(self) -> bool:
        """Routing, Up and Enabled: what "hosts of the cluster" means in tables H and I."""
        return self.type == "Routing" and self.status == "Up" and self.resource_state == "Enabled"

    @property
    def has_vddk(self) -> bool:
        return self.details.get(VDDK_SUPPORT_DETAIL, "").lower() == "true"

    @property
    def can_convert(self) -> bool:
        return self.details.get(CONVERSION_DETAIL, "").lower() == "true"

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class PoolFacts:
    """A primary storage pool; `tags` is the comma-separated list, or a JavaScript rule when `is_tag_a_rule`."""

    id: int
    uuid: str
    name: str
    pool_type: str
    scope: str
    zone_id: int
    cluster_id: int | None = None
    host_id: int | None = None
    tags: str | None = None
    is_tag_a_rule: bool = False
    hypervisor: str | None = None
    host_address: str = ""
    path: str = ""
    port: int = 0
    managed: bool = False

    @classmethod
    def of(cls, row: models.StoragePool | Row[Any]) -> PoolFacts:
        return cls(
            id=row.id,
            uuid=row.uuid,
            name=row.name,
            pool_type=row.pool_type,
            scope=row.scope,
            zone_id=row.zone_id,
            cluster_id=row.cluster_id,
            host_id=row.host_id,
            tags=row.tags,
            is_tag_a_rule=row.is_tag_a_rule,
            hypervisor=row.hypervisor,
            host_address=row.host_address,
            path=row.path,
            port=row.port,
            managed=row.managed,
        )

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class ImageStoreFacts:
    """A secondary storage."""

    id: int
    uuid: str
    name: str
    url: str
    protocol: str = "nfs"

    @classmethod
    def of(cls, row: models.ImageStore | Row[Any]) -> ImageStoreFacts:
        return cls(row.id, row.uuid, row.name, row.url, row.protocol)

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class DiskOfferingFacts:
    """A disk offering; `size_bytes` is 0 for a customized one."""

    id: int
    uuid: str
    name: str
    tags: str | None = None
    customized: bool = True
    size_bytes: int = 0
    provisioning_type: str = "thin"

    @classmethod
    def of(cls, row: models.DiskOffering | Row[Any]) -> DiskOfferingFacts:
        return cls(row.id, row.uuid, row.name, row.tags, row.customized, row.disk_size_bytes, row.provisioning_type)

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class ServiceOfferingFacts:
    """A compute offering; a number that is None is left to the request (a custom offering)."""

    id: int
    uuid: str
    name: str
    disk_offering_id: int | None = None
    cpu_number: int | None = None
    cpu_speed_mhz: int | None = None
    memory_mb: int | None = None
    details: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, row: models.ServiceOffering | Row[Any]) -> ServiceOfferingFacts:
        return cls(
            id=row.id,
            uuid=row.uuid,
            name=row.name,
            disk_offering_id=row.disk_offering_id,
            cpu_number=row.cpu_number,
            cpu_speed_mhz=row.cpu_speed_mhz,
            memory_mb=row.memory_mb,
            details=dict(row.details),
        )

    @property
    def is_dynamic(self) -> bool:
        return self.cpu_number is None or self.cpu_speed_mhz is None or self.memory_mb is None

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class NetworkFacts:
    """A guest network."""

    id: int
    uuid: str
    name: str
    guest_type: str
    zone_id: int
    account_id: int
    domain_id: int
    acl_type: str
    network_offering_id: int
    network_domain: str | None = None
    cidr: str | None = None
    gateway: str | None = None
    netmask: str | None = None
    start_ip: str | None = None
    end_ip: str | None = None
    vlan: str | None = None

    @classmethod
    def of(cls, row: models.Network | Row[Any]) -> NetworkFacts:
        return cls(
            id=row.id,
            uuid=row.uuid,
            name=row.name,
            guest_type=row.guest_type,
            zone_id=row.zone_id,
            account_id=row.account_id,
            domain_id=row.domain_id,
            acl_type=row.acl_type,
            network_offering_id=row.network_offering_id,
            network_domain=row.network_domain,
            cidr=row.cidr,
            gateway=row.gateway,
            netmask=row.netmask,
            start_ip=row.start_ip,
            end_ip=row.end_ip,
            vlan=row.vlan,
        )

    @property
    def shown(self) -> str:
        return "Network " + json.dumps(
            {"id": self.id, "name": self.name, "uuid": self.uuid, "networkofferingid": self.network_offering_id}
        )

    def __str__(self) -> str:
        return self.name
