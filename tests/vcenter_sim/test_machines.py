"""What tasks do to VMs: clone, destroy, power, relocate, reconfigure, rename; and their faults."""

from __future__ import annotations

import time
from typing import Any

import pytest
from pyVmomi import vim, vmodl

from vcenter_sim.server import VcenterSim

DuplicateName = vim.fault.DuplicateName
InvalidPowerState = vim.fault.InvalidPowerState


def disks_of(vm: Any) -> list[Any]:
    return [device for device in vm.config.hardware.device if isinstance(device, vim.vm.device.VirtualDisk)]


def nics_of(vm: Any) -> list[Any]:
    return [device for device in vm.config.hardware.device if isinstance(device, vim.vm.device.VirtualEthernetCard)]


def cloudstack_clone(client: Any, source: Any, name: str) -> Any:
    """The clone task as CloudStack asks for it: root folder, pool of the host's parent, first datastore, thin disks."""
    folder = client.RetrieveContent().searchIndex.FindByInventoryPath("lab-dc/vm")
    datastore = source.datastore[0]
    location = vim.vm.RelocateSpec(
        datastore=datastore,
        pool=source.runtime.host.parent.resourcePool,
        disk=[
            vim.vm.RelocateSpec.DiskLocator(
                diskId=disk.key,
                datastore=datastore,
                diskBackingInfo=vim.vm.device.VirtualDisk.FlatVer2BackingInfo(
                    fileName="", diskMode="persistent", thinProvisioned=True
                ),
            )
            for disk in disks_of(source)
        ],
    )
    return source.CloneVM_Task(folder, name, vim.vm.CloneSpec(location=location, powerOn=False, template=False))


def test_a_clone_is_a_copy_with_identities_of_its_own(
    vcenter: VcenterSim, client: Any, vm_named: Any, finish: Any
) -> None:
    """CloneVM_Task copies the hardware and gives new uuid, instanceUuid, MACs, files and diskObjectIds."""
    source = vm_named(client, "app01")
    info = finish(cloudstack_clone(client, source, "0d6cd2a9-clone"))
    assert info.state == "success"
    clone = info.result
    assert clone.name == "0d6cd2a9-clone"
    assert clone.parent.name == "vm"
    assert clone.runtime.powerState == "poweredOff"
    assert source.runtime.powerState == "poweredOn"
    assert clone.runtime.host == source.runtime.host
    assert clone.resourcePool.name == "Resources"
    assert clone.config.uuid != source.config.uuid
    assert clone.config.instanceUuid != source.config.instanceUuid
    assert clone.config.guestId == source.config.guestId
    assert clone.summary.config.cpuReservation == 1000
    copies, originals = disks_of(clone), disks_of(source)
    assert [disk.capacityInBytes for disk in copies] == [disk.capacityInBytes for disk in originals]
    assert [disk.backing.fileName for disk in copies] == [
        "[vmfs-01] 0d6cd2a9-clone/0d6cd2a9-clone.vmdk",
        "[vmfs-01] 0d6cd2a9-clone/0d6cd2a9-clone_1.vmdk",
    ]
    assert all(disk.backing.thinProvisioned for disk in copies)
    assert not {disk.diskObjectId for disk in copies} & {disk.diskObjectId for disk in originals}
    assert len({disk.diskObjectId.partition("-")[0] for disk in copies}) == 1
    macs = [nic.macAddress for vm in vcenter.inventory.vms for nic in nics_of_managed(vm)]
    assert len(macs) == len(set(macs))
    assert clone.guest.toolsStatus == "toolsNotRunning"
    assert list(clone.guest.net) == []
    assert clone in clone.runtime.host.vm
    assert clone in clone.parent.childEntity


def nics_of_managed(vm: Any) -> list[Any]:
    return [nic for nic in vm["config"].hardware.device if isinstance(nic, vim.vm.device.VirtualEthernetCard)]


@pytest.mark.parametrize("name", ["store-4disk", "win-legacy", "secure-uefi", "diskless-pxe", "büro-süd-ä1"])
def test_every_kind_of_hardware_can_be_cloned(
    vcenter: VcenterSim, client: Any, vm_named: Any, finish: Any, name: str
) -> None:
    """Controllers, disk counts, adapters, firmware and names with any letters survive a clone."""
    source = vm_named(client, name)
    clone = finish(cloudstack_clone(client, source, f"{name} (copy)")).result if disks_of(source) else None
    if clone is None:
        spec = vim.vm.CloneSpec(location=vim.vm.RelocateSpec(), powerOn=False, template=False)
        clone = finish(source.CloneVM_Task(source.parent, f"{name} (copy)", spec)).result
    assert [type(device) for device in clone.config.hardware.device] == [
        type(device) for device in source.config.hardware.device
    ]
    assert clone.config.firmware == source.config.firmware
    assert clone.config.bootOptions.efiSecureBootEnabled == source.config.bootOptions.efiSecureBootEnabled
    assert clone.name == f"{name} (copy)"


