"""Worlds that tests plan themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

import cloudstack_mock
from agent_sim.hostfile import load_hosts
from cloudstack_mock import WorldPlan
from mgmt.store.seeding import read_seed
from vcenter_sim import document


def test_a_plan_becomes_a_world() -> None:
    """Zone, cluster, hosts, VMs, room and settings are as planned, and imports work there."""
    plan = (
        WorldPlan()
        .zone("north")
        .cluster(hosts=12, vddk=1, name="kvm")
        .vcenter(vms=["shop", {"name": "mail", "power": "poweredOn"}])
        .storage(times=2)
        .settings(ping__interval=30)
    )
    with cloudstack_mock.activate("https://plan.example.org", seed=plan) as cloud:
        hosts = cloud.client.listHosts(type="Routing", details="all")["host"]
        assert {host["zonename"] for host in hosts} == {"north"}
        assert {host["clustername"] for host in hosts} == {"kvm"}
        assert [host["state"] for host in hosts] == ["Up"] * 12
        assert [host["name"] for host in hosts if host["details"].get("host.vddk.support") == "true"] == ["kvm1"]
        assert cloud.client.listConfigurations(name="ping.interval")["configuration"][0]["value"] == "30"
        assert cloud.import_vm("shop")["hypervisor"] == "KVM"
        with pytest.raises(ValueError, match="there are mail, shop"):
            cloud.import_parameters("web01")


@pytest.mark.parametrize("seed", range(20))
def test_random_plans_are_worlds(seed: int, tmp_path: Path) -> None:
    """Each number gives files that pass all checks, and the same ones each time."""
    path = WorldPlan.at_random(seed).write(tmp_path)
    first = [file.read_text() for file in sorted(tmp_path.iterdir())]
    WorldPlan.at_random(seed).write(tmp_path)
    assert [file.read_text() for file in sorted(tmp_path.iterdir())] == first
    assert read_seed(str(path)).agents_file == tmp_path / "hosts.yaml"
    assert load_hosts(tmp_path / "hosts.yaml", {})
    assert document.load(tmp_path / "vcenter.yaml").datacenters[0].vms


def test_a_plan_that_cannot_be_is_refused() -> None:
    """More hosts with VDDK than hosts are refused with the numbers."""
    with pytest.raises(ValueError, match="hosts = 1, vddk = 2"):
        WorldPlan().cluster(hosts=1, vddk=2)
