"""Resource limits with claims, the record of events, and small rules of the VM view."""

from __future__ import annotations

import threading
from datetime import datetime

import pytest
from sqlalchemy import func, select

from mgmt.errors import ResourceAllocationError
from mgmt.inventory.events import Originator, event_views, record_event
from mgmt.inventory.limits import GIB, account_limit, readable_size, release, release_all, reserve
from mgmt.inventory.vm_rows import vm_result
from mgmt.inventory.vms import control_state, pending_jobs, vm_view
from mgmt.providers import Providers
from mgmt.store import models
from mgmt.store.database import Store

CREATED = datetime(2026, 11, 23, 1, 44, 13)


@pytest.fixture
def store():
    store = Store("sqlite://", Providers())
    with store.session() as session:
        build(session)
    yield store
    store.close()


def build(session):
    session.add_all(
        [
            models.Domain(id=1, uuid="root", name="ROOT", path="/"),
            models.Domain(id=2, uuid="d1", name="D1", path="/D1/", level=1, parent_id=1),
            models.Role(id=1, uuid="role", name="User", role_type="User"),
            models.GuestOsCategory(id=1, uuid="category", name="Linux"),
            models.GuestOs(id=1, uuid="os", display_name="Linux", category_id=1),
            models.Zone(id=1, uuid="zone", name="zone"),
            models.ServiceOffering(id=1, uuid="offering", name="Small", display_text="Small", created=CREATED),
        ]
    )
    session.flush()
    for number, name, type_, limits in (
        (1, "admin", 1, {"user_vm": 0}),
        (2, "user1", 0, {"user_vm": 2, "primary_storage": 10 * GIB}),
        (3, "user2", 0, {"user_vm": -1, "cpu": 1000}),
        (4, "project", 5, {}),
    ):
        session.add(
            models.Account(
                id=number,
                uuid=name,
                name=name,
                type=type_,
                role_id=1,
                domain_id=1 if name == "admin" else 2,
                limits=limits,
                created=CREATED,
            )
        )
        session.flush()
        session.add(
            models.User(
                id=number, uuid=f"{name}-u", username=name, password_hash="", account_id=number, created=CREATED
            )
        )
    session.flush()


def add_vm(session, account_id, **columns):
    number = (session.scalar(select(func.max(models.VmInstance.id))) or 0) + 1
    vm = models.VmInstance(
        **{
            "uuid": f"vm-{number}",
            "name": f"vm{number}",
            "instance_name": f"i-{number}",
            "account_id": account_id,
            "domain_id": 2,
            "user_id": account_id,
            "zone_id": 1,
            "guest_os_id": 1,
            "service_offering_id": 1,
            "cpu_number": 2,
            "memory_mb": 1024,
            "created": CREATED,
            **columns,
        }
    )
    session.add(vm)
    session.flush()
    return vm


def claims(session):
    return session.scalar(select(func.count()).select_from(models.ResourceReservation))


def test_claim_counts_until_released(store):
    """A claim takes from the limit for others until it is released."""
    with store.session() as session:
        first = reserve(session, 2, {"user_vm": 2})
    with store.session() as session, pytest.raises(ResourceAllocationError):
        reserve(session, 2, {"user_vm": 1})
    with store.session() as session:
        release(session, first)
        release(session, first)
        assert len(reserve(session, 2, {"user_vm": 1, "cpu": 4})) == 2
        assert claims(session) == 2
        release_all(session)
        assert claims(session) == 0


def test_account_limit_text(store):
    """A limit of the account that would be exceeded is refused with all the numbers, and nothing is claimed."""
    with store.session() as session:
        add_vm(session, 2)
        add_vm(session, 2, state="Destroyed")
        add_vm(session, 2, removed=CREATED)
        reserve(session, 2, {"user_vm": 1})
        with pytest.raises(ResourceAllocationError) as caught:
            reserve(session, 2, {"cpu": 1, "user_vm": 1})
        assert claims(session) == 1
    assert caught.value.text == (
        "Maximum amount of resources of Type = 'user_vm', tag = 'null' for Account Name = user1 in Domain Id = 2 is"
        " exceeded: Account Resource Limit = 2, Current Account Resource Amount = 1, Current Account Resource"
        " Reservation = 1, Requested Resource Amount = 1."
    )
    assert caught.value.errorcode == 535


def test_storage_limit_text(store):
    """Storage sizes are shown in bytes and in readable units."""
    with store.session() as session, pytest.raises(ResourceAllocationError) as caught:
        reserve(session, 2, {"primary_storage": 11 * GIB})
    assert caught.value.text == (
        "Maximum amount of resources of Type = 'primary_storage', tag = 'null' for Account Name = user1 in Domain Id"
        " = 2 is exceeded: Account Resource Limit = 10737418240 (10.00 GB), Current Account Resource Amount = 0 (0"
        " bytes), Current Account Resource Reservation = 0 (0 bytes), Requested Resource Amount = 11811160064"
        " (11.00 GB)."
    )


def test_domain_limit_text(store):
    """The domains above an account have limits, too, over all their accounts; ROOT has none."""
    with store.session() as session:
        add_vm(session, 2, cpu_number=60)
        with pytest.raises(ResourceAllocationError) as caught:
            reserve(session, 3, {"cpu": 21})
        assert len(reserve(session, 3, {"cpu": 20})) == 1
    assert caught.value.text == (
        "Maximum domain resource limits of Type 'cpu' for Domain Id = d1 is exceeded: Domain Resource Limit = 80,"
        " Current Domain Resource Amount = 60, Current Resource Reservation = 0, Requested Resource Amount = 21."
    )


