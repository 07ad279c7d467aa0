"""The import task, its list, and the texts of both (import-vm 4)."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgmt.commands.declaration import Bound, Call, Caller, Paging
from mgmt.commands.imports import list_import_vm_tasks
from mgmt.errors import ServerApiError
from mgmt.imports.tasks import duration_text, step_text
from mgmt.protocol.commands import (
    CheckConvertInstanceAnswer,
    CheckConvertInstanceCommand,
    ConvertInstanceAnswer,
    ConvertInstanceCommand,
    ImportConvertedInstanceCommand,
)
from mgmt.protocol.records import Answer
from mgmt.store import models


def tasks(world: Any, paging: Paging | None = None, **changes: Any) -> tuple[list[dict[str, Any]], int]:
    """What listImportVmTasks answers."""
    bound = {
        "zoneid": world.id_of("Z1"),
        "accountid": None,
        "vcenter": None,
        "convertinstancehostid": None,
        "tasksfilter": None,
        **changes,
    }
    caller = Caller(2, "", "admin", 2, "", "admin", 1, 1, "", "/", "Admin")
    with world.services.store.session() as session:
        services = SimpleNamespace(**vars(world.services), has_extensions=False)
        call = Call(services, caller, "listImportVmTasks", "c", session=session)
        listing = list_import_vm_tasks.handler(call, Bound(bound, paging=paging))
    return [dict(item) for item in listing.items], listing.count  # type: ignore[union-attr]


def shown(item: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in item.items() if value is not None}


def test_task_at_every_step(world: Any) -> None:
    """State, step and description are the documented ones while each command is under way."""
    seen: list[dict[str, Any]] = []

    def watch(answer: Any) -> Any:
        def act(command: Any) -> Answer:
            world.clock.sleep(3)
            seen.extend(shown(item) for item in tasks(world)[0])
            given: Answer = answer(command) if callable(answer) else answer
            return given

        return act

    world.agents.script(CheckConvertInstanceCommand, watch(CheckConvertInstanceAnswer(result=True)))
    world.agents.script(ConvertInstanceCommand, watch(ConvertInstanceAnswer(result=True, temporaryConvertUuid="t")))
    world.agents.script(ImportConvertedInstanceCommand, watch(world.agents.defaults[ImportConvertedInstanceCommand]))
    find_vm = world.vcenter.find_vm

    def look(name: str) -> Any:
        seen.extend(shown(item) for item in tasks(world)[0])
        return find_vm(name)

    world.vcenter.find_vm = look
    vm_id = world.run(convertinstancehostid="K1", displayname="Web", hostname="web")
    cloning, converting, still_converting = seen
    assert cloning == {
        "zoneid": "Z1",
        "zonename": "Z1",
        "account": "admin",
        "accountid": "admin-account",
        "displayname": "Web",
        "state": "Running",
        "vcenter": "vc1",
        "datacentername": "DC1",
        "sourcevmname": "web01",
        "step": "[2/5] CloningInstance",
        "stepduration": "",
        "description": "Cloning source instance: web01 on vCenter: vc1 / datacenter: DC1",
        "convertinstancehostid": "K1",
        "convertinstancehostname": "K1",
        "created": world.task.created,
        "lastupdated": world.task.created,
    }
    assert (converting["step"], converting["stepduration"], converting["description"]) == (
        "[3/5] ConvertingInstance",
        "3 secs",
        "Converting the cloned VMware instance to a KVM instance on the host: K1",
    )
    assert still_converting["stepduration"] == "6 secs"
    ((done,), count) = tasks(world)
    (vm,) = world.rows(models.VmInstance)
    assert (count, vm.id) == (1, vm_id)
    assert (done["state"], done["step"], done["stepduration"], done["duration"]) == (
        "Completed",
        "[5/5] Completed",
        None,
        "6 secs",
    )
    assert (done["virtualmachineid"], done["description"]) == (vm.uuid, "Completed at 2026-11-23 01:48:53 GMT")
    assert world.task.duration_ms == 6000


def test_importing_step(world: Any) -> None:
    """While the records are made the task names the import host."""
    world.agents.script(
        ImportConvertedInstanceCommand,
        lambda command: _without_disks(world, command),
    )
    world.refused(usevddk=False, convertinstancehostid="K1", importinstancehostid="K2")
    assert world.task.step == "Importing"
    assert (world.task.convert_host_id, world.task.import_host_id) == (world.id_of("K1"), world.id_of("K2"))


def _without_disks(world: Any, command: Any) -> Answer:
    answer = world.agents.defaults[ImportConvertedInstanceCommand](command)
    answer.convertedInstance.disks = []
    given: Answer = answer
    return given


def test_vm_and_host_that_are_gone(world: Any) -> None:
    """A removed VM and a removed host are not shown."""
    world.run(convertinstancehostid="K1")
    (vm,) = world.rows(models.VmInstance)
    world.change(vm.uuid, removed=vm.created)
    world.change("K1", removed=vm.created)
    ((done,), _) = tasks(world)
    assert (done["virtualmachineid"], done["convertinstancehostid"], done["convertinstancehostname"]) == (
        None,
        None,
        None,
    )


def test_filters_and_paging(world: Any) -> None:
    """Tasks are filtered by state in any case, account, vCenter and host; newest first, the count is of all."""
    world.run(hostname="a", convertinstancehostid="K1")
    world.clock.sleep(10)
    world.refused(name="nope", hostname="b", convertinstancehostid="K2")
    world.clock.sleep(10)
    world.run(hostname="c", forced=True, vcenter="vc2", convertinstancehostid="K1")
    everything, count = tasks(world)
    assert [(item["sourcevmname"], item["vcenter"], item["state"]) for item in everything] == [
        ("web01", "vc2", "Completed"),
        ("nope", "vc1", "Failed"),
        ("web01", "vc1", "Completed"),
    ]
    assert count == 3
    assert [tasks(world, tasksfilter=text)[1] for text in ("all", " ", "", "ALL", None)] == [3] * 5
    assert [tasks(world, tasksfilter=text)[1] for text in ("Completed", "FAILED", "running")] == [2, 1, 0]
    assert [tasks(world, vcenter=text)[1] for text in ("vc1", "VC2", "v", "")] == [2, 1, 0, 3]
    assert tasks(world, convertinstancehostid=world.id_of("K2"))[1] == 1
    assert tasks(world, accountid=world.id_of("bob-account")) == ([], 0)
    assert tasks(world, zoneid=world.id_of("Z2")) == ([], 0)
    page, count = tasks(world, Paging(offset=1, limit=1))
    assert ([item["sourcevmname"] for item in page], count) == (["nope"], 3)


def test_bad_filter(world: Any) -> None:
    """A filter that is none is refused as it was sent."""
    with pytest.raises(ServerApiError) as caught:
        tasks(world, tasksfilter="Foo")
    assert (caught.value.errorcode, caught.value.cserrorcode, caught.value.text) == (
        431,
        9999,
        "Invalid value for task state: Foo",
    )


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (0.9, ""),
        (1, "1 secs"),
        (60, "1 min "),
        (61.7, "1 min 1 secs"),
        (3600, "1 hs "),
        (50 * 3600 + 125, "50 hs 2 min 5 secs"),
        (-5, ""),
    ],
)
def test_duration_text(duration: float, text: str) -> None:
    """Each part of a duration shows only when it is not 0."""
    assert duration_text(duration) == text


@given(st.integers(min_value=0, max_value=10**7))
def test_duration_text_says_the_duration(seconds: int) -> None:
    """The parts of the text add up to the duration."""
    words = duration_text(seconds).split()
    factors = {"hs": 3600, "min": 60, "secs": 1}
    total = sum(int(number) * factors[unit] for number, unit in zip(words[::2], words[1::2], strict=True))
    assert timedelta(seconds=total) == timedelta(seconds=seconds)


def test_step_text() -> None:
    """A step shows its place among five."""
    assert [step_text(step) for step in ("Prepare", "Importing")] == ["[1/5] Prepare", "[4/5] Importing"]
