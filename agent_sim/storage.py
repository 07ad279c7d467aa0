"""Storage of the simulated hosts: NFS exports that several hosts see, and each host's libvirt pools and mounts.

Everything is a directory below the fleet's working folder. A mount is a symbolic link at the mount point. What a pool
has free is its capacity less what was used from the start, less what the images in it stand for.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import uuid
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from agent_sim.errors import AgentFailure
from agent_sim.host import GIB, CephPool, HostDescription, NfsExport
from agent_sim.injection import FaultPort
from agent_sim.space import Space

logger = logging.getLogger(__name__)

_DEFAULT_CAPACITY_BYTES = 1024 * GIB


def name_uuid(text: str) -> str:
    """Java's `UUID.nameUUIDFromBytes`: the name-based UUID without a name space."""
    return str(uuid.UUID(bytes=hashlib.md5(text.encode(), usedforsecurity=False).digest(), version=3))


class HostFiles:
    """One host's file system: absolute paths on the host to real paths below `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def real(self, path: str) -> Path:
        """The real path of the host's `path`; raises AgentFailure for one that would leave the host's tree."""
        if ".." in path.split("/"):
            raise AgentFailure(f"{path}: '..' is not allowed in a path on a simulated host")
        return self.root / path.lstrip("/")

    def make_directories(self, paths: Iterable[str]) -> None:
        """Make the host's directories of these paths, where they are missing, with all above them."""
        wanted = {str(self.root)}
        for path in paths:
            folder = str(self.real(path))
            while folder not in wanted:
                wanted.add(folder)
                folder = folder.rpartition("/")[0]
        self.root.parent.mkdir(parents=True, exist_ok=True)
        for folder in sorted(wanted):
            with suppress(FileExistsError):
                os.mkdir(folder)  # noqa: PTH102 - ten thousand hosts have a dozen each


@dataclass(frozen=True)
class SavedExports:
    """The exports of a fleet at some time, for `NfsServers.restore`."""

    declared: Mapping[tuple[str, str], NfsExport]
    spaces: Mapping[tuple[str, str], Space]


class NfsServers:
    """All NFS exports of a fleet. Another host that mounts the same export sees the same files."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._declared: dict[tuple[str, str], NfsExport] = {}
        self._spaces: dict[tuple[str, str], Space] = {}

    def save(self) -> SavedExports:
        """The exports that are declared or were mounted."""
        return SavedExports(dict(self._declared), dict(self._spaces))

    def restore(self, saved: SavedExports) -> None:
        """Know those and no others; their files are put back by others."""
        self._declared, self._spaces = dict(saved.declared), dict(saved.spaces)
        for space in saved.spaces.values():
            space.forget_count()

    def declare(self, exports: Iterable[NfsExport]) -> None:
        for export in exports:
            self._declared[(export.server, _clean(export.path))] = export

    def directory(self, server: str, path: str) -> Path:
        """Where the export's files are; raises AgentFailure for a name that is no directory name."""
        parts = [part for part in PurePosixPath(_clean(path)).parts if part != "/"]
        if not re.fullmatch(r"[\w.\[\]:-]+", server) or server.startswith(".") or ".." in parts:
            raise AgentFailure(f"{server}:{path} is no NFS export")
        return self._root.joinpath(server, *parts)

    def space(self, server: str, path: str, mount_point: str, *, undeclared_allowed: bool) -> Space:
        """The export's space; raises AgentFailure with libvirt's text when it cannot be mounted."""
        key = (server, _clean(path))
        export = self._declared.get(key)
        reason = None
        if (export is None and not undeclared_allowed) or (export is not None and export.state == "missing"):
            reason = f"mounting {server}:{path} failed, reason given by server: No such file or directory"
        elif export is not None and export.state == "unreachable":
            reason = "Connection timed out"
        if reason is not None:
            raise AgentFailure(
                "org.libvirt.LibvirtException: internal error: Child process (/bin/mount -o nodev,nosuid,noexec "
                f"{server}:{path} {mount_point}) unexpected exit status 32: mount.nfs: {reason}\n"
            )
        if key not in self._spaces:
            directory = self.directory(server, path)
            directory.mkdir(parents=True, exist_ok=True)
            export = export or NfsExport(server, path)
            used = max(0, export.capacity_bytes - export.available_bytes)
            self._spaces[key] = Space(directory, export.capacity_bytes, used)
        return self._spaces[key]


def _clean(path: str) -> str:
    return "/" + "/".join(part for part in path.split("/") if part)


def _folder(path: str) -> str:
    return f"{path.rstrip('/')}/"


