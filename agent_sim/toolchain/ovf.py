"""OVF directories: what ovftool writes, and what virt-v2v reads out of one."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

from agent_sim.toolchain.images import write_vmdk
from agent_sim.toolchain.source import SourceDisk, SourceMachine, SourceNic

_ENVELOPE = "http://schemas.dmtf.org/ovf/envelope/1"
_RASD = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
_VMW = "http://www.vmware.com/schema/ovf"
_CPU, _MEMORY, _NIC, _CDROM, _DISK = "3", "4", "10", "15", "17"
_ISO = b"\0" * 0x8000 + b"\x01CD001\x01\0"  # an empty system area, and the head of the first volume descriptor
_UNITS = {"byte": 1, "byte * 2^10": 2**10, "byte * 2^20": 2**20, "byte * 2^30": 2**30, "byte * 2^40": 2**40}


class OvfError(ValueError):
    """A directory that virt-v2v refuses; the text is what it prints after `virt-v2v: error: `."""


def write_ovf_directory(directory: Path, machine: SourceMachine) -> list[str]:
    """Write descriptor, disks and manifest of `machine` into `directory`; returns the names written, in order."""
    directory.mkdir(parents=True)
    stem = machine.name.replace("/", "_")
    names = []
    for index, disk in enumerate(machine.disks, start=1):
        name = f"{stem}-disk{index}.vmdk"
        write_vmdk(directory / name, disk.capacity_bytes, stored_bytes=disk.allocated_bytes)
        names.append(name)
    images = [f"{stem}-file{index}.iso" for index in range(1, len(machine.isos) + 1)]
    for name in images:
        (directory / name).write_bytes(_ISO)
    descriptor = f"{stem}.ovf"
    (directory / descriptor).write_text(_descriptor(machine, names, images), encoding="utf-8")
    names += images
    names.insert(0, descriptor)
    lines = [f"SHA1({name})= {hashlib.sha1((directory / name).read_bytes()).hexdigest()}\n" for name in names]
    manifest = f"{stem}.mf"
    (directory / manifest).write_text("".join(lines), encoding="utf-8")
    return [*names, manifest]


def _descriptor(machine: SourceMachine, disk_files: list[str], images: list[str]) -> str:
    files = "".join(
        f'<File ovf:id="file{i}" ovf:href={quoteattr(name)} ovf:size="{disk.allocated_bytes}"/>'
        for i, (name, disk) in enumerate(zip(disk_files, machine.disks, strict=True), start=1)
    )
    first = len(disk_files) + 1
    files += "".join(
        f'<File ovf:id="file{i}" ovf:href={quoteattr(name)} ovf:size="{len(_ISO)}"/>'
        for i, name in enumerate(images, start=first)
    )
    disks = "".join(
        f'<Disk ovf:capacity="{disk.capacity_bytes}" ovf:capacityAllocationUnits="byte" ovf:diskId="vmdisk{i}" '
        f'ovf:fileRef="file{i}" ovf:populatedSize="{disk.allocated_bytes}"/>'
        for i, disk in enumerate(machine.disks, start=1)
    )
    networks = sorted({nic.network for nic in machine.nics if nic.network})
    network_section = "".join(f"<Network ovf:name={quoteattr(name)}/>" for name in networks)
    items = [
        f"<Item><rasd:InstanceID>{instance}</rasd:InstanceID><rasd:ResourceType>{kind}</rasd:ResourceType>"
        f"<rasd:VirtualQuantity>{quantity}</rasd:VirtualQuantity></Item>"
        for instance, kind, quantity in ((1, _CPU, machine.cpus), (2, _MEMORY, machine.memory_mb))
    ]
    items += [
        f"<Item><rasd:AddressOnParent>{i - 1}</rasd:AddressOnParent><rasd:ElementName>{_text(disk.label)}"
        f"</rasd:ElementName><rasd:HostResource>ovf:/disk/vmdisk{i}</rasd:HostResource>"
        f"<rasd:InstanceID>{10 + i}</rasd:InstanceID><rasd:ResourceType>{_DISK}</rasd:ResourceType></Item>"
        for i, disk in enumerate(machine.disks, start=1)
    ]
    items += [
        f"<Item><rasd:Connection>{_text(nic.network or '')}</rasd:Connection>"
        f"<rasd:InstanceID>{100 + i}</rasd:InstanceID><rasd:ResourceType>{_NIC}</rasd:ResourceType></Item>"
        for i, nic in enumerate(machine.nics)
    ]
    items += [
        f"<Item><rasd:AddressOnParent>{i}</rasd:AddressOnParent><rasd:ElementName>CD/DVD drive {i + 1}"
        f"</rasd:ElementName><rasd:HostResource>ovf:/file/file{first + i}</rasd:HostResource>"
        f"<rasd:InstanceID>{200 + i}</rasd:InstanceID><rasd:ResourceType>{_CDROM}</rasd:ResourceType></Item>"
        for i in range(len(images))
    ]
    firmware = '<vmw:Config vmw:key="firmware" vmw:value="efi"/>' if machine.uefi else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<Envelope xmlns="{_ENVELOPE}" xmlns:ovf="{_ENVELOPE}" xmlns:rasd="{_RASD}" xmlns:vmw="{_VMW}">'
        f"<References>{files}</References><DiskSection><Info>Disks</Info>{disks}</DiskSection>"
        f"<NetworkSection><Info>Networks</Info>{network_section}</NetworkSection>"
        f"<VirtualSystem ovf:id={quoteattr(machine.name)}><Info>A virtual machine</Info>"
        f'<Name>{_text(machine.name)}</Name><OperatingSystemSection ovf:id="1"><Info>Guest</Info>'
        f"<Description>{_text(machine.guest_os)}</Description></OperatingSystemSection>"
        f"<VirtualHardwareSection><Info>Hardware</Info>{''.join(items)}{firmware}</VirtualHardwareSection>"
        "</VirtualSystem></Envelope>\n"
    )


def _text(value: str) -> str:
    return value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def read_ovf_directory(directory: Path, shown_path: str) -> SourceMachine:
    """The machine that the OVF in `directory` describes; raises OvfError with virt-v2v's text.

    `shown_path` is the directory's path as the host names it.
    """
    shown = shown_path.rstrip("/")
    if not directory.is_dir():
        raise OvfError(f"access: No such file or directory: {shown}")
    descriptors = sorted(directory.glob("*.ovf"))
    if not descriptors:
        raise OvfError(f"no .ovf file was found in {shown}")
    _check_manifests(directory)
    try:
        root = ElementTree.fromstring(descriptors[0].read_bytes())
    except ElementTree.ParseError as error:
        raise OvfError(f"could not parse the OVF file {shown}/{descriptors[0].name}: {error}") from None
    hrefs = {_attribute(node, "id"): _attribute(node, "href") for node in _all(root, "File")}
    items = list(_all(root, "Item"))
    return SourceMachine(
        name=_first_text(root, "Name") or descriptors[0].stem,
        guest_os=_first_text(root, "Description") or "",
        cpus=int(_quantity(items, _CPU) or 1),
        memory_mb=int(_quantity(items, _MEMORY) or 1024),
        uefi=any(_attribute(n, "key") == "firmware" and _attribute(n, "value") == "efi" for n in _all(root, "Config")),
        secure_boot=False,
        disks=tuple(_disk(node, hrefs, directory) for node in _all(root, "Disk")),
        nics=tuple(
            SourceNic(_child(item, "Connection") or None, _child(item, "Address") or None)
            for item in items
            if _child(item, "ResourceType") == _NIC
        ),
    )


def _check_manifests(directory: Path) -> None:
    for manifest in sorted(directory.glob("*.mf")):
        for line in manifest.read_text(encoding="utf-8").splitlines():
            found = re.fullmatch(r"(SHA1|SHA256) ?\((.*)\)= *([0-9a-fA-F]+)", line.strip())
            if not found:
                continue
            algorithm, name, expected = found.groups()
            path = directory / Path(name).name
            if not path.exists():
                continue  # reported as a missing disk, or not referenced at all
            with path.open("rb") as file:
                actual = hashlib.file_digest(file, algorithm.lower()).hexdigest()
            if actual != expected.lower():
                # virt-v2v prints the algorithm's name where the expected sum belongs
                raise OvfError(
                    f"-i ova: corrupt OVA: checksum of disk {name} does not match manifest "
                    f"(actual = {actual}, expected = {algorithm.lower()})"
                )


def _disk(node: ElementTree.Element, hrefs: dict[str, str], directory: Path) -> SourceDisk:
    href = hrefs.get(_attribute(node, "fileRef"), "")
    if not href or not (directory / Path(href).name).exists():
        raise OvfError(f"-i ova: OVF references file ‘{href}’ which was not found in the OVA archive")
    unit = _UNITS.get(_attribute(node, "capacityAllocationUnits").strip() or "byte", 1)
    capacity_bytes = int(_attribute(node, "capacity") or 0) * unit
    populated = _attribute(node, "populatedSize")
    allocated_bytes = int(populated) if populated.isdigit() else capacity_bytes
    return SourceDisk(_attribute(node, "diskId"), capacity_bytes, min(allocated_bytes, capacity_bytes))


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _all(root: ElementTree.Element, name: str) -> Iterator[ElementTree.Element]:
    return (node for node in root.iter() if _local(node.tag) == name)


def _attribute(node: ElementTree.Element, name: str) -> str:
    return next((value for key, value in node.attrib.items() if _local(key) == name), "")


def _child(node: ElementTree.Element, name: str) -> str:
    return next((child.text or "" for child in node if _local(child.tag) == name), "")


def _first_text(root: ElementTree.Element, name: str) -> str | None:
    return next((node.text for node in _all(root, name)), None)


def _quantity(items: list[ElementTree.Element], kind: str) -> str | None:
    return next((_child(item, "VirtualQuantity") for item in items if _child(item, "ResourceType") == kind), None)
