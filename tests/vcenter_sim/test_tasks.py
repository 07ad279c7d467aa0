"""Tasks and their scheduler, the object registry and sessions, without sockets."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pyVmomi import vim, vmodl

from vcenter_sim import building, sessions, tasks, wire
from vcenter_sim.document import InventoryError
from vcenter_sim.inventory import Inventory
from vcenter_sim.providers import RandomIds, RealClock
from vcenter_sim.sessions import Credentials, Sessions
from vcenter_sim.tasks import Scheduler, Tasks


@pytest.fixture
def scheduler() -> Iterator[Scheduler]:
    scheduler = Scheduler(RealClock())
    scheduler.start()
    yield scheduler
    scheduler.stop()


@pytest.fixture
def inventory() -> Inventory:
    inventory = Inventory(RealClock(), RandomIds())
    inventory.add(vim.Folder, "group-v1", name="vm", childEntity=[])
    return inventory


def ended(inventory: Inventory, ref: Any) -> Any:
    """The task's info once it ended."""
    changed = threading.Event()
    inventory.subscribe(changed)
    for _ in range(1000):
        changed.clear()
        info = inventory.find(ref)["info"]
        if info.state in ("success", "error"):
            inventory.unsubscribe(changed)
            return info
        changed.wait(1)
    raise AssertionError("the task did not end")


class HandClock(RealClock):
    """A clock that is moved by hand; who waits looks at it again and again."""

    def __init__(self) -> None:
        self.time_s = 0.0

    def monotonic(self) -> float:
        return self.time_s

    def wait(self, event: threading.Event, timeout_s: float | None) -> bool:
        return event.wait(None if timeout_s is None else 0.005)


def test_callbacks_run_in_the_order_of_their_time() -> None:
    """The one due first runs first, whatever the order of asking; a failing one stops nobody."""
    clock = HandClock()
    scheduler = Scheduler(clock)
    scheduler.start()
    done: list[str] = []
    early, all_done = threading.Event(), threading.Event()
    scheduler.after(60, lambda: (done.append("late"), all_done.set()))
    scheduler.after(30, lambda: done.append("middle"))
    scheduler.after(0, lambda: 1 / 0)
    scheduler.after(0, lambda: (done.append("first"), early.set()))
    assert early.wait(60)
    assert done == ["first"]
    clock.time_s = 60.0
    assert all_done.wait(60)
    assert done == ["first", "middle", "late"]
    scheduler.stop()


def test_a_stopped_scheduler_takes_nothing_and_can_start_again() -> None:
    """What was due is forgotten, and new work is not taken until the next start."""
    scheduler = Scheduler(RealClock())
    ran = threading.Event()
    scheduler.start()
    scheduler.after(60, ran.set)
    scheduler.stop()
    scheduler.after(0, ran.set)
    scheduler.stop()
    scheduler.start()
    assert not ran.wait(0.05)
    scheduler.after(0, ran.set)
    assert ran.wait(60)
    scheduler.stop()


def test_a_defect_in_a_task_becomes_its_error(inventory: Inventory, scheduler: Scheduler) -> None:
    """Work that fails with something else than a fault ends the task with SystemError."""
    entity = inventory.find(vim.Folder("group-v1"))
    task = Tasks(inventory, scheduler).start("Destroy_Task", entity, "u", lambda: 1 / 0, duration_s=0)
    info = ended(inventory, task)
    assert isinstance(info.error, vmodl.fault.SystemError)
    assert info.error.reason == "ZeroDivisionError"
    assert info.descriptionId == "Folder.destroy"


def test_old_tasks_are_forgotten(inventory: Inventory, scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a limited number of ended tasks can still be read."""
    monkeypatch.setattr(tasks, "KEPT_TASKS", 2)
    maker = Tasks(inventory, scheduler)
    entity = inventory.find(vim.Folder("group-v1"))
    made = []
    for _ in range(4):
        made.append(maker.start("Rename_Task", entity, "u", lambda: None, duration_s=0, steps=()))
        ended(inventory, made[-1])
    with pytest.raises(vmodl.fault.ManagedObjectNotFound):
        inventory.find(made[0])
    assert inventory.find(made[-1])["info"].state == "success"
    assert list(maker.recent()) == made[-2:]


def test_objects_have_moids_of_their_own(inventory: Inventory) -> None:
    """A moid is given out once, and an object without that kind of ancestor says so."""
    with pytest.raises(ValueError, match="group-v1 already"):
        inventory.add(vim.Folder, "group-v1")
    with pytest.raises(vmodl.fault.ManagedObjectNotFound):
        inventory.ancestor(inventory.find(vim.Folder("group-v1")), vim.Datacenter)


def test_mac_addresses_that_are_taken_are_not_given_out(inventory: Inventory) -> None:
    """A generated address skips those of the inventory file."""
    inventory.take_mac("00:50:56:80:00:02")
    assert [inventory.new_mac() for _ in range(2)] == ["00:50:56:80:00:01", "00:50:56:80:00:03"]


def test_the_oldest_session_ends_when_there_are_too_many(inventory: Inventory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients that never log out do not fill the memory."""
    monkeypatch.setattr(sessions, "MAX_SESSIONS", 3)
    known = Sessions(inventory, Credentials("u", "p"), 60)
    cookies = [known.open("peer", "agent")[0] for _ in range(5)]
    assert [known.find(cookie) is not None for cookie in cookies] == [False, False, True, True, True]


def test_what_cannot_be_sent_is_found_at_load_time(inventory: Inventory) -> None:
    """prove names the object and property that the serialiser refuses."""
    inventory.add(vim.VirtualMachine, "vm-1", name="broken", runtime=vim.vm.RuntimeInfo())
    with pytest.raises(TypeError, match=r"<vim.VirtualMachine vm-1 'broken'>\.runtime: .* not optional"):
        building.prove(inventory)


def test_a_value_out_of_range_is_an_inventory_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What only the type tables refuse is still reported with file, place and reason."""
    file = tmp_path / "x.yaml"
    file.write_text(yaml.safe_dump({"datacenters": [{"name": "dc", "datastores": [{"name": "d"}], "hosts": [
        {"name": "h"}], "vms": [{"name": "v", "host": "h", "disks": [{"size_gb": 1}]}]}]}))  # fmt: skip

    def refuse(*_: object, **__: object) -> None:
        raise TypeError("refused by the type tables")

    monkeypatch.setattr(building.machines, "create", refuse)
    with pytest.raises(InventoryError) as caught:
        building.load(file, RealClock(), RandomIds())
    assert caught.value.problems == [("datacenters[0]", "vms[0]: refused by the type tables")]


def test_a_fetch_of_an_undeclared_property_has_no_declared_type() -> None:
    """Fetch answers with the property's own type, and with Any where there is none."""
    info = wire.method_info("Fetch")
    call = wire.Call("Fetch", vim.VirtualMachine("vm-1"), {"prop": "nosuch"}, info, wire.NEWEST_VERSION)
    assert wire.property_type(call, info) is object
