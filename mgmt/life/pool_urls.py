"""Where a storage pool is, read from the URL that createStoragePool gets.

Upstream: CloudStackPrimaryDataStoreLifeCycleImpl.initialize, StorageManagerImpl.extractUriParamsAsMap.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from mgmt.agents.pools import name_uuid
from mgmt.errors import CloudRuntimeError, InvalidParameterValueError

_NFS_PORT = 2049
# Storage.StoragePoolType: kinds that CloudStack knows beside those that it has schemes for.
_KNOWN_TYPES = frozenset(
    {
        "Filesystem", "NetworkFilesystem", "IscsiLUN", "Iscsi", "ISO", "LVM", "CLVM", "RBD", "SharedMountPoint", "VMFS",
        "PreSetup", "EXT", "OCFS2", "SMB", "Gluster", "PowerFlex", "ManagedNFS", "Linstor", "DatastoreCluster",
        "StorPool", "FiberChannel",
    }
)  # fmt: skip
# What KVM hosts mount here; the other kinds are known by name and cannot be used.
_SUPPORTED = ("NetworkFilesystem", "SharedMountPoint", "Filesystem", "RBD")


@dataclass(frozen=True)
class PoolAddress:
    """Kind and place of a pool; `uuid` None stands for a random one."""

    pool_type: str
    host: str
    path: str
    port: int
    uuid: str | None
    user_info: str | None = field(default=None, repr=False)


def parse_pool_url(url: str) -> PoolAddress:
    """The pool that a URL names; raises InvalidParameterValueError and CloudRuntimeError with CloudStack's texts."""
    try:
        parts = urlsplit(url)
        host, port, scheme = parts.hostname or "", parts.port, url.partition("://")[0]
    except ValueError:
        raise InvalidParameterValueError(f"{url} is not a valid uri") from None
    if "://" not in url:
        raise InvalidParameterValueError(f"scheme is null {url}, add nfs:// (or cifs://) as a prefix")
    path = unquote(parts.path)
    kind = scheme.lower()
    name = name_uuid(host + path)
    if kind == "nfs":
        if not host or not path.strip("/"):
            raise InvalidParameterValueError("host or path is null, should be nfs://hostname/path")
        return PoolAddress("NetworkFilesystem", host, path, port or _NFS_PORT, name)
    if kind == "sharedmountpoint":
        if not path:
            raise InvalidParameterValueError("host or path is null, should be sharedmountpoint://localhost/path")
        return PoolAddress("SharedMountPoint", host, path, 0, None)
    if kind == "rbd":
        if not path.strip("/"):
            raise InvalidParameterValueError("host or path is null, should be rbd://hostname/pool")
        user_info = parts.netloc.rpartition("@")[0]
        return PoolAddress("RBD", host, path.removeprefix("/"), port or 0, name, unquote(user_info) or None)
    if kind == "file":
        return PoolAddress("Filesystem", "localhost", path, 0, name)
    if scheme not in _KNOWN_TYPES:
        raise CloudRuntimeError(f"No enum constant com.cloud.storage.Storage.StoragePoolType.{scheme}")
    address = PoolAddress(scheme, host, path, 0, name)
    if address.pool_type not in _SUPPORTED:
        raise CloudRuntimeError(f"Storage pools of type {address.pool_type} are not supported by this server")
    return address
