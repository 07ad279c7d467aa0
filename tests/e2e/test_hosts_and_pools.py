"""Hosts over time and storage on the wire, through the API: real sockets, simulated hosts."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from agent_sim.host import NfsExport, VddkLibrary
from cloudstack_mock import ApiCallError

BOUND_S = 60.0
PASSWORD = "ssh-Secret-of-kvm4"
LIBRARY = "/opt/vmware-vix-disklib-distrib"
GIB = 1024**3


def until(condition: Callable[[], bool], what: str) -> None:
    """Return once `condition` holds; fails the test after a bound."""
    end = time.monotonic() + BOUND_S
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.01)


def run(lab: Any, command: str, **parameters: object) -> dict[str, Any]:
    result: dict[str, Any] = lab.client.run(command, parameters, poll_interval_s=0.01)
    return result


def add_kvm4(lab: Any) -> dict[str, Any]:
    host: dict[str, Any] = lab.one(
        "addHost", "host", zoneid=lab.zone_id, podid=lab.one("listPods", "pod")["id"], clusterid=lab.cluster_id,
        hypervisor="KVM", url="http://192.0.2.14", username="root", password=PASSWORD,
    )  # fmt: skip
    return host


def test_a_host_is_added_maintained_deleted_and_added_again(lab: Any, caplog: pytest.LogCaptureFixture) -> None:
    """addHost lets the spare host's agent come up; maintenance; deleteHost; the agent that comes back is a new host."""
    host = add_kvm4(lab)
    assert (host["name"], host["state"], host["clustername"]) == ("kvm4", "Up", "lab-kvm")
    with pytest.raises(ApiCallError, match="Unable to add the host: Cannot find the server resources at http://192"):
        add_kvm4(lab)  # it is known already
    maintained = run(lab, "prepareHostForMaintenance", id=host["id"])["host"]
    assert maintained["resourcestate"] == "PrepareForMaintenance"
    until(lambda: bool(lab.host("kvm4")["resourcestate"] == "Maintenance"), "maintenance")
    assert lab.client.call("deleteHost", id=host["id"]) == {"success": True}
    assert "host" not in lab.client.call("listHosts", name="kvm4")
    again = add_kvm4(lab)
    assert again["state"] == "Up" and again["id"] != host["id"]
    assert lab.client.call("deleteHost", id=again["id"], forced=True) == {"success": True}
    types = {event["type"] for event in lab.client.call("listEvents", listall=True)["event"]}
    assert "MAINT.PREPARE" in types
    journal = json.dumps([entry.fields for entry in lab.world.server.services.journal.entries()], default=str)
    assert PASSWORD not in journal and PASSWORD not in caplog.text


def test_a_reconnected_host_comes_back(lab: Any) -> None:
    """reconnectHost: the job succeeds with Disconnected, and the agent connects anew."""
    host = lab.host("kvm2")
    assert run(lab, "reconnectHost", id=host["id"])["host"]["state"] == "Disconnected"
    until(lambda: bool(lab.host("kvm2")["state"] == "Up"), "the agent's return")


def test_hosts_tell_how_busy_they_are(lab: Any) -> None:
    """listHosts and listHostsMetrics show what the agents' latest answers said."""
    lab.world.server.agents.ask_for_figures()
    host = lab.host("kvm1")
    assert host["cpuused"].endswith("%") and 0 < host["memoryused"] < host["memorytotal"]
    metrics = lab.one("listHostsMetrics", "host", name="kvm1")
    assert metrics["cputotalghz"] == "83.20 Ghz" and metrics["memorytotalgb"] == "256.00 GB"
    assert metrics["memoryusedgb"] == f"{host['memoryused'] / GIB:.2f} GB"
    assert (metrics["cputhreshold"], metrics["memoryallocateddisablethreshold"]) == (False, False)


def test_a_host_without_power_is_down(start_lab: Any) -> None:
    """The neighbours miss the heartbeat: Down, alerts, its VM stopped; with power again it comes back."""
    lab = start_lab()
    vm = lab.import_vm("web01")
    run(lab, "startVirtualMachine", id=vm["id"])
    name = lab.one("listVirtualMachines", "virtualmachine", id=vm["id"])["hostname"]
    lab.world.fleet.power_off(name)
    until(lambda: bool(lab.host(name)["state"] == "Down"), "the state Down")
    until(
        lambda: bool(lab.one("listVirtualMachines", "virtualmachine", id=vm["id"])["state"] == "Stopped"),
        "the VM's end",
    )
    alerts = {alert["description"].split(",")[0] for alert in lab.client.call("listAlerts", type=7)["alert"]}
    assert alerts == {"Host down", "Host is down"}
    lab.world.fleet.revive(name)
    until(lambda: bool(lab.host(name)["state"] == "Up"), "the host's return")


