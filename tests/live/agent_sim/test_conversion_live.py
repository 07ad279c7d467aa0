"""Whole conversions: a command over the wire, a look-up in a real vCenter conversation, files on the host."""

from __future__ import annotations

import dataclasses
import math
import stat
import threading
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from agent_sim import ProgressEvent, ToolRun
from agent_sim.host import NfsExport
from agent_sim.properties import AgentProperties
from agent_sim.toolchain.images import read_image
from mgmt.protocol.commands import (
    CheckConvertInstanceCommand,
    ConvertInstanceAnswer,
    ConvertInstanceCommand,
    ImportConvertedInstanceCommand,
    ModifyStoragePoolCommand,
    NfsTO,
    PrimaryDataStoreTO,
    RemoteInstanceTO,
    StorageFilerTO,
)
from vcenter_sim.server import VcenterSim

PASSWORD = "VMware1!lab"
POOL = "dc9afbc9-aec9-30ff-81c8-9a9aa1485c68"
GIB = 1024**3


@pytest.fixture(scope="module")
def vcenter():
    sim = VcenterSim(Path(__file__).parents[3] / "fixtures" / "vcenters" / "lab.yaml")
    sim.start()
    yield sim
    sim.stop()


class Lab:
    """A running fleet with what its listeners heard."""

    def __init__(self, server, make_fleet, hosts, vcenter, **options) -> None:
        self.runs: list[ToolRun] = []
        self.events: list[ProgressEvent] = []
        self.on_event = None
        self.vcenter = "{}:{}".format(*vcenter.address)
        self.fleet = make_fleet(
            hosts,
            **{"time_scale": math.inf, "on_tool_run": self.runs.append, "on_progress": self._progress, **options},
        )
        self.agents = {}
        for _ in hosts:
            connection = server.next_agent()
            self.agents[connection.startup[0].name] = connection
        assert self.fleet.wait_until_ready(10)

    def _progress(self, event: ProgressEvent) -> None:
        self.events.append(event)
        if self.on_event is not None:
            self.on_event(event)

    def add_pool(self, host: str, uuid: str = POOL, path: str = "/export/primary"):
        filer = StorageFilerTO(id=3, uuid=uuid, host="192.0.2.20", path=path, port=2049, type="NetworkFilesystem")
        answer = self.agents[host].ask(ModifyStoragePoolCommand(add=True, pool=filer, localPath=f"/mnt//{uuid}"))[0]
        assert answer.result, answer.details
        return answer

    def convert_command(self, vm: str, *, location, **fields):
        source = RemoteInstanceTO(
            hypervisorType="VMware",
            instanceName=vm,
            vcenterUsername="administrator@vsphere.local",
            vcenterPassword=fields.pop("password", PASSWORD),
            vcenterHost=fields.pop("vcenter", self.vcenter),
            datacenterName="lab-dc",
            clusterName=fields.pop("cluster", "esx-cluster"),
            hostName=fields.pop("esx", "esx1.lab.example"),
            instancePath=fields.pop("path", None),
        )
        return ConvertInstanceCommand(
            sourceInstance=source,
            originalVMName=vm,
            destinationHypervisorType="KVM",
            conversionTemporaryLocation=location,
            **{"wait": 10800, **fields},
        )

    def import_command(self, vm: str, convert_uuid: str, pools: list[str], *, location, force: bool = False):
        return ImportConvertedInstanceCommand(
            sourceInstance=RemoteInstanceTO(hypervisorType="VMware", instanceName=vm),
            destinationStoragePools=pools,
            conversionTemporaryLocation=location,
            temporaryConvertUuid=convert_uuid,
            forceConvertToPool=force,
        )

    def export(self, path: str) -> Path:
        return self.fleet.export_directory("192.0.2.20", path)

    def last_run(self, program: str) -> ToolRun:
        return [run for run in self.runs if program in " ".join(run.argv[:3])][-1]


def primary(uuid: str = POOL, path: str = "/export/primary") -> PrimaryDataStoreTO:
    return PrimaryDataStoreTO(uuid=uuid, name="p", id=3, poolType="NetworkFilesystem", host="192.0.2.20", path=path)


def secondary() -> NfsTO:
    return NfsTO(_url="nfs://192.0.2.20/export/secondary", _role="Image", uuid="7d5b0b0a-0b1e-4a86-9a5f-0a9a8f0f3c11")


@pytest.fixture
def lab(server, make_fleet, lab_hosts, vcenter) -> Lab:
    return Lab(server, make_fleet, lab_hosts[:1], vcenter)


def all_text(lab: Lab) -> str:
    return repr(lab.runs) + repr(lab.events)


def test_vddk_conversion_and_import(lab) -> None:
    """By VDDK: files named by the conversion, the very argument list, progress per disk; then the disks in their pool."""
    agent = lab.agents["kvm1"]
    lab.add_pool("kvm1")
    assert agent.ask(CheckConvertInstanceCommand(useVddk=True))[0].result
    answer = agent.ask(lab.convert_command("web01", location=primary(), useVddk=True))[0]
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

    imported = agent.ask(lab.import_command("web01", uuid, [POOL, POOL], location=primary()))[0]
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


def lab_thumbprint(lab: Lab) -> str:
    output = lab.last_run("openssl").output
    return output[0].partition("=")[2]


def test_ovf_conversion_by_ovftool(lab) -> None:
    """By OVF: ovftool exports below a folder of its own, which is gone afterwards; the locator's password is masked."""
    agent = lab.agents["kvm1"]
    lab.add_pool("kvm1")
    command = lab.convert_command(
        "web01",
        location=secondary(),
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

    imported = agent.ask(lab.import_command("web01", uuid, [POOL, POOL], location=secondary()))[0]
    assert imported.result, imported
    assert len(list(lab.export("/export/primary").iterdir())) == 2
    assert list(lab.export("/export/secondary").iterdir()) == []
    assert imported.convertedInstance.nics[0].macAddress is None, "an OVF names no MAC addresses"


def inventory_path(lab: Lab, vm: str) -> str:
    return "vm"
