"""The declared commands: importVm's answer and pre-check, listUnmanagedInstances."""

from __future__ import annotations

from typing import Any

import pytest

from mgmt.commands.declaration import Bound, Call, Caller
from mgmt.commands.fields import Param
from mgmt.commands.imports import COMMANDS, import_vm, list_unmanaged_instances
from mgmt.errors import AgentUnavailableError, CloudError, InvalidParameterValueError
from mgmt.imports.ports import ImportServices
from mgmt.imports.undo import UndoList
from mgmt.protocol.commands import (
    GetUnmanagedInstancesAnswer,
    GetUnmanagedInstancesCommand,
    UnmanagedDisk,
    UnmanagedInstanceTO,
    UnmanagedNic,
    UnsupportedAnswer,
)
from mgmt.store.models import VmInstance


def call(world: Any, command: str) -> Call:
    caller = Caller(2, "u", "admin", 2, "admin-account", "admin", 1, 1, "ROOT", "/", "Admin")
    return Call(world.command_services, caller, command, "c")


def bound(params: Any, **values: Any) -> Bound:
    """Bound parameters as the edge makes them: every declared name is there."""
    declared = {
        name: field.load_default if not field.required else None
        for name, field in params._declared_fields.items()
        if isinstance(field, Param)
    }
    assert set(values) <= set(declared)
    return Bound({**declared, **values}, frozenset(values))


def import_values(world: Any, **changes: Any) -> Bound:
    return bound(
        import_vm.params,
        **{
            "clusterid": world.id_of("C1"),
            "zoneid": world.id_of("Z1"),
            "name": "web01",
            "importsource": "VMware",
            "hypervisor": "KVM",
            "serviceofferingid": world.id_of("O1"),
            "templateid": world.id_of("TPL"),
            "vcenter": "vc1",
            "datacentername": "DC1",
            "username": "u",
            "password": "p4ssw0rd",
            "nicnetworklist": {"0": {"nic": "Network adapter 1", "network": "l2"}},
            **changes,
        },
    )


def test_result_of_importvm(world: Any) -> None:
    """The job's result is the full VM response; without `usevddk` VDDK is used."""
    item = import_vm.handler(call(world, "importVm"), import_values(world))
    view = dict(item.fields)  # type: ignore[union-attr]
    assert (view["name"], view["state"], view["hypervisor"], view["cpunumber"], view["memory"]) == (
        "web01",
        "Stopped",
        "KVM",
        2,
        1024,
    )
    assert view["instancename"].startswith("i-2-")
    assert view["nic"][0]["macaddress"] == "00:50:56:aa:00:00"
    assert view.get("hostid") is None
    assert world.agents.sent[0][1].useVddk is True


def test_declarations(world: Any) -> None:
    """importVm is async with VM.IMPORT events whose first text is the long one, and binds its own parameters first."""
    assert [(item.name, item.is_async, item.is_list, item.roles) for item in COMMANDS] == [
        ("importVm", True, False, ("Admin",)),
        ("getImportTrace", False, False, ("Admin",)),
        ("listImportVmTasks", False, True, ("Admin",)),
        ("listUnmanagedInstances", False, True, ("Admin",)),
    ]
    event = import_vm.event
    assert event is not None
    assert (event.type, event.gerund, event.resource_type) == ("VM.IMPORT", "importing VM", "VirtualMachine")
    assert event.scheduled(import_values(world)) == (
        "Importing unmanaged VM: null from external vCenter: vc1 - datacenter: DC1 - VM: web01"
    )
    assert event.scheduled(import_values(world, vcenter=None)) == "Importing unmanaged VM: web01"


@pytest.mark.parametrize(
    ("account", "domain", "text"),
    [
        ("admin", None, "Account must be specified with domainId parameter"),
        ("nope", "ROOT", "Unable to find account by name nope in domain with specified id"),
        ("", "ROOT", "Unable to find account by name  in domain with specified id"),
    ],
)
def test_precheck(world: Any, account: str, domain: str | None, text: str) -> None:
    """A wrong account is refused on the call, before a job exists."""
    assert import_vm.precheck is not None
    values = import_values(world, account=account, domainid=domain and world.id_of(domain))
    with pytest.raises(InvalidParameterValueError) as caught:
        import_vm.precheck(call(world, "importVm"), values)
    assert (caught.value.text, caught.value.errorcode, caught.value.cserrorcode) == (text, 431, 4350)


def test_precheck_passes(world: Any) -> None:
    """A good account passes, as does a domain alone (the job refuses that)."""
    assert import_vm.precheck is not None
    import_vm.precheck(call(world, "importVm"), import_values(world, account="BOB", domainid=world.id_of("ROOT")))
    import_vm.precheck(call(world, "importVm"), import_values(world, domainid=world.id_of("ROOT")))


# listUnmanagedInstances


