"""Power reports of pings bring the records in line with changes behind the server's back."""

from __future__ import annotations

from typing import Any

import pytest

from mgmt.agents.powerreports import PowerReport
from mgmt.inventory.power_sync import PowerSync
from mgmt.store import models

NAME = "i-2-30-VM"
PING_S = 60


@pytest.fixture
def sync(life: Any) -> PowerSync:
    services = life.services
    return PowerSync(life.store, services.providers, services.settings, services.journal, services.vm_work.is_pending)


def ping(life: Any, sync: PowerSync, host: str, *names: str) -> tuple[str, int | None]:
    """One ping interval later the host reports these VMs: the VM's state and host."""
    life.clock.at += PING_S
    sync.report([PowerReport(life.ids[host], dict.fromkeys(names, "PowerOn"))])
    return life.vm.state, life.vm.host_id


def alerts(life: Any) -> list[str]:
    with life.store.session() as session:
        return [alert.description for alert in session.query(models.Alert)]


def test_a_vm_missing_for_longer_than_two_pings_is_stopped(life: Any, sync: PowerSync) -> None:
    """A running VM that its host does not report is Stopped once the last report is older than two pings."""
    life.run("startVirtualMachine", id=life.ids["vm"])
    host = life.ids["h1"]
    assert ping(life, sync, "h1", NAME) == ("Running", host)
    assert [ping(life, sync, "h1") for _ in range(3)] == [("Running", host), ("Running", host), ("Stopped", None)]
    assert life.nic().broadcast_uri is None
    assert life.usage()[-2:] == ["VM.STOP", "NETWORK.OFFERING.REMOVE"]
    assert alerts(life) == [f"VM um1({NAME}) state is sync-ed (Running -> Stopped) from out-of-context transition."]


def test_a_vm_missing_in_a_ping_out_of_turn_is_stopped_at_once(life: Any, sync: PowerSync) -> None:
    """No grace when the host pings because a VM ended; a VM reported so often that its age is lost gets one still."""
    life.run("startVirtualMachine", id=life.ids["vm"])
    for _ in range(3):
        ping(life, sync, "h1", NAME)
    sync.report([PowerReport(life.ids["h1"], {}, is_out_of_band=True)])
    assert life.vm.state == "Running"
    sync.report([PowerReport(life.ids["h1"], {}, is_out_of_band=True)])
    assert (life.vm.state, life.vm.host_id) == ("Stopped", None)


def test_a_vm_that_was_reported_often_gets_its_grace_anew(life: Any, sync: PowerSync) -> None:
    """After three equal reports the time of the last is not known: the grace begins with the first missing one."""
    life.run("startVirtualMachine", id=life.ids["vm"])
    for _ in range(5):
        ping(life, sync, "h1", NAME)
    assert [ping(life, sync, "h1")[0] for _ in range(4)] == ["Running", "Running", "Running", "Stopped"]


def test_a_vm_reported_elsewhere_moves(life: Any, sync: PowerSync) -> None:
    """A running VM that another host reports is recorded there."""
    life.run("startVirtualMachine", id=life.ids["vm"])
    assert ping(life, sync, "h2", NAME) == ("Running", life.ids["h2"])
    assert ping(life, sync, "h1") == ("Running", life.ids["h2"])
    assert alerts(life) == []


def test_a_stopped_vm_reported_on_is_running(life: Any, sync: PowerSync) -> None:
    """Whoever started a stopped VM behind the server's back: it is Running on that host."""
    assert ping(life, sync, "h2", NAME, "a-stranger") == ("Running", life.ids["h2"])
    assert alerts(life)[0].endswith("transition. VM network environment may need to be reset")


def test_a_report_waits_for_work_on_the_vm(life: Any, sync: PowerSync) -> None:
    """While work on the VM is under way its report changes nothing; the next one counts."""
    with life.services.vm_work.on(life.ids["vm"]):
        assert ping(life, sync, "h1", NAME) == ("Stopped", None)
    assert ping(life, sync, "h1", NAME)[0] == "Running"


def test_a_destroyed_vm_is_left_alone(life: Any, sync: PowerSync) -> None:
    """A power-on of a destroyed VM is only logged."""
    life.run("destroyVirtualMachine", id=life.ids["vm"])
    assert ping(life, sync, "h1", NAME)[0] == "Destroyed"


def test_a_lasting_contradiction_is_resolved(life: Any, sync: PowerSync) -> None:
    """A VM that is reported on for long while its record says Stopped becomes Running."""
    life.run("startVirtualMachine", id=life.ids["vm"])
    for _ in range(5):
        ping(life, sync, "h1", NAME)
    life.set_state("Stopped")
    assert ping(life, sync, "h1", NAME) == ("Running", life.ids["h1"])
