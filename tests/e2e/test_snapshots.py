"""A world that is taken back to a state of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cloudstack_mock import ApiCallError, Settings, SnapshotError, World


@pytest.fixture(scope="module")
def lab(lab_of: Any) -> Iterator[Any]:
    settings = Settings(port=0, agent_port=0, clock="automatic", extensions=True)
    with World(settings, resettable=True) as world:
        made = lab_of(world)
        yield made
        made.client.close()


@pytest.fixture
def fresh(lab: Any) -> Any:
    lab.world.reset()
    return lab


def content_of(lab: Any) -> dict[str, Any]:
    """What callers, vCenter and the hosts' disks show."""
    world = lab.world
    world.server.agents.ask_for_figures()  # pools show what was measured last, in rounds that come when all rests
    return {
        "hosts": [(host["name"], host["state"]) for host in lab.client.call("listHosts", type="Routing")["host"]],
        "vms": lab.client.call("listVirtualMachines", listall=True),
        "pools": [
            (pool["name"], pool.get("disksizeused")) for pool in lab.client.call("listStoragePools")["storagepool"]
        ],
        "source": sorted((vm.moid, vm.name) for vm in world.vcenter.inventory.vms),
        "files": sorted(str(path.relative_to(world.fleet.work_dir)) for path in world.fleet.work_dir.rglob("*")),
        "leaks": lab.client.call("listImportLeaks"),
    }


def test_a_reset_world_shows_what_it_showed_at_its_start(fresh: Any) -> None:
    """After an import, a failed one and its leftovers, a reset leaves nothing of them, and imports work as before."""
    at_start = content_of(fresh)
    first = fresh.import_vm("web01")
    fresh.world.fault("vddk.crash", vm="db01")
    with pytest.raises(ApiCallError):
        fresh.import_vm("db01")
    assert content_of(fresh) != at_start

    fresh.world.reset()

    assert content_of(fresh) == at_start
    assert not fresh.world.faults.armed
    assert fresh.import_vm("web01")["instancename"] == first["instancename"]


@pytest.mark.parametrize("misfortune", ["kill", "freeze", "power_off", "drop_link"])
def test_hosts_that_were_hurt_are_up_after_a_reset(fresh: Any, misfortune: str) -> None:
    """Whatever became of an agent or its link, after a reset its host is Up and takes commands."""
    getattr(fresh.world.fleet, misfortune)("kvm1")
    fresh.world.reset()
    assert fresh.host("kvm1")["state"] == "Up"
    fresh.world.fleet.agent("kvm2")
    assert fresh.import_vm("web01", convertinstancehostid=fresh.host("kvm1")["id"])["state"] == "Stopped"


def test_a_restored_world_has_what_it_had_at_the_snapshot(fresh: Any) -> None:
    """A snapshot keeps an imported VM with its files, a setting, and a fault that counts anew."""
    fresh.import_vm("web01")
    fresh.client.run("updateConfiguration", {"name": "ping.interval", "value": "61"})
    armed = fresh.world.fault("vddk.crash", vm="db01", times=1)
    snapshot = fresh.world.snapshot()
    kept = content_of(fresh)
    with pytest.raises(ApiCallError):
        fresh.import_vm("db01")
    vm = fresh.one("listVirtualMachines", "virtualmachine", listall=True)
    fresh.client.run("destroyVirtualMachine", {"id": vm["id"], "expunge": True})
    assert armed.fired == 1

    fresh.world.restore(snapshot)

    assert content_of(fresh) == kept
    assert fresh.world.server.services.settings.get_int("ping.interval") == 61
    with pytest.raises(ApiCallError):
        fresh.import_vm("db01")


def test_a_host_that_was_added_is_gone_after_a_reset(fresh: Any) -> None:
    """The spare host that a test added is a spare again, and can be added once more."""
    pod = fresh.one("listPods", "pod")
    place = {"zoneid": fresh.zone_id, "podid": pod["id"], "clusterid": fresh.cluster_id}
    wanted = {"hypervisor": "KVM", "url": "http://192.0.2.14", "username": "root", "password": "any"} | place
    for _ in range(2):
        assert fresh.client.call("addHost", **wanted)["host"][0]["name"] == "kvm4"
        fresh.world.reset()
        assert [host["name"] for host in fresh.client.call("listHosts", type="Routing")["host"]] == [
            "kvm1",
            "kvm2",
            "kvm3",
        ]


def test_maintenance_is_taken_back(fresh: Any) -> None:
    """A host that was put into maintenance takes commands after a reset, and is in maintenance where it was."""
    kvm1 = fresh.host("kvm1")["id"]
    fresh.client.run("prepareHostForMaintenance", {"id": kvm1})
    fresh.world.clock.run_until(lambda: fresh.host("kvm1")["resourcestate"] == "Maintenance")
    in_maintenance = fresh.world.snapshot()
    fresh.world.reset()
    assert fresh.host("kvm1")["resourcestate"] == "Enabled"
    assert fresh.import_vm("web01", convertinstancehostid=kvm1)["state"] == "Stopped"
    fresh.world.restore(in_maintenance)
    with pytest.raises(ApiCallError):
        fresh.import_vm("web01", convertinstancehostid=kvm1)
    assert fresh.client.run("cancelHostMaintenance", {"id": kvm1})["host"]["resourcestate"] == "Enabled"
    assert fresh.import_vm("web01", convertinstancehostid=kvm1)["state"] == "Stopped"


def test_a_world_that_kept_no_start_refuses_a_reset(lab: Any) -> None:
    """A world says how it has to be made, and takes no snapshot of another one."""
    other = World(Settings(port=0, agent_port=0))
    with pytest.raises(SnapshotError, match="resettable=True"):
        other.reset()
    with pytest.raises(SnapshotError, match="another world"):
        other.restore(lab.world.snapshot())
