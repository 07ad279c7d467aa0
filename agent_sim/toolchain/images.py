"""Sparse disk images: real files with true headers and no data.

A qcow2 image has the virtual size that the source disk had; how many bytes a real image would hold is kept in a header
extension of our own (readers skip extensions that they do not know), so that free space can be counted by any host
that sees the file.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path

_QCOW2_MAGIC = b"QFI\xfb"
_VMDK_MAGIC = b"KDMV"
_CLUSTER_BITS = 16
_CLUSTER = 1 << _CLUSTER_BITS
_HEADER_LENGTH = 104
_V2_HEADER_LENGTH = 72
_LONGEST_BACKING_NAME = 1023
_COPIED = 1 << 63
_ALLOCATED_EXTENSION = 0x43534D41
_BACKING_FORMAT_EXTENSION = 0xE2792ACA
_SECTOR = 512
_SIZE_OFFSET, _L1_SIZE_OFFSET = 24, 36  # in the header, of any version
_V3_HEADER = ">4sIQIIQIIQQIIQQQQII"


class ImageError(ValueError):
    """A file that is no disk image of the expected form: says which file and why."""


@dataclass(frozen=True)
class ImageInfo:
    """What `qemu-img info` would say: sizes in bytes."""

    file_format: str
    virtual_size_bytes: int
    allocated_bytes: int
    cluster_size_bytes: int | None = None
    is_encrypted: bool = False
    backing_file: str | None = None
    backing_file_format: str | None = None


def write_qcow2(path: Path, virtual_size_bytes: int, *, allocated_bytes: int) -> None:
    """Make a valid, empty qcow2 v3 image of `virtual_size_bytes` at `path` (replaced if there).

    Layout: header, refcount table, one refcount block, L1 table. `allocated_bytes` is what the image is said to hold.
    """
    size = -(-virtual_size_bytes // _SECTOR) * _SECTOR
    bytes_per_l1_entry = _CLUSTER * (_CLUSTER // 8)
    l1_entries = max(1, -(-size // bytes_per_l1_entry))
    l1_clusters = -(-l1_entries * 8 // _CLUSTER)
    header = struct.pack(
        _V3_HEADER,
        _QCOW2_MAGIC,
        3,
        0,  # no backing file
        0,
        _CLUSTER_BITS,
        size,
        0,  # no encryption
        l1_entries,
        3 * _CLUSTER,
        1 * _CLUSTER,
        1,
        0,  # no snapshots
        0,
        0,  # incompatible, compatible and autoclear features
        0,
        0,
        4,  # 16-bit reference counts
        _HEADER_LENGTH,
    )
    extensions = struct.pack(">IIQ", _ALLOCATED_EXTENSION, 8, allocated_bytes) + struct.pack(">II", 0, 0)
    used_clusters = 3 + l1_clusters
    # Descriptors, not file objects: a conversion writes dozens of times, and a file object costs more than the write.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    try:
        os.pwrite(descriptor, header + extensions, 0)
        os.pwrite(descriptor, struct.pack(">Q", 2 * _CLUSTER), 1 * _CLUSTER)
        os.pwrite(descriptor, struct.pack(f">{used_clusters}H", *([1] * used_clusters)), 2 * _CLUSTER)
        os.ftruncate(descriptor, used_clusters * _CLUSTER)
    finally:
        os.close(descriptor)


def set_allocated(path: Path, allocated_bytes: int) -> os.stat_result:
    """Change what an image that `write_qcow2` made is said to hold, in place; the file's status after it."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.pwrite(descriptor, struct.pack(">Q", allocated_bytes), _HEADER_LENGTH + 8)
        return os.fstat(descriptor)
    finally:
        os.close(descriptor)


