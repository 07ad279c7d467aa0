"""From the Startup request to the state Up."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from sqlalchemy import select

from mgmt.agents import connector
from mgmt.agents.admission import admit_or_refuse
from mgmt.protocol.commands import (
    AgentConnectStatusAnswer,
    AgentConnectStatusCommand,
    Answer,
    CheckHealthCommand,
    CheckNetworkAnswer,
    CheckNetworkCommand,
    CleanupNetworkRulesCmd,
    Command,
    ModifySshKeysCommand,
    ModifyStoragePoolAnswer,
    ModifyStoragePoolCommand,
    PingCommand,
    ReadyAnswer,
    ReadyCommand,
    SetHostParamsCommand,
    StartupAnswer,
    StartupStorageCommand,
    StoragePoolInfo,
)
from mgmt.protocol.message import Request, Response
from mgmt.store.models import Host, StoragePool

NODE_ID = 345050284381


def local_pool(edge: Any, **info: Any) -> StartupStorageCommand:
    fields = {
        "uuid": "1e6b4fd8-7ce4-4237-8b37-f18962e18afc",
        "host": "192.0.2.11",
        "localPath": "/var/lib/libvirt/images",
        "hostPath": "/var/lib/libvirt/images",
        "poolType": "Filesystem",
        "capacityBytes": 1000,
        "availableBytes": 900,
    }
    return StartupStorageCommand(poolInfo=StoragePoolInfo(**(fields | info)), resourceType="STORAGE_POOL")


def sent_commands(agent: Any) -> list[Command]:
    return [message.commands[0] for message in agent.seen if isinstance(message, Request)]


def test_a_new_host_gets_its_welcome_in_order(edge: Any) -> None:
    """Exactly one StartupAnswer, then the listeners' commands, then ReadyCommand twice."""
    agent = edge.agent()
    agent.attach(None, local_pool(edge))
    assert [type(command) for command in sent_commands(agent)] == [
        CheckNetworkCommand,
        ModifyStoragePoolCommand,
        CleanupNetworkRulesCmd,
        SetHostParamsCommand,
        ModifySshKeysCommand,
        ModifySshKeysCommand,
        ReadyCommand,
        ReadyCommand,
    ]
    first = agent.seen[0]
    assert isinstance(first, Response)
    assert first.answers == (StartupAnswer(hostId=0, hostName="", hostUuid="", pingInterval=60, result=True),)
    assert (first.management_id, first.agent_id, first.via) == (NODE_ID, -1, -1)
    assert (first.from_server, first.stop_on_error, first.in_sequence) == (True, False, False)


def test_every_command_carries_what_java_needs(edge: Any) -> None:
    """Ids, flags, sequence numbers in steps of one, and a context map with one logid for the whole welcome."""
    agent = edge.agent()
    agent.attach()
    requests = [message for message in agent.seen if isinstance(message, Request)]
    host_id = edge.host_id()
    for number, request in enumerate(requests):
        assert (request.management_id, request.agent_id, request.via) == (NODE_ID, host_id, host_id)
        assert request.from_server
        assert request.stop_on_error
        assert request.sequence == requests[0].sequence + number
        assert request.in_sequence == isinstance(
            request.commands[0], CheckNetworkCommand | SetHostParamsCommand | ReadyCommand
        )
    assert 0 <= requests[0].sequence - 1 <= 32766 << 48
    assert (requests[0].sequence - 1) % (1 << 48) == 0
    log_ids = {command.contextMap["logid"] for command in sent_commands(agent)}
    assert len(log_ids) == 1


