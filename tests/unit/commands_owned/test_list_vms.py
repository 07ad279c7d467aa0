"""listVirtualMachines: who sees which VMs, the filters, the levels of detail."""

from __future__ import annotations

import pytest
from sqlalchemy import event, select

from mgmt.commands.declaration import Paging
from mgmt.commands.vms import list_virtual_machines
from mgmt.errors import CloudRuntimeError, InvalidParameterValueError, PermissionDeniedError
from mgmt.store import models


@pytest.mark.parametrize(
    ("by", "given", "expected"),
    [
        ("admin", {}, ["um1", "um2", "bare"]),
        ("admin", {"listall": True}, ["um1", "um2", "bare", "u1vm", "u1gone", "u1hidden", "subvm", "othervm"]),
        ("user1", {}, ["u1vm"]),
        ("user1", {"listall": True}, ["u1vm"]),
        ("dadmin", {}, []),
        ("dadmin", {"listall": True}, ["u1vm", "u1gone", "subvm"]),
        ("dadmin", {"domainid": "D1"}, ["u1vm", "u1gone"]),
        ("dadmin", {"domainid": "D1", "isrecursive": True}, ["u1vm", "u1gone", "subvm"]),
        ("admin", {"domainid": "D1"}, ["u1vm", "u1gone", "u1hidden"]),
        ("admin", {"domainid": "D1", "isrecursive": True}, ["u1vm", "u1gone", "u1hidden", "subvm"]),
        ("admin", {"domainid": "D1", "account": "USER1"}, ["u1vm", "u1gone", "u1hidden"]),
        ("admin", {"account": "admin"}, ["um1", "um2", "bare"]),
        ("user1", {"domainid": "D1"}, ["u1vm"]),
        ("user1", {"domainid": "D1", "account": "user1"}, ["u1vm"]),
        ("admin", {"projectid": -1}, []),
        ("admin", {"projectid": -1, "listall": True, "state": "running"}, ["um2"]),
        ("user1", {"projectid": -1, "listall": True}, ["u1vm"]),
        ("admin", {"projectid": -1, "listall": True, "domainid": "D10"}, ["othervm"]),
        ("admin", {"id": "othervm"}, ["othervm"]),
        ("dadmin", {"id": "subvm"}, ["subvm"]),
        ("dadmin", {"id": "othervm"}, []),
        ("user1", {"id": "um1"}, []),
        ("admin", {"id": "expunged"}, []),
    ],
)
def test_scope(world, names, by, given, expected):
    """A caller sees what he owns, more with listall and domains, and never beyond his reach."""
    given = {key: world.ids.get(value, value) if key in ("domainid", "id") else value for key, value in given.items()}
    assert names(world.run(list_virtual_machines, by, **given)) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"state": "running"}, ["um2"]),
        ({"state": "foo"}, []),
        ({"state": "Destroyed"}, ["u1gone"]),
        ({"state": "present"}, ["um1", "um2", "bare", "u1vm", "u1hidden", "subvm", "othervm"]),
        ({"name": "UM1"}, ["um1"]),
        ({"name": "um"}, []),
        ({"name": ""}, []),
        ({"keyword": "second"}, ["um2"]),
        ({"keyword": "i-other"}, ["othervm"]),
        ({"keyword": "10.1.1.2"}, ["um2"]),
        ({"keyword": "destroyed"}, ["u1gone"]),
        ({"keyword": "u_1"}, ["um1"]),
        ({"keyword": "um_"}, ["um1", "um2"]),
        ({"keyword": "nothing like it"}, []),
        ({"hypervisor": "vmware"}, []),
        ({"arch": "x86_64", "name": "um1"}, ["um1"]),
        ({"arch": "aarch64"}, []),
        ({"displayvm": False}, ["u1hidden"]),
        ({"haenable": True}, ["bare"]),
        ({"affinitygroupid": 5}, []),
        ({"groupid": 3}, []),
        ({"groupid": -1, "name": "um1"}, ["um1"]),
        ({"vpcid": 3}, []),
        ({"keypair": "k"}, []),
        ({"tags": {"0": {"key": "a", "value": "b"}}}, []),
        ({"isvnf": True}, []),
        ({"isvnf": False, "name": "um1"}, ["um1"]),
        ({"leased": True}, []),
        ({"ids": [1, 2, 9999]}, ["um1", "um2"]),
    ],
)
def test_filters(world, names, given, expected):
    """Each filter narrows the list as the real server does."""
    if "ids" in given:
        given = {"ids": [world.ids["um1"], world.ids["um2"], 9999]}
    assert names(world.run(list_virtual_machines, listall=True, **given)) == expected


@pytest.mark.parametrize(
    ("name", "key", "expected"),
    [
        ("zoneid", "zone2", []),
        ("templateid", "dummy", ["subvm"]),
        ("serviceofferingid", "ha", ["bare"]),
        ("userid", "other-login", ["othervm"]),
        ("networkid", "net1", ["um2"]),
        ("hostid", "host", ["um1"]),
        ("clusterid", "cluster", ["um1"]),
        ("podid", "pod", ["um1"]),
        ("storageid", "pool", ["um1", "um2", "u1gone"]),
        ("storageid", "zonepool", ["u1vm"]),
    ],
)
def test_filters_by_entity(world, names, name, key, expected):
    """Filters that name an entity find the VMs that go with it."""
    assert names(world.run(list_virtual_machines, listall=True, **{name: world.ids[key]})) == expected


