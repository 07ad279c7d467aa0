"""Each known defect of the server, as it is upstream and as `--fix` repairs it."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from mgmt import quirks
from mgmt.commands.declaration import Bound, Call, Caller, Listing
from mgmt.commands.imports import list_import_vm_tasks
from mgmt.profiles import PROFILES
from mgmt.protocol.commands import ConvertInstanceCommand, ImportConvertedInstanceCommand
from mgmt.quirks import Quirks
from mgmt.store import models

both_ways = pytest.mark.parametrize("is_repaired", [False, True], ids=["faithful", "repaired"])


def prepare(world: Any, name: str, is_repaired: bool) -> None:
    world.services = replace(world.services, quirks=Quirks([name] if is_repaired else []))


@both_ways
def test_null_task_error_text(world: Any, is_repaired: bool) -> None:
    """An early failure shows Java's words, or the reason."""
    prepare(world, quirks.NULL_TASK_ERROR_TEXT, is_repaired)
    world.change("K1", status="Down")
    text = world.refused(convertinstancehostid="K1").text
    assert ("is not running" in text, '"importVMTaskVO" is null' in text) == (is_repaired, not is_repaired)


def test_null_task_error_text_is_no_defect_of_older_releases(world: Any) -> None:
    """Before import tasks came with 4.22 the reason was shown."""
    world.services = replace(world.services, quirks=Quirks([], PROFILES["4.21"]))
    world.change("K1", status="Down")
    assert "is not running" in world.refused(convertinstancehostid="K1").text


@both_ways
def test_task_left_running(world: Any, is_repaired: bool) -> None:
    """A limit leaves the task Running, or Failed with the text of the job."""
    prepare(world, quirks.TASK_LEFT_RUNNING, is_repaired)
    world.change("l2", account_id=world.id_of("bob-account"))
    world.change("bob-account", limits={"user_vm": 0})
    error = world.refused(account="bob", domainid="ROOT")
    assert world.task.state == ("Failed" if is_repaired else "Running")
    assert (world.task.description == error.text) is is_repaired


@both_ways
def test_task_id_missing(world: Any, is_repaired: bool) -> None:
    """listImportVmTasks shows a task without its id, or with it."""
    prepare(world, quirks.TASK_ID_MISSING, is_repaired)
    world.run()
    caller = Caller(2, "", "admin", 2, "", "admin", 1, 1, "", "/", "Admin")
    bound = dict.fromkeys(("accountid", "vcenter", "convertinstancehostid", "tasksfilter"))
    with world.services.store.session() as session:
        services = SimpleNamespace(**vars(world.services), has_extensions=False)
        call = Call(services, caller, "listImportVmTasks", "c", session=session)
        listing = list_import_vm_tasks.handler(call, Bound({**bound, "zoneid": world.id_of("Z1")}))
    assert isinstance(listing, Listing)
    assert [item["id"] for item in listing.items] == [world.task.uuid if is_repaired else None]


@both_ways
def test_late_disk_mapping_check(world: Any, make_source: Any, is_repaired: bool) -> None:
    """A wrong disk offering map is refused with one text, after the conversion or before it."""
    prepare(world, quirks.LATE_DISK_MAPPING_CHECK, is_repaired)
    world.vcenter.vms["web01"] = make_source(disks=2)
    error = world.refused()
    assert error.text == (
        "VM has total 2 disks for which 0 disk offering mappings provided. 1 disks need a disk offering for import"
    )
    assert (world.agents.commands(ConvertInstanceCommand) == []) is is_repaired
    assert (world.task.state, world.task.step) == ("Failed", "CloningInstance" if is_repaired else "Importing")


@both_ways
def test_import_without_wait(world: Any, is_repaired: bool) -> None:
    """The import command has no limit of its own, or the conversion's."""
    prepare(world, quirks.IMPORT_WITHOUT_WAIT, is_repaired)
    world.run()
    (command,) = world.agents.commands(ImportConvertedInstanceCommand)
    assert command.wait == (10800 if is_repaired else 0)


@both_ways
def test_vddk_details_stored(world: Any, is_repaired: bool) -> None:
    """VDDK overrides stay with the VM, or go; other details stay."""
    prepare(world, quirks.VDDK_DETAILS_STORED, is_repaired)
    world.run(details={"0": {"vddk.lib.dir": "/x", "vddk.transports": "nbd", "own": "1"}})
    stored = {detail.name for detail in world.rows(models.VmDetail)}
    assert "own" in stored
    assert stored.isdisjoint({"vddk.lib.dir", "vddk.transports"}) is is_repaired


@both_ways
def test_usage_zone_of_account(world: Any, is_repaired: bool) -> None:
    """The usage record of a custom offering names the account's number as its zone, or the zone's."""
    prepare(world, quirks.USAGE_ZONE_OF_ACCOUNT, is_repaired)
    world.run(serviceofferingid="O3", details={"0": {"cpuSpeed": "1500"}})
    created = world.rows(models.UsageEvent)[0]
    assert created.account_id != world.id_of("Z1")
    assert created.zone_id == (world.id_of("Z1") if is_repaired else created.account_id)


@both_ways
def test_dummy_template_rows(world: Any, is_repaired: bool) -> None:
    """Two imports without a template add two dummy rows, or one."""
    prepare(world, quirks.DUMMY_TEMPLATE_ROWS, is_repaired)
    for name in ("one", "two"):
        world.run(templateid=None, hostname=name, forced=True)
    dummies = [row for row in world.rows(models.Template) if row.name == "kvm-default-vm-import-dummy-template"]
    assert len(dummies) == (1 if is_repaired else 2)
