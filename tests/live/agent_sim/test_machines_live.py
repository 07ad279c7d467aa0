"""The life of VMs on a simulated host: commands over the wire, domains and files on the host."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agent_sim.errors import AgentFailure
from agent_sim.host import Domain
from agent_sim.toolchain.images import write_qcow2
from mgmt.protocol import gson
from mgmt.protocol.commands import (
    Answer,
    AttachCommand,
    CheckVirtualMachineCommand,
    CheckVolumeAnswer,
    CheckVolumeCommand,
    CreateObjectCommand,
    DeleteCommand,
    DettachCommand,
    DiskTO,
    GetUnmanagedInstancesCommand,
    GetVmDiskStatsCommand,
    GetVmNetworkStatsCommand,
    GetVmStatsCommand,
    GetVolumeStatsCommand,
    MigrateCommand,
    NicTO,
    PingRoutingCommand,
    PrepareForMigrationCommand,
    PrepareUnmanageVMInstanceCommand,
    RebootAnswer,
    RebootCommand,
    ResizeVolumeCommand,
    StartAnswer,
    StartCommand,
    StopAnswer,
    StopCommand,
    StorageFilerTO,
    TemplateObjectTO,
    UnmanageInstanceAnswer,
    UnmanageInstanceCommand,
    VirtualMachineTO,
    VolumeObjectTO,
)
from mgmt.protocol.records import Record

GIB = 1024**3


@pytest.fixture(name="lab")
def lab_with_a_disk(conversions: Any) -> Any:
    write_qcow2(conversions.export("/export/primary") / "root", 3 * GIB, allocated_bytes=1024)
    return conversions


def volume(lab: Any, path: str = "root") -> VolumeObjectTO:
    return VolumeObjectTO(path=path, size=GIB, dataStore=lab.primary(), format="QCOW2", volumeType="ROOT")


def machine(lab: Any, name: str = "i-2-3-VM", path: str = "root") -> VirtualMachineTO:
    return VirtualMachineTO(
        name=name,
        cpus=2,
        minSpeed=1000,
        maxRam=2 * GIB,
        disks=[
            DiskTO(data=volume(lab, path), diskSeq=0, type="ROOT"),
            DiskTO(data=TemplateObjectTO(format="ISO"), diskSeq=3, type="ISO"),
        ],
        nics=[NicTO(mac="02:01:00:aa:bb:01", broadcastUri="vlan://162")],
    )


def as_wire(record: Record) -> dict[str, Any]:
    """What the record's JSON text holds."""
    fields: dict[str, Any] = json.loads(gson.write(record))
    return fields


def test_start_check_reboot_stop(lab: Any) -> None:
    """A started VM is a domain with the disks and NICs of its specification; stopping it leaves nothing."""
    agent = lab.agent
    started = agent.ask(StartCommand(vm=machine(lab)))[0]
    assert isinstance(started, StartAnswer) and started.result and started.vm.name == "i-2-3-VM"
    found = agent.ask(GetUnmanagedInstancesCommand(instanceName="i-2-3-VM"))[0].unmanagedInstances["i-2-3-VM"]
    assert (found.cpuCores, found.memory, found.disks[0].capacity) == (2, 2048, 3 * GIB)
    assert (found.nics[0].macAddress, found.nics[0].vlan) == ("02:01:00:aa:bb:01", 162)
    assert agent.ask(StartCommand(vm=machine(lab, "i-2-4-VM")))[0].result
    checked = agent.ask(CheckVirtualMachineCommand(vmName="i-2-4-VM"))[0]
    assert (checked.state, checked.vncPort) == ("PowerOn", 1)
    assert agent.ask(StartCommand(vm=machine(lab)))[0].details.endswith("domain 'i-2-3-VM' is already active")
    rebooted = agent.ask(RebootCommand(vmName="i-2-3-VM"))[0]
    assert isinstance(rebooted, RebootAnswer) and rebooted.result and rebooted.vncPort == 0
    refused = agent.ask(StopCommand(vmName="i-2-3-VM", checkBeforeCleanup=True))[0]
    assert (refused.result, refused.details) == (False, "vm is still running on host")
    lab.hypervisor.set_domain_state("i-2-3-VM", "paused")
    paused = agent.ask(CheckVirtualMachineCommand(vmName="i-2-3-VM"))[0]
    assert (paused.state, paused.vncPort) == ("PowerUnknown", 0)
    for _ in range(2):
        stopped = agent.ask(StopCommand(vmName="i-2-3-VM"))[0]
        assert isinstance(stopped, StopAnswer) and stopped.result
    gone = agent.ask(CheckVirtualMachineCommand(vmName="i-2-3-VM"))[0]
    assert (gone.result, gone.state) == (False, None) and gone.details.startswith("Domain not found: ")
    assert not agent.ask(RebootCommand(vmName="i-2-3-VM"))[0].result


