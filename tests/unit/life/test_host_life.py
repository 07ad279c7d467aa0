"""Adding, deleting, reconnecting and giving up hosts."""

from __future__ import annotations

import re
from typing import Any

import pytest
from sqlalchemy import select

from mgmt.agents.hoststats import HostLoad
from mgmt.commands.life_calls import life_services_of
from mgmt.errors import CloudRuntimeError, InvalidParameterValueError, PermissionDeniedError, ServerApiError
from mgmt.life.hostlife import host_went_down
from mgmt.life.hostsetup import Place
from mgmt.protocol import commands as wire
from mgmt.store import models

WORDS = re.compile(r"\w+")
GUID = "new-LibvirtComputingResource"
PASSWORD = "s3cret-of-the-host"


def shown(life: Any, name: str = "h1") -> str:
    host = life.get(models.Host, life.ids[name])
    return f'Host {{"id":{host.id},"name":"{host.name}","type":"Routing","uuid":"{host.uuid}"}}'


def running(life: Any) -> None:
    life.run("startVirtualMachine", id=life.ids["vm"])
    life.agents.sent.clear()


def alerts(life: Any) -> list[tuple[int, str]]:
    return [(row["type"], row["description"]) for row in life.run("listAlerts").items]


class Setup:
    """Hosts that can be reached: their guids by address; `asked` is what was set up."""

    def __init__(self, life: Any, **guids: str) -> None:
        self.guids = {"192.0.2.14": GUID}
        self.asked: list[tuple[str, str, str | None, Place]] = []
        self.life = life

    def set_up(self, address: str, username: str, password: str | None, place: Place) -> str | None:
        self.asked.append((address, username, password, place))
        return self.guids.get(address)

    def comes_up(self, guid: str) -> bool:
        """The agent attaches: its host's record is made."""
        _, _, _, place = self.asked[-1]
        with self.life.store.session() as session:
            session.add(
                models.Host(
                    uuid="00000000-0000-4000-8000-00000000abcd", name="new", guid=guid, status="Up",
                    zone_id=int(place.zone), pod_id=int(place.pod), cluster_id=int(place.cluster),
                    created=self.life.services.providers.utcnow(),
                )
            )  # fmt: skip
        return True


@pytest.fixture
def adding(life: Any) -> dict[str, Any]:
    """Parameters of an addHost that works."""
    setup = Setup(life)
    life.services.host_setup = setup
    life.agents.comes_up = setup.comes_up
    return {
        "zoneid": life.ids["zone"], "podid": life.ids["pod"], "clusterid": life.ids["c1"], "hypervisor": "KVM",
        "url": "http://192.0.2.14", "username": "root", "password": PASSWORD,
    }  # fmt: skip


def test_a_host_is_added(life: Any, adding: Any) -> None:
    """The agent is set up with its place; a list with the host that came up is the answer; tags and state are set."""
    result = life.run("addHost", **adding, hosttags=["a", "b"], allocationstate="Disabled")
    (view,) = result.items
    assert (result.count, view["name"], view["hosttags"], view["resourcestate"]) == (1, "new", "a,b", "Disabled")
    place = Place(str(life.ids["zone"]), str(life.ids["pod"]), str(life.ids["c1"]))
    assert life.services.host_setup.asked == [("192.0.2.14", "root", PASSWORD, place)]
    tags = life.run("listHostTags").items
    assert [(tag["name"], tag["isimplicit"]) for tag in tags] == [("a", False), ("b", False)]


def test_a_host_gets_a_cluster_of_its_own(life: Any, adding: Any) -> None:
    """clustername makes the cluster, or takes the one of that name; without both the host stands alone."""
    adding.pop("clusterid")
    (view,) = life.run("addHost", **adding).items
    assert view["clustername"] == "Standalone-http://192.0.2.14"


@pytest.mark.parametrize("url", ["http://127.0.0.9", "http://192.0.2.11", "http://", "http://no-such-host.example"])
def test_a_host_that_is_not_reached_or_known_is_not_added(life: Any, refused: Any, adding: Any, url: str) -> None:
    """`Unable to add the host: Cannot find the server resources at <url>`, without the password."""
    life.agents.comes_up = lambda guid: False
    text = refused(life, ServerApiError, "addHost", **adding | {"url": url})
    assert text == f"Unable to add the host: Cannot find the server resources at {url}"


def test_a_host_whose_agent_does_not_come_up_is_not_added(life: Any, refused: Any, adding: Any) -> None:
    """The agent is set up but does not attach: the same text."""
    life.agents.comes_up = lambda guid: False
    text = refused(life, ServerApiError, "addHost", **adding)
    assert text == "Unable to add the host: Cannot find the server resources at http://192.0.2.14"


