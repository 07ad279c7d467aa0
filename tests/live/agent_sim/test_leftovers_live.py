"""What a host leaves as CloudStack's agent does, what it removes when told to be without that, and its ledger."""

from __future__ import annotations

import asyncio
import dataclasses
import threading

import pytest

from agent_sim import defects
from agent_sim.host import NfsExport
from agent_sim.ledger import FILE, FOLDER, MOUNT, PASSWORD_FILE, PROCESS
from mgmt.protocol.commands import (
    CleanupConvertedInstanceDisksCommand,
    ConvertInstanceAnswer,
    CopyRemoteVolumeCommand,
    ModifyStoragePoolCommand,
    StorageFilerTO,
)

both_ways = pytest.mark.parametrize("is_repaired", [False, True], ids=["faithful", "repaired"])
GIB = 1024**3


@pytest.fixture
def lab_with(make_conversions, lab_hosts):
    """Makes a lab of one host that is without the named defect when it is repaired."""

    def make(name, is_repaired, host=lab_hosts[0], **options):
        return make_conversions(host, repaired=[name] if is_repaired else [], **options)

    return make


def kinds(lab) -> list[str]:
    return sorted(holding.kind for holding in lab.fleet.holdings())


@both_ways
def test_half_converted_left(lab_with, lab_hosts, is_repaired) -> None:
    """What a virt-v2v wrote before its pool was full stays, or goes."""
    small = NfsExport("192.0.2.20", "/export/primary", capacity_bytes=100 * GIB, available_bytes=5 * GIB)
    host = dataclasses.replace(lab_hosts[0], nfs_exports=(small,))
    lab = lab_with(defects.HALF_CONVERTED_LEFT, is_repaired, host)
    assert not lab.convert("web01").result
    assert len(lab.files()) == (0 if is_repaired else 1)
    assert kinds(lab) == ([] if is_repaired else [FILE])


@both_ways
def test_half_converted_left_by_a_killed_agent(lab_with, is_repaired) -> None:
    """The same when the agent's process ends; while it runs, the ledger knows the program and the password file."""
    lab = lab_with(defects.HALF_CONVERTED_LEFT, is_repaired, time_scale=200)
    copying = threading.Event()
    lab.on_event = lambda event: copying.set() if event.bytes_done > 0 else None
    lab.agent.request(lab.convert_command("web01", location=lab.primary(), useVddk=True))
    assert copying.wait(60)
    assert kinds(lab) == [FILE, PASSWORD_FILE, PROCESS]
    lab.fleet.kill("kvm1")
    assert kinds(lab) == ([] if is_repaired else [FILE])


@both_ways
def test_temporary_mount_left(lab_with, is_repaired) -> None:
    """The secondary storage stays mounted after a conversion, failed or not, or is unmounted."""
    lab = lab_with(defects.TEMPORARY_MOUNT_LEFT, is_repaired)
    for vm, result in (("nosuch", False), ("web01", True)):
        assert lab.convert(vm, location=lab.secondary()).result is result
        assert kinds(lab).count(MOUNT) == (0 if is_repaired else 1)
    assert len(lab.hypervisor.storage.mounts()) == (1 if is_repaired else 2)


@both_ways
def test_pool_stays_unmounted(lab_with, is_repaired) -> None:
    """A pool that was unmounted cannot be mounted again, or can, with its files."""
    lab = lab_with(defects.POOL_STAYS_UNMOUNTED, is_repaired)
    pool = StorageFilerTO(uuid=lab.primary().uuid, type="NetworkFilesystem", host="192.0.2.20", path="/export/primary")
    assert lab.agent.ask(ModifyStoragePoolCommand(add=False, pool=pool))[0].result
    again = lab.agent.ask(ModifyStoragePoolCommand(add=True, pool=pool))[0]
    assert again.result is is_repaired
    assert len(lab.hypervisor.storage.mounts()) == (1 if is_repaired else 0)


def test_pool_in_use_stays_mounted(lab_with) -> None:
    """A pool that virt-v2v writes into cannot be unmounted; one that is unmounted takes no conversion."""
    lab = lab_with("", is_repaired=False)
    pool = StorageFilerTO(uuid=lab.primary().uuid, type="NetworkFilesystem")
    asked: list[str] = []

    def unmount(event) -> None:
        if not asked:
            asked.append(event.vm)
            lab.hypervisor.storage.unmount(pool.uuid)

    lab.on_event = unmount
    assert lab.convert("web01").result
    assert asked
    assert len(lab.hypervisor.storage.mounts()) == 1
    assert lab.agent.ask(ModifyStoragePoolCommand(add=False, pool=pool))[0].result
    assert lab.hypervisor.storage.mounts() == []
    answer = lab.convert("web01")
    assert f"Storage pool {pool.uuid} is not mounted at /mnt/{pool.uuid}" in answer.details