def test_what_the_commands_say(edge: Any) -> None:
    """The welcome's commands carry the zone's networks, the pool, the settings, a key pair and the host's identity."""
    agent = edge.agent()
    agent.attach()
    network, pool, cleanup, parameters, keys, again, ready, second = sent_commands(agent)
    host = edge.host()
    assert [info.physicalNetworkId for info in network.networkInfoList] == [1]  # type: ignore[attr-defined]
    assert pool.localPath == "/mnt//53c42945-5ddf-3406-8ce1-a1cddb6b135f"  # type: ignore[attr-defined]
    assert (pool.wait, pool.details) == (300, {})  # type: ignore[attr-defined]
    assert 1800 <= cleanup.interval <= 2699  # type: ignore[attr-defined]
    assert parameters.params == {  # type: ignore[attr-defined]
        "tungsten.plugin.enable": "false",
        "migratewait": "3600",
        "reconcile.commands.enabled": "false",
        "router.aggregation.command.each.timeout": "600",
    }
    assert keys._pubKey.startswith("ssh-")  # type: ignore[attr-defined]
    assert keys == again
    assert ready.wait == 60
    for command in (ready, second):
        assert isinstance(command, ReadyCommand)
        assert (command.dcId, command.hostId, command.hostUuid, command.hostName) == (1, host.id, host.uuid, "kvm1")
        assert command.enableHumanReadableSizes is True
        assert command._details is None
    assert (ready.arch, ready.avoidMsHostList) == (None, None)  # type: ignore[attr-defined]
    assert (second.arch, second.avoidMsHostList, second.lbCheckInterval) == ("x86_64", [], 0)  # type: ignore[attr-defined]
    assert second.msHostList is None  # type: ignore[attr-defined]


def test_the_host_record_is_what_the_agent_said(edge: Any) -> None:
    """A new host gets a record with its hardware, addresses, details and state Up."""
    agent = edge.agent()
    agent.attach()
    edge.wait_for_status("Up")
    host = edge.host()
    assert (host.name, host.type, host.hypervisor_type, host.resource_state) == ("kvm1", "Routing", "KVM", "Enabled")
    assert (host.zone_id, host.pod_id, host.cluster_id) == (1, 1, 1)
    assert (host.cpus, host.speed_mhz, host.ram_bytes, host.cpu_sockets) == (16, 2000, 68719476736, 1)
    assert (host.private_ip_address, host.version, host.capabilities) == ("192.0.2.11", "4.22.1.0", "hvm,snapshot")
    assert host.management_server_id == NODE_ID
    assert edge.details()["Host.OS"] == "Rocky Linux"
    edge.wait_for_last_move("Connecting", "Up", "Ready")
    assert edge.moves()[0] == (None, "Connecting", "AgentConnected")


def test_a_known_host_is_found_by_its_guid_whatever_its_header_says(edge: Any) -> None:
    """The guid identifies an agent; header ids and the body's `id` do not."""
    edge.agent().attach()
    edge.wait_for_status("Up")
    host_id = edge.host_id()
    again = edge.agent()
    again.request(edge.startup(id=4711), agent_id=0, via=4711, stop_on_error=False)
    again.serve_until_ready()
    edge.wait_for_status("Up")
    assert edge.host_id() == host_id
    assert again.seen[0].agent_id == 0


def test_a_record_without_the_suffix_is_found_too(edge: Any) -> None:
    """A host that is stored under its bare guid is not made a second time."""
    bare = "5b6e0b0e-3d0e-4c6a-9f2c-5a4f8b4b1f11"
    edge.agent().attach(edge.startup(guid=bare))
    edge.wait_for_status("Up", bare)
    edge.agent().attach()
    with edge.store.session() as session:
        assert [host.guid for host in session.scalars(select(Host))] == [bare]
    assert edge.manager.wait_for_hosts_up([bare], 5)
    assert edge.manager.wait_for_hosts_up([f"{bare}-LibvirtComputingResource"], 5)


def test_a_bare_guid_does_not_find_one_with_the_suffix(edge: Any) -> None:
    """A host that is stored under its full guid is not found by the bare one: there are two then."""
    edge.agent().attach()
    bare = edge.guid.removesuffix("-LibvirtComputingResource")
    edge.agent().attach(edge.startup(guid=bare, name="kvm2"))
    assert edge.host_id(bare) != edge.host_id()
    edge.wait_for_status("Up", bare)
    assert edge.status() == "Up"


