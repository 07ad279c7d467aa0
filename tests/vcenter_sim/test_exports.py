"""Exports: leases, downloads, sums, OVF descriptors, and the disk files themselves."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import ssl
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from pyVmomi import vim, vmodl

from vcenter_sim import machines, vmdk
from vcenter_sim.entries import ExportFaults
from vcenter_sim.server import VcenterSim
from vcenter_sim.service import Timings

OVF = "{http://schemas.dmtf.org/ovf/envelope/1}"


class MovedClock:
    """A clock that a test moves; waits look at it again soon."""

    def __init__(self) -> None:
        self.at_s = 1_800_000_000.0

    def now(self) -> float:
        return self.at_s

    def monotonic(self) -> float:
        return self.at_s

    def wait(self, event: threading.Event, timeout_s: float | None) -> bool:
        return event.wait(None if timeout_s is None else 0.005)


@pytest.fixture(autouse=True)
def healthy_exports(lab: VcenterSim) -> Iterator[None]:
    """Exports go well again after each test."""
    yield
    lab.exports.faults.clear()


@pytest.fixture
def opened(wait_until: Callable[..., Any]) -> Callable[[Any], Any]:
    """Open a lease and wait until it is no longer initializing."""

    def opened(vm: Any) -> Any:
        lease = vm.ExportVm()
        wait_until(lambda: lease.state != "initializing", "the lease leaves initializing", 5)
        return lease

    return opened


def get(vcenter: VcenterSim, url: str, cookie: str | None) -> tuple[int, bytes]:
    """Status and body of a download; the `*` of the URL is replaced as clients do."""
    host, port = vcenter.address
    assert url.startswith(f"https://*:{port}/nfc/")
    context = ssl.create_default_context(cadata=vcenter.certificate_pem)
    with contextlib.closing(http.client.HTTPSConnection(host, port, context=context, timeout=60)) as connection:
        headers = {"Cookie": cookie} if cookie else {}
        connection.request("GET", url.removeprefix(f"https://*:{port}"), headers=headers)
        response = connection.getresponse()
        body = b"".join(iter(lambda: response.read(65536), b""))
        return response.status, body


def cookie_of(instance: Any) -> str:
    return str(instance._stub.cookie).partition(";")[0]


def test_a_lease_from_begin_to_end(lab: VcenterSim, lab_client: Any, vm_named: Any, opened: Any) -> None:
    """A stopped VM's lease gets ready, names a file a disk, keeps their sums, and ends done with its task."""
    vm = vm_named(lab_client, "web01")
    lease = opened(vm)
    assert (lease.state, lease.initializeProgress, lease.mode) == ("ready", 100, "pushOrGet")
    info = lease.info
    assert (info.lease, info.entity, info.leaseTimeout) == (lease, vm, 300)
    disks = [device for device in vm.config.hardware.device if isinstance(device, vim.vm.device.VirtualDisk)]
    assert [url.targetId for url in info.deviceUrl] == [f"disk-{number}.vmdk" for number in range(len(disks))]
    assert info.totalDiskCapacityInKB == sum(disk.capacityInKB for disk in disks)
    assert all(url.disk and url.sslThumbprint == lab.thumbprint_sha1 for url in info.deviceUrl)
    assert lab.exports.leases_open() == ["web01"]
    task = lab_client.RetrieveContent().taskManager.recentTask[-1]
    assert (task.info.state, task.info.entity, task.info.descriptionId) == ("running", vm, "VirtualMachine.exportVm")

    assert list(lease.HttpNfcLeaseGetManifest()) == []
    bodies = {}
    for url in info.deviceUrl:
        status, bodies[url.key] = get(lab, url.url, cookie_of(lab_client))
        assert (status, len(bodies[url.key])) == (200, url.fileSize)
    for entry in lease.HttpNfcLeaseGetManifest():
        assert entry.sha1 == hashlib.sha1(bodies[entry.key]).hexdigest()
        assert (entry.checksumType, entry.checksum) == ("sha256", hashlib.sha256(bodies[entry.key]).hexdigest())
        assert (entry.size, entry.disk) == (len(bodies[entry.key]), True)
    assert len(set(bodies.values())) == len(disks)

    lease.HttpNfcLeaseProgress(70)
    assert (lease.transferProgress, task.info.progress) == (70, 70)
    with pytest.raises(vmodl.fault.InvalidArgument):
        lease.HttpNfcLeaseProgress(101)
    lease.HttpNfcLeaseComplete()
    assert (lease.state, task.info.state) == ("done", "success")
    assert lab.exports.leases_open() == []
    for call in (lease.HttpNfcLeaseComplete, lease.HttpNfcLeaseGetManifest, lease.HttpNfcLeaseAbort):
        with pytest.raises(vim.fault.InvalidState):
            call()
    assert get(lab, info.deviceUrl[0].url, cookie_of(lab_client)) == (403, b"")


