"""Transfer objects: what commands and answers carry inside."""

from __future__ import annotations

from typing import ClassVar

from mgmt.protocol.records import DataStoreTO, Record, wire


@wire("com.cloud.agent.api.to")
class RemoteInstanceTO(Record, kw_only=True):
    """The VM on the other side of an import and how to reach it; its password never shows in `repr`."""

    hypervisorType: str | None = None
    instanceName: str | None = None
    instancePath: str | None = None
    vcenterUsername: str | None = None
    vcenterPassword: str | None = None
    vcenterHost: str | None = None
    datacenterName: str | None = None
    clusterName: str | None = None
    hostName: str | None = None


@wire("com.cloud.agent.api.to")
class NfsTO(Record, DataStoreTO, kw_only=True):
    """An NFS share, `_url` as `nfs://host/path`; `_role` is `Image`, `ImageCache` or `Primary`."""

    _url: str | None = None
    _role: str | None = None
    uuid: str | None = None
    nfsVersion: str | None = None

    wire_wrapper: ClassVar[str] = "com.cloud.agent.api.to.NfsTO"


@wire("org.apache.cloudstack.storage.to")
class PrimaryDataStoreTO(Record, DataStoreTO, kw_only=True):
    """A primary storage pool as a place for data."""

    uuid: str | None = None
    name: str | None = None
    type: str | None = None
    id: int = 0
    poolType: str | None = None
    host: str | None = None
    path: str | None = None
    port: int = 0
    url: str | None = None
    details: dict[str, str] | None = None
    fullCloneFlag: bool | None = None
    diskProvisioningStrictnessFlag: bool | None = None
    isManaged: bool = False
    parentPoolType: str | None = None

    wire_wrapper: ClassVar[str] = "org.apache.cloudstack.storage.to.PrimaryDataStoreTO"


@wire("com.cloud.agent.api.to")
class StorageFilerTO(Record, kw_only=True):
    """A storage pool as the pool commands carry it; `userInfo` may hold a secret."""

    id: int = 0
    uuid: str | None = None
    host: str | None = None
    path: str | None = None
    userInfo: str | None = None
    port: int = 0
    type: str | None = None


@wire("com.cloud.agent.api")
class StoragePoolInfo(Record, kw_only=True):
    """A pool as an agent sees it, sizes in bytes."""

    uuid: str | None = None
    host: str | None = None
    localPath: str | None = None
    hostPath: str | None = None
    poolType: str | None = None
    capacityBytes: int = 0
    availableBytes: int = 0
    name: str | None = None
    details: dict[str, str] | None = None


@wire("com.cloud.storage.template")
class TemplateProp(Record, kw_only=True):
    """A template that a pool holds, sizes in bytes."""

    templateName: str | None = None
    installPath: str | None = None
    size: int = 0
    physicalSize: int = 0
    id: int = 0
    isPublic: bool = False
    isCorrupted: bool = False
