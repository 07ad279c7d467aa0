"""Agents that are not welcome, and the texts they get."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from mgmt.protocol.commands import ReadyCommand, StartupAnswer, StartupStorageCommand
from mgmt.protocol.message import Request
from mgmt.store.models import Cluster, Host

ILLEGAL = "java.lang.IllegalArgumentException: "
RUNTIME = "com.cloud.utils.exception.CloudRuntimeException: "


def refusal(edge: Any, *commands: Any) -> str:
    """The text with which a Startup is refused."""
    agent = edge.agent()
    agent.request(*commands)
    assert isinstance(agent.receive().answers[0], StartupAnswer)
    message = agent.receive_request(ReadyCommand)
    assert isinstance(message, Request)
    assert (message.sequence, message.management_id, message.agent_id, message.via) == (-1, -1, -1, -1)
    assert (message.from_server, message.stop_on_error, message.in_sequence) == (False, True, True)
    command = message.commands[0]
    assert isinstance(command, ReadyCommand)
    assert (command.hostId, command.contextMap, command.wait) == (None, {}, 0)
    assert command._details is not None
    agent.request(*commands)  # the link is left open, and the agent may try again
    agent.receive()
    assert agent.receive_request(ReadyCommand).commands[0]._details is not None
    return command._details


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"dataCenter": "nowhere"}, ILLEGAL + "Host 192.0.2.11 sent incorrect data center: nowhere"),
        ({"dataCenter": "zone-uuid"}, ILLEGAL + "Host 192.0.2.11 sent incorrect data center: zone-uuid"),
        ({"dataCenter": "99"}, ILLEGAL + "Host 192.0.2.11 sent incorrect data center: 99"),
        ({"dataCenter": None}, ILLEGAL + "Host 192.0.2.11 sent incorrect data center: null"),
        ({"pod": "pod-uuid"}, ILLEGAL + "Host 192.0.2.11 sent incorrect pod, pod id is null"),
        ({"pod": None}, ILLEGAL + "Host 192.0.2.11 sent incorrect pod, pod id is null"),
        ({"cluster": "99"}, ILLEGAL + "cannot add host, due to can't find cluster: 99"),
        ({"cluster": None}, ILLEGAL + "cannot add host, due to can't find cluster: null"),
        (
            {"cpuArch": "aarch64"},
            ILLEGAL + "Can't add a host whose arch is: aarch64 into cluster of arch type: x86_64",
        ),
        ({"hypervisorType": None}, RUNTIME + "No resource state adapter response"),
        ({"hypervisorType": "XenServer"}, RUNTIME + "No resource state adapter response"),
        (
            {"privateIpAddress": None},
            RUNTIME + "Unable to update on DB, due to: Column 'private_ip_address' cannot be null",
        ),
        ({"version": None}, RUNTIME + "Unable to update on DB, due to: Column 'version' cannot be null"),
    ],
)
def test_a_startup_is_refused_with_the_reason(edge: Any, changes: dict[str, Any], text: str) -> None:
    """Unknown places, a foreign architecture and missing values are refused with CloudStack's text."""
    assert refusal(edge, edge.startup(**changes)) == text
    assert edge.host() is None


def test_a_startup_without_a_host_is_refused(edge: Any) -> None:
    """An array without StartupRoutingCommand has no resource state adapter."""
    assert refusal(edge, StartupStorageCommand(guid=edge.guid)) == RUNTIME + "No resource state adapter response"


def test_an_unknown_cluster_name_is_refused_and_leaves_an_empty_cluster(edge: Any) -> None:
    """A cluster name that the pod does not have makes a cluster row of no hypervisor, which stays."""
    text = refusal(edge, edge.startup(cluster="new-cluster"))
    with edge.store.session() as session:
        cluster = session.scalars(select(Cluster).where(Cluster.name == "new-cluster")).one()
    assert text == (
        f"{ILLEGAL}Can't add host whose hypervisor type is: KVM into cluster: "
        f'Cluster {{id: "{cluster.id}", name: "new-cluster", uuid: "{cluster.uuid}"}} whose hypervisor type is: None'
    )


@pytest.mark.parametrize(("details", "shown"), [({"Host.OS": "Ubuntu"}, "Ubuntu"), ({}, "null")])
def test_another_operating_system_than_the_clusters_is_refused(edge: Any, details: dict[str, str], shown: str) -> None:
    """A host whose system differs from that of a known host of the cluster is refused, also without any system."""
    edge.agent().attach()
    text = refusal(edge, edge.startup(guid="other-LibvirtComputingResource", hostDetails=details))
    assert text == (
        f'{ILLEGAL}Can\'t add host: 192.0.2.11 with hostOS, "{shown}"into a cluster, '
        'in which there are "Rocky Linux" hosts added.'
    )


def test_a_refused_known_host_keeps_its_state(edge: Any) -> None:
    """A refusal changes nothing about a host that is known."""
    agent = edge.agent()
    agent.attach()
    agent.close()
    edge.wait_for_status("Alert")
    refusal(edge, edge.startup(dataCenter="nowhere"))
    assert edge.status() == "Alert"


def test_a_host_that_says_default_is_found_by_its_address_and_then_dropped(edge: Any) -> None:
    """`default`/`default` takes the pod of the private address; the network listener then fails, link closed, Alert."""
    agent = edge.agent()
    agent.request(edge.startup(dataCenter="default", pod="default"))
    agent.wait_closed()
    edge.wait_for_status("Alert")
    assert edge.host().pod_id == 1


@pytest.mark.parametrize("address", ["198.51.100.7", "no address"])
def test_default_without_a_pod_for_the_address_is_refused(edge: Any, address: str) -> None:
    """When no pod holds the private address there is no data center named `default`."""
    text = refusal(edge, edge.startup(dataCenter="default", pod="default", privateIpAddress=address))
    assert text == f"{ILLEGAL}Host {address} sent incorrect data center: default"


def test_two_hosts_with_one_address(edge: Any) -> None:
    """Two guids with the same private address give two hosts."""
    edge.agent().attach()
    edge.agent().attach(edge.startup(guid="other-LibvirtComputingResource", name="kvm2"))
    with edge.store.session() as session:
        assert len(session.scalars(select(Host)).all()) == 2


def test_a_host_that_cannot_be_stored_is_refused(edge: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """When writing the record fails the agent is refused and the server goes on."""

    def broken(*_: object) -> None:
        raise RuntimeError("disk full")

    monkeypatch.setattr("mgmt.agents.connector.admit_or_refuse", broken)
    assert refusal(edge, edge.startup()) == RUNTIME + "Unable to update on DB"
    monkeypatch.undo()
    edge.agent().attach()
    edge.wait_for_status("Up")


def test_a_failing_welcome_ends_in_alert(edge: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the server during the welcome closes the link and leaves the host in Alert."""

    def broken(*_: object) -> None:
        raise RuntimeError("disk full")

    monkeypatch.setattr("mgmt.agents.connector.hostrecords.save_ready_details", broken)
    agent = edge.agent()
    agent.request(edge.startup())
    with pytest.raises(edge.peer_closed):
        agent.serve_until_ready()
    edge.wait_for_status("Alert")