def test_downloads_need_the_session_that_has_the_lease(
    lab: VcenterSim, lab_client: Any, connect: Any, vm_named: Any, opened: Any
) -> None:
    """Without a login it is 401, for another session or another name 404."""
    url = opened(vm_named(lab_client, "web01")).info.deviceUrl[0].url
    assert get(lab, url, None) == (401, b"")
    assert get(lab, url, cookie_of(connect(lab))) == (404, b"")
    assert get(lab, url.replace("disk-0", "disk-9"), cookie_of(lab_client)) == (404, b"")
    assert get(lab, url, cookie_of(lab_client))[0] == 200


def test_a_running_vm_is_not_exported(lab_client: Any, vm_named: Any) -> None:
    """ExportVm of a VM that is on is InvalidPowerState."""
    with pytest.raises(vim.fault.InvalidPowerState):
        vm_named(lab_client, "app01").ExportVm()


def test_one_lease_a_vm(lab: VcenterSim, lab_client: Any, vm_named: Any, opened: Any) -> None:
    """A second lease is TaskInProgress and names the task; an aborted one makes room and keeps its fault."""
    vm = vm_named(lab_client, "web01")
    lease = opened(vm)
    with pytest.raises(vim.fault.TaskInProgress) as refused:
        vm.ExportVm()
    assert refused.value.task.info.entity == vm
    lease.HttpNfcLeaseAbort(vim.fault.OvfExport(msg="no room"))
    assert (lease.state, type(lease.error)) == ("error", vim.fault.OvfExport)
    assert refused.value.task.info.state == "error"
    opened(vm).HttpNfcLeaseAbort()
    assert lab.exports.leases_open() == []


def test_a_lease_goes_with_its_session(
    vcenter: VcenterSim, client: Any, connect: Any, vm_named: Any, opened: Any
) -> None:
    """When the session ends, the VM can be exported by another one."""
    opened(vm_named(client, "web01"))
    vcenter.end_sessions()
    other = connect(vcenter)
    assert opened(vm_named(other, "web01")).state == "ready"


@pytest.fixture
def slow(lab_file: Path) -> Iterator[tuple[VcenterSim, MovedClock]]:
    """A stand-in whose leases get ready after 10 seconds and end after 60, on a clock that the test moves."""
    clock = MovedClock()
    with VcenterSim(lab_file, clock=clock, timings=Timings(lease_s=10, lease_timeout_s=60)) as vcenter:
        yield vcenter, clock


def test_a_silent_client_loses_the_lease(
    slow: tuple[VcenterSim, MovedClock], connect: Any, vm_named: Any, wait_until: Callable[..., Any]
) -> None:
    """Without progress the lease ends with Timedout after its time-out; progress puts that off."""
    vcenter, clock = slow
    client = connect(vcenter)
    lease = vm_named(client, "web01").ExportVm()
    assert lease.state == "initializing"
    with pytest.raises(vim.fault.InvalidState):
        lease.HttpNfcLeaseProgress(0)
    clock.at_s += 10
    wait_until(lambda: lease.state == "ready", "the lease is ready", 5)
    clock.at_s += 50
    lease.HttpNfcLeaseProgress(1)
    clock.at_s += 50  # 100 s after it was ready, 50 s after the progress
    lease.HttpNfcLeaseProgress(2)
    assert lease.state == "ready"
    clock.at_s += 61
    wait_until(lambda: lease.state == "error", "the lease times out", 5)
    assert isinstance(lease.error, vim.fault.Timedout)
    with pytest.raises(vim.fault.Timedout):
        lease.HttpNfcLeaseProgress(3)