def test_a_startup_without_an_architecture_is_not_checked(edge: Any) -> None:
    """Without `cpuArch` the cluster's architecture does not matter, whatever `arch` says."""
    edge.agent().attach(edge.startup(cpuArch=None, arch="aarch64"))
    edge.wait_for_status("Up")


def test_a_deleted_host_comes_back_as_a_new_one(edge: Any) -> None:
    """After deleteHost the same agent gets another record."""
    agent = edge.agent()
    agent.attach()
    edge.wait_for_status("Up")
    old_id = edge.host_id()
    agent.close()
    edge.wait_for_status("Alert")
    with edge.store.session() as session:
        session.get_one(Host, old_id).removed = edge.created
    edge.agent().attach()
    edge.wait_for_status("Up")
    assert edge.host_id() != old_id


def test_zone_pod_and_cluster_may_be_given_by_number(edge: Any) -> None:
    """Numbers are looked up after names."""
    edge.agent().attach(edge.startup(dataCenter="1", pod="1", cluster="1"))
    edge.wait_for_status("Up")
    assert edge.host().cluster_id == 1


def test_a_host_moves_to_another_cluster_that_its_startup_names(edge: Any) -> None:
    """Another valid cluster in the Startup of a known host moves the host there."""
    other_id = edge.add_cluster("other")
    edge.agent().attach()
    edge.wait_for_status("Up")
    edge.agent().attach(edge.startup(cluster=str(other_id)))
    edge.wait_for(lambda: edge.host().cluster_id == other_id, "the move")


def test_local_pools_become_pools_of_the_host(edge: Any) -> None:
    """A StartupStorageCommand makes a HOST-scope pool, a later one updates its size."""
    edge.agent().attach(None, local_pool(edge))
    edge.agent().attach(None, local_pool(edge, availableBytes=300))
    with edge.store.session() as session:
        (pool,) = session.scalars(select(StoragePool).where(StoragePool.scope == "HOST"))
    assert pool.name == "kvm1-local-1e6b4fd8"
    assert (pool.pool_type, pool.host_address, pool.path) == ("Filesystem", "192.0.2.11", "/var/lib/libvirt/images")
    assert (pool.capacity_bytes, pool.used_bytes, pool.host_id) == (1000, 700, edge.host_id())


def test_no_local_pools_where_local_storage_is_off(edge: Any) -> None:
    """In a zone without local storage the local pools are not recorded; neither is one that is no pool."""
    edge.agent().attach(None, StartupStorageCommand(resourceType="STORAGE_POOL"), local_pool(edge, uuid=None))
    edge.set_local_storage(False)
    edge.agent().attach(None, local_pool(edge))
    with edge.store.session() as session:
        assert session.scalars(select(StoragePool).where(StoragePool.scope == "HOST")).all() == []


def test_a_pools_size_is_that_of_the_hosts_answer(edge: Any) -> None:
    """ModifyStoragePoolAnswer gives a shared pool its capacity."""
    edge.agent().attach()
    with edge.store.session() as session:
        pool = session.get_one(StoragePool, 1)
    assert (pool.capacity_bytes, pool.used_bytes) == (1000, 400)


