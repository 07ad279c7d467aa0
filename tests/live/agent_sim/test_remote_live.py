"""VMs of another KVM host: listed by libvirt, copied over ssh into a pool."""

from __future__ import annotations

from typing import Any

import pytest

from agent_sim.toolchain.images import read_image
from mgmt.protocol.commands import (
    Answer,
    CopyRemoteVolumeAnswer,
    CopyRemoteVolumeCommand,
    GetRemoteVmsAnswer,
    GetRemoteVmsCommand,
    StorageFilerTO,
)

REMOTE = "192.0.2.60"
SOURCE = "/var/lib/libvirt/images/remote1.qcow2"


def copy(lab: Any, *, kind: str = "NetworkFilesystem", **changes: Any) -> Answer:
    fields: dict[str, Any] = {
        "remoteIp": REMOTE, "username": "root", "password": "lab-remote", "srcFile": SOURCE, "tmpPath": "/tmp/",
        "storageFilerTO": StorageFilerTO(uuid=lab.primary().uuid, type=kind), "wait": 1800,
    }  # fmt: skip
    answer: Answer = lab.agent.ask(CopyRemoteVolumeCommand(**fields | changes))[0]
    return answer


def test_stopped_vms_are_listed(conversions: Any) -> None:
    """Only what is shut off, described as the agent does it for a remote host."""
    answer = conversions.agent.ask(GetRemoteVmsCommand(remoteIp=REMOTE, username="root", password="x"))[0]
    assert isinstance(answer, GetRemoteVmsAnswer) and (answer.result, answer.details, answer.vmNames) == (
        True,
        "",
        None,
    )
    (vm,) = answer.unmanagedInstances.values()
    assert (vm.name, vm.memory, vm.cpuCores, vm.vncPassword) == ("remote1", 2048, None, "null" + 14 * "a")
    assert (vm.disks[0].datastorePath, vm.disks[0].imagePath, vm.nics[0].vlan) == (SOURCE, None, -1)
    away = conversions.agent.ask(GetRemoteVmsCommand(remoteIp="192.0.2.61"))[0]
    assert (type(away), away.details) == (
        Answer, "Unable to connect to remote host 192.0.2.61, please check the libvirtd tcp connectivity and retry",
    )  # fmt: skip


def test_disk_is_copied_into_the_pool(conversions: Any) -> None:
    answer = copy(conversions)
    assert isinstance(answer, CopyRemoteVolumeAnswer) and answer.result and answer.size == 10 * 1024**3
    assert conversions.files() == [answer.filename]
    image = read_image(conversions.export("/export/primary") / (answer.filename or ""))
    assert image.virtual_size_bytes == answer.size


def test_the_copy_tells_how_far_it_is(conversions: Any) -> None:
    """From no byte to all, in steps, for the command with its log id."""
    seen: list[Any] = []
    conversions.on_event = seen.append
    assert copy(conversions, contextMap={"logid": "abc"}).result
    done = [event.bytes_done for event in seen]
    assert (done[0], done[-1], len(done)) == (0, seen[0].bytes_total, 11)
    assert done == sorted(done)
    assert {(event.tool, event.disk_index, event.disk_count, event.log_id) for event in seen} == {
        ("qemu-img", 1, 1, "abc")
    }


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"password": "wrong"}, "Failed to authentication SSH user root on host 192.0.2.60"),
        ({"remoteIp": "192.0.2.61"}, "java.io.IOException: There was a problem while connecting to 192.0.2.61:22"),
        ({"srcFile": "/nosuch"}, "qemu-img: Could not open '/nosuch': No such file or directory"),
        ({"wait": 1}, "Timed out in waiting for SSH execution result of host 192.0.2.60"),
    ],
)
def test_copy_that_fails_leaves_nothing(conversions: Any, changes: dict[str, Any], text: str) -> None:
    answer = copy(conversions, **changes)
    assert (type(answer), answer.details) == (Answer, f"Failed to copy volume due to: {text}")
    assert conversions.files() == []


def test_copy_into_a_pool_of_another_kind(conversions: Any) -> None:
    assert copy(conversions, kind="RBD").details == (
        "Unsupported storage pool type: RBD, only local and NFS pools are supported"
    )
