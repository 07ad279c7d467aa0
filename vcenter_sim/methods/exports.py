"""Exporting a VM: the lease, and the OVF descriptor of what was downloaded."""

from __future__ import annotations

from vcenter_sim import ovf
from vcenter_sim.service import Context
from vcenter_sim.types import DataObject, Reference, vim, vmodl


def export_vm(context: Context) -> Reference:
    """A lease to download the VM's disks; raises InvalidPowerState, and TaskInProgress while there is another one."""
    return context.world.exports.open(context.this, context.session)


def progress(context: Context) -> None:
    """Keep the lease alive and show how far the download is."""
    context.world.exports.progress(context.this, context.arguments["percent"])


def complete(context: Context) -> None:
    """Give the lease back."""
    context.world.exports.complete(context.this)


def abort(context: Context) -> None:
    """Give the lease back for a download that failed."""
    context.world.exports.abort(context.this, context.arguments["fault"])


def get_manifest(context: Context) -> list[DataObject]:
    """Sizes and sums of the files that were downloaded."""
    return context.world.exports.manifest(context.this)


def create_descriptor(context: Context) -> DataObject:
    """The OVF envelope of a VM and the files that its disks were saved in."""
    entity, wanted = context.inventory.find(context.arguments["obj"]), context.arguments["cdp"]
    if not issubclass(entity.kind, vim.VirtualMachine):
        raise vmodl.fault.NotSupported(msg="Only virtual machines are exported by this server.")
    files = [ovf.SavedFile(file.deviceId, file.path, file.size) for file in wanted.ovfFiles]
    text = ovf.descriptor(context.inventory, entity, files, name=wanted.name or entity.name)
    return vim.OvfManager.CreateDescriptorResult(ovfDescriptor=text, includeImageFiles=bool(wanted.includeImageFiles))


METHODS = {
    "ExportVm": export_vm,
    "HttpNfcLeaseProgress": progress,
    "HttpNfcLeaseComplete": complete,
    "HttpNfcLeaseAbort": abort,
    "HttpNfcLeaseGetManifest": get_manifest,
    "CreateDescriptor": create_descriptor,
}
