"""What a simulated KVM host is and has: hardware, operating system, tools, VDDK library, pools, agent.properties.

`agent_sim.hostfile` reads descriptions from YAML.
"""

from __future__ import annotations

import ipaddress
import uuid
from dataclasses import dataclass, field

from agent_sim.properties import AgentProperties

RESOURCE_NAME = "LibvirtComputingResource"

GIB = 1024**3
_NAMESPACE = uuid.UUID("6f1d1a52-0f0e-4c55-9d1f-0a4f3d9c7b10")
_DEBIAN_FAMILY = ("debian", "ubuntu")


class HostFileError(ValueError):
    """A host file that cannot be used: names the file, the path inside the document and the reason."""


@dataclass(frozen=True)
class Cpu:
    sockets: int = 2
    cores: int = 32
    speed_mhz: int = 2000


@dataclass(frozen=True)
class OperatingSystem:
    name: str = "Rocky Linux"
    version: str = "9.4"
    kernel: str = "5.14.0-427.13.1.el9_4.x86_64"

    @property
    def is_debian_family(self) -> bool:
        """Whether the agent asks dpkg instead of rpm, and wants nbdkit beside virt-v2v."""
        return self.name.lower().startswith(_DEBIAN_FAMILY)


@dataclass(frozen=True)
class Tools:
    """Versions of the programs on the host; None where a program is not installed."""

    virt_v2v: str | None = None
    nbdkit: str | None = None
    nbdkit_vddk_plugin: str | None = None
    ovftool: str | None = None
    openssl: str | None = "3.0.7"
    virtio_win: bool = False
    ovmf: bool = False
    password_options: tuple[str, ...] | None = None
    """What `virt-v2v --help` lists; None: what this version of virt-v2v lists."""


@dataclass(frozen=True)
class VddkLibrary:
    """A VDDK tree: its root directory on the host and the files in it."""

    path: str
    files: tuple[str, ...]


@dataclass(frozen=True)
class LocalPool:
    path: str
    capacity_bytes: int
    available_bytes: int
    uuid: str | None = None


@dataclass(frozen=True)
class NfsExport:
    """A directory that an NFS server exports, or pretends to: `state` other than `exported` makes mounts fail."""

    server: str
    path: str
    capacity_bytes: int = 1024 * GIB
    available_bytes: int = 1024 * GIB
    state: str = "exported"


@dataclass(frozen=True)
class CephPool:
    monitor: str
    pool: str
    capacity_bytes: int
    available_bytes: int


@dataclass(frozen=True)
class DomainDisk:
    path: str
    capacity_bytes: int
    bus: str = "virtio"


@dataclass(frozen=True)
class DomainNic:
    mac: str
    model: str = "virtio"
    bridge: str | None = None
    vlan: int | None = None


@dataclass(frozen=True)
class Domain:
    """A libvirt domain. A persistent one is there when it is shut off; `vnc_display` 0 stands for port 5900."""

    name: str
    state: str = "running"
    cpu_cores: int = 1
    cpu_shares: int = 1000
    memory_mb: int = 1024
    boot_type: str = "BIOS"
    boot_mode: str = "LEGACY"
    vnc_password: str | None = None
    disks: tuple[DomainDisk, ...] = ()
    nics: tuple[DomainNic, ...] = ()
    persistent: bool = False
    vnc_display: int = 0
    transient: bool = False
    """In a description: it runs without being defined, as the VMs that CloudStack starts. Others are persistent."""


@dataclass(frozen=True)
class RemoteKvmHost:
    """A KVM host that CloudStack does not manage. Without `password` every password lets in over ssh."""

    ip: str
    username: str = "root"
    password: str | None = field(default=None, repr=False)
    libvirt_tcp: bool = True
    domains: tuple[Domain, ...] = ()


@dataclass(frozen=True)
class HostDescription:
    """One simulated KVM host."""

    name: str
    guid: str
    ip: str
    mac: str = "52:54:00:aa:bb:01"
    netmask: str = "255.255.255.0"
    gateway: str = "192.0.2.1"
    agent_version: str = "4.22.1.0"
    arch: str = "x86_64"
    cpu: Cpu = field(default_factory=Cpu)
    memory_bytes: int = 250 * GIB
    reserved_memory_bytes: int = GIB
    os: OperatingSystem = field(default_factory=OperatingSystem)
    tools: Tools = field(default_factory=Tools)
    vddk_libraries: tuple[VddkLibrary, ...] = ()
    properties: AgentProperties = field(default_factory=AgentProperties)
    local_pools: tuple[LocalPool, ...] = ()
    nfs_exports: tuple[NfsExport, ...] = ()
    ceph_pools: tuple[CephPool, ...] = ()
    mounts_undeclared_exports: bool = True
    domains: tuple[Domain, ...] = ()
    remote_hosts: tuple[RemoteKvmHost, ...] = ()
    spare: bool = False
    """Installed, but its agent is not set up: it waits to be added to the cloud."""

    @property
    def full_guid(self) -> str:
        """The guid with which the agent's Startup names the host: with its resource's name."""
        return f"{self.guid}-{RESOURCE_NAME}"


def generated_hosts(
    count: int, *, zone: str = "lab-zone", pod: str = "lab-pod", cluster: str = "lab-kvm", seed: int = 0
) -> list[HostDescription]:
    """`count` like hosts with everything installed; the same `seed` gives the same names and guids."""
    hosts = []
    for index in range(count):
        address = ipaddress.ip_address("198.18.0.1") + index
        local = LocalPool(
            path="/var/lib/libvirt/images/",
            uuid=str(uuid.uuid5(_NAMESPACE, f"{seed}/{index}/pool")),
            capacity_bytes=500 * GIB,
            available_bytes=450 * GIB,
        )
        properties = AgentProperties({"zone": zone, "pod": pod, "cluster": cluster})
        hosts.append(
            HostDescription(
                name=f"sim-{seed}-{index + 1:04d}",
                guid=str(uuid.uuid5(_NAMESPACE, f"{seed}/{index}")),
                ip=str(address),
                mac=f"52:54:{seed & 0xFF:02x}:{index >> 16 & 0xFF:02x}:{index >> 8 & 0xFF:02x}:{index & 0xFF:02x}",
                netmask="255.254.0.0",
                gateway="198.18.0.1",
                tools=Tools(
                    virt_v2v="2.8.1rhel=9,release=12.el9_6",
                    nbdkit="1.38.5",
                    nbdkit_vddk_plugin="1.38.5",
                    ovftool="4.6.3",
                    virtio_win=True,
                    ovmf=True,
                ),
                vddk_libraries=(VddkLibrary("/opt/vmware-vix-disklib-distrib", ("lib64/libvixDiskLib.so.8.0.3",)),),
                properties=properties,
                local_pools=(local,),
            )
        )
    return hosts