def unmanaged(world: Any, **values: Any) -> list[dict[str, Any]]:
    with world.services.store.session() as session:
        this = call(world, "listUnmanagedInstances")
        this.session = session
        parameters = {"clusterid": world.id_of("C1"), **values}
        listing = list_unmanaged_instances.handler(this, bound(list_unmanaged_instances.params, **parameters))
        items = [dict(item) for item in listing.items]  # type: ignore[union-attr]
        assert listing.count == len(items)  # type: ignore[union-attr]
        return items


def answer(*names: str) -> GetUnmanagedInstancesAnswer:
    return GetUnmanagedInstancesAnswer(
        result=True,
        unmanagedInstances={
            name: UnmanagedInstanceTO(
                name=name,
                powerState="PowerOn",
                cpuCores=1,
                memory=512,
                disks=[UnmanagedDisk(diskId="0", label="vda", capacity=5368709120)],
                nics=[UnmanagedNic(nicId="0", network="vnet0", macAddress="52:54:00:12:00:02")],
            )
            for name in names
        },
    )


def test_unmanaged_instances_of_all_hosts(world: Any) -> None:
    """Every Up host outside maintenance is asked, with the name and the names of the VMs that were on them."""
    world.run()
    world.run(name="WEB01", hostname="elsewhere", forced=True)
    vm = world.rows(VmInstance)[0].instance_name
    world.change(world.rows(VmInstance)[0].uuid, last_host_id=world.id_of("K2"))
    world.change("K2", resource_state="Disabled")
    world.agents.script(GetUnmanagedInstancesCommand, answer("um1"), answer("UM2"))
    items = unmanaged(world, name="um1")
    assert [(item["name"], item["hostname"], item["clustername"], item["clusterid"]) for item in items] == [
        ("um1", "K1", "C1", "C1"),
        ("UM2", "K2", "C1", "C1"),
    ]
    assert items[0]["disk"][0]["capacity"] == 5368709120
    commands = world.agents.commands(GetUnmanagedInstancesCommand)
    assert [(command.instanceName, command.managedInstancesNames) for command in commands] == [("um1", [vm])] * 2


def test_unmanaged_keyword(world: Any) -> None:
    """The keyword is a part of the name in any case."""
    world.agents.script(GetUnmanagedInstancesCommand, answer("um1", "other"), answer("UM2"))
    assert [item["name"] for item in unmanaged(world, keyword="Um")] == ["um1", "UM2"]


@pytest.mark.parametrize(
    "bad",
    [UnsupportedAnswer(details="?"), AgentUnavailableError("gone"), GetUnmanagedInstancesAnswer(result=False)],
)
def test_unmanaged_bad_host(world: Any, bad: Any) -> None:
    """A host that fails to answer counts as empty."""
    world.agents.script(GetUnmanagedInstancesCommand, bad, answer("um2"))
    assert [item["name"] for item in unmanaged(world)] == ["um2"]


def test_unmanaged_hosts_that_are_not_asked(world: Any) -> None:
    """Hosts in maintenance or not Up are not asked, nor those of a disabled cluster."""
    world.change("K1", resource_state="Maintenance")
    world.change("K2", status="Down")
    assert unmanaged(world) == []
    world.change("K2", status="Up")
    world.change("C1", allocation_state="Disabled")
    assert unmanaged(world) == []
    assert world.agents.sent == []


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"clusterid": 999}, "Cluster with ID [999] cannot be found."),
        ({}, "VM import is currently not supported for hypervisor [Simulator]."),
    ],
)
def test_unmanaged_cluster(world: Any, change: dict[str, Any], text: str) -> None:
    """The cluster must be there and of a hypervisor that can take VMs in."""
    world.change("C1", hypervisor_type="Simulator")
    with pytest.raises(CloudError) as caught:
        unmanaged(world, **change)
    assert (caught.value.text, caught.value.errorcode, caught.value.cserrorcode) == (text, 431, 4350)


# The undo list


def test_undo_list(world: Any) -> None:
    """Entries run in reverse, after success only the marked ones, and a failing one does not stop the others."""
    services: ImportServices = world.services
    done: list[str] = []

    def fail() -> None:
        done.append("failing")
        raise ValueError("broken")

    def make() -> UndoList:
        undo = UndoList(services.journal, services.redactor)
        undo.add("first", lambda: done.append("first"), always=True)
        undo.add("failing", fail)
        undo.add("last", lambda: done.append("last"))
        return undo

    make().run(failed=True)
    assert done == ["last", "failing", "first"]
    states = [(entry.fields["what"], entry.fields["state"]) for entry in services.journal.entries(kind="import")]
    assert states == [("last", "done"), ("failing", "failed"), ("first", "done")]
    done.clear()
    undo = make()
    undo.run(failed=False)
    undo.run(failed=True)
    assert done == ["first"]
