"""The OVF made by the management server: when, where, with what commands, and what is left."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mgmt.errors import CloudRuntimeError
from mgmt.imports.facts import ImageStoreFacts, PoolFacts
from mgmt.imports.ovfexport import nfs_export
from mgmt.imports.staging import MountedStaging, NoStaging
from mgmt.protocol.commands import (
    CheckConvertInstanceAnswer,
    CheckConvertInstanceCommand,
    ConvertInstanceCommand,
    ImportConvertedInstanceCommand,
)
from mgmt.protocol.records import Answer
from mgmt.quirks import Quirks
from mgmt.vmware.errors import VcenterError, VcenterLoginError
from mgmt.vmware.records import POWER_ON

BY_SERVER = {"usevddk": False, "forcemstoimportvmfiles": True}
WRAPPER = "Error create template file of the VM: web01 from vCenter "


@pytest.fixture
def mounted(world: Any, tmp_path: Path) -> Path:
    """A staging area with the exports of the world in it; gives the directory of the secondary storage."""
    for path in ("export/secondary", "export/N1"):
        (tmp_path / "192.0.2.20" / path).mkdir(parents=True)
    world.services = replace(world.services, staging=MountedStaging(tmp_path))
    return tmp_path / "192.0.2.20" / "export" / "secondary"


def test_row_30_commands(world: Any, mounted: Path) -> None:
    """The host gets the directory and no data of the vCenter; the directory is gone afterwards."""
    world.run(**BY_SERVER)
    ((name, directory, rules),) = world.vcenter.exports
    assert (name, directory.parent, rules.threads) == ("web01", mounted, 0)
    assert (rules.hide_errors, rules.lose_disks) == (True, True)
    (convert,) = world.agents.commands(ConvertInstanceCommand)
    assert convert.templateDirOnConversionLocation == directory.name
    assert (convert.exportOvfToConversionLocation, convert.threadsCountToExportOvf) == (False, 0)
    assert (convert.useVddk, convert.originalVMName, convert.checkConversionSupport) == (False, "web01", False)
    (imported,) = world.agents.commands(ImportConvertedInstanceCommand)
    for source in (convert.sourceInstance, imported.sourceInstance):
        assert (source.instanceName, source.clusterName, source.hostName) == ("web01", "esx-cluster", "esx1")
        assert (source.vcenterHost, source.vcenterUsername, source.vcenterPassword) == (None, None, None)
        assert (source.datacenterName, source.instancePath, source.hypervisorType) == (None, None, "VMware")
    assert list(mounted.iterdir()) == []
    assert world.task.state == "Completed"


@pytest.mark.parametrize(
    ("supported", "changes", "by_server"),
    [
        (False, {"usevddk": False}, True),
        (True, {"usevddk": False}, False),
        (True, BY_SERVER, True),
        (False, BY_SERVER, True),
        (False, {"usevddk": True}, False),
    ],
)
def test_row_30_who_exports(
    world: Any, mounted: Path, supported: bool, changes: dict[str, Any], by_server: bool
) -> None:
    """The server exports without VDDK when it is forced to or when the host cannot."""
    world.agents.script(
        CheckConvertInstanceCommand, CheckConvertInstanceAnswer(result=True, ovfExportSupported=supported)
    )
    world.run(**changes)
    assert bool(world.vcenter.exports) is by_server


def test_a_clone_is_exported_under_its_own_name(world: Any, mounted: Path, make_source: Any) -> None:
    """The clone of a running VM is exported; the host hears of the VM that was asked for."""
    world.vcenter.vms["web01"] = make_source(power_state=POWER_ON)
    world.run(**BY_SERVER)
    ((name, _, _),) = world.vcenter.exports
    assert [name] == world.vcenter.clones == world.vcenter.destroyed
    (convert,) = world.agents.commands(ConvertInstanceCommand)
    assert convert.sourceInstance.instanceName == convert.originalVMName == "web01"


def test_threads_setting_and_fixes(world: Any, mounted: Path) -> None:
    """The setting of the management server counts, and repaired defects are told to the export."""
    world.set("threads.on.ms.to.import.vmware.vm.files", "3")
    world.services = replace(world.services, quirks=Quirks(["all"]))
    world.run(**BY_SERVER)
    ((_, _, rules),) = world.vcenter.exports
    assert (rules.threads, rules.hide_errors, rules.lose_disks) == (3, False, False)


def failed(world: Any, mounted: Path, **changes: Any) -> str:
    """The text of an import that fails; no directory, clone or record is left and nothing was converted."""
    world.vcenter.vms["web01"] = replace(world.vcenter.vms["web01"], power_state=POWER_ON)
    world.repair()
    error = world.refused(**BY_SERVER, **changes)
    assert (error.job_errorcode(), error.row) == (530, "30")
    assert (world.task.state, world.task.step, world.task.description) == ("Failed", "ConvertingInstance", error.text)
    assert world.agents.commands(ConvertInstanceCommand) == []
    assert world.vcenter.destroyed == world.vcenter.clones != []
    assert list(mounted.iterdir()) == []
    world.assert_no_records()
    text: str = error.text
    (clone,) = world.vcenter.clones
    return text.replace(clone, "web01")


def test_row_30_export_fails(world: Any, mounted: Path) -> None:
    """The reason of the export stands inside CloudStack's words."""
    world.vcenter.failures["export_end"] = VcenterError("Unable to finish the whole process to package as a OVA file")
    text = failed(world, mounted)
    assert text.startswith(WRAPPER)
    assert text.endswith(": Unable to finish the whole process to package as a OVA file")


