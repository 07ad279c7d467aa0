"""KVM hosts outside the cluster that hosts of the fleet reach over the network: their stopped VMs and their files."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from agent_sim.errors import AgentFailure
from agent_sim.host import RemoteKvmHost
from agent_sim.storage import HostFiles
from agent_sim.toolchain.images import read_image, write_qcow2


class RemoteHosts:
    """All remote hosts of a fleet; each has its files in a directory of its own below `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._hosts: dict[str, RemoteKvmHost] = {}

    def declare(self, hosts: Iterable[RemoteKvmHost]) -> None:
        """Make the hosts known, and the files of their domains that are not there yet."""
        for host in hosts:
            if host.ip in self._hosts:
                continue
            self._hosts[host.ip] = host
            for domain in host.domains:
                for disk in domain.disks:
                    path = self.files(host.ip).real(disk.path)
                    if not path.exists():
                        path.parent.mkdir(parents=True, exist_ok=True)
                        write_qcow2(path, disk.capacity_bytes, allocated_bytes=disk.capacity_bytes // 4)

    def files(self, ip: str) -> HostFiles:
        """The file system of a known host."""
        return HostFiles(self._root / ip)

    def libvirt(self, ip: str) -> RemoteKvmHost:
        """The host as libvirt on TCP shows it, without any login; raises AgentFailure when none listens."""
        host = self._hosts.get(ip)
        if host is None or not host.libvirt_tcp:
            raise AgentFailure(f"unable to connect to server at '{ip}:16509': Connection refused")
        return host

    def ssh(self, ip: str, username: str, password: str) -> HostFiles:
        """The host's files after a login over ssh; raises AgentFailure with the ssh client's text."""
        host = self._hosts.get(ip)
        if host is None:
            raise AgentFailure(f"java.io.IOException: There was a problem while connecting to {ip}:22")
        if username != host.username or (host.password is not None and password != host.password):
            raise AgentFailure(f"Failed to authentication SSH user {username} on host {ip}")
        return self.files(ip)


def convert_to_qcow2(source: Path, destination: Path) -> None:
    """What `qemu-img convert -O qcow2` leaves: an image of its own, whatever the source was.

    Raises OSError and ImageError as the source or the destination gives reason.
    """
    image = read_image(source)
    if image.file_format == "qcow2" and image.backing_file is None and not image.is_encrypted:
        shutil.copyfile(source, destination)
    else:
        write_qcow2(destination, image.virtual_size_bytes, allocated_bytes=image.allocated_bytes)