def test_add_host_checks(life: Any, refused: Any, adding: Any) -> None:
    """What ResourceManagerImpl.discoverHosts refuses, in its words."""

    def text(kind: type[Exception] = InvalidParameterValueError, by: str = "admin", **changes: Any) -> str:
        answer: str = refused(life, kind, "addHost", by, **adding | changes)
        return answer

    assert text(clusterid=999) == "can not find cluster for specified clusterId"
    assert text(zoneid=999) == "Can't find zone by id 999"
    assert text(podid=999) == "Can't find pod by id 999"
    assert text(clustername="x") == "Can't specify cluster by both id and name"
    assert text(hypervisor="") == "Need to specify Hypervisor Type"
    assert text(username=" ") == "Username need to be provided."
    assert text(hypervisor="XenServer", password=None) == "Username and Password need to be provided."
    assert text(ServerApiError, hypervisor="XenServer") == (
        "Do not support HypervisorType XenServer for http://192.0.2.14"
    )
    assert text(url="192.0.2.14") == "uri.scheme is null 192.0.2.14, add nfs:// (or cifs://) as a prefix"
    life.change(models.Zone, life.ids["zone"], allocation_state="Disabled")
    assert text(PermissionDeniedError, "user") == (
        "Cannot perform this operation, Zone with specified id is currently disabled"
    )


def test_a_pod_of_another_zone_is_refused(life: Any, refused: Any, adding: Any) -> None:
    """Pod and zone must belong together."""
    with life.store.session() as session:
        zone = models.Zone(uuid="zone-2", name="zone2")
        session.add(zone)
        session.flush()
        other = zone.id
    pod = life.get(models.Pod, life.ids["pod"])
    assert refused(life, InvalidParameterValueError, "addHost", **adding | {"zoneid": other}) == (
        f'Pod with specified pod HostPod {{"id": "{pod.id}", "name": "p", "uuid": "{pod.uuid}"}} doesn\'t belong to '
        f'the zone with specified zone Zone {{"id": "{other}", "name": "zone2", "uuid": "zone-2"}}'
    )


def test_reconnecting(life: Any, refused: Any) -> None:
    """reconnectHost closes the link; nothing is done for a Disconnected host; others without a link are refused."""
    host_id = life.ids["h1"]
    assert life.run("reconnectHost", id=host_id).fields["name"] == "h1"
    life.agents.unlinked.add(host_id)
    life.change(models.Host, host_id, status="Alert")
    assert refused(life, ServerApiError, "reconnectHost", id=host_id) == (
        f"Unable to disconnect host because it is not connected to this server: {shown(life)}"
    )
    life.change(models.Host, host_id, status="Down")
    assert refused(life, ServerApiError, "reconnectHost", id=host_id) == (
        f"Unable to disconnect host because it is not in the correct state: host={shown(life)}; Status=Down"
    )
    life.change(models.Host, host_id, status="Disconnected")
    assert life.run("reconnectHost", id=host_id).fields["state"] == "Disconnected"


def test_a_host_in_use_is_not_deleted(life: Any, refused: Any) -> None:
    """`Host with UUID [...] is not in maintenance mode and no forced deletion was requested.`"""
    uuid = life.get(models.Host, life.ids["h1"]).uuid
    assert refused(life, CloudRuntimeError, "deleteHost", id=life.ids["h1"]) == (
        f"Host with UUID [{uuid}] is not in maintenance mode and no forced deletion was requested."
    )
    assert not life.agents.removed


@pytest.mark.parametrize("resource_state", ["Maintenance", "Degraded"])
def test_a_host_in_maintenance_is_deleted(life: Any, resource_state: str) -> None:
    """The agent is told, the record is removed: no details, no guid, so that the agent comes back as a new host."""
    host_id = life.ids["h1"]
    life.change(models.Host, host_id, resource_state=resource_state)
    with life.store.session() as session:
        session.add(models.HostDetail(host_id=host_id, name="host.vddk.support", value="true"))
    assert life.run("deleteHost", id=host_id).text is None
    host = life.get(models.Host, host_id)
    assert (host.status, host.resource_state, host.guid, host.cluster_id) == ("Removed", "Disabled", None, None)
    assert host.removed is not None and life.agents.removed == [host_id]
    with life.store.session() as session:
        assert not session.scalars(select(models.HostDetail)).all()


def test_a_forced_deletion_stops_the_vms(life: Any) -> None:
    """forced: the VMs of the host are stopped by force; forcedestroylocalstorage removes its pools and volumes."""
    running(life)
    life.change(models.StoragePool, life.ids["pool"], scope="HOST", host_id=life.ids["h1"])
    life.run("deleteHost", id=life.ids["h1"], forced=True, forcedestroylocalstorage=True)
    assert (life.vm.state, life.vm.host_id) == ("Stopped", None)
    assert life.agents.of(wire.StopCommand)[0].forceStop
    assert life.get(models.StoragePool, life.ids["pool"]).removed is not None
    assert life.volume("ROOT-30").removed is not None