def set_virtual_size(path: Path, image: ImageInfo, virtual_size_bytes: int) -> None:
    """Change the virtual size of the image at `path`, which `image` describes; its content stays.

    Raises ImageError for a format whose size cannot be changed.
    """
    if image.file_format == "raw":
        os.truncate(path, virtual_size_bytes)
        return
    cluster = image.cluster_size_bytes or 0
    entries_of_a_cluster = cluster // 8  # a table of one cluster is there whatever the size
    if image.file_format != "qcow2" or virtual_size_bytes > cluster * entries_of_a_cluster**2:
        raise ImageError(f"{path}: Image format driver does not support resize")
    l1_entries = max(1, -(-virtual_size_bytes // (cluster * entries_of_a_cluster)))
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.pwrite(descriptor, struct.pack(">Q", virtual_size_bytes), _SIZE_OFFSET)
        os.pwrite(descriptor, struct.pack(">I", l1_entries), _L1_SIZE_OFFSET)
    finally:
        os.close(descriptor)


def read_image(path: Path) -> ImageInfo:
    """What is known of the image at `path`: qcow2 by its header, anything else raw, as `qemu-img info` guesses.

    Raises OSError when it cannot be read, ImageError for a damaged qcow2 header.
    """
    with path.open("rb") as file:
        start = file.read(_HEADER_LENGTH + 512)
        length = file.seek(0, 2)
    if start[:4] != _QCOW2_MAGIC:
        if start[:4] == _VMDK_MAGIC:
            return _vmdk_info(path, start)
        # qemu-img counts whole sectors
        return ImageInfo("raw", -(-length // _SECTOR) * _SECTOR, length)
    if len(start) < _HEADER_LENGTH:
        raise ImageError(f"{path}: qcow2 header is cut off after {len(start)} bytes")
    return _qcow2_info(path, start, length)


def _qcow2_info(path: Path, start: bytes, length: int) -> ImageInfo:
    values = struct.unpack_from(_V3_HEADER, start)
    version, backing_offset, backing_length, cluster_bits, size, encryption = values[1:7]
    if version not in (2, 3) or not 9 <= cluster_bits <= 21:
        raise ImageError(f"{path}: qcow2 version {version} with cluster bits {cluster_bits}: expected version 3 or 2")
    extensions = _extensions(start, values[17] if version == 3 else _V2_HEADER_LENGTH)
    allocated = extensions.get(_ALLOCATED_EXTENSION, b"")
    backing_file = None
    if backing_offset:
        with path.open("rb") as file:
            file.seek(backing_offset)
            backing_file = file.read(min(backing_length, _LONGEST_BACKING_NAME)).decode("utf-8", "replace")
    backing_format = extensions.get(_BACKING_FORMAT_EXTENSION)
    return ImageInfo(
        "qcow2",
        size,
        struct.unpack(">Q", allocated)[0] if len(allocated) == 8 else length,
        1 << cluster_bits,
        encryption != 0,
        backing_file,
        backing_format.decode("ascii", "replace") if backing_format else None,
    )


def _extensions(start: bytes, offset: int) -> dict[int, bytes]:
    """The header extensions that begin at `offset` and lie within `start`."""
    found = {}
    while offset + 8 <= len(start):
        kind, length = struct.unpack_from(">II", start, offset)
        if kind == 0 or offset + 8 + length > len(start):
            break
        found[kind] = start[offset + 8 : offset + 8 + length]
        offset += 8 + -(-length // 8) * 8
    return found


def write_vmdk(path: Path, virtual_size_bytes: int, *, stored_bytes: int) -> None:
    """Make the head of a streamOptimized VMDK at `path`: header and descriptor, no grains."""
    sectors = -(-virtual_size_bytes // _SECTOR)
    descriptor = (
        "# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\n"
        f'createType="streamOptimized"\nRDONLY {sectors} SPARSE "{path.name}"\n'
        f'ddb.virtualHWVersion = "13"\nddb.comment.storedBytes = "{stored_bytes}"\n'
    ).encode()
    descriptor = descriptor.ljust(-(-len(descriptor) // _SECTOR) * _SECTOR, b"\0")
    header = struct.pack(
        "<4sIIQQQQIQQQB4sH", _VMDK_MAGIC, 3, 0x30001, sectors, 128, 1, len(descriptor) // _SECTOR, 512, 0,
        0xFFFFFFFFFFFFFFFF, 1 + len(descriptor) // _SECTOR, 0, b"\n \r\n", 1,
    )  # fmt: skip
    path.write_bytes(header.ljust(_SECTOR, b"\0") + descriptor)


def _vmdk_info(path: Path, start: bytes) -> ImageInfo:
    sectors: int = struct.unpack_from("<Q", start, 12)[0]
    stored = path.stat().st_size
    text = path.read_bytes()[_SECTOR : 4 * _SECTOR]
    marker = b'ddb.comment.storedBytes = "'
    if marker in text:
        stored = int(text.split(marker, 1)[1].split(b'"', 1)[0])
    return ImageInfo("vmdk", sectors * _SECTOR, stored)


def modelled_size_bytes(path: Path) -> int:
    """How many bytes the file stands for: an image's content size, any other file's own size, 0 when it is gone."""
    try:
        info = read_image(path)
        return max(info.allocated_bytes, 0)
    except ImageError:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
