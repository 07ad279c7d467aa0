"""Host maintenance: asking for it, emptying the host, failing, and taking it back."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from mgmt.errors import (
    AgentUnavailableError,
    CloudRuntimeError,
    InvalidParameterValueError,
    JavaError,
    ServerApiError,
)
from mgmt.protocol import commands as wire
from mgmt.protocol.records import Answer
from mgmt.store import models

WAIT = "Please wait for them to complete before putting to maintenance."
FAILED = "Failed to prepare host for maintenance due to: "
NO = Answer(result=False, details="no")


def shown(life: Any, name: str = "h1") -> str:
    host = life.get(models.Host, life.ids[name])
    return f'Host {{"id":{host.id},"name":"{host.name}","type":"Routing","uuid":"{host.uuid}"}}'


def prepare(life: Any, name: str = "h1") -> dict[str, Any]:
    view: dict[str, Any] = life.run("prepareHostForMaintenance", id=life.ids[name]).fields
    return view


def state(life: Any, name: str = "h1") -> str:
    resource_state: str = life.get(models.Host, life.ids[name]).resource_state
    return resource_state


def running(life: Any) -> None:
    life.run("startVirtualMachine", id=life.ids["vm"])
    assert life.vm.host_id == life.ids["h1"]
    life.agents.sent.clear()


def local(life: Any) -> None:
    life.change(models.StoragePool, life.ids["pool"], scope="HOST", host_id=life.ids["h1"])


def events(life: Any) -> list[tuple[str, str, str]]:
    with life.store.session() as session:
        rows = session.scalars(select(models.Event).order_by(models.Event.id))
        return [(row.type, row.state, row.description) for row in rows]


def test_an_empty_host_goes_to_maintenance(life: Any) -> None:
    """MaintainCommand, PrepareForMaintenance in the answer, Maintenance soon after, with events; the link stays."""
    assert prepare(life)["resourcestate"] == "PrepareForMaintenance"
    assert life.agents.names() == ["MaintainCommand"] and life.agents.in_maintenance == {life.ids["h1"]}
    life.services.maintenance.round()
    assert state(life) == "Maintenance"
    assert events(life) == [
        ("MAINT.PREPARE", "Started", f"starting maintenance for host {shown(life)}"),
        ("MAINT.PREPARE", "Completed", f"completed maintenance for host {shown(life)}"),
    ]


def test_a_host_is_not_asked_twice(life: Any, refused: Any) -> None:
    """`Host is already in state ...`, while it prepares and in maintenance."""
    prepare(life)
    for present in ("PrepareForMaintenance", "Maintenance"):
        text = refused(life, ServerApiError, "prepareHostForMaintenance", id=life.ids["h1"])
        assert text == f"{FAILED}Host is already in state {present}. Cannot recall for maintenance until resolved."
        life.services.maintenance.round()


def test_one_host_of_a_cluster_prepares_at_a_time(life: Any, refused: Any) -> None:
    """`There are other servers attempting migrations for maintenance`; another cluster is not in the way."""
    prepare(life)
    cluster = life.get(models.Cluster, life.ids["c1"])
    assert refused(life, ServerApiError, "prepareHostForMaintenance", id=life.ids["h2"]) == (
        f"{FAILED}There are other servers attempting migrations for maintenance. Found hosts in PrepareForMaintenance "
        f'OR ErrorInPrepareForMaintenance STATUS in cluster Cluster {{id: "{cluster.id}", name: "c1", uuid: '
        f'"{cluster.uuid}"}}'
    )
    assert prepare(life, "far")["resourcestate"] == "PrepareForMaintenance"


def test_vms_are_moved_away(life: Any) -> None:
    """A running VM moves to another host of the cluster, and then the host is in maintenance."""
    running(life)
    prepare(life)
    assert life.vm.host_id == life.ids["h1"]
    life.services.maintenance.round()
    assert (life.vm.state, life.vm.host_id, life.vm.last_host_id) == ("Running", life.ids["h2"], life.ids["h1"])
    assert "MigrateCommand" in life.agents.names()
    assert state(life) == "Maintenance"


def test_vms_are_stopped_when_the_agent_cannot_migrate(life: Any) -> None:
    """`willMigrate` false: the VMs are stopped by force."""
    running(life)
    life.agents.script(wire.MaintainCommand, wire.MaintainAnswer(willMigrate=False, result=True))
    prepare(life)
    life.services.maintenance.round()
    assert (life.vm.state, state(life)) == ("Stopped", "Maintenance")
    assert life.agents.of(wire.StopCommand)[0].forceStop


def test_vms_that_cannot_move_fail_the_maintenance(life: Any) -> None:
    """Each failed move is tried again, meanwhile ErrorInPrepareForMaintenance; in the end ErrorInMaintenance."""
    running(life)
    life.agents.script(wire.PrepareForMigrationCommand, *[NO] * 5)
    prepare(life)
    seen = []
    for _ in range(6):
        life.services.maintenance.round()
        seen.append(state(life))
    assert seen == [*["ErrorInPrepareForMaintenance"] * 4, *["ErrorInMaintenance"] * 2]
    assert (life.vm.state, life.vm.host_id) == ("Running", life.ids["h1"])
    assert len(life.agents.of(wire.PrepareForMigrationCommand)) == 5
    prepare(life)  # an administrator may ask again from here
    life.services.maintenance.round()
    assert (state(life), life.vm.host_id) == ("Maintenance", life.ids["h2"])


def test_a_move_that_works_at_last_ends_well(life: Any) -> None:
    """A host that had errors goes to Maintenance once its VMs are gone."""
    running(life)
    life.agents.script(wire.PrepareForMigrationCommand, NO)
    prepare(life)
    life.services.maintenance.round()
    assert state(life) == "ErrorInPrepareForMaintenance"
    life.services.maintenance.round()
    assert state(life) == "Maintenance"


def test_the_last_host_of_a_cluster_keeps_its_vms(life: Any, refused: Any) -> None:
    """Nowhere to go: the call fails, the host is left preparing and then in ErrorInMaintenance."""
    running(life)
    life.change(models.Host, life.ids["h2"], status="Alert")
    assert refused(life, ServerApiError, "prepareHostForMaintenance", id=life.ids["h1"]) == (
        f"{FAILED}Unable to prepare for maintenance host {shown(life)}"
    )
    assert state(life) == "PrepareForMaintenance"
    life.services.maintenance.round()
    assert (state(life), life.vm.state) == ("ErrorInMaintenance", "Running")


@pytest.mark.parametrize("answer", [wire.MaintainAnswer(result=False, details="no"), AgentUnavailableError("gone")])
def test_an_agent_that_refuses_leaves_the_host_enabled(life: Any, refused: Any, answer: Any) -> None:
    """False, or no answer: 530, the host stays Enabled."""
    life.agents.script(wire.MaintainCommand, answer)
    text = refused(life, ServerApiError, "prepareHostForMaintenance", id=life.ids["h1"])
    assert (text, state(life)) == (f"{FAILED}Unable to prepare for maintenance host {shown(life)}", "Enabled")


def test_another_answer_class_leaves_the_host_enabled(life: Any, refused: Any) -> None:
    """Another answer class: Java's class-cast failure, the host stays Enabled."""
    life.agents.script(wire.MaintainCommand, wire.UnsupportedAnswer(result=False))
    text = refused(life, JavaError, "prepareHostForMaintenance", id=life.ids["h1"])
    assert text.startswith(
        "class com.cloud.agent.api.UnsupportedAnswer cannot be cast to class com.cloud.agent.api.MaintainAnswer "
    )
    assert state(life) == "Enabled"