def test_a_task_shows_its_progress(vcenter: VcenterSim, client: Any, vm_named: Any) -> None:
    """A clone's task goes from queued or running through growing percentages to success without progress."""
    task = cloudstack_clone(client, vm_named(client, "web01"), "slow-clone")
    seen: list[tuple[str, int | None]] = []
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and (not seen or seen[-1][0] not in ("success", "error")):
        info = task.info
        if not seen or seen[-1] != (info.state, info.progress):
            seen.append((info.state, info.progress))
    assert seen[-1] == ("success", None)
    percentages = [progress for state, progress in seen if state == "running"]
    assert len(percentages) >= 3
    assert percentages == sorted(percentages)
    assert info.name.info.name == "Clone"
    assert info.descriptionId == "VirtualMachine.clone"
    assert info.entityName == "web01"
    assert info.reason.userName == vcenter.username
    assert info.startTime >= info.queueTime
    assert task in client.content.taskManager.recentTask


def test_a_clone_to_a_taken_name_fails_with_duplicate_name(
    vcenter: VcenterSim, client: Any, vm_named: Any, finish: Any
) -> None:
    """The name must be free in the folder, ignoring case; the text is: The name 'WEB01' already exists."""
    info = finish(cloudstack_clone(client, vm_named(client, "app01"), "WEB01"))
    assert info.state == "error"
    assert isinstance(info.error, DuplicateName)
    assert info.error.msg == "The name 'WEB01' already exists."
    assert info.error.object.name == "web01"
    assert vcenter.inventory.vm_names.count("web01") == 1


def test_two_clones_to_one_name_make_one(vcenter: VcenterSim, client: Any, vm_named: Any, finish: Any) -> None:
    """Of two tasks under way at once, the second to end fails."""
    source = vm_named(client, "web01")
    tasks = [cloudstack_clone(client, source, "twin") for _ in range(2)]
    assert sorted(finish(task).state for task in tasks) == ["error", "success"]
    assert vcenter.inventory.vm_names.count("twin") == 1


def test_a_clone_needs_a_pool_for_a_template_and_a_name(
    vcenter: VcenterSim, client: Any, vm_named: Any, finish: Any
) -> None:
    """A template has no pool to inherit; with one a VM comes of it, and `template` makes a template of a VM."""
    template = vm_named(client, "golden-ubuntu")
    spec = vim.vm.CloneSpec(location=vim.vm.RelocateSpec(), powerOn=True, template=False)
    with pytest.raises(vmodl.fault.InvalidArgument) as caught:
        template.CloneVM_Task(template.parent, "from-template", spec)
    assert caught.value.invalidProperty == "spec.location.pool"
    with pytest.raises(vmodl.fault.InvalidArgument):
        template.CloneVM_Task(template.parent, "", spec)
    spec.location.pool = vm_named(client, "edge-stopped").resourcePool
    made = finish(template.CloneVM_Task(template.parent, "from-template", spec)).result
    assert made.config.template is False
    assert made.runtime.powerState == "poweredOn"
    assert made.runtime.host.name == "esx3.lab.example"
    spec = vim.vm.CloneSpec(location=vim.vm.RelocateSpec(), powerOn=True, template=True)
    copy = finish(made.CloneVM_Task(template.parent, "new-template", spec)).result
    assert (copy.config.template, copy.resourcePool, copy.runtime.powerState) == (True, None, "poweredOff")
    with pytest.raises(vmodl.fault.NotSupported):
        copy.PowerOnVM_Task()


def test_a_clone_to_a_host_outside_the_pool_is_refused(vcenter: VcenterSim, client: Any, vm_named: Any) -> None:
    """Host and pool of a clone must belong together."""
    source, other = vm_named(client, "web01"), vm_named(client, "edge-stopped")
    location = vim.vm.RelocateSpec(pool=other.resourcePool, host=source.runtime.host)
    with pytest.raises(vmodl.fault.InvalidArgument) as caught:
        source.CloneVM_Task(
            source.parent, "nowhere", vim.vm.CloneSpec(location=location, powerOn=False, template=False)
        )
    assert caught.value.invalidProperty == "spec.location.host"


