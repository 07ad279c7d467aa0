"""Storage pools on a host: mount, make, remove, measure; and a volume there that gets another size."""

from __future__ import annotations

import msgspec

from mgmt.protocol.commands.transfer import StorageFilerTO, StoragePoolInfo, TemplateProp
from mgmt.protocol.records import Answer, Command, DataStoreTO, wire


@wire("com.cloud.agent.api")
class ModifyStoragePoolCommand(Command, kw_only=True):
    """Mount (`add` true) or unmount a pool."""

    add: bool = False
    pool: StorageFilerTO | None = None
    localPath: str | None = None
    storagePath: str | None = None
    details: dict[str, str] | None = None


@wire("com.cloud.agent.api")
class CreateStoragePoolCommand(ModifyStoragePoolCommand, kw_only=True):
    """Make a new cluster-wide pool, sent to one host."""

    _createDatastore: bool = False
    _details: dict[str, str] | None = None


@wire("com.cloud.agent.api")
class ModifyStoragePoolAnswer(Answer, kw_only=True):
    """The pool as the host sees it; the server needs `poolInfo` and its `localPath`."""

    poolInfo: StoragePoolInfo | None = None
    templateInfo: dict[str, TemplateProp] | None = None
    localDatastoreName: str | None = None
    poolType: str | None = None
    datastoreClusterChildren: list[ModifyStoragePoolAnswer] = msgspec.field(default_factory=list)


@wire("com.cloud.agent.api")
class DeleteStoragePoolCommand(Command, kw_only=True):
    """Remove a pool from the host."""

    _pool: StorageFilerTO | None = None
    _localPath: str | None = None
    _removeDatastore: bool = False
    _details: dict[str, str] | None = None


@wire("com.cloud.agent.api")
class GetStorageStatsCommand(Command, kw_only=True):
    """How full is a pool? `id` is its uuid, `localPath` the pool's path."""

    id: str | None = None
    localPath: str | None = None
    pooltype: str | None = None
    secUrl: str | None = None
    store: DataStoreTO | None = None
    nfsVersion: str | None = None


@wire("com.cloud.agent.api")
class GetStorageStatsAnswer(Answer, kw_only=True):
    """Size of a pool in bytes."""

    usedBytes: int = 0
    capacityBytes: int = 0
    capacityIops: int | None = None
    usedIops: int | None = None


@wire("com.cloud.agent.api.storage")
class ResizeVolumeCommand(Command, kw_only=True):
    """Give a volume's file another size; sizes are bytes, `vmInstance` is the VM that has it or "none"."""

    path: str | None = None
    pool: StorageFilerTO | None = None
    currentSize: int | None = None
    newSize: int | None = None
    shrinkOk: bool = False
    vmInstance: str | None = None
    chainInfo: str | None = None
    managed: bool = False
    iScsiName: str | None = None
    passphrase: list[int] | None = None  # of an encrypted volume; there is none here
    encryptFormat: str | None = None


@wire("com.cloud.agent.api.storage")
class ResizeVolumeAnswer(Answer, kw_only=True):
    """The size that the volume has now."""

    newSize: int = 0
