"""listHosts and updateHost."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import event

from mgmt.commands.declaration import Paging
from mgmt.errors import InvalidParameterValueError, PermissionDeniedError, ServerApiError
from mgmt.inventory.answers import date_text
from mgmt.store.models import Host, HostDetail, StoragePool, User, VmInstance

KVM1 = "23000000-0000-4000-8000-000000000001"
ALL = ["kvm1", "kvm2", "kvm3"]


@pytest.fixture
def mixed(lab, attach):
    """kvm1 attached and Up, kvm2 Alert and in maintenance, kvm3 as seeded."""
    attach("kvm1")
    with lab.store.session() as session:
        host = session.query(Host).filter_by(name="kvm2").one()
        host.status, host.resource_state = "Alert", "Maintenance"
    return lab


@pytest.mark.parametrize(
    ("params", "names"),
    [
        ({}, ALL),
        ({"id": KVM1}, ["kvm1"]),
        ({"id": -1}, []),
        ({"name": "KVM2"}, ["kvm2"]),
        ({"keyword": "vm"}, ALL),
        ({"keyword": "alert"}, ["kvm2"]),
        ({"keyword": "routing"}, ALL),
        ({"type": "routing"}, ALL),
        ({"type": "foo"}, []),
        ({"state": "alert"}, ["kvm2"]),
        ({"state": "foo"}, []),
        ({"resourcestate": "maintenance"}, ["kvm2"]),
        ({"resourcestate": "foo"}, []),
        ({"hypervisor": "kvm"}, ALL),
        ({"hypervisor": "vmware"}, []),
        ({"hypervisor": "foo"}, ALL),
        ({"zoneid": 1, "podid": 1, "clusterid": 1}, ALL),
        ({"clusterid": 2}, []),
        ({"arch": "x86_64"}, ALL),
        ({"arch": "aarch64"}, []),
        ({"hahost": True}, ALL),
        ({"managementserverid": "00000001-0000-4000-8000-000000000001"}, ["kvm1"]),
        ({"managementserverid": 99}, []),
        ({"outofbandmanagementenabled": True}, []),
        ({"outofbandmanagementpowerstate": "On"}, []),
        ({"storageaccessgroup": "g"}, []),
    ],
)
def test_host_filters(mixed, params, names):
    """listHosts narrows by each filter; only an unknown hypervisor is ignored."""
    assert mixed.names("listHosts", **params) == names


@pytest.mark.parametrize("details", [["ALL"], ["min", "foo"]])
def test_an_unknown_level_of_detail_is_refused(lab, details):
    """Another word than the levels, or another case, says which are allowed."""
    with pytest.raises(InvalidParameterValueError) as raised:
        lab.run("listHosts", details=details)
    assert raised.value.text == (
        "The details parameter contains a non permitted value. "
        "The allowed values are [all, capacity, events, stats, min]"
    )


def test_details_of_a_kvm_host(lab, attach):
    """The details map holds the agent's host.* keys, without credentials and keys with fields of their own."""
    attach(
        "kvm1",
        username="root",
        password="secret",
        host__volume__encryption="true",
        host__instance__conversion="TRUE",
        host__uefi__enable="true",
        host__vddk__support="true",
        host__vddk__version="8.0.3",
        host__virtv2v__version="2.8.1",
    )
    (host,) = lab.items("listHosts", name="kvm1")
    assert host["details"] == {
        "host.uefi.enable": "true",
        "host.vddk.support": "true",
        "host.vddk.version": "8.0.3",
        "host.virtv2v.version": "2.8.1",
    }
    assert host["encryptionsupported"] is True
    assert host["instanceconversionsupported"] is True
    (minimal,) = lab.items("listHosts", name="kvm1", details=["min"])
    assert minimal["ueficapability"] is True
    assert not {"details", "clustername", "podname", "instanceconversionsupported"} & set(minimal)


def test_two_levels_are_joined(lab, attach):
    """details=capacity,events shows the fields of both."""
    attach("kvm1")
    (host,) = lab.items("listHosts", name="kvm1", details=["capacity", "events"])
    assert {"memorytotal", "events"} <= set(host)
    assert "details" not in host


def test_capacity_counts_the_instances_of_the_host(lab, attach):
    """Running instances take CPU and memory of their host; stopped ones take nothing."""
    attach("kvm1")
    with lab.store.session() as session:
        admin = session.query(User).filter_by(username="admin").one()
        for state in ("Running", "Stopped"):
            session.add(_vm(admin, state=state, host_id=1))
    (host,) = lab.items("listHosts", name="kvm1")
    assert host["cpuallocatedvalue"] == 1500
    assert host["cpuallocated"] == host["cpuallocatedpercentage"] == "18.75%"
    assert host["memoryallocated"] == host["memoryallocatedbytes"] == 2 * 1024**3
    assert host["memoryallocatedpercentage"] == "25%"
    assert (host["cpuwithoverprovisioning"], host["memorywithoverprovisioning"]) == ("8000", str(8 * 1024**3))