@pytest.mark.parametrize("path", ["missing", "../root", ""])
def test_start_without_its_disk_fails(lab: Any, path: str) -> None:
    answer = lab.agent.ask(StartCommand(vm=machine(lab, path=path)))[0]
    assert isinstance(answer, StartAnswer) and not answer.result and path in answer.details
    assert lab.hypervisor.domains == {}


def test_delete_removes_the_file(lab: Any) -> None:
    """The file goes from the pool; asking once more is no fault, an unknown pool is."""
    for _ in range(2):
        assert lab.agent.ask(DeleteCommand(data=volume(lab)))[0].result
        assert lab.files() == []
    unknown = VolumeObjectTO(path="root", dataStore=lab.primary("0b1e4a86-0000-4000-8000-000000000001"))
    answer = lab.agent.ask(DeleteCommand(data=unknown))[0]
    assert not answer.result and "no storage pool with matching uuid" in answer.details


def look_at(lab: Any, name: str, **changes: Any) -> Answer:
    filer = StorageFilerTO(**{"uuid": lab.primary().uuid, "type": "NetworkFilesystem"} | changes)
    answer: Answer = lab.agent.ask(CheckVolumeCommand(srcFile=name, storageFilerTO=filer))[0]
    return answer


def test_check_volume_reads_the_image(lab: Any) -> None:
    """Size and format come from the file itself; only a name in .qcow2 has to be a good qcow2."""
    pool = lab.export("/export/primary")
    good = look_at(lab, "root")
    assert isinstance(good, CheckVolumeAnswer) and good.result and good.size == 3 * GIB
    assert good.volumeDetails == {
        "FILE_FORMAT": "qcow2", "CLUSTER_SIZE": "65536", "IS_ENCRYPTED": "false", "IS_LOCKED": "false",
    }  # fmt: skip
    assert lab.agent.ask(StartCommand(vm=machine(lab)))[0].result
    assert look_at(lab, "root").volumeDetails["IS_LOCKED"] == "true"
    for name in ("note", "note.qcow2"):
        (pool / name).write_bytes(b"a text.\n")
    note = look_at(lab, "note")
    assert (note.result, note.size, note.volumeDetails["FILE_FORMAT"]) == (True, 512, "raw")
    bad = look_at(lab, "note.qcow2")
    assert isinstance(bad, CheckVolumeAnswer) and (bad.result, bad.details, bad.size) == (False, "", 0)
    missing = look_at(lab, "missing.qcow2")
    assert (type(missing), missing.result, missing.details) == (Answer, False, None)
    assert look_at(lab, "root", type="RBD").details == "Unsupported Storage Pool"


def test_check_volume_names_backing_file_and_encryption(lab: Any) -> None:
    """Backing file, its format and encryption stand in the header of the image."""
    path = lab.export("/export/primary") / "child.qcow2"
    write_qcow2(path, GIB, allocated_bytes=0)
    with path.open("r+b") as file:
        file.seek(8)
        file.write((4096).to_bytes(8, "big") + (9).to_bytes(4, "big"))
        file.seek(32)
        file.write((2).to_bytes(4, "big"))
        file.seek(104)
        file.write(0xE2792ACA.to_bytes(4, "big") + (5).to_bytes(4, "big") + b"qcow2\0\0\0")
        file.seek(4096)
        file.write(b"base.qcow")
    details = look_at(lab, "child.qcow2").volumeDetails
    assert (details["BACKING_FILE"], details["BACKING_FILE_FORMAT"]) == ("base.qcow", "qcow2")
    assert details["IS_ENCRYPTED"] == "true"


