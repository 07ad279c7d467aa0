"""Warm copies by changed blocks under each of their faults: a small tool that copies so, and what it is told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pyVim.connect import SmartStubAdapter
from pyVmomi import vim, vmodl

from mgmt.faults import shipped_faults
from mgmt.faults.definitions import Fault

WARM = [fault for fault in shipped_faults().values() if fault.stage == "warm"]
RETRIES = 3
PASSES = 3
SPEED = 100 * 1024**2


class WarmError(Exception):
    """What the tool tells its user."""


class Tool:
    """Copies one VM warm: a snapshot, all of it, then deltas until they are small."""

    def __init__(self, world: Any, vm_name: str) -> None:
        vcenter = world.vcenter
        host, port = vcenter.address
        self.clock, self.vm_name = world.clock, vm_name
        self.stub = SmartStubAdapter(host=host, port=port, disableSslCertValidation=True, httpConnectionTimeout=60)
        content = vim.ServiceInstance("ServiceInstance", self.stub).RetrieveContent()
        self.sessions = content.sessionManager
        self.sessions.Login(vcenter.username, vcenter.password, None)
        self.vm = content.searchIndex.FindByInventoryPath(f"lab-dc/vm/{vm_name}")

    def close(self) -> None:
        self.sessions.Logout()
        self.stub.DropConnections()

    def finish(self, task: Any) -> Any:
        self.clock.run_until(lambda: task.info.state in ("success", "error"))
        if task.info.state == "error":
            raise task.info.error
        return task.info.result

    def snapshot(self) -> Any:
        for attempt in range(RETRIES):
            try:
                return self.finish(self.vm.CreateSnapshot_Task("warm", None, False, True))
            except vim.fault.NoPermission as error:
                raise WarmError(error.msg) from error
            except vmodl.MethodFault as error:
                if attempt == RETRIES - 1:
                    raise WarmError(f"warm import retry limit reached: {error.msg}") from error
        raise AssertionError("unreachable")

    def plan(self, lab: Any) -> None:
        """Refuse what cannot be done before anything begins."""
        hosts = lab.client.call("listHosts", type="Routing", clusterid=lab.cluster_id)["host"]
        if not any(host["details"].get("host.vddk.support") == "true" for host in hosts):
            raise WarmError("no host of the cluster has VDDK")

    def copy(self) -> list[int]:
        """How many bytes each pass has copied; raises WarmError."""
        self.finish(self.vm.ReconfigVM_Task(vim.vm.ConfigSpec(changeTrackingEnabled=True)))
        since: dict[int, str] = {}
        copied: list[int] = []
        for number in range(PASSES):
            snapshot = self.snapshot()
            disks = [each for each in snapshot.config.hardware.device if isinstance(each, vim.vm.device.VirtualDisk)]
            for disk in disks:
                if not disk.backing.changeId:
                    self.finish(snapshot.RemoveSnapshot_Task(False, None))
                    raise WarmError(f"CBT is not enabled on disk {disk.key}")
            copied.append(sum(self.changed(snapshot, disk, since.get(disk.key, "*")) for disk in disks))
            since = {disk.key: disk.backing.changeId for disk in disks}
            names = [tree.name for tree in _trees(self.vm.snapshot.rootSnapshotList)]
            if set(names) != {"warm"}:
                raise WarmError(f"another product has taken the snapshot {next(n for n in names if n != 'warm')}")
            if number < PASSES - 1:
                self.finish(snapshot.RemoveSnapshot_Task(False, None))
            self.clock.advance(seconds=copied[-1] / SPEED)
        if copied[-1] and copied[-1] >= copied[0]:
            raise WarmError("the deltas do not become smaller")
        self.finish(self.vm.RemoveAllSnapshots_Task(None))
        return copied

    def changed(self, snapshot: Any, disk: Any, since: str) -> int:
        try:
            info = self.vm.QueryChangedDiskAreas(snapshot, disk.key, 0, since)
        except vmodl.MethodFault as error:
            raise WarmError(error.msg) from error
        return sum(area.length for area in info.changedArea)


def _trees(trees: Any) -> Iterator[Any]:
    for tree in trees:
        yield tree
        yield from _trees(tree.childSnapshotList)


@pytest.fixture
def tool(lab: Any) -> Iterator[Tool]:
    """The tool on a running VM; afterwards there are no snapshots and no faults."""
    made = Tool(lab.world, "web01")
    made.finish(made.vm.PowerOnVM_Task(None))
    yield made
    lab.world.faults.clear()
    made.finish(made.vm.RemoveAllSnapshots_Task(None))
    made.finish(made.vm.PowerOffVM_Task())
    made.finish(made.vm.ReconfigVM_Task(vim.vm.ConfigSpec(changeTrackingEnabled=False)))
    made.close()


def snapshots(lab: Any) -> list[str]:
    vcenter = lab.world.vcenter
    with vcenter.inventory.lock:
        return ["snapshot" for _ in vcenter.inventory.of_kind(vim.vm.Snapshot)]


def test_a_warm_copy(lab: Any, tool: Tool) -> None:
    """Without a fault all is copied first, then less each time, and no snapshot stays."""
    copied = tool.copy()
    assert copied[0] == 70 * 1024**3
    assert copied[0] > copied[1] > copied[2] > 0
    assert snapshots(lab) == []
    assert tool.vm.snapshot is None


@pytest.mark.parametrize("fault", WARM, ids=lambda fault: f"{fault.id}-{fault.name}")
def test_warm_fault(lab: Any, tool: Tool, fault: Fault) -> None:
    """The tool is told what the fault says, no import task is listed, and the snapshots are left that it says."""
    tasks = lab._latest_task()
    armed = lab.world.fault(fault.name)
    with pytest.raises(WarmError) as raised:
        tool.plan(lab)
        tool.copy()
    assert str(raised.value) == fault.seen.text
    assert snapshots(lab) == list(fault.left)
    assert armed.fired
    assert (fault.seen.step, fault.seen.code) == (None, None)
    assert lab._latest_task() == tasks


def test_what_vcenter_refuses(lab: Any, tool: Tool) -> None:
    """Unknown disks, offsets and change ids, and disks without tracking, are refused with vCenter's faults."""
    plain = tool.snapshot()
    with pytest.raises(vim.fault.FileFault):
        tool.vm.QueryChangedDiskAreas(plain, 2000, 0, "*")
    tool.finish(tool.vm.ReconfigVM_Task(vim.vm.ConfigSpec(changeTrackingEnabled=True)))
    tracked = tool.snapshot()
    for key, offset, change in ((9, 0, "*"), (2000, 2**50, "*"), (2000, 0, "nonsense"), (2000, 0, "x/1")):
        with pytest.raises(vmodl.fault.InvalidArgument):
            tool.vm.QueryChangedDiskAreas(tracked, key, offset, change)
    assert [tree.name for tree in _trees(tool.vm.snapshot.rootSnapshotList)] == ["warm", "warm"]
    tool.finish(plain.RemoveSnapshot_Task(False, None))
    assert [tree.snapshot for tree in tool.vm.snapshot.rootSnapshotList] == [tracked]
    tool.finish(tracked.RemoveSnapshot_Task(True, None))
    assert tool.vm.snapshot is None