def test_a_lease_of_a_vm_that_goes(
    slow: tuple[VcenterSim, MovedClock], connect: Any, vm_named: Any, wait_until: Callable[..., Any]
) -> None:
    """A VM destroyed meanwhile puts the lease into error; an aborted lease does not get ready."""
    vcenter, clock = slow
    client = connect(vcenter)
    gone, kept = vm_named(client, "web01").ExportVm(), vm_named(client, "db01").ExportVm()
    kept.HttpNfcLeaseAbort()
    vm = vcenter.inventory.find_vm("web01")
    assert vm is not None
    machines.destroy(vcenter.inventory, vm)
    clock.at_s += 10
    wait_until(lambda: gone.state == "error", "the lease fails", 5)
    assert isinstance(gone.error, vmodl.fault.ManagedObjectNotFound)
    assert kept.state == "error" and kept.info is None


def test_faults_that_were_asked_for(lab: VcenterSim, lab_client: Any, vm_named: Any, opened: Any) -> None:
    """A lease can fail, a file be missing or cut, and a sum be wrong."""
    vm = vm_named(lab_client, "store-4disk")
    lab.exports.faults["store-4disk"] = ExportFaults(lease_error="no such luck")
    failed = opened(vm)
    assert (failed.state, failed.error.reason) == ("error", "no such luck")
    lab.exports.faults["store-4disk"] = ExportFaults(
        missing=frozenset({0}), cut=frozenset({1}), wrong_sum=frozenset({2})
    )
    lease = opened(vm)
    urls = lease.info.deviceUrl
    assert get(lab, urls[0].url, cookie_of(lab_client)) == (404, b"")
    assert len(get(lab, urls[1].url, cookie_of(lab_client))[1]) == urls[1].fileSize // 2
    whole = [get(lab, url.url, cookie_of(lab_client))[1] for url in urls[2:4]]
    wrong, right = lease.HttpNfcLeaseGetManifest()
    assert wrong.sha1 != hashlib.sha1(whole[0]).hexdigest()
    assert right.sha1 == hashlib.sha1(whole[1]).hexdigest()


# Descriptors


def describe(client: Any, vm: Any, files: list[Any], **params: Any) -> ElementTree.Element:
    wanted = vim.OvfManager.CreateDescriptorParams(ovfFiles=files, **params)
    result = client.RetrieveContent().ovfManager.CreateDescriptor(vm, wanted)
    return ElementTree.fromstring(result.ovfDescriptor.encode())


def attribute(node: Any, name: str) -> str | None:
    value: str | None = node.get(f"{OVF}{name}")
    return value


def test_descriptor_names_disks_nics_and_firmware(lab: VcenterSim, lab_client: Any, vm_named: Any, opened: Any) -> None:
    """The envelope refers to the files by device, has each disk's size, each NIC's network, UEFI and its variables."""
    vm = vm_named(lab_client, "secure-uefi")
    urls = opened(vm).info.deviceUrl
    assert urls[-1].targetId.endswith(".nvram") and urls[-1].disk is False
    files = [
        vim.OvfManager.OvfFile(deviceId=url.key, path=f"d<{number}>&.vmdk", size=url.fileSize)
        for number, url in enumerate(urls)
    ]
    root = describe(lab_client, vm, files, name="other & name")
    assert [attribute(node, "href") for node in root.iter(f"{OVF}File")] == [file.path for file in files]
    disks = [device for device in vm.config.hardware.device if isinstance(device, vim.vm.device.VirtualDisk)]
    described = list(root.iter(f"{OVF}Disk"))
    assert [attribute(node, "capacity") for node in described] == [str(disk.capacityInBytes) for disk in disks]
    assert [attribute(node, "fileRef") for node in described] == [f"file{n}" for n in range(1, len(disks) + 1)]
    assert root.findtext(f".//{OVF}Name") == "other & name"
    config = {
        node.get("{http://www.vmware.com/schema/ovf}key"): node.get("{http://www.vmware.com/schema/ovf}value")
        for node in root.iter()
        if node.tag in ("{http://www.vmware.com/schema/ovf}Config", "{http://www.vmware.com/schema/ovf}ExtraConfig")
    }
    assert config == {
        "firmware": "efi",
        "bootOptions.efiSecureBootEnabled": "true",
        "nvram": f"ovf:/file/file{len(urls)}",
    }
    for item in root.iter(f"{OVF}Item"):
        names = [child.tag.rpartition("}")[2] for child in item]
        assert names == sorted(names)