def test_unmanage_keeps_a_domain(lab: Any) -> None:
    """A running VM stays as it is, a stopped one becomes a domain that is shut off; a missing one is refused."""
    agent = lab.agent
    assert agent.ask(StartCommand(vm=machine(lab)))[0].result
    assert agent.ask(PrepareUnmanageVMInstanceCommand(instanceName="i-2-3-VM"))[0].result
    kept = agent.ask(UnmanageInstanceCommand(instanceName="i-2-3-VM"))[0]
    assert isinstance(kept, UnmanageInstanceAnswer) and kept.result
    domains = lab.hypervisor.domains
    assert (domains["i-2-3-VM"].persistent, domains["i-2-3-VM"].state) == (True, "running")
    assert agent.ask(UnmanageInstanceCommand(instanceName="i-2-4-VM", vm=machine(lab, "i-2-4-VM")))[0].result
    assert (domains["i-2-4-VM"].persistent, domains["i-2-4-VM"].state) == (True, "shut off")
    assert set(agent.ask(GetUnmanagedInstancesCommand())[0].unmanagedInstances) == {"i-2-3-VM"}
    missing = agent.ask(UnmanageInstanceCommand(instanceName="i-2-5-VM"))[0]
    assert not missing.result and missing.details.startswith("Error: Domain not found")
    assert agent.ask(StartCommand(vm=machine(lab, "i-2-4-VM")))[0].result
    assert not domains["i-2-4-VM"].persistent


def test_disk_and_move_that_cannot_be(lab: Any) -> None:
    """No domain, no file, no pool, no such host: false with a text each, and nothing changes."""
    agent, disk = lab.agent, DiskTO(data=volume(lab), diskSeq=1, type="DATADISK")
    for command in (AttachCommand(disk=disk, vmName="x"), DettachCommand(disk=disk, vmName="x")):
        assert agent.ask(command)[0].details == "Domain not found: no domain with matching name 'x'"
    assert agent.ask(StartCommand(vm=machine(lab)))[0].result
    missing = DiskTO(data=volume(lab, "missing"), type="DATADISK")
    assert "Storage volume not found" in agent.ask(AttachCommand(disk=missing, vmName="i-2-3-VM"))[0].details
    assert not agent.ask(PrepareForMigrationCommand(vm=machine(lab, path="missing")))[0].result
    assert not agent.ask(MigrateCommand(vmName="x", destinationIp="192.0.2.12"))[0].result
    away = agent.ask(MigrateCommand(vmName="i-2-3-VM", destinationIp="192.0.2.99"))[0]
    assert (away.result, "192.0.2.99:16509" in away.details) == (False, True)
    assert lab.hypervisor.domains["i-2-3-VM"].state == "running"
    unknown = VolumeObjectTO(uuid="u", size=GIB, dataStore=lab.primary("0b1e4a86-0000-4000-8000-000000000001"))
    assert not agent.ask(CreateObjectCommand(data=unknown))[0].result
    sizes = {"currentSize": 1, "newSize": 2}
    assert not agent.ask(ResizeVolumeCommand(pool=StorageFilerTO(uuid="nosuch"), path="root", **sizes))[0].result


def test_resize_changes_the_image(lab: Any) -> None:
    """The file has its new size at once; a smaller one has to be allowed."""
    pool = StorageFilerTO(uuid=lab.primary().uuid, type="NetworkFilesystem")
    for size, allowed, ends in ((5 * GIB, False, True), (GIB, False, False), (GIB, True, True)):
        command = ResizeVolumeCommand(pool=pool, path="root", currentSize=3, newSize=size, shrinkOk=allowed)
        assert lab.agent.ask(command)[0].result is ends
        assert look_at(lab, "root").size == (size if ends else 5 * GIB)