def test_declaring_a_host_degraded(life: Any, refused: Any) -> None:
    """Alert or Disconnected hosts become Degraded, their VMs Stopped with an alert; cancelling enables them."""
    running(life)
    host_id = life.ids["h1"]
    assert refused(life, InvalidParameterValueError, "declareHostAsDegraded", id=host_id) == (
        f"Cannot perform declare host ({shown(life)}) as 'Degraded' when host is in Up status"
    )
    assert refused(life, ServerApiError, "cancelHostAsDegraded", id=host_id) == (
        "Failed to cancel host as Degraded due to: Cannot perform cancelHostAsDegraded on host "
        f"({shown(life)}) when host is in Enabled state"
    )
    life.change(models.Host, host_id, status="Alert")
    assert life.run("declareHostAsDegraded", id=host_id).fields["resourcestate"] == "Degraded"
    assert life.vm.state == "Stopped"
    where = f"id:{host_id}, availability zone id:{life.ids['zone']}, pod id:{life.ids['pod']}"
    assert alerts(life) == [(8, f"VM (name: um1, id: {life.ids['vm']}) stopped unexpectedly on host {where}")]
    assert refused(life, ServerApiError, "declareHostAsDegraded", id=host_id) == (
        f"Failed to declare host as Degraded due to: Host ({shown(life)}) was already marked as Degraded."
    )
    assert life.run("cancelHostAsDegraded", id=host_id).fields["resourcestate"] == "Enabled"
    life.change(models.Host, host_id, resource_state="PrepareForMaintenance")
    assert refused(life, ServerApiError, "declareHostAsDegraded", id=host_id) == (
        "Failed to declare host as Degraded due to: No next resource state found for current state = "
        "PrepareForMaintenance event = DeclareHostDegraded"
    )


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("reconnectHost", "Host with id {} doesn't exist"),
        ("deleteHost", "Host with id {} doesn't exist"),
        ("declareHostAsDegraded", "Host [id:{}] does not exist."),
        ("cancelHostAsDegraded", "Host (null) with id {} does not exist"),
    ],
)
def test_a_removed_host_is_not_there(life: Any, refused: Any, command: str, text: str) -> None:
    """Each command says in its own words that a removed host does not exist."""
    life.change(models.Host, life.ids["h1"], removed=life.services.providers.utcnow())
    assert refused(life, InvalidParameterValueError, command, id=life.ids["h1"]) == text.format(life.ids["h1"])


def test_the_vms_of_a_host_that_is_down_are_stopped(life: Any) -> None:
    """Down: the alert `Host is down`, one for each VM, and the VMs are Stopped."""
    running(life)
    host_went_down(life_services_of(life.services), life.ids["h1"])
    uuid = life.get(models.Host, life.ids["h1"]).uuid
    assert life.vm.state == "Stopped"
    assert (7, f"Host is down, name: h1 (id:{uuid}), availability zone: zone, pod: p") in alerts(life)
    assert {kind for kind, _ in alerts(life)} == {7, 8}


@pytest.mark.parametrize(
    ("params", "count"),
    [({}, 2), ({"type": "7"}, 1), ({"type": "99"}, 0), ({"name": "ALERT.USERVM"}, 1), ({"keyword": "is DOWN"}, 1)],
)
def test_alerts_are_found(life: Any, params: dict[str, Any], count: int) -> None:
    """listAlerts narrows by number and name of the type and by a word of the text; the newest come first."""
    running(life)
    host_went_down(life_services_of(life.services), life.ids["h1"])
    found = life.run("listAlerts", **params)
    assert (found.count, len(found.items)) == (count, count)
    if count:
        one = life.run("listAlerts", **params).items[0]
        assert set(one) == {"id", "type", "name", "description", "sent"}


def test_metrics_have_the_recorded_fields(life: Any) -> None:
    """listHostsMetrics puts the recorded figures before the host's own fields; those without figures are left out."""
    running(life)
    h1 = life.ids["h1"]
    life.services.host_loads = {h1: HostLoad(50.0, 1.5, 15 * 1024**3, 2 * 1024**2, 1024**2)}
    busy, idle = life.run("listHostsMetrics", name="h1").items[0], life.run("listHostsMetrics", name="h2").items[0]
    recorded = WORDS.findall(
        """
            powerstate instances systeminstances cputotalghz cpuusedghz cpuallocatedghz memorytotalgb
            memoryusedgb memoryallocatedgb networkread networkwrite cputhreshold cpudisablethreshold
            cpuallocatedthreshold cpuallocateddisablethreshold memorythreshold memorydisablethreshold
            memoryallocatedthreshold memoryallocateddisablethreshold
        """
    )
    assert list(busy)[: len(recorded)] == recorded
    values = [busy[name] for name in recorded]
    assert values == [
        "Disabled", "1 / 1", "0 / 0", "16.00 Ghz", "8.00 Ghz", "0.50 Ghz", "16.00 GB", "15.00 GB", "0.50 GB", "2.00 GB",
        "1.00 GB", False, False, False, False, True, True, False, False,
    ]  # fmt: skip
    assert (busy["cpuused"], busy["cpuloadaverage"], busy["networkkbsread"]) == ("50%", 1.5, 2 * 1024**2)
    assert (idle["instances"], idle["cpuusedghz"], idle["memoryusedgb"], idle["cputhreshold"]) == (
        "0 / 0", None, None, None,
    )  # fmt: skip