def test_destroy_takes_the_vm_away(vcenter: VcenterSim, client: Any, vm_named: Any, finish: Any) -> None:
    """After Destroy_Task the VM is in no list and its reference names nothing."""
    vm = vm_named(client, "web01")
    host, folder = vm.runtime.host, vm.parent
    assert finish(vm.Destroy_Task()).state == "success"
    with pytest.raises(vmodl.fault.ManagedObjectNotFound):
        _ = vm.name
    assert vm not in host.vm
    assert vm not in folder.childEntity
    assert "web01" not in vcenter.inventory.vm_names
    with pytest.raises(vmodl.fault.ManagedObjectNotFound):
        vm.Destroy_Task()


@pytest.mark.parametrize(
    ("name", "method", "state", "text"),
    [
        ("app01", "Destroy_Task", "poweredOn", "Powered on"),
        ("app01", "PowerOnVM_Task", "poweredOn", "Powered on"),
        ("web01", "PowerOffVM_Task", "poweredOff", "Powered off"),
        ("web01", "SuspendVM_Task", "poweredOff", "Powered off"),
        ("batch-suspended", "Destroy_Task", "suspended", "Suspended"),
    ],
)
def test_the_power_state_must_allow_it(
    lab: VcenterSim, lab_client: Any, vm_named: Any, finish: Any, name: str, method: str, state: str, text: str
) -> None:
    """The task fails with InvalidPowerState: The attempted operation cannot be performed in the current state (..)."""
    info = finish(getattr(vm_named(lab_client, name), method)())
    assert info.state == "error"
    assert isinstance(info.error, InvalidPowerState)
    assert info.error.existingState == state
    assert info.error.msg == f"The attempted operation cannot be performed in the current state ({text})."


def test_power_shows_in_runtime_guest_and_adapters(
    vcenter: VcenterSim, client: Any, vm_named: Any, finish: Any
) -> None:
    """Switching a VM changes its state, its tools and its adapters' connection."""
    vm = vm_named(client, "app01")
    finish(vm.PowerOffVM_Task())
    assert (vm.runtime.powerState, vm.guest.toolsStatus, vm.guest.hostName) == ("poweredOff", "toolsNotRunning", None)
    assert vm.summary.runtime.powerState == "poweredOff"
    assert not nics_of(vm)[0].connectable.connected
    finish(vm.PowerOnVM_Task())
    assert (vm.guest.toolsStatus, vm.guest.hostName) == ("toolsOk", "app01.lab.example")
    assert nics_of(vm)[0].connectable.connected
    finish(vm.SuspendVM_Task())
    assert vm.runtime.powerState == "suspended"
    finish(vm.PowerOnVM_Task())
    assert vm.runtime.powerState == "poweredOn"


def test_a_guest_can_be_shut_down(vcenter: VcenterSim, client: Any, vm_named: Any, finish: Any) -> None:
    """ShutdownGuest leads to poweredOff; it needs a running VM with running tools."""
    vm = vm_named(client, "win-files")
    vm.ShutdownGuest()
    deadline = time.monotonic() + 60
    while vm.runtime.powerState != "poweredOff" and time.monotonic() < deadline:
        pass
    assert vm.runtime.powerState == "poweredOff"
    with pytest.raises(InvalidPowerState):
        vm.ShutdownGuest()
    bare = vm_named(client, "diskless-pxe")
    finish(bare.PowerOnVM_Task())
    with pytest.raises(vim.fault.ToolsUnavailable):
        bare.ShutdownGuest()


def test_relocate_moves_host_pool_and_disks(vcenter: VcenterSim, client: Any, vm_named: Any, finish: Any) -> None:
    """RelocateVM_Task with only a host moves there; with a datastore it moves the files."""
    search = client.RetrieveContent().searchIndex
    vm = vm_named(client, "web01")
    esx2 = search.FindByDnsName(None, "esx2.lab.example", False)
    esx3 = search.FindByDnsName(None, "esx3.lab.example", False)
    assert finish(vm.RelocateVM_Task(vim.vm.RelocateSpec(host=esx2))).state == "success"
    assert vm.runtime.host == esx2
    pool = vm.resourcePool
    finish(vm.RelocateVM_Task(vim.vm.RelocateSpec(host=esx3)))
    assert (vm.runtime.host, vm.resourcePool.owner.name) == (esx3, "esx3.lab.example")
    assert vm.runtime.maxCpuUsage == 2 * 2400
    finish(vm.RelocateVM_Task(vim.vm.RelocateSpec(pool=pool)))
    assert vm.runtime.host.name == "esx1.lab.example"
    nas = search.FindByInventoryPath("lab-dc/datastore/nas-01")
    finish(vm.RelocateVM_Task(vim.vm.RelocateSpec(datastore=nas)))
    assert [disk.backing.fileName for disk in disks_of(vm)] == [
        "[nas-01] web01/web01.vmdk",
        "[nas-01] web01/web01_1.vmdk",
    ]
    assert list(vm.datastore) == [nas]
    assert vm.config.files.vmPathName == "[nas-01] web01/web01.vmx"
    thick = vim.vm.device.VirtualDisk.FlatVer2BackingInfo(fileName="", diskMode="persistent", thinProvisioned=False)
    vmfs = search.FindByInventoryPath("lab-dc/datastore/vmfs-01")
    locator = vim.vm.RelocateSpec.DiskLocator(diskId=2001, datastore=vmfs, diskBackingInfo=thick)
    finish(vm.RelocateVM_Task(vim.vm.RelocateSpec(disk=[locator])))
    assert (disks_of(vm)[1].backing.datastore, disks_of(vm)[1].backing.thinProvisioned) == (vmfs, False)
    assert list(vm.datastore) == [nas, vmfs]
    info = finish(vm.RelocateVM_Task(vim.vm.RelocateSpec(host=esx3, pool=pool)))
    assert isinstance(info.error, vmodl.fault.InvalidArgument)