def test_pools_of_the_zone_are_mounted_too(edge: Any) -> None:
    """Zone-wide pools for KVM or any hypervisor come first; removed ones and those in maintenance do not come."""
    edge.add_pool("zone-kvm", scope="ZONE", hypervisor="KVM", user_info="admin:key", pool_type="RBD", path="rbd")
    edge.add_pool("zone-any", scope="ZONE", path="/any")
    edge.add_pool("zone-vmware", scope="ZONE", hypervisor="VMware", path="/vmware")
    edge.add_pool("gone", scope="ZONE", removed=edge.created, path="/gone")
    edge.add_pool("down", scope="ZONE", status="Maintenance", path="/down")
    agent = edge.agent()
    agent.attach()
    pools = [command.pool for command in sent_commands(agent) if isinstance(command, ModifyStoragePoolCommand)]
    assert [pool.path for pool in pools] == ["rbd", "/any", "/export/n1"]  # type: ignore[union-attr]
    assert pools[0].userInfo == "admin:key"  # type: ignore[union-attr]
    assert "admin:key" not in str([entry.fields for entry in edge.journal.entries()])


def test_a_transferred_connection_gets_ready_only(edge: Any) -> None:
    """With `connectionTransferred` no listener sends anything."""
    agent = edge.agent()
    agent.attach(edge.startup(connectionTransferred=True))
    assert [type(command) for command in sent_commands(agent)] == [ReadyCommand, ReadyCommand]


def test_a_host_in_maintenance_gets_no_host_parameters(edge: Any) -> None:
    """In maintenance SetHostParamsCommand is left out; the host comes Up all the same."""
    edge.agent().attach()
    edge.wait_for_status("Up")
    edge.set_resource_state("Maintenance")
    agent = edge.agent()
    agent.attach()
    edge.wait_for_status("Up")
    assert SetHostParamsCommand not in [type(command) for command in sent_commands(agent)]


def test_a_server_list_that_is_out_of_date_is_corrected(edge: Any) -> None:
    """ReadyCommand #2 carries the server list when the agent's differs, and not when it is the same."""
    edge.set("host", "192.0.2.2,192.0.2.3")
    agent = edge.agent()
    agent.attach()
    second = sent_commands(agent)[-1]
    assert (second.msHostList, second.lbAlgorithm) == (["192.0.2.2", "192.0.2.3"], "static")  # type: ignore[attr-defined]
    agent = edge.agent()
    agent.attach(edge.startup(msHostList="192.0.2.2,192.0.2.3@static"))
    assert sent_commands(agent)[-1].msHostList is None  # type: ignore[attr-defined]


def test_nothing_is_sent_before_the_startup(edge: Any) -> None:
    """A request before the Startup is dropped without an answer; the Startup after it is taken."""
    agent = edge.agent()
    agent.request(PingCommand(hostType="Routing"))
    agent.request(CheckHealthCommand())
    agent.answer(Request(sequence=5, commands=()), Answer(result=True))
    agent.attach()
    assert agent.seen[0].sequence == 2
    edge.wait_for_status("Up")


def test_a_newer_agent_may_ask_before_its_startup(edge: Any) -> None:
    """AgentConnectStatusCommand is answered with a free lock, so that agents after 4.22 go on."""
    agent = edge.agent()
    agent.request(AgentConnectStatusCommand(hostGuid="x"))
    answer = agent.receive().answers[0]
    assert isinstance(answer, AgentConnectStatusAnswer)
    assert (answer.lockAvailable, answer.result) == (True, True)


def test_a_second_startup_on_a_link_attaches_again_and_keeps_the_link(edge: Any) -> None:
    """A Startup on a link that has a host runs the welcome again; unlike upstream the link is kept."""
    agent = edge.agent()
    agent.attach()
    edge.wait_for_status("Up")
    agent.attach(edge.startup(cpus=32))
    edge.wait_for_status("Up")
    assert edge.host().cpus == 32
    assert edge.manager.wait_for_hosts_up([edge.guid], 5)


def test_a_newer_link_takes_the_host_over(edge: Any) -> None:
    """A new link of an attached host closes the older one; the host is never in Alert."""
    older, newer = edge.agent(), edge.agent()
    older.attach()
    edge.wait_for_status("Up")
    newer.attach()
    older.wait_closed()
    edge.wait_for_status("Up")
    assert "Alert" not in [after for _, after, _ in edge.moves()]