def test_every_vm_of_the_lab_can_be_described(lab: VcenterSim, lab_client: Any) -> None:
    """Each kind of controller and adapter has a place in the envelope; distributed portgroups go by their name."""
    networks: set[str | None] = set()
    for managed in lab.inventory.vms:
        vm = vim.VirtualMachine(managed.moid, lab_client._stub)
        root = describe(lab_client, vm, [])
        disks = list(root.iter(f"{OVF}Disk"))
        assert len(disks) == len(machines.disks_of(managed))
        assert not any(attribute(disk, "fileRef") for disk in disks)
        networks |= {attribute(node, "name") for node in root.iter(f"{OVF}Network")}
    assert {"VM Network", "Backend", "dvs-prod"} <= networks


def test_only_vms_are_described(lab_client: Any) -> None:
    """A descriptor of a folder is NotSupported."""
    content = lab_client.RetrieveContent()
    with pytest.raises(vmodl.fault.NotSupported):
        content.ovfManager.CreateDescriptor(content.rootFolder, vim.OvfManager.CreateDescriptorParams())


def test_hosts_are_managed_where_the_stand_in_listens(lab: VcenterSim) -> None:
    """Every ESXi host has a management address, that of the stand-in."""
    for host in lab.inventory.of_kind(vim.HostSystem):
        (vnic,) = host["config"].network.vnic
        assert (vnic.portgroup, vnic.spec.ip.ipAddress) == ("Management Network", "127.0.0.1")


def test_a_wildcard_is_no_management_address(lab_file: Any) -> None:
    """A stand-in that listens everywhere does not say where."""
    with VcenterSim(lab_file, host="0.0.0.0") as vcenter:
        assert all(list(host["config"].network.vnic) == [] for host in vcenter.inventory.of_kind(vim.HostSystem))


# Disk files


@pytest.mark.parametrize("capacity_bytes", [512, 40 * 1024**3, 3 * 1024**4 + 512])
def test_a_disk_file_is_a_stream_optimised_vmdk(capacity_bytes: int) -> None:
    """Walking the markers leads over grain, tables and footer to the end; the directory finds the grain again."""
    data = vmdk.build(capacity_bytes, "[ds] vm/vm.vmdk")
    assert data == vmdk.build(capacity_bytes, "[ds] vm/vm.vmdk") != vmdk.build(capacity_bytes, "[ds] vm/vm_1.vmdk")
    header = struct.unpack_from("<4sIIQQQQIQQQB4sH", data)
    assert header[:2] == (b"KDMV", 3)
    capacity, grain_sectors, descriptor_at, descriptor_sectors, table_entries = header[3:8]
    assert capacity * 512 == capacity_bytes
    descriptor = data[descriptor_at * 512 : (descriptor_at + descriptor_sectors) * 512].rstrip(b"\0").decode()
    assert 'createType="streamOptimized"' in descriptor and f"RDONLY {capacity} SPARSE" in descriptor
    position, tables, directory, footer = header[10], [], None, None
    while True:
        number, size, kind = struct.unpack_from("<QII", data, position * 512)
        if size:  # a grain: what comes where `kind` stands is its data
            grain_at = position
            position += -(-(12 + size) // 512)
            continue
        if kind == 0:
            break
        place = position + 1
        if kind == 1:
            tables.append(place)
        elif kind == 2:
            directory = place
        else:
            footer = place
        position = place + number
    assert (position + 1) * 512 == len(data)
    assert footer is not None and struct.unpack_from("<4sIIQQQQIQQQB4sH", data, footer * 512)[9] == directory
    entries = -(-capacity // (grain_sectors * table_entries))
    assert directory is not None
    assert struct.unpack_from(f"<{entries}I", data, directory * 512) == (tables[0], *[0] * (entries - 1))
    assert struct.unpack_from("<II", data, tables[0] * 512) == (grain_at, 0)
    (size,) = struct.unpack_from("<I", data, grain_at * 512 + 8)
    grain = zlib.decompress(data[grain_at * 512 + 12 : grain_at * 512 + 12 + size])
    assert len(grain) == grain_sectors * 512
    assert grain.rstrip(b"\0") == b"[ds] vm/vm.vmdk"
