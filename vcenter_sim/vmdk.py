"""Stream-optimised VMDK files, tiny and the same every time: what a disk export delivers.

The disk is empty but for its first grain, which names it, so that two disks never have the same sum. Layout as in
VMware's "Virtual Disk Format 5.0": header, descriptor, one compressed grain, grain table, grain directory, footer, end
of stream.
"""

from __future__ import annotations

import struct
import zlib

SECTOR = 512
GRAIN_SECTORS = 128
_GRAINS_PER_TABLE = 512
_DESCRIPTOR_SECTORS = 20
_DATA_START = 1 + _DESCRIPTOR_SECTORS
_GD_AT_END = 0xFFFFFFFFFFFFFFFF
_FLAGS = 0x30001  # newline test is valid, grains are compressed, markers are there
_END_OF_STREAM, _GRAIN_TABLE, _GRAIN_DIRECTORY, _FOOTER = range(4)


def build(capacity_bytes: int, identity: str) -> bytes:
    """A disk of `capacity_bytes`; `identity`, such as its datastore path, is what its first grain says."""
    sectors = -(-capacity_bytes // SECTOR)
    tables = max(1, -(-sectors // (GRAIN_SECTORS * _GRAINS_PER_TABLE)))
    parts = [_header(sectors, _GD_AT_END), _descriptor(sectors, identity)]
    parts.append(_grain(identity))
    table_at = _DATA_START + len(parts[-1]) // SECTOR + 1
    parts += [_marker(4, _GRAIN_TABLE), struct.pack("<I", _DATA_START).ljust(_GRAINS_PER_TABLE * 4, b"\0")]
    directory = _padded(struct.pack("<I", table_at).ljust(tables * 4, b"\0"))
    parts += [_marker(len(directory) // SECTOR, _GRAIN_DIRECTORY), directory]
    directory_at = table_at + 4 + 1
    parts += [_marker(1, _FOOTER), _header(sectors, directory_at), _marker(0, _END_OF_STREAM)]
    return b"".join(parts)


def _header(sectors: int, directory_at: int) -> bytes:
    return struct.pack(
        "<4sIIQQQQIQQQB4sH", b"KDMV", 3, _FLAGS, sectors, GRAIN_SECTORS, 1, _DESCRIPTOR_SECTORS, _GRAINS_PER_TABLE, 0,
        directory_at, _DATA_START, 0, b"\n \r\n", 1,
    ).ljust(SECTOR, b"\0")  # fmt: skip


def _descriptor(sectors: int, identity: str) -> bytes:
    content_id = zlib.crc32(identity.encode())
    text = (
        f"# Disk DescriptorFile\nversion=1\nCID={content_id:08x}\nparentCID=ffffffff\n"
        f'createType="streamOptimized"\n\n# Extent description\nRDONLY {sectors} SPARSE "generated-stream.vmdk"\n\n'
        '# The Disk Data Base\n#DDB\n\nddb.adapterType = "lsilogic"\nddb.geometry.cylinders = '
        f'"{sectors // (255 * 63)}"\nddb.geometry.heads = "255"\nddb.geometry.sectors = "63"\n'
        'ddb.longContentID = "' + f"{content_id:08x}" * 4 + '"\nddb.virtualHWVersion = "20"\n'
    )
    return text.encode().ljust(_DESCRIPTOR_SECTORS * SECTOR, b"\0")


def _grain(identity: str) -> bytes:
    data = zlib.compress(identity.encode().ljust(GRAIN_SECTORS * SECTOR, b"\0")[: GRAIN_SECTORS * SECTOR])
    return _padded(struct.pack("<QI", 0, len(data)) + data)


def _marker(sectors: int, kind: int) -> bytes:
    return struct.pack("<QII", sectors, 0, kind).ljust(SECTOR, b"\0")


def _padded(data: bytes) -> bytes:
    return data.ljust(-(-len(data) // SECTOR) * SECTOR, b"\0")