def test_the_end_of_an_older_link_does_not_touch_the_newer_one(edge: Any) -> None:
    """A loss that is noticed only after a newer link took the host over changes nothing."""
    edge.agent().attach()
    edge.wait_for_status("Up")
    older = edge.attached()
    edge.agent().attach()
    edge.wait_for(lambda: edge.manager.is_attached(edge.host_id()) and edge.attached() is not older, "the takeover")
    edge.drop(older)
    assert edge.status() == "Up"
    assert edge.manager.is_attached(edge.host_id())


def test_one_connect_per_guid_at_a_time(edge: Any) -> None:
    """While one link waits for an answer, a second of the same guid gets its StartupAnswer and nothing more."""
    first, second = edge.agent(), edge.agent()
    first.request(edge.startup())
    assert isinstance(first.receive().answers[0], StartupAnswer)
    check = first.receive_request(CheckNetworkCommand)
    second.request(edge.startup())
    assert isinstance(second.receive().answers[0], StartupAnswer)
    first.answer(check, CheckNetworkAnswer(result=True))
    first.serve_until_ready()
    second.serve_until_ready()
    first.wait_closed()
    edge.wait_for_status("Up")


@pytest.mark.parametrize(
    ("refused", "answer", "state"),
    [
        (CheckNetworkCommand, CheckNetworkAnswer(result=False, details="no bridge"), "Alert"),
        (CheckNetworkCommand, Answer(result=True), "Alert"),
        (CheckNetworkCommand, CheckNetworkAnswer(result=True, _reconnect=True), "Disconnected"),
        (ModifyStoragePoolCommand, ModifyStoragePoolAnswer(result=False), "Alert"),
        (ModifyStoragePoolCommand, Answer(result=True), "Alert"),
        (ModifyStoragePoolCommand, Answer(result=False, details="mount failed"), "Alert"),
        (ModifyStoragePoolCommand, ModifyStoragePoolAnswer(result=True), "Alert"),
        (ModifyStoragePoolCommand, ModifyStoragePoolAnswer(result=True, poolInfo=StoragePoolInfo()), "Alert"),
        (ReadyCommand, ReadyAnswer(result=False, details="nope"), "Alert"),
        (ReadyCommand, Answer(result=False), "Alert"),
    ],
)
def test_a_bad_answer_closes_the_link(edge: Any, refused: type, answer: Answer, state: str) -> None:
    """Wrong answers to the listeners' commands and to ReadyCommand close the link, the host goes to Alert."""
    agent = edge.agent()

    def answers(command: Command) -> Answer:
        return answer if isinstance(command, refused) else edge.good_answer(command)

    agent.request(edge.startup())
    with pytest.raises(edge.peer_closed):
        agent.serve_until_ready(answers)
    edge.wait_for_status(state)
    assert not edge.manager.is_attached(edge.host_id())


@pytest.mark.parametrize(
    "answer", [Answer(result=True), ReadyAnswer(result=True), ReadyAnswer(detailsMap={}, result=True)]
)
def test_a_ready_answer_without_details_is_fine(edge: Any, answer: Answer) -> None:
    """A plain Answer true, or no details at all, brings the host Up."""
    agent = edge.agent()
    agent.attach(answers=lambda command: answer if isinstance(command, ReadyCommand) else edge.good_answer(command))
    edge.wait_for_status("Up")


def test_commands_that_nobody_waits_for_may_stay_unanswered(edge: Any) -> None:
    """Unanswered CleanupNetworkRules and ModifySshKeys do no harm."""
    agent = edge.agent()
    agent.request(edge.startup())
    ready = 0
    while ready < 2:
        message = agent.receive()
        command = message.commands[0] if isinstance(message, Request) else None
        if command is not None and not isinstance(command, CleanupNetworkRulesCmd | ModifySshKeysCommand):
            agent.answer(message, edge.good_answer(command))
            ready += isinstance(command, ReadyCommand)
    edge.wait_for_status("Up")


