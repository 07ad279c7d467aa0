"""What hosts wrote for an import, and how it goes when the import fails or is cancelled.

Upstream leaves it after a failure. A cancelled import does not, with whatever agents there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from mgmt.imports.cleanup import converted_files, volume_file
from mgmt.imports.facts import HostFacts, ImageStoreFacts, PoolFacts
from mgmt.imports.leftovers import remove_converted, remove_file, remove_imported
from mgmt.imports.ports import ImportServices
from mgmt.imports.undo import UndoList
from mgmt.protocol.commands import UnmanagedDisk
from mgmt.quirks import CONVERTED_FILES_LEFT, IMPORTED_DISKS_LEFT


@dataclass(frozen=True)
class HostFiles:
    """The files of one import; each method adds to its clean-up list how they go."""

    services: ImportServices
    undo: UndoList

    def converted(
        self, host: HostFacts, location: PoolFacts | ImageStoreFacts, convert_uuid: str, disk_count: int
    ) -> None:
        """A host has converted the disks into the temporary location."""
        services = self.services
        what = f"remove the converted files {convert_uuid} from {location.name}"
        if services.quirks.is_faithful(CONVERTED_FILES_LEFT):
            remove = partial(remove_converted, services, host.id, location, convert_uuid, disk_count)
            self.undo.add(what, remove, when_cancelled=True)
            return
        command = converted_files(location, convert_uuid)
        self.undo.add(what, partial(services.cleanups.send, host.id, what, command))

    def imported(self, host: HostFacts, disks: Sequence[UnmanagedDisk]) -> None:
        """A host has copied the converted disks into their pools."""
        services = self.services
        if services.quirks.is_faithful(IMPORTED_DISKS_LEFT):
            remove = partial(remove_imported, services, host.id, disks)
            self.undo.add("delete the imported disks", remove, when_cancelled=True)
            return
        for disk in disks:
            command = volume_file(services.store, disk.datastoreName or "", disk.fileBaseName or "")
            if command is not None:
                what = f"delete the imported disk {disk.fileBaseName} in pool {disk.datastoreName}"
                self.undo.add(what, partial(services.cleanups.send, host.id, what, command))

    def copied(self, host_id: int, pool: PoolFacts, file_name: str) -> None:
        """A host has copied a disk of another KVM host into a pool."""
        services = self.services
        what = f"delete the copied disk {file_name} from {pool.name}"
        if services.quirks.is_faithful(IMPORTED_DISKS_LEFT):
            self.undo.add(what, partial(remove_file, services, host_id, pool, file_name), when_cancelled=True)
            return
        command = volume_file(services.store, pool.uuid, file_name)
        if command is not None:
            self.undo.add(what, partial(services.cleanups.send, host_id, what, command))