def test_a_disabled_host_has_no_way_to_maintenance(life: Any, refused: Any) -> None:
    """The table has no row for it: the transition's text."""
    life.change(models.Host, life.ids["h1"], resource_state="Disabled")
    assert refused(life, ServerApiError, "prepareHostForMaintenance", id=life.ids["h1"]) == (
        f"{FAILED}Cannot transit resource state of {shown(life)} to MaintenanceNo next resource state found for "
        "current state = Disabled event = AdminAskMaintenance"
    )


@pytest.mark.parametrize(
    ("vm_state", "text"),
    [
        ("Migrating", f"Host contains incoming VMs migrating. {WAIT}"),
        ("Starting", f"Host contains VMs in starting/stopping state. {WAIT}"),
        ("Error", "Host contains VMs in error/unknown/shutdown state. Please fix errors to proceed."),
    ],
)
def test_vms_in_the_way(life: Any, refused: Any, vm_state: str, text: str) -> None:
    """VMs on their way, or broken, refuse the maintenance."""
    life.set_state(vm_state, "h1")
    assert refused(life, ServerApiError, "prepareHostForMaintenance", id=life.ids["h1"]) == f"{FAILED}{text}"


def test_local_storage_is_in_the_way_or_its_vms_are_stopped(life: Any, refused: Any) -> None:
    """VMs on local storage refuse the maintenance, or are stopped with the strategy ForceStop."""
    local(life)
    running(life)
    assert refused(life, ServerApiError, "prepareHostForMaintenance", id=life.ids["h1"]) == (
        f"{FAILED}There are active VMs using the host's local storage pool. Please stop all VMs on this host that use "
        "local storage."
    )
    with life.store.session() as session:
        life.services.settings.set(session, "host.maintenance.local.storage.strategy", "ForceStop")
    prepare(life)
    life.services.maintenance.round()
    assert (life.vm.state, state(life)) == ("Stopped", "Maintenance")


def test_cancelling_maintenance(life: Any, refused: Any) -> None:
    """cancelHostMaintenance: Enabled at once, nothing is sent; only from a state of maintenance."""
    prepare(life)
    life.services.maintenance.round()
    life.agents.sent.clear()
    assert life.run("cancelHostMaintenance", id=life.ids["h1"]).fields["resourcestate"] == "Enabled"
    assert not life.agents.sent and not life.agents.in_maintenance
    assert refused(life, CloudRuntimeError, "cancelHostMaintenance", id=life.ids["h1"]) == (
        f"Cannot perform cancelMaintenance when resource state is Enabled, host: {shown(life)}"
    )
    life.change(models.Host, life.ids["h1"], removed=life.services.providers.utcnow())
    for command, text in (
        ("cancelHostMaintenance", f"Host with id {life.ids['h1']} doesn't exist"),
        (
            "prepareHostForMaintenance",
            f"Unable to find host with ID: {life.ids['h1']}. Please specify a valid host ID.",
        ),
    ):
        assert refused(life, InvalidParameterValueError, command, id=life.ids["h1"]) == text


def test_a_cancelled_preparation_is_not_concluded(life: Any) -> None:
    """A host whose preparation was cancelled before the look at it stays Enabled, with its VMs."""
    running(life)
    prepare(life)
    life.run("cancelHostMaintenance", id=life.ids["h1"])
    life.services.maintenance.round()
    assert (state(life), life.vm.host_id) == ("Enabled", life.ids["h1"])


def test_a_server_that_starts_again_goes_on(life: Any) -> None:
    """A host that another run of the server left preparing is emptied and goes to Maintenance."""
    running(life)
    life.change(models.Host, life.ids["h1"], resource_state="PrepareForMaintenance")
    life.services.maintenance.round()
    assert (state(life), life.vm.host_id) == ("Maintenance", life.ids["h2"])