def test_a_killed_agent_leaves_its_host_in_alert(lab: Any) -> None:
    """The heartbeat is still fresh: a neighbour sees it, the host is Disconnected and goes to Alert."""
    lab.world.fleet.kill("kvm3")
    until(lambda: bool(lab.host("kvm3")["state"] == "Alert"), "the state Alert")
    alert = lab.client.call("listAlerts")["alert"][0]
    assert alert["description"].startswith("Host disconnected, name: kvm3 (id:")
    lab.world.fleet.revive("kvm3")
    until(lambda: bool(lab.host("kvm3")["state"] == "Up"), "the host's return")


def vddk(lab: Any, name: str) -> dict[str, str]:
    details = lab.host(name)["details"]
    return {key: value for key, value in details.items() if "vddk" in key}


def restart(lab: Any, name: str, expected: dict[str, str]) -> None:
    """Restart the agent; its ready answer brings these VDDK details."""
    assert vddk(lab, name) != expected, "nothing is seen before the restart"
    lab.world.fleet.restart_agent(name)
    until(lambda: vddk(lab, name) == expected, f"the details {expected}")
    until(lambda: bool(lab.host(name)["state"] == "Up"), "the host's return")


def test_vddk_support_over_time(start_lab: Any) -> None:
    """Library and plug-in installed, upgraded, moved by agent.properties and removed: each restart shows in details.

    The next import by VDDK takes a host that has it now.
    """
    lab = start_lab()
    fleet = lab.world.fleet
    none = {"host.vddk.support": "false"}
    assert vddk(lab, "kvm3") == none
    fleet.install_vddk("kvm3", VddkLibrary(LIBRARY, ("lib64/libvixDiskLib.so.8.0.3",)))
    restart(lab, "kvm3", none | {"vddk.lib.dir": LIBRARY})  # without the plug-in it is of no use
    fleet.change_tools("kvm3", nbdkit_vddk_plugin="1.38.5")
    supported = {"host.vddk.support": "true", "vddk.lib.dir": LIBRARY}
    restart(lab, "kvm3", supported | {"host.vddk.version": "1.38.5"})
    fleet.change_tools("kvm3", nbdkit_vddk_plugin="1.40.1")
    restart(lab, "kvm3", supported | {"host.vddk.version": "1.40.1"})
    elsewhere = "/srv/vddk9"
    fleet.install_vddk("kvm3", VddkLibrary(elsewhere, ("lib64/libvixDiskLib.so.9.0.0",)))
    fleet.edit_properties("kvm3", {"vddk.lib.dir": elsewhere})
    restart(lab, "kvm3", supported | {"vddk.lib.dir": elsewhere, "host.vddk.version": "1.40.1"})

    for name, path in (
        ("kvm1", "/opt/vmware-vddk/vmware-vix-disklib-distrib"),
        ("kvm2", "/usr/lib/vmware-vix-disklib-distrib"),
    ):
        fleet.remove_vddk(name, path)
        restart(lab, name, none | {"host.vddk.version": "1.38.5"})
    lab.import_vm("web01")
    assert [task["convertinstancehostname"] for task in lab.tasks()] == ["kvm3"]

    fleet.edit_properties("kvm3", {"vddk.lib.dir": None})
    fleet.remove_vddk("kvm3", LIBRARY)
    restart(lab, "kvm3", none | {"host.vddk.version": "1.40.1"})
    with pytest.raises(ApiCallError):
        lab.import_vm("web01", displayname="again")