def test_reconfigure_sets_simple_fields(vcenter: VcenterSim, client: Any, vm_named: Any, finish: Any) -> None:
    """ReconfigVM_Task sets CPUs, memory, name, note and change tracking, and refuses what it does not know."""
    vm = vm_named(client, "web01")
    spec = vim.vm.ConfigSpec(
        name="web01-new", numCPUs=4, numCoresPerSocket=2, memoryMB=6144, annotation="n", changeTrackingEnabled=True
    )
    assert finish(vm.ReconfigVM_Task(spec)).state == "success"
    assert vm.name == "web01-new"
    assert (vm.summary.config.numCpu, vm.summary.config.memorySizeMB, vm.config.annotation) == (4, 6144, "n")
    assert vm.config.changeTrackingEnabled is True
    with pytest.raises(vmodl.fault.NotSupported) as caught:
        vm.ReconfigVM_Task(vim.vm.ConfigSpec(firmware="efi"))
    assert "firmware" in caught.value.msg
    running = vm_named(client, "app01")
    info = finish(running.ReconfigVM_Task(vim.vm.ConfigSpec(numCPUs=8)))
    assert isinstance(info.error, InvalidPowerState)
    assert finish(running.ReconfigVM_Task(vim.vm.ConfigSpec(changeTrackingEnabled=True))).state == "success"


def test_rename_needs_a_free_name(vcenter: VcenterSim, client: Any, vm_named: Any, finish: Any) -> None:
    """Rename_Task changes the name everywhere, or fails with DuplicateName."""
    vm = vm_named(client, "web01")
    assert finish(vm.Rename_Task("Web01")).state == "success"
    assert (vm.name, vm.config.name, vm.summary.config.name) == ("Web01", "Web01", "Web01")
    assert isinstance(finish(vm.Rename_Task("db01")).error, DuplicateName)
    with pytest.raises(vmodl.fault.InvalidArgument):
        vm.Rename_Task("")


def test_a_vm_that_goes_during_a_task_ends_it_with_not_found(
    vcenter: VcenterSim, client: Any, vm_named: Any, finish: Any
) -> None:
    """Each task looks at its VM again when it ends."""
    vm = vm_named(client, "web01")
    folder = vm.parent
    with vcenter.inventory.lock:
        tasks = [vcenter.inventory.find_vm("web01")]
    destroyed = vm.Destroy_Task()
    spec = vim.vm.CloneSpec(location=vim.vm.RelocateSpec(), powerOn=False, template=False)
    tasks = [
        vm.CloneVM_Task(folder, "late", spec),
        vm.RelocateVM_Task(vim.vm.RelocateSpec()),
    ]
    assert finish(destroyed).state == "success"
    for task in tasks:
        assert isinstance(finish(task).error, vmodl.fault.ManagedObjectNotFound)
    assert "late" not in vcenter.inventory.vm_names


def test_only_vms_can_be_destroyed(lab_client: Any) -> None:
    """Destroying a folder is not implemented, and says so."""
    folder = lab_client.RetrieveContent().searchIndex.FindByInventoryPath("lab-dc/vm/Prod")
    with pytest.raises(vmodl.fault.MethodNotFound):
        folder.Destroy_Task()


def test_many_clones_at_once_all_come_through(vcenter: VcenterSim, client: Any, vm_named: Any, finish: Any) -> None:
    """Twenty clone tasks under way together all succeed."""
    source = vm_named(client, "web01")
    tasks = [cloudstack_clone(client, source, f"many-{number}") for number in range(20)]
    assert {finish(task).state for task in tasks} == {"success"}
    assert sum(name.startswith("many-") for name in vcenter.inventory.vm_names) == 20