def test_row_30_no_room(world: Any, mounted: Path) -> None:
    """The system's words are the reason when a file cannot be written."""
    world.vcenter.failures["export_end"] = OSError(28, "No space left on device")
    assert failed(world, mounted).endswith(": No space left on device")


def test_row_30_login_refused(world: Any, mounted: Path) -> None:
    """A vCenter that lets nobody in any more is told with the same words around."""
    world.vcenter.failures["export_vm"] = VcenterLoginError("Cannot complete login", "InvalidLogin")
    assert failed(world, mounted).endswith(": Cannot complete login")


def test_row_30_vm_gone(world: Any, mounted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A VM that is not there any more is named."""
    clone_vm = world.vcenter.clone_vm

    def forget(vm: Any, name: str) -> Any:
        made = clone_vm(vm, name)
        clone = world.vcenter.vms.pop(name)
        world.vcenter.failures["destroy_vm"] = VcenterError("gone")
        monkeypatch.setattr(world.vcenter, "clone_vm", clone_vm)
        assert clone is made
        return made

    world.vcenter.vms["web01"] = replace(world.vcenter.vms["web01"], power_state=POWER_ON)
    monkeypatch.setattr(world.vcenter, "clone_vm", forget)
    world.repair()
    error = world.refused(**BY_SERVER)
    (clone,) = world.vcenter.clones
    assert error.text.endswith(f": Cannot find VM with name {clone} on vCenter vc1/DC1, to create template file")


def test_row_30_only_nfs(world: Any, mounted: Path) -> None:
    """A pool that is written to directly must be NFS for this."""
    text = failed(world, mounted, forceconverttopool=True, convertinstancepoolid="pool-S1")
    assert text.startswith(WRAPPER)
    assert text.endswith(": Only NFS storage is supported for template creation")


def test_row_30_not_mounted(world: Any, mounted: Path) -> None:
    """An export that the server does not reach is named with what is missing."""
    world.services = replace(world.services, staging=NoStaging())
    text = failed(world, mounted)
    assert text.endswith(
        ": Unable to create mount point for nfs://192.0.2.20/export/secondary: there are no embedded hosts, and the "
        "setting nfs_root does not say where it is mounted"
    )


def test_a_failed_conversion_leaves_no_directory(world: Any, mounted: Path) -> None:
    """The directory goes as well when the host cannot convert it."""
    world.agents.script(ConvertInstanceCommand, Answer(result=False, details="virt-v2v failed"))
    assert world.refused(**BY_SERVER).row == "3.4"
    assert world.vcenter.exports and list(mounted.iterdir()) == []


# Where NFS is


def test_nfs_exports_of_locations() -> None:
    """Image stores go by their URL, pools by host and path."""
    assert nfs_export(ImageStoreFacts(1, "u", "s", "nfs://192.0.2.9/a/b")) == ("192.0.2.9", "/a/b")
    pool = PoolFacts(1, "u", "p", "NetworkFilesystem", "ZONE", 1, host_address="192.0.2.8", path="/c")
    assert nfs_export(pool) == ("192.0.2.8", "/c")
    for other in (ImageStoreFacts(1, "u", "s", "s3://bucket"), replace(pool, pool_type="RBD")):
        with pytest.raises(CloudRuntimeError, match=r"^Only NFS storage is supported for template creation$"):
            nfs_export(other)


@pytest.mark.parametrize(
    ("host", "path", "reason"),
    [
        ("192.0.2.1", "/none", "is no directory; mount the export there"),
        ("..", "/none", "it is no NFS export"),
        ("h/../x", "/none", "it is no NFS export"),
        ("192.0.2.20", "/a/../../b", "it is no NFS export"),
    ],
)
def test_mounts_stay_below_their_root(tmp_path: Path, host: str, path: str, reason: str) -> None:
    """What is not there, or would lead elsewhere, is refused by name."""
    with pytest.raises(CloudRuntimeError) as caught:
        MountedStaging(tmp_path).directory(host, path)
    assert caught.value.text.startswith(f"Unable to create mount point for nfs://{host}/")
    assert caught.value.text.endswith(reason)