def test_statistics_of_vms_and_volumes(lab: Any) -> None:
    """The recorded answers' form; only VMs that are active, and volumes that are in the pool, have figures."""
    agent = lab.agent
    assert agent.ask(StartCommand(vm=machine(lab)))[0].result
    asked = {"vmNames": ["i-2-3-VM", "nosuch"], "hostGuid": "g", "hostName": "kvm1"}
    load = agent.ask(GetVmStatsCommand(**asked))[0]
    assert load.details is None
    assert {name: as_wire(entry) for name, entry in load.vmStatsMap.items()} == {
        "i-2-3-VM": {
            "vmId": 0, "cpuUtilization": 0.0, "networkReadKBs": 0.0, "networkWriteKBs": 0.0, "diskReadIOs": 0.0,
            "diskWriteIOs": 0.0, "diskReadKBs": 0.0, "diskWriteKBs": 0.0, "memoryKBs": 2097152.0,
            "intFreeMemoryKBs": -1.0, "targetMemoryKBs": 2097152.0, "numCPUs": 2, "entityType": "vm",
        },
    }  # fmt: skip
    disks = agent.ask(GetVmDiskStatsCommand(**asked))[0]
    (disk,) = disks.vmDiskStatsMap["i-2-3-VM"]
    assert (disks.hostName, disks.details, set(disks.vmDiskStatsMap)) == ("kvm1", "", {"i-2-3-VM"})
    assert (disk.vmName, disk.path, disk.ioRead, disk.bytesRead, disk.ioWrite) == ("i-2-3-VM", "root", 1, 512, 0)
    nics = agent.ask(GetVmNetworkStatsCommand(**asked))[0]
    (nic,) = nics.vmNetworkStatsMap["i-2-3-VM"]
    assert (nics.hostName, nic.macAddress, nic.bytesSent) == ("kvm1", "02:01:00:aa:bb:01", 0)
    pool = {"poolUuid": lab.primary().uuid, "poolType": "NetworkFilesystem"}
    sizes = agent.ask(GetVolumeStatsCommand(volumeUuids=["root"], **pool))[0]
    entry = sizes.volumeStats["root"]
    assert (sizes.poolUuid, sizes.poolType) == (pool["poolUuid"], "NetworkFilesystem")
    assert (entry.volumeUuid, entry.physicalsize, entry.virtualSize) == ("root", 1024, 3 * GIB)
    missing = agent.ask(GetVolumeStatsCommand(volumeUuids=["root", "nosuch"], **pool))[0]
    assert (type(missing), missing.result) == (Answer, False)
    assert "no storage vol with matching name 'nosuch'" in missing.details
    lab.hypervisor.set_domain_state("i-2-3-VM", "shut off")
    assert agent.ask(GetVmStatsCommand(**asked))[0].vmStatsMap == {}


def told(lab: Any) -> tuple[bool, set[str]]:
    """The next ping: did it come out of turn, and which VMs does it say are on?"""
    while True:
        command = lab.agent.requests.get(timeout=60).commands[0]
        if isinstance(command, PingRoutingCommand):
            return command.outOfBand, set(command._hostVmStateReport)


def test_changes_behind_the_servers_back(lab: Any) -> None:
    """VMs end and start without a command; the host, which has libvirt's events on, pings when one ended by itself."""
    names = ["i-2-3-VM", "i-2-4-VM", "i-2-5-VM"]
    for name in names:
        assert lab.agent.ask(StartCommand(vm=machine(lab, name)))[0].result
    assert lab.agent.ask(UnmanageInstanceCommand(instanceName="i-2-5-VM"))[0].result
    lab.fleet.end_domain("kvm1", "i-2-3-VM")
    assert told(lab) == (True, {"i-2-4-VM", "i-2-5-VM"})
    lab.fleet.end_domain("kvm1", "i-2-4-VM", "destroy")
    lab.fleet.end_domain("kvm1", "i-2-5-VM", "crash")
    assert told(lab) == (True, set())
    assert {name: domain.state for name, domain in lab.hypervisor.domains.items()} == {"i-2-5-VM": "shut off"}
    lab.fleet.start_domain("kvm1", "i-2-5-VM")
    lab.fleet.start_domain("kvm1", Domain(name="i-2-3-VM"))
    assert lab.agent.ask(CheckVirtualMachineCommand(vmName="i-2-3-VM"))[0].state == "PowerOn"
    lab.fleet.end_domain("kvm1", "i-2-3-VM")
    assert told(lab) == (True, {"i-2-5-VM"})


def test_changes_that_cannot_be(lab: Any) -> None:
    """libvirt's texts for a VM that is not there, not active or active already."""
    lab.hypervisor.domains["off"] = Domain(name="off", state="shut off", persistent=True)
    for text, change in (
        ("Domain not found: no domain with matching name 'x'", lambda: lab.fleet.end_domain("kvm1", "x")),
        ("Domain not found: no domain with matching name 'x'", lambda: lab.fleet.start_domain("kvm1", "x")),
        ("domain is not running", lambda: lab.fleet.end_domain("kvm1", "off")),
    ):
        with pytest.raises(AgentFailure, match=text):
            change()
    lab.fleet.start_domain("kvm1", "off")
    with pytest.raises(AgentFailure, match="domain 'off' is already active"):
        lab.fleet.start_domain("kvm1", "off")