@both_ways
def test_domain_xml_left(lab_with, is_repaired) -> None:
    """A conversion straight into its pool leaves its XML there, or not; the disks belong to the VM's volumes."""
    lab = lab_with(defects.DOMAIN_XML_LEFT, is_repaired)
    uuid = lab.convert("app01").temporaryConvertUuid
    command = lab.import_command("app01", uuid, [lab.primary().uuid], location=lab.primary(), force=True)
    answer = lab.agent.ask(command)[0]
    lab.fleet.settle([disk.fileBaseName for disk in answer.convertedInstance.disks])
    names = [holding.name.rpartition("/")[2] for holding in lab.fleet.holdings()]
    assert names == ([] if is_repaired else [f"{uuid}.xml"])


@both_ways
def test_remote_copy_left(lab_with, is_repaired) -> None:
    """The temporary file on the remote host stays, or goes."""
    lab = lab_with(defects.REMOTE_COPY_LEFT, is_repaired)
    command = CopyRemoteVolumeCommand(
        remoteIp="192.0.2.60",
        username="root",
        password="lab-remote",
        srcFile="/var/lib/libvirt/images/remote1.qcow2",
        tmpPath="/tmp/",
        storageFilerTO=StorageFilerTO(uuid=lab.primary().uuid, type="NetworkFilesystem"),
        wait=1800,
    )
    name = lab.agent.ask(command)[0].filename
    lab.fleet.settle(["other"])
    held = {(holding.host, holding.name) for holding in lab.fleet.holdings()}
    assert ("192.0.2.60", f"/tmp/{name}") in held or is_repaired
    assert len(held) == (1 if is_repaired else 2)


@both_ways
def test_lost_answer_files_left(lab_with, wait_until, is_repaired) -> None:
    """A conversion whose link is lost goes on; what it made stays unknown, or is removed with the answer."""
    lab = lab_with(defects.LOST_ANSWER_FILES_LEFT, is_repaired, time_scale=1000)
    copying = threading.Event()
    lab.on_event = lambda event: copying.set() if event.disk_index == 1 else None
    lab.agent.request(lab.convert_command("app01", location=lab.primary(), useVddk=True))
    assert copying.wait(60)
    lab.fleet.drop_link("kvm1")
    assert lab.fleet.wait_for(lambda: lab.fleet.agent("kvm1").running_commands == 0, 60)
    wait_until(lambda: PROCESS not in kinds(lab), "the end of the conversion")
    assert len(lab.files()) == (0 if is_repaired else 3), "two disks and the XML"


@both_ways
def test_an_agent_killed_before_it_answers(lab_with, wait_until, is_repaired) -> None:
    """The same when the agent's process ends between the end of the conversion and its answer."""
    lab = lab_with(defects.LOST_ANSWER_FILES_LEFT, is_repaired)
    killed = []

    def kill_at_the_end(event) -> None:
        if event.phase == "Finishing off":  # in the hosts' loop, where nothing is awaited from here to the end
            killed.append(asyncio.get_running_loop().create_task(lab.fleet.agent("kvm1").kill()))

    lab.on_event = kill_at_the_end
    lab.agent.request(lab.convert_command("app01", location=lab.primary(), useVddk=True))
    wait_until(lambda: killed and killed[0].done(), "the end of the agent")
    assert len(lab.files()) == (0 if is_repaired else 3), "two disks and the XML"


def test_clean_up_command(conversions) -> None:
    """It deletes the disks and the XML of one conversion and nothing else; a second time there is nothing to do."""
    lab = conversions
    uuid, other = (lab.convert("app01").temporaryConvertUuid for _ in range(2))
    command = CleanupConvertedInstanceDisksCommand(vmVolumesStore=lab.primary(), vmVolumesPrefix=uuid)
    for _ in range(2):
        assert lab.agent.ask(command)[0].result
        assert all(name.startswith(other) for name in lab.files()) and len(lab.files()) == 3
    blank = CleanupConvertedInstanceDisksCommand(vmVolumesStore=lab.primary(), vmVolumesPrefix="")
    answer = lab.agent.ask(blank)[0]
    assert (answer.result, answer.details) == (
        False,
        f"Error cleaning up converted disks with prefix  from /mnt/{lab.primary().uuid}, due to: no prefix was given",
    )
    assert not isinstance(answer, ConvertInstanceAnswer)


def test_the_ledger_knows_an_export_folder(conversions) -> None:
    """The folder of an export that failed stays with the agent's defect, and the ledger tells of it."""
    lab = conversions
    command = lab.convert_command("nosuch", location=lab.primary(), exportOvfToConversionLocation=True)
    assert not lab.agent.ask(command)[0].result
    assert kinds(lab) == [FOLDER]