@dataclass
class Pool:
    """A libvirt storage pool on one host. `target` is the directory on the host; `space` None for RBD."""

    uuid: str
    type: str
    host: str
    path: str
    target: str
    space: Space | None
    ceph: CephPool | None = None
    mounted: bool = True

    @property
    def capacity_bytes(self) -> int:
        if self.space is not None:
            return self.space.capacity_bytes
        return self.ceph.capacity_bytes if self.ceph else _DEFAULT_CAPACITY_BYTES

    def available_bytes(self) -> int:
        if self.space is not None:
            return self.space.available_bytes()
        return self.ceph.available_bytes if self.ceph else _DEFAULT_CAPACITY_BYTES

    @property
    def directory(self) -> Path:
        """The real directory that holds the pool's files; raises AgentFailure for a pool without one."""
        if self.space is None:
            raise AgentFailure(f"pool {self.uuid} of type {self.type} has no directory")
        return self.space.directory

    def file(self, name: str) -> Path | None:
        """The real path of a volume's file, None in a pool without files.

        Raises AgentFailure for a pool that is not mounted and for a name that leads out of the pool.
        """
        if self.space is None:
            return None
        if not self.mounted:
            raise AgentFailure(f"Storage pool {self.uuid} is not mounted at {self.target}")
        inside = name.removeprefix(f"{self.target}/")
        if not inside or inside.startswith("/") or ".." in PurePosixPath(inside).parts:
            raise AgentFailure(f"{name!r} is no name of a volume in storage pool {self.uuid}")
        return self.space.directory / inside


@dataclass(frozen=True)
class SavedStorage:
    """The pools of one host at some time, for `HostStorage.restore`."""

    pools: tuple[tuple[Pool, bool], ...]
    references: Mapping[str, int]
    by_uri: frozenset[str]