def test_placement_filter_of_a_user_is_ignored(world, names):
    """A parameter reserved for root admins does nothing for others."""
    assert names(world.run(list_virtual_machines, "user1", hostid=world.ids["host"])) == ["u1vm"]


def test_pages_and_count(world, names):
    """A page has its window of the list; the count is that of all pages."""
    result = world.run(list_virtual_machines, listall=True, paging=Paging(1, 2))
    assert names(result) == ["um2", "bare"]
    assert result.count == 8


def test_only_the_count(world):
    """retrieveonlyresourcecount answers with the number alone."""
    result = world.run(list_virtual_machines, listall=True, retrieveonlyresourcecount=True)
    assert (list(result.items), result.count) == ([], 8)


def test_unknown_detail_text(world):
    """An unknown level of detail is refused with the list of the known ones."""
    with pytest.raises(InvalidParameterValueError) as caught:
        world.run(list_virtual_machines, details=["foo"])
    assert caught.value.text == (
        "The details parameter contains a non permitted value. The allowed values are [all, group, nics, stats, secgrp,"
        " tmpl, servoff, diskoff, backoff, iso, volume, min, affgrp, vnfnics]"
    )


def test_id_and_ids_text(world):
    """id and ids exclude each other."""
    with pytest.raises(InvalidParameterValueError, match=r"^Specify either id or ids but not both parameters$"):
        world.run(list_virtual_machines, id=world.ids["um1"], ids=[world.ids["um2"]])


def test_unknown_account_text(world):
    """An unknown account is named with its domain in Java's form."""
    with pytest.raises(InvalidParameterValueError) as caught:
        world.run(list_virtual_machines, account="nope", domainid=world.ids["ROOT"])
    assert caught.value.text == (
        "could not find account nope in domain Domain "
        f'{{"id":{world.ids["ROOT"]},"name":"ROOT","path":"\\/","uuid":"{world.uuids["ROOT"]}"}}'
    )


def test_foreign_domain_text(world):
    """A user may not look into another domain."""
    with pytest.raises(PermissionDeniedError) as caught:
        world.run(list_virtual_machines, "user1", domainid=world.ids["ROOT"], listall=True)
    assert caught.value.text == (
        f'Account Account [{{"accountName":"user1","id":{world.ids["user1"]},"uuid":"{world.uuids["user1"]}"}}]'
        f" does not have permission to operate within domain id={world.uuids['ROOT']}"
    )


def test_neighbour_domain_with_the_same_start(world):
    """A domain admin does not see a domain whose name merely starts like his own."""
    with pytest.raises(PermissionDeniedError):
        world.run(list_virtual_machines, "dadmin", domainid=world.ids["D10"])


def test_foreign_account_text(world):
    """A user may not list what another account of his domain owns."""
    with pytest.raises(PermissionDeniedError) as caught:
        world.run(list_virtual_machines, "user1", account="dadmin", domainid=world.ids["D1"])
    assert caught.value.text == "Caller does not have permission to operate with provided resource."


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"domainid": 9999}, "Unable to find domain by id 9999"),
        ({"projectid": 77}, "Unable to find project by id 77"),
        ({"projectid": -1, "account": "admin"}, "Account and projectId can't be specified together"),
        ({"hypervisor": "foo"}, "Invalid HypervisorType foo"),
    ],
)
def test_refused_values(world, given, text):
    """Values that the server cannot use are refused with its texts."""
    with pytest.raises(InvalidParameterValueError) as caught:
        world.run(list_virtual_machines, **given)
    assert caught.value.text == text


def test_unknown_architecture_text(world):
    """An unknown CPU architecture is a runtime error."""
    with pytest.raises(CloudRuntimeError, match=r"^Unsupported arch type: foo$"):
        world.run(list_virtual_machines, arch="foo")


def test_number_of_queries_does_not_grow_with_the_list(own_world):
    """500 VMs take as many queries as 3."""
    statements = []

    def count(connection, cursor, statement, *rest):
        statements.append(statement)

    with own_world.store.session() as session:
        engine = session.get_bind()
        event.listen(engine, "before_cursor_execute", count)
    try:
        own_world.run(list_virtual_machines)
        few = len(statements)
        _clone_vms(own_world, 500)
        statements.clear()
        result = own_world.run(list_virtual_machines)
    finally:
        event.remove(engine, "before_cursor_execute", count)
    assert len(result.items) == 500
    assert result.count == 503
    # Loaders of collections fetch in batches of 500 parents; the count is a query of its own once a page is full.
    assert len(statements) <= few + 4


def _clone_vms(world, number):
    with world.store.session() as session:
        template = session.get_one(models.VmInstance, world.ids["um1"])
        columns = {
            column.key: getattr(template, column.key)
            for column in models.VmInstance.__table__.columns
            if column.key not in ("id", "uuid", "name")
        }
        vms = [models.VmInstance(uuid=f"clone-{n}", name=f"clone{n}", **columns) for n in range(number)]
        session.add_all(vms)
        session.flush()
        session.add_all(
            models.Nic(
                uuid=f"clone-nic-{vm.id}",
                vm_id=vm.id,
                network_id=world.ids["l2a"],
                device_id=0,
                mac_address="02:00:00:00:00:01",
                created=vm.created,
            )
            for vm in vms
        )
        assert session.scalar(select(models.VmInstance.id).where(models.VmInstance.name == "clone0"))
