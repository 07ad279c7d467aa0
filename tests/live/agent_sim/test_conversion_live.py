"""Whole conversions: a command over the wire, a look-up in a real vCenter conversation, files on the host."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest

from agent_sim.toolchain.images import read_image
from mgmt.protocol.commands import (
    CheckConvertInstanceCommand,
    ConvertInstanceAnswer,
)

PASSWORD = "VMware1!lab"
POOL = "dc9afbc9-aec9-30ff-81c8-9a9aa1485c68"
GIB = 1024**3


@pytest.fixture
def lab(make_lab, lab_hosts):
    return make_lab(lab_hosts[:1])


def all_text(lab) -> str:
    return repr(lab.runs) + repr(lab.events)


def test_vddk_conversion_and_import(lab) -> None:
    """By VDDK: files named by the conversion, the very argument list, progress; then the disks in their pool."""
    agent = lab.agents["kvm1"]
    lab.add_pool("kvm1")
    assert agent.ask(CheckConvertInstanceCommand(useVddk=True))[0].result
    answer = agent.ask(lab.convert_command("web01", location=lab.primary(), useVddk=True))[0]
    assert isinstance(answer, ConvertInstanceAnswer) and answer.result, answer
    uuid = answer.temporaryConvertUuid
    names = {path.name for path in lab.export("/export/primary").iterdir()}
    assert names == {f"{uuid}-sda", f"{uuid}-sdb", f"{uuid}.xml"}
    assert read_image(lab.export("/export/primary") / f"{uuid}-sdb").virtual_size_bytes == 50 * GIB

    run = lab.last_run("virt-v2v")
    line = run.argv[2]
    assert run.argv[:2] == ("/bin/bash", "-c")
    assert line.startswith(
        "export LIBGUESTFS_BACKEND=direct && virt-v2v --root first -ic "
        f"'vpx://administrator%40vsphere.local@{lab.vcenter}/lab-dc/esx-cluster/esx1.lab.example?no_verify=1' "
        f"-ip /tmp/v2v.pass.cloud.{lab.vcenter}."
    )
    assert line.endswith(
        " -it vddk -io vddk-libdir=/opt/vmware-vddk/vmware-vix-disklib-distrib "
        f"-io vddk-thumbprint={lab_thumbprint(lab)} -io vddk-transports=nbdssl:nbd web01 "
        f"-o local -os /mnt/{POOL} -of qcow2 -on {uuid} -v "
    )
    assert run.exit_status == 0
    assert run.environment == {"LIBGUESTFS_BACKEND": "direct"}
    assert [text.split("] ", 1)[1] for text in run.output if text.startswith("[")] == [
        f"Setting up the source: -i libvirt -ic {line.split(chr(39))[1]} -it vddk web01",
        "Opening the source",
        "Inspecting the source",
        "Checking for sufficient free disk space in the guest",
        "Converting Ubuntu Linux (64-bit) to run on KVM",
        "Mapping filesystem data to avoid copying unused and blank areas",
        "Closing the overlay",
        "Assigning disks to buses",
        "Checking if the guest needs BIOS or UEFI to boot",
        f"Setting up the destination: -o disk -os /mnt/{POOL}",
        "Copying disk 1/2",
        "Copying disk 2/2",
        "Creating output metadata",
        "Finishing off",
    ]
    copied = [event for event in lab.events if event.tool == "virt-v2v" and event.disk_index == 2]
    assert copied[-1].bytes_done == copied[-1].bytes_total > 0
    assert lab.fleet.agent("kvm1").hypervisor.password_files() == []
    assert PASSWORD not in all_text(lab)

    imported = agent.ask(lab.import_command("web01", uuid, [POOL, POOL], location=lab.primary()))[0]
    assert imported.result and imported.details == ""
    disks = imported.convertedInstance.disks
    assert [(d.position, d.capacity, d.controller, d.datastoreName) for d in disks] == [
        (0, 20 * GIB, "virtio", POOL),
        (1, 50 * GIB, "virtio", POOL),
    ]
    assert (disks[0].datastoreHost, disks[0].datastorePath) == ("192.0.2.20", "/export/primary")
    assert disks[0].datastoreType == "NetworkFilesystem"
    assert {path.name for path in lab.export("/export/primary").iterdir()} == {d.fileBaseName for d in disks}
    assert all(nic.macAddress and nic.adapterType == "virtio" for nic in imported.convertedInstance.nics)


def lab_thumbprint(lab) -> str:
    output = lab.last_run("openssl").output
    return output[0].partition("=")[2]


def test_ovf_conversion_by_ovftool(lab) -> None:
    """By OVF: ovftool exports below a folder of its own, which is gone afterwards; the locator's password is masked."""
    agent = lab.agents["kvm1"]
    lab.add_pool("kvm1")
    command = lab.convert_command(
        "web01",
        location=lab.secondary(),
        exportOvfToConversionLocation=True,
        threadsCountToExportOvf=4,
        path=inventory_path(lab, "web01"),
    )
    answer = agent.ask(command)[0]
    assert answer.result, (answer, lab.runs)
    uuid = answer.temporaryConvertUuid
    assert {p.name for p in lab.export("/export/secondary").iterdir()} == {f"{uuid}-sda", f"{uuid}-sdb", f"{uuid}.xml"}
    export, convert = lab.last_run("ovftool"), lab.last_run("virt-v2v")
    assert export.argv[:3] == ("ovftool", "--noSSLVerify", "--parallelThreads=4")
    assert export.argv[3].startswith(f"vi://administrator%40vsphere.local:******@{lab.vcenter}/lab-dc/")
    assert convert.argv[:6] == ("virt-v2v", "--root", "first", "-i", "ova", f"{export.argv[4]}web01/")
    assert convert.environment == {
        "TMPDIR": "/var/lib/cloudstack/tmp",
        "VIRT_V2V_TMPDIR": "/var/lib/cloudstack/virtv2v",
    }
    assert PASSWORD not in all_text(lab)
    assert lab.fleet.agent("kvm1").hypervisor.storage.mounts(), "the conversion keeps its mount"

    imported = agent.ask(lab.import_command("web01", uuid, [POOL, POOL], location=lab.secondary()))[0]
    assert imported.result, imported
    assert len(list(lab.export("/export/primary").iterdir())) == 2
    assert list(lab.export("/export/secondary").iterdir()) == []
    assert imported.convertedInstance.nics[0].macAddress is None, "an OVF names no MAC addresses"


def inventory_path(lab, vm: str) -> str:
    return "vm"


def test_no_password_is_left_anywhere(lab, caplog, tmp_path) -> None:
    """After imports by both paths, good and bad, no file, log line, run or event holds the password in any form."""
    caplog.set_level("DEBUG")
    agent = lab.agents["kvm1"]
    lab.add_pool("kvm1")
    for fields in (
        {"useVddk": True},
        {"useVddk": True, "wait": 70},
        {"exportOvfToConversionLocation": True},
        {"useVddk": True, "vcenter": "127.0.0.1:1"},
        {"exportOvfToConversionLocation": True, "cluster": "x", "vcenter": "127.0.0.1:1"},
    ):
        agent.ask(lab.convert_command("web01", location=lab.primary(), **fields))
    forms = [PASSWORD, quote(PASSWORD), base64.b64encode(PASSWORD.encode()).decode()]
    found = [
        path
        for path in tmp_path.rglob("*")
        if path.is_file() and any(form.encode() in path.read_bytes() for form in forms)
    ]
    assert found == []
    assert len(lab.runs) >= 6
    for form in forms:
        assert form not in caplog.text
        assert form not in all_text(lab)