class HostStorage:
    """The libvirt pools of one host and the agent's reference counts on temporary ones."""

    def __init__(
        self, host: HostDescription, files: HostFiles, exports: NfsServers, faults: FaultPort | None = None
    ) -> None:
        self.faults = faults
        self._host = host
        self._files = files
        self._exports = exports
        self._pools: dict[str, Pool] = {}
        self._references: dict[str, int] = {}
        self._by_uri: set[str] = set()
        self._in_use: Counter[str] = Counter()
        for local in host.local_pools:
            directory = files.real(local.path)
            directory.mkdir(parents=True, exist_ok=True)
            space = Space(directory, local.capacity_bytes, max(0, local.capacity_bytes - local.available_bytes))
            identity = local.uuid or name_uuid(host.ip + local.path)
            self._pools[identity] = Pool(identity, "Filesystem", host.ip, local.path, local.path, space)
        self._local = tuple(self._pools.values())

    @property
    def local_pools(self) -> tuple[Pool, ...]:
        """The pools that the Startup array names."""
        return self._local

    def save(self) -> SavedStorage:
        """The pools that are there now, mounted or not."""
        pools = tuple((pool, pool.mounted) for pool in self._pools.values())
        return SavedStorage(pools, dict(self._references), frozenset(self._by_uri))

    def restore(self, saved: SavedStorage) -> None:
        """Know those pools again and no others; mount points are files, which others put back."""
        for pool, is_mounted in saved.pools:
            pool.mounted = is_mounted
            if pool.space is not None:
                pool.space.forget_count()
        self._pools = {pool.uuid: pool for pool, _ in saved.pools}
        self._references = dict(saved.references)
        self._by_uri = set(saved.by_uri)

    def forget_references(self) -> None:
        """What a restart of the agent process does: reference counts live in its memory, mounts do not."""
        self._references.clear()

    def mount_point(self, pool_uuid: str) -> str:
        return f"{self._host.properties.mount_path.rstrip('/')}/{pool_uuid}"

    def mounts(self) -> list[str]:
        """Mount points of the NFS pools that are mounted now."""
        return sorted(p.target for p in self._pools.values() if p.type == "NetworkFilesystem" and p.mounted)

    def temporary_mounts(self) -> list[Pool]:
        """The NFS pools that were mounted by their address, for a conversion, and are there now."""
        found = (self._pools.get(pool_uuid) for pool_uuid in list(self._by_uri))
        return [pool for pool in found if pool is not None]

    def mounted_exports(self) -> list[tuple[str, str]]:
        """Server and path of the NFS pools that are mounted now."""
        pools = (pool for pool in self._pools.values() if pool.type == "NetworkFilesystem" and pool.mounted)
        return [(pool.host, pool.path) for pool in pools]

    def add(self, pool_uuid: str, pool_type: str, host: str, path: str, *, mounts_again: bool = False) -> Pool:
        """Create the pool or find it; raises AgentFailure with the text behind `Failed to create storage pool: `.

        A pool that was unmounted cannot be mounted again unless `mounts_again` is set.
        """
        known = self._pools.get(pool_uuid)
        if known is not None and (known.mounted or not mounts_again):
            if known.type == "NetworkFilesystem" and not known.mounted:
                raise AgentFailure(f"libvirt failed to mount storage pool {pool_uuid} at {known.target}")
            return known
        if pool_type == "NetworkFilesystem":
            pool = self._mount(pool_uuid, host, path)
        elif pool_type in ("Filesystem", "SharedMountPoint"):
            directory = self._files.real(path)
            if not directory.is_dir():
                raise AgentFailure(f"Failed to create storage pool: {pool_uuid}")
            pool = Pool(pool_uuid, pool_type, host, path, path, Space(directory, _DEFAULT_CAPACITY_BYTES))
        elif pool_type == "RBD":
            ceph = next((c for c in self._host.ceph_pools if c.monitor == host and c.pool == path.strip("/")), None)
            pool = Pool(pool_uuid, pool_type, host, path, path, None, ceph)
        else:
            raise AgentFailure(f"Failed to create storage pool: {pool_uuid}")
        self._pools[pool_uuid] = pool
        return pool

    @contextmanager
    def in_use(self, pool_uuids: Collection[str]) -> Iterator[None]:
        """A program works in these pools as long as the block does: they cannot be unmounted (`target is busy`)."""
        self._in_use.update(pool_uuids)
        try:
            yield
        finally:
            self._in_use.subtract(pool_uuids)

    def unmount(self, pool_uuid: str, *, forced: bool = False) -> None:
        """What ModifyStoragePoolCommand with `add` false does: NFS is unmounted, the libvirt pool stays.

        One that a program works in stays mounted unless `forced`.
        """
        pool = self._pools.get(pool_uuid)
        if self._in_use[pool_uuid] and not forced:
            logger.warning("umount: pool %s of %s is busy", pool_uuid, self._host.name)
            return
        if pool is not None and pool.type == "NetworkFilesystem" and pool.mounted:
            self._files.real(pool.target).unlink(missing_ok=True)
            pool.mounted = False

    def delete(self, pool_uuid: str) -> None:
        """Remove the libvirt pool, unmounting NFS; nothing happens to the files, nor for an unknown pool."""
        self.unmount(pool_uuid, forced=True)
        self._pools.pop(pool_uuid, None)
        self._references.pop(pool_uuid, None)
        self._by_uri.discard(pool_uuid)

    def find(self, pool_uuid: str) -> Pool:
        """The pool; raises AgentFailure with the agent's text for one that libvirt does not know."""
        pool = self._pools.get(pool_uuid)
        hidden = self.faults is not None and self.faults.hit("agent.pool", {"host": self._host.name, "pool": pool_uuid})
        if pool is None or hidden:
            raise AgentFailure(
                f"Could not fetch storage pool {pool_uuid} from libvirt due to org.libvirt.LibvirtException: "
                f"Storage pool not found: no storage pool with matching uuid '{pool_uuid}'"
            )
        return pool

    def pool_at(self, path: str) -> Pool | None:
        """The pool whose directory is `path` or holds it, None when no pool does."""
        wanted = f"{PurePosixPath(path)}/"
        candidates = [pool for pool in self._pools.values() if wanted.startswith(_folder(pool.target)) and pool.space]
        return max(candidates, key=lambda pool: len(_folder(pool.target)), default=None)

    def open_by_uri(self, uri: str) -> Pool:
        """Mount `nfs://host/path` as a temporary pool, or count one more reference; raises AgentFailure."""
        parts = urlsplit(uri)
        host, path = parts.hostname or "", parts.path
        pool_uuid = name_uuid(host + path)
        pool = self._pools.get(pool_uuid)
        if pool is None:
            pool = self._mount(pool_uuid, host, path)
            self._pools[pool_uuid] = pool
            self._by_uri.add(pool_uuid)
        self._references[pool_uuid] = self._references.get(pool_uuid, 0) + 1
        return pool

    def release(self, pool: Pool) -> bool:
        """Give one reference back; True when it was the last one and the pool was unmounted and removed."""
        left = self._references.get(pool.uuid, 0) - 1
        if left > 0:
            self._references[pool.uuid] = left
            return False
        self.delete(pool.uuid)
        return True

    def _mount(self, pool_uuid: str, host: str, path: str) -> Pool:
        target = self.mount_point(pool_uuid)
        space = self._exports.space(host, path, target, undeclared_allowed=self._host.mounts_undeclared_exports)
        link = self._files.real(target)
        try:
            link.symlink_to(space.real_directory)
        except FileNotFoundError:
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(space.real_directory)
        except FileExistsError:
            link.unlink()
            link.symlink_to(space.real_directory)
        return Pool(pool_uuid, "NetworkFilesystem", host, path, target, space)
