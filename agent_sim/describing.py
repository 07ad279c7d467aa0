"""The hosts of a fleet as they are now, as the document that `agent_sim.hostfile` reads."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Collection, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from agent_sim.agent import Phase
from agent_sim.properties import AgentProperties, format_properties
from agent_sim.saving import SavedTree

if TYPE_CHECKING:
    from agent_sim.member import Member
    from agent_sim.storage import SavedExports

# Of a fleet, not of one host, and so beside the hosts in the document.
_SHARED = ("nfs_exports", "ceph_pools", "remote_hosts", "mounts_undeclared_exports")
_NOT_WRITTEN = ("persistent", "vnc_display")


def document_of(
    members: Collection[Member], exports: SavedExports, files: SavedTree, root: Path, variables: Mapping[str, str]
) -> dict[str, Any]:
    """Hosts with their VMs, exports, and the images below `root`; values of `variables` become `${name}` again."""
    hosts = [member.hypervisor.host for member in members]
    document: dict[str, Any] = {
        "nfs_exports": [_plain(export) for export in exports.declared.values()],
        "ceph_pools": _shared(hosts, "ceph_pools"),
        "remote_hosts": _shared(hosts, "remote_hosts"),
        "undeclared_exports": "mount" if all(host.mounts_undeclared_exports for host in hosts) else "refuse",
        "hosts": [_host(member, variables) for member in members],
        "files": {
            str(Path(path).relative_to(root)): packed(file.content) for path, file in files.items() if file.content
        },
    }
    return {name: value for name, value in document.items() if value}


def _shared(hosts: Collection[Any], name: str) -> list[Any]:
    return [_plain(each) for each in dict.fromkeys(each for host in hosts for each in getattr(host, name))]


def _host(member: Member, variables: Mapping[str, str]) -> dict[str, Any]:
    hypervisor = member.hypervisor
    domains = sorted(hypervisor.domains.values(), key=lambda domain: domain.vnc_display)
    host = replace(
        hypervisor.described,
        domains=tuple(replace(domain, transient=not domain.persistent) for domain in domains),
        spare=member.phase is Phase.STOPPED,
    )
    made = {name: value for name, value in _plain(host).items() if name not in _SHARED}
    if "properties" in made:
        for name, value in variables.items():
            made["properties"] = made["properties"].replace(_escaped(value), f"${{{name}}}")
    return made


def _escaped(value: str) -> str:
    return format_properties({"k": value})[len("k=") : -1]


def _plain(value: Any) -> Any:
    """Records as maps of what is not as it is by default, tuples as lists."""
    if isinstance(value, AgentProperties):
        return format_properties(value.as_dict())
    if is_dataclass(value):
        given = {field.name: getattr(value, field.name) for field in fields(value) if field.name not in _NOT_WRITTEN}
        return {
            field.name: _plain(given[field.name])
            for field in fields(value)
            if field.name in given and given[field.name] != _default(field)
        }
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return value


def _default(field: Field[Any]) -> Any:
    return field.default_factory() if field.default_factory is not MISSING else field.default


def packed(content: bytes) -> str:
    """The content of a file as a text: images are sparse, and nearly nothing is left of them."""
    return base64.b64encode(zlib.compress(content, 9)).decode("ascii")


def unpacked(text: str) -> bytes:
    """What was packed; raises ValueError."""
    try:
        return zlib.decompress(base64.b64decode(text, validate=True))
    except (binascii.Error, zlib.error, ValueError):
        raise ValueError("expected a file as it was saved: zlib in base64") from None


def is_inside(path: str) -> bool:
    """Whether a path leads to somewhere below the folder that it is relative to."""
    parts = PurePosixPath(path).parts
    return bool(parts) and parts[0] in ("exports", "hosts", "remote") and ".." not in parts


def write_files(root: Path, files: Mapping[str, bytes]) -> None:
    """Put the files below `root`, unless a fleet has been there before."""
    if (root / "hosts").exists():
        return
    for path, content in files.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