def test_an_unanswered_set_host_params_holds_ready_back(edge: Any) -> None:
    """ReadyCommand waits behind an unanswered SetHostParams; after ready.command.wait the link is closed, Alert."""
    agent = edge.agent()
    agent.request(edge.startup())
    while True:
        message = agent.receive()
        if isinstance(message, Request):
            if isinstance(message.commands[0], SetHostParamsCommand):
                break
            agent.answer(message, edge.good_answer(message.commands[0]))
    agent.receive_request(ModifySshKeysCommand)
    agent.receive_request(ModifySshKeysCommand)
    assert edge.status() == "Connecting"
    edge.clock.advance(61)
    agent.wait_closed()
    edge.wait_for_status("Alert")
    assert ReadyCommand not in [type(command) for command in sent_commands(agent)]


def test_an_unanswered_ready_command_closes_the_link_after_two_waits(edge: Any) -> None:
    """No ReadyAnswer within 2 x ready.command.wait: the link is closed, Alert."""
    agent = edge.agent()
    agent.request(edge.startup())
    while True:
        message = agent.receive()
        if isinstance(message, Request):
            if isinstance(message.commands[0], ReadyCommand):
                break
            agent.answer(message, edge.good_answer(message.commands[0]))
    edge.clock.advance(61)
    edge.wait_for(lambda: edge.attached().requests._current.second_period, "the second wait")
    assert edge.status() == "Connecting"
    edge.clock.advance(60)
    agent.wait_closed()
    edge.wait_for_status("Alert")


def test_a_link_lost_while_connecting_leaves_alert(edge: Any) -> None:
    """A link that is cut during the welcome ends it at once."""
    agent = edge.agent()
    agent.request(edge.startup())
    agent.receive()
    agent.receive_request(CheckNetworkCommand)
    agent.close()
    edge.wait_for_status("Alert")
    edge.agent().attach()
    edge.wait_for_status("Up")


def test_a_link_lost_while_its_host_is_admitted_is_noticed(edge: Any, monkeypatch: Any) -> None:
    """A link that goes while the records are written does not keep the host's next connection waiting."""
    writing, lost = threading.Event(), threading.Event()

    def slow_admit(*arguments: Any) -> Any:
        writing.set()
        assert lost.wait(60)
        return admit_or_refuse(*arguments)

    monkeypatch.setattr(connector, "admit_or_refuse", slow_admit)
    agent = edge.agent()
    agent.request(edge.startup())
    agent.receive()
    assert writing.wait(60)
    agent.close()
    edge.wait_for(lambda: not edge.manager._calls.hub._links, "the server to see the link's end")
    lost.set()
    edge.wait_for_status("Alert")
    edge.agent().attach()
    edge.wait_for_status("Up")


def test_maintenance_that_ends_while_its_host_is_admitted_does_not_stay(edge: Any, monkeypatch: Any) -> None:
    """A link whose host was read in maintenance knows that it ended before the link was attached."""
    edge.agent().attach()
    edge.wait_for_status("Up")
    edge.set_resource_state("Maintenance")
    read, ended = threading.Event(), threading.Event()

    def slow_admit(*arguments: Any) -> Any:
        admitted = admit_or_refuse(*arguments)
        read.set()
        assert ended.wait(60)
        return admitted

    monkeypatch.setattr(connector, "admit_or_refuse", slow_admit)
    agent = edge.agent()
    agent.request(edge.startup())
    assert read.wait(60)
    edge.manager.set_maintenance(edge.host_id(), False)
    ended.set()
    agent.serve_until_ready()
    edge.wait_for_status("Up")
    assert SetHostParamsCommand in [type(command) for command in sent_commands(agent)]
    assert not edge.manager._calls.hub.core.attached[edge.host_id()].maintenance
