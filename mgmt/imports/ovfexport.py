"""The OVF made by the management server: for hosts that cannot export, or as the caller wants (import-vm 3.3, row 30).

Upstream: VMwareGuru.createVMTemplateOutOfBand, removeVMTemplateOutOfBand.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from mgmt.errors import CloudRuntimeError
from mgmt.imports.facts import ImageStoreFacts, PoolFacts
from mgmt.imports.pools import NFS
from mgmt.imports.ports import ImportServices
from mgmt.imports.progress import ProgressBoard, Stage
from mgmt.imports.undo import UndoList
from mgmt.quirks import EXPORT_ERROR_TEXT, EXPORT_LOST_DISK
from mgmt.vmware.connector import VcenterCredentials

logger = logging.getLogger(__name__)

THREADS_SETTING = "threads.on.ms.to.import.vmware.vm.files"
ONLY_NFS_TEXT = "Only NFS storage is supported for template creation"


def nfs_export(location: PoolFacts | ImageStoreFacts) -> tuple[str, str]:
    """Server and path of the temporary location; raises CloudRuntimeError for one that is not NFS."""
    if isinstance(location, ImageStoreFacts):
        url = urlsplit(location.url)
        if url.scheme.lower() == "nfs" and url.hostname:
            return url.hostname, url.path
    elif location.pool_type == NFS:
        return location.host_address, location.path
    raise CloudRuntimeError(ONLY_NFS_TEXT)


@dataclass(frozen=True)
class OvfExport:
    """One export into the temporary location."""

    services: ImportServices
    undo: UndoList
    credentials: VcenterCredentials
    location: PoolFacts | ImageStoreFacts
    progress: ProgressBoard

    def run(self, vm_name: str) -> str:
        """Export the VM; returns the name of the directory in the temporary location, which goes at the import's end.

        Raises CloudRuntimeError with CloudStack's words around the reason.
        """
        from mgmt.vmware.export import ExportRules  # brings pyvmomi's type tables

        services = self.services
        name = services.providers.ids.uuid()
        rules = ExportRules(
            threads=services.settings.get_int(THREADS_SETTING) or 0,
            hide_errors=services.quirks.is_faithful(EXPORT_ERROR_TEXT),
            lose_disks=services.quirks.is_faithful(EXPORT_LOST_DISK),
            on_disk=partial(self.progress.report, Stage.DOWNLOAD),
        )
        try:
            with services.vcenters.connect(self.credentials) as session:
                session.export_vm(vm_name, self._directory(name), name, rules)
        except (CloudRuntimeError, OSError) as error:
            reason = error.text if isinstance(error, CloudRuntimeError) else error.strerror or str(error)
            raise CloudRuntimeError(
                f"Error create template file of the VM: {vm_name} from vCenter {self.credentials.host}: {reason}",
                row="30",
            ) from error
        return name

    def _directory(self, name: str) -> Callable[[], Path]:
        def make() -> Path:
            server, path = nfs_export(self.location)
            directory = self.services.staging.directory(server, path) / name
            # Recorded before the work: upstream leaves the directory of a failed export behind.
            self.undo.add(f"remove OVF directory {name} from {server}:{path}", lambda: _remove(directory), always=True)
            directory.mkdir(parents=True, exist_ok=True)
            return directory

        return make


def _remove(directory: Path) -> None:
    if directory.exists():
        shutil.rmtree(directory)


RULES: Mapping[str, str] = {"30": "the export of the OVF files by the management server fails"}