def test_a_pool_is_made_and_used_up(lab: Any) -> None:
    """A pool of a new export: an import takes its space, the next one does not fit; its volumes keep it."""
    capacity = sum(disk["capacity"] for disk in lab.source("web01")["disk"]) * 3 // 2
    lab.world.fleet.add_export(NfsExport("192.0.2.20", "/export/tiny", capacity, capacity))
    pool = lab.client.call(
        "createStoragePool", name="tiny", zoneid=lab.zone_id, podid=lab.one("listPods", "pod")["id"],
        clusterid=lab.cluster_id, url="nfs://192.0.2.20/export/tiny",
    )["storagepool"]  # fmt: skip
    assert (pool["disksizetotal"], pool["disksizeused"], pool["state"]) == (capacity, 0, "Up")
    direct = {"convertinstancepoolid": pool["id"], "forceconverttopool": True}
    vm = lab.import_vm("web01", **direct)
    lab.world.server.agents.ask_for_figures()

    def sizes() -> tuple[int, int]:
        listed = lab.one("listStoragePools", "storagepool", id=pool["id"])
        return listed["disksizeused"], listed["disksizeallocated"]

    used, allocated = sizes()
    assert 0 < used <= capacity and allocated > 0
    with pytest.raises(ApiCallError, match=r"Instance conversion failed for VM web01\. Please check virt-v2v logs\."):
        lab.import_vm("web01", displayname="second", forced=True, hostname="second", **direct)
    tools = [entry for entry in lab.world.server.services.journal.entries(kind="tool") if entry.fields["exit_status"]]
    assert tools, "the tool that could not write failed"
    lab.world.server.agents.ask_for_figures()
    assert used <= sizes()[0] <= capacity

    assert run(lab, "enableStorageMaintenance", id=pool["id"])["storagepool"]["state"] == "Maintenance"
    with pytest.raises(ApiCallError, match="Cannot delete pool tiny as there are associated volumes for this pool"):
        lab.client.call("deleteStoragePool", id=pool["id"])
    assert vm["state"] == "Stopped"


def test_an_empty_pool_is_deleted_on_the_hosts(lab: Any) -> None:
    """deleteStoragePool unmounts the pool on every host; an RBD pool is declared but unsuitable for a conversion."""
    pool = lab.client.call(
        "createStoragePool", name="brief", zoneid=lab.zone_id, scope="ZONE", hypervisor="KVM",
        url="nfs://192.0.2.20/export/brief",
    )["storagepool"]  # fmt: skip
    hypervisor = lab.world.fleet.agent("kvm1").hypervisor
    mounted = ("192.0.2.20", "/export/brief")
    assert mounted in hypervisor.storage.mounted_exports()
    assert run(lab, "enableStorageMaintenance", id=pool["id"])["storagepool"]["state"] == "Maintenance"
    assert mounted not in hypervisor.storage.mounted_exports()
    assert lab.client.call("deleteStoragePool", id=pool["id"]) == {"success": True}
    assert "storagepool" not in lab.client.call("listStoragePools", name="brief")

    rbd = lab.client.call(
        "createStoragePool", name="ceph", zoneid=lab.zone_id, scope="ZONE", hypervisor="KVM",
        url="rbd://user:Q2VwaC1zZWNyZXQ=@192.0.2.30/other",
    )["storagepool"]  # fmt: skip
    assert (rbd["type"], rbd["state"]) == ("RBD", "Up")
    with pytest.raises(ApiCallError, match="does not support direct conversion"):
        lab.import_vm("web01", convertinstancepoolid=rbd["id"], forceconverttopool=True)
    for refused in ({"scope": "x"}, {"zoneid": "x"}):  # also of a call that is refused at once
        with pytest.raises(ApiCallError) as raised:
            parameters = {
                "name": "c",
                "zoneid": lab.zone_id,
                "url": "rbd://user:QW5vdGhlcg%3D%3D@192.0.2.30/x",
            } | refused
            lab.client.call("createStoragePool", **parameters)
        assert "QW5vdGhlcg" not in str(raised.value)
    journal = json.dumps([entry.fields for entry in lab.world.server.services.journal.entries()], default=str)
    assert "Q2VwaC1zZWNyZXQ" not in journal and "QW5vdGhlcg" not in journal


def test_maintenance_and_figures_on_a_clock_that_is_moved(start_lab: Any) -> None:
    """On the manual clock a host prepares until the clock moves; figures come with the minutes, nothing runs ahead."""
    lab = start_lab(clock="manual")
    clock, host_id = lab.world.clock, lab.host("kvm3")["id"]
    begun_s = clock.now()
    lab.client.call("prepareHostForMaintenance", id=host_id)
    clock.advance(seconds=0)
    assert lab.host("kvm3")["resourcestate"] == "PrepareForMaintenance" and "cpuused" not in lab.host("kvm1")
    clock.advance(seconds=2)
    assert lab.host("kvm3")["resourcestate"] == "Maintenance"
    clock.advance(minutes=10)
    assert lab.host("kvm1")["cpuused"].endswith("%") and clock.now() == begun_s + 602
