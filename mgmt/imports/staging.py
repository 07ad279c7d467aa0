"""Where the management server itself reaches NFS storage, to put exported OVF files there.

CloudStack mounts the store (MountManagerImpl). A program that need not be root cannot, so whoever puts a server
together says where an export's files are.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Protocol

from mgmt.errors import CloudRuntimeError


class StagingArea(Protocol):
    """Turns an NFS export into a directory of this machine."""

    def directory(self, nfs_host: str, path: str) -> Path:
        """The directory that holds the export's files; it is there. Raises CloudRuntimeError with the reason."""
        ...


def not_mounted(nfs_host: str, path: str, reason: str) -> CloudRuntimeError:
    """The error of an export that cannot be reached: CloudStack's words, and what is missing here."""
    return CloudRuntimeError(f"Unable to create mount point for nfs://{nfs_host}/{path.lstrip('/')}: {reason}")


class NoStaging:
    """A server that reaches no NFS storage."""

    def directory(self, nfs_host: str, path: str) -> Path:
        raise not_mounted(
            nfs_host,
            path,
            "there are no embedded hosts, and the setting nfs_root does not say where it is mounted",
        )


class MountedStaging:
    """Exports that somebody mounted at `<root>/<host>/<path>`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def directory(self, nfs_host: str, path: str) -> Path:
        parts = [part for part in PurePosixPath(path).parts if part != "/"]
        if not re.fullmatch(r"[\w\[\]:-][\w.\[\]:-]*", nfs_host) or ".." in parts:
            raise not_mounted(nfs_host, path, "it is no NFS export")
        found = self._root.joinpath(nfs_host, *parts)
        if not found.is_dir():
            raise not_mounted(nfs_host, path, f"{found} is no directory; mount the export there")
        return found