def _vm(user: User, *, state: str, host_id: int | None) -> VmInstance:
    return VmInstance(
        uuid=f"vm-{state}",
        name="vm",
        instance_name=f"i-2-{state}-VM",
        state=state,
        account_id=user.account_id,
        domain_id=1,
        user_id=user.id,
        zone_id=1,
        host_id=host_id,
        guest_os_id=99,
        service_offering_id=1,
        cpu_number=1,
        cpu_speed_mhz=1500,
        memory_mb=2048,
        created=datetime(2026, 1, 1),
    )


def test_overcommit_of_the_cluster_raises_the_figures(lab, attach):
    """The CPU number and the overprovisioned figures are multiplied by the cluster's ratios."""
    attach("kvm1")
    with lab.store.session() as session:
        host = session.get_one(Host, 1)
        assert host.cluster is not None
        host.cluster.cpu_overcommit_ratio, host.cluster.memory_overcommit_ratio = "2.0", "1.5"
    (host,) = lab.items("listHosts", name="kvm1")
    assert (host["cpunumber"], host["cpuwithoverprovisioning"]) == (8, "16000")
    assert (host["memorytotal"], host["memorywithoverprovisioning"]) == (8 * 1024**3, str(12 * 1024**3))


def test_last_pinged_is_wrong_as_upstream(lab, attach):
    """lastpinged is a date of January 1970, as recorded; the fix last-pinged-unit shows the true one."""
    attach("kvm1")
    pinged = datetime(2026, 11, 23, 0, 30)
    milliseconds = int((pinged - datetime(1970, 1, 1)).total_seconds() * 1000)
    expected = datetime(1970, 1, 1) + timedelta(milliseconds=milliseconds // 1024)
    assert lab.items("listHosts", name="kvm1")[0]["lastpinged"] == date_text(expected)
    assert expected.strftime("%Y-%m-%dT%H:%M") == "1970-01-21T07:01"
    lab.fixes = ("last-pinged-unit",)
    assert lab.items("listHosts", name="kvm1")[0]["lastpinged"] == date_text(pinged)


def test_the_management_server_is_shown_while_connected(mixed):
    """managementserverid and its name are missing once the agent's link is gone."""
    (host,) = mixed.items("listHosts", name="kvm1")
    assert host["managementserverid"] == "00000001-0000-4000-8000-000000000001"
    assert host["managementservername"] == "lab-management"
    with mixed.store.session() as session:
        session.get_one(Host, 1).status = "Disconnected"
    assert "managementserverid" not in mixed.items("listHosts", name="kvm1")[0]


def test_a_local_pool_makes_local_storage_active(lab):
    """islocalstorageactive is true for the host with a pool on its own disks."""
    with lab.store.session() as session:
        session.add(
            StoragePool(
                uuid="p9",
                name="kvm1-local",
                pool_type="Filesystem",
                scope="HOST",
                zone_id=1,
                cluster_id=1,
                host_id=1,
                host_address="192.0.2.11",
                path="/var/lib/libvirt/images",
                created=datetime(2026, 1, 1),
            )
        )
    assert [host["islocalstorageactive"] for host in lab.items("listHosts")] == [True, False, False]


def test_events_of_a_state(mixed):
    """events are those that the host's state can meet."""
    (host,) = mixed.items("listHosts", name="kvm1", details=["events"])
    assert set(host["events"].split("; ")) == {
        "PingTimeout",
        "AgentDisconnected",
        "Remove",
        "ManagementServerDown",
        "StartAgentRebalance",
        "Ping",
        "ShutdownRequested",
        "HostDown",
        "AgentConnected",
    }


@pytest.fixture
def statements(lab):
    """The SQL statements sent since the start of the test."""
    sent: list[str] = []

    def note(*arguments: object) -> None:
        sent.append(str(arguments[2]))

    event.listen(lab.store.engine, "before_cursor_execute", note)
    yield sent
    event.remove(lab.store.engine, "before_cursor_execute", note)


def test_a_page_of_hosts_needs_a_fixed_number_of_queries(lab, statements):
    """The number of statements for a page does not grow with the hosts on it."""
    lab.items("listHosts", name="kvm1")
    for_one = len(statements)
    with lab.store.session() as session:
        for number in range(40):
            host = Host(
                uuid=f"h{number}", name=f"h{number}", zone_id=1, pod_id=1, cluster_id=1, created=datetime(2026, 1, 1)
            )
            host.details = [HostDetail(name="host.vddk.support", value="true")]
            session.add(host)
    statements.clear()
    assert len(lab.items("listHosts")) == 43
    assert len(statements) <= for_one


def test_hosts_for_a_stopped_instance_are_refused(lab):
    """virtualmachineid of an instance that does not run: `VM is not Running, cannot migrate the vm ...`."""
    with lab.store.session() as session:
        session.add(_vm(session.query(User).filter_by(username="admin").one(), state="Stopped", host_id=None))
    with pytest.raises(InvalidParameterValueError) as raised:
        lab.run("listHosts", virtualmachineid=1)
    assert raised.value.text == "VM is not Running, cannot migrate the vm with specified id"
    assert raised.value.uuid_list == ({"uuid": "vm-Stopped", "description": "vmId"},)


def test_hosts_for_a_missing_instance_are_refused(lab):
    """An instance that is not there: `Unable to find the VM with given id`."""
    with pytest.raises(InvalidParameterValueError, match=r"^Unable to find the VM with given id$"):
        lab.run("listHosts", virtualmachineid=5)


def test_only_root_admins_ask_where_an_instance_could_go(lab):
    """Another admin gets `No permission to migrate VM, Only Root Admin can migrate a VM!`."""
    with pytest.raises(
        PermissionDeniedError, match=r"^No permission to migrate VM, Only Root Admin can migrate a VM!$"
    ):
        lab.run("listHosts", user="tenant-admin", virtualmachineid=1)


def test_hosts_that_a_running_instance_could_move_to(lab, attach):
    """The other attached hosts of its cluster are suitable."""
    attach("kvm1")
    attach("kvm2")
    with lab.store.session() as session:
        session.add(_vm(session.query(User).filter_by(username="admin").one(), state="Running", host_id=1))
    result = lab.run("listHosts", virtualmachineid=1, paging=Paging())
    assert [(host["name"], host["suitableformigration"]) for host in result.items] == [("kvm2", True)]
    assert result.count == 1


# updateHost -------------------------------------------------------------------------------------------------------


def test_update_host_changes_what_is_given(lab):
    """Name, tags, note, OS category and allocation state are written and shown."""
    result = lab.run(
        "updateHost",
        id=KVM1,
        name="renamed",
        hosttags=["gold", "ssd"],
        annotation="behind the door",
        oscategoryid=9,
        allocationstate="Disable",
    )
    host = result.fields
    assert (host["name"], host["hosttags"], host["explicithosttags"]) == ("renamed", "gold,ssd", "gold,ssd")
    assert (host["istagarule"], host["oscategoryname"]) == (False, "Ubuntu")
    assert (host["annotation"], host["username"], host["hasannotations"]) == ("behind the door", "admin", True)
    assert host["resourcestate"] == "Disabled"
    assert lab.items("listHosts", id=1)[0]["resourcestate"] == "Disabled"


def test_update_host_leaves_the_rest_alone(lab):
    """A call with the id alone changes nothing."""
    before = lab.items("listHosts", id=1)
    assert lab.run("updateHost", id=1).fields["name"] == "kvm1"
    assert lab.items("listHosts", id=1) == before


def test_empty_host_tags_remove_them(lab):
    """hosttags without a value takes the tags away."""
    lab.run("updateHost", id=1, hosttags=["a"], istagarule=True)
    assert lab.items("listHosts", id=1)[0]["istagarule"] is True
    assert "hosttags" not in lab.run("updateHost", id=1, hosttags=[]).fields


@pytest.mark.parametrize("state", ["enable", "Maintenance", ""])
def test_another_allocation_state_is_refused(lab, state):
    """Only Enable and Disable are allowed, case counts; the text names the host (530, 9999)."""
    with pytest.raises(ServerApiError) as raised:
        lab.run("updateHost", id=KVM1, allocationstate=state)
    assert raised.value.text == (
        f'Failed to update host: Host {{"id":1,"name":"kvm1","type":"Routing","uuid":"{KVM1}"}} with id 1, '
        f"Invalid allocation state: {state}, only Enable/Disable are allowed"
    )
    assert (raised.value.errorcode, raised.value.cserrorcode) == (530, 9999)


def test_a_host_in_maintenance_cannot_be_enabled(mixed):
    """Maintenance has no way to Enabled but the end of maintenance."""
    with pytest.raises(ServerApiError, match="No next resource state found for current state = Maintenance event"):
        mixed.run("updateHost", id=2, name="changed", allocationstate="Enable")
    assert mixed.names("listHosts", id=2) == ["kvm2"]


def test_an_unknown_os_category_is_refused(lab):
    """A number that is no OS category: `Please specify a valid guest OS category.`."""
    with pytest.raises(ServerApiError, match=r"Please specify a valid guest OS category\.$"):
        lab.run("updateHost", id=1, oscategoryid=999)


def test_an_unknown_host_is_refused(lab):
    """An internal number of no host says that it does not exist."""
    with pytest.raises(ServerApiError) as raised:
        lab.run("updateHost", id=99)
    assert raised.value.text == "Failed to update host: null with id 99, Host with id 99 doesn't exist"
