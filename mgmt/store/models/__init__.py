"""The tables.

Names follow CloudStack's schema where it has a counterpart (`host_details`, `vm_instance`, `import_vm_task`, ...).
Every entity has an internal number `id` and a public `uuid`; the API shows UUIDs only. Times are naive UTC.
"""

from __future__ import annotations

from mgmt.store.models.accounts import (
    Account,
    Domain,
    Project,
    ProjectAccount,
    ProjectRole,
    ProjectRolePermission,
    ResourceReservation,
    Role,
    RolePermission,
    User,
)
from mgmt.store.models.base import SCHEMA_VERSION, Base, Entity, Id, SchemaVersion
from mgmt.store.models.configuration import Configuration, ScopedConfiguration
from mgmt.store.models.infrastructure import (
    Cluster,
    Host,
    HostDetail,
    ImageStore,
    ManagementServer,
    Pod,
    StoragePool,
    VmwareDatacenter,
    Zone,
)
from mgmt.store.models.machines import Nic, NicSecondaryIp, VmDetail, VmInstance, Volume, affinity_group_vms
from mgmt.store.models.networks import (
    Network,
    NetworkServiceProvider,
    PhysicalNetwork,
    PublicIp,
    TrafficType,
    VlanIpRange,
)
from mgmt.store.models.offerings import DiskOffering, NetworkOffering, ServiceOffering
from mgmt.store.models.resources import (
    AffinityGroup,
    InstanceGroup,
    ResourceDetail,
    ResourceTag,
    SecurityGroup,
    SecurityGroupRule,
    SshKeyPair,
    UserData,
)
from mgmt.store.models.templates import GuestOs, GuestOsCategory, GuestOsMapping, LaunchPermission, Template
from mgmt.store.models.volume_snapshots import Snapshot
from mgmt.store.models.work import (
    Alert,
    AsyncJob,
    Event,
    HostCleanup,
    ImportVmTask,
    RevokedCertificate,
    RootCa,
    UsageEvent,
)

__all__ = [
    "SCHEMA_VERSION",
    "Account",
    "AffinityGroup",
    "Alert",
    "AsyncJob",
    "Base",
    "Cluster",
    "Configuration",
    "DiskOffering",
    "Domain",
    "Entity",
    "Event",
    "GuestOs",
    "GuestOsCategory",
    "GuestOsMapping",
    "Host",
    "HostCleanup",
    "HostDetail",
    "Id",
    "ImageStore",
    "ImportVmTask",
    "InstanceGroup",
    "LaunchPermission",
    "ManagementServer",
    "Network",
    "NetworkOffering",
    "NetworkServiceProvider",
    "Nic",
    "NicSecondaryIp",
    "PhysicalNetwork",
    "Pod",
    "Project",
    "ProjectAccount",
    "ProjectRole",
    "ProjectRolePermission",
    "PublicIp",
    "ResourceDetail",
    "ResourceReservation",
    "ResourceTag",
    "RevokedCertificate",
    "Role",
    "RolePermission",
    "RootCa",
    "SchemaVersion",
    "ScopedConfiguration",
    "SecurityGroup",
    "SecurityGroupRule",
    "ServiceOffering",
    "Snapshot",
    "SshKeyPair",
    "StoragePool",
    "Template",
    "TrafficType",
    "UsageEvent",
    "User",
    "UserData",
    "VlanIpRange",
    "VmDetail",
    "VmInstance",
    "VmwareDatacenter",
    "Volume",
    "Zone",
    "affinity_group_vms",
]