def test_root_admin_has_no_limits(store):
    """A root admin claims nothing, whatever his account says."""
    with store.session() as session:
        assert reserve(session, 1, {"user_vm": 10_000}) == ()
        assert claims(session) == 0


def test_limits_of_accounts(store):
    """Own limit, else the default, of projects too; negative is unlimited, and root admins have none."""
    with store.session() as session:
        accounts = {account.name: account for account in session.scalars(select(models.Account))}
        assert account_limit(accounts["user1"], "user_vm") == 2
        assert account_limit(accounts["user1"], "cpu") == 40
        assert account_limit(accounts["user1"], "primary_storage") == 10 * GIB
        assert account_limit(accounts["user2"], "user_vm") == -1
        assert account_limit(accounts["project"], "cpu") == 40
        assert account_limit(accounts["admin"], "user_vm") == -1


def test_two_claims_at_once_cannot_both_win(store):
    """Of many that claim the last VM at the same time, as many win as the limit allows."""
    outcomes = []
    start = threading.Barrier(6)

    def claim():
        start.wait(60)
        try:
            with store.session() as session:
                reserve(session, 2, {"user_vm": 1})
            outcomes.append("won")
        except ResourceAllocationError:
            outcomes.append("lost")

    threads = [threading.Thread(target=claim) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(outcomes) == ["lost"] * 4 + ["won"] * 2


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 (0 bytes)"),
        (1023, "1023 (1023 bytes)"),
        (1536, "1536 (1.50 KB)"),
        (5 << 20, "5242880 (5.00 MB)"),
        (10 * GIB, "10737418240 (10.00 GB)"),
        (3 << 40, "3298534883328 (3.0000 TB)"),
        (-1, "-1 (-0.00 KB)"),
    ],
)
def test_readable_size(size_bytes, text):
    """Sizes are shown as NumbersUtil shows them."""
    assert readable_size(size_bytes) == text


def test_event_names_its_resource(store):
    """An event keeps the name of its resource and the event that it follows."""
    providers = Providers()
    common = {"type": "VM.IMPORT", "caller": Originator(2, 2, 2), "resource_type": "VirtualMachine"}
    with store.session() as session:
        vm = add_vm(session, 2)
        first = record_event(
            session, providers, level="INFO", state="Scheduled", description="Importing unmanaged VM: vm1", **common
        )
        record_event(
            session,
            providers,
            level="INFO",
            state="Completed",
            description="done",
            resource_uuid=vm.uuid,
            start_id=first,
            **common,
        )
        record_event(
            session,
            providers,
            level="WARN",
            state="Completed",
            description="x",
            **{**common, "caller": Originator(99, 2, 2)},
        )
        session.delete(vm)
        session.flush()
        scheduled, done, strange = event_views(session, session.scalars(select(models.Event)).all())
    assert (scheduled["resourceid"], scheduled["resourcename"], scheduled["parentid"]) == (None, None, None)
    assert (scheduled["username"], scheduled["account"], scheduled["domainpath"]) == ("user1", "user1", "ROOT/D1")
    assert (done["resourcename"], done["parentid"]) == ("vm1", scheduled["id"])
    assert strange["username"] is None


def test_no_events(store):
    """No event gives no view."""
    with store.session() as session:
        assert event_views(session, []) == []


@pytest.mark.parametrize(
    ("status", "resource_state", "expected"),
    [
        ("Up", "Enabled", "Enabled"),
        ("Up", "Disabled", "Disabled"),
        ("Connecting", "Enabled", "Enabled"),
        ("Up", "PrepareForMaintenance", "Maintenance"),
        ("Alert", "Enabled", "Offline"),
        ("Disconnected", "Maintenance", "Offline"),
        ("Unknown", "Enabled", "Unknown"),
    ],
)
def test_control_state(status, resource_state, expected):
    """What a host is good for follows from its status and its resource state."""
    assert control_state(models.Host(status=status, resource_state=resource_state)) == expected


def test_pending_job_shows_in_the_vm(store):
    """A VM with a job under way carries the newest one; finished jobs do not count."""
    with store.session() as session:
        vm = add_vm(session, 2)
        for uuid, status in (("old", 0), ("new", 0), ("done", 1)):
            session.add(
                models.AsyncJob(
                    uuid=uuid,
                    command="startVirtualMachine",
                    command_class="X",
                    user_id=2,
                    account_id=2,
                    status=status,
                    instance_type="VirtualMachine",
                    instance_uuid=vm.uuid,
                    created=CREATED,
                )
            )
        session.flush()
        view = vm_view(session, vm, caller=_Caller())
        assert (view["jobid"], view["jobstatus"]) == ("new", 0)
        assert vm_result(session, vm.id, _Caller()) == view
        assert pending_jobs(session, "VirtualMachine", []) == {}


class _Caller:
    account_id = 2
    account_uuid = "user1"
    account_name = "user1"
    account_type = 0
    domain_id = 2
    domain_path = "/D1/"


def test_what_a_user_does_not_see(store):
    """Host, hypervisor name and internal settings are for root admins; a user learns which settings are fixed."""
    with store.session() as session:
        vm = add_vm(session, 2)
        vm.details = [
            models.VmDetail(name="rootdisksize", value="5"),
            models.VmDetail(name="nicAdapter", value="virtio"),
            models.VmDetail(name="hidden", value="x", display=False),
        ]
        session.flush()
        view = vm_view(session, vm, caller=_Caller())
        assert vm_result(session, vm.id, _Caller()) == view
    assert view["details"] == {"nicAdapter": "virtio"}
    assert view["readonlydetails"] == "dataDiskController, rootDiskController"
    assert view["instancename"] is None
    assert "hostid" not in view
    assert view["nic"] == []
    assert "bootmode" not in view
    assert view["displayname"] == "vm1"
    assert view["passwordenabled"] is False
