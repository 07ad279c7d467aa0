"""Agents over real sockets: start-up, ready, pings, requests, loss and end of a link."""

from __future__ import annotations

import dataclasses
import math
import queue
import struct
import threading
import time

import pytest

from agent_sim import Fleet, FleetError, generated_hosts
from agent_sim.agent import Phase
from mgmt.protocol.commands import (
    CheckHealthCommand,
    CheckNetworkCommand,
    CleanupNetworkRulesCmd,
    CreateStoragePoolCommand,
    DeleteStoragePoolCommand,
    GetHostStatsCommand,
    GetStorageStatsCommand,
    GetUnmanagedInstancesCommand,
    MaintainCommand,
    ModifySshKeysCommand,
    ModifyStoragePoolCommand,
    PhysicalNetworkSetupInfo,
    PingRoutingCommand,
    ReadyCommand,
    SetHostParamsCommand,
    ShutdownCommand,
    StartupStorageCommand,
    StorageFilerTO,
    UnknownCommand,
    UnsupportedAnswer,
)
from mgmt.protocol.message import Header, Request

POOL = "dc9afbc9-aec9-30ff-81c8-9a9aa1485c68"


def test_lab_hosts_attach_and_report_vddk(server, lab_hosts, make_fleet) -> None:
    """Three lab hosts connect; the two with VDDK say so in their ReadyAnswer, the third says false."""
    fleet = make_fleet(lab_hosts)
    found = {}
    for _ in lab_hosts:
        connection = server.next_agent()
        answer = connection.responses.get(timeout=60).answers[0]
        found[connection.startup[0].name] = answer.detailsMap
    assert found["kvm1"] == {
        "host.uefi.enable": "true",
        "host.virtv2v.version": "2.8.1rhel=9",
        "host.ovftool.version": "4.6.3",
        "host.vddk.support": "true",
        "vddk.lib.dir": "/opt/vmware-vddk/vmware-vix-disklib-distrib",
        "host.vddk.version": "1.38.5",
    }
    assert found["kvm2"]["vddk.lib.dir"] == "/usr/lib/vmware-vix-disklib-distrib"
    assert found["kvm3"] == {
        "host.virtv2v.version": "2.5.6rhel=9",
        "host.ovftool.version": "4.4.1",
        "host.vddk.support": "false",
    }
    assert fleet.wait_until_ready(60)
    assert {agent.phase for agent in fleet.agents} == {Phase.RUNNING}


def test_startup_request_of_a_new_agent(server, lab_hosts, make_fleet) -> None:
    """The first message: sequence 0, no ids, the host and one element for its local pool."""
    make_fleet(lab_hosts[:1])
    connection = server.next_agent()
    header = connection.startup_headers[0]
    assert (header.sequence, header.management_id, header.agent_id, header.via) == (0, -1, -1, -1)
    assert (header.from_server, header.stop_on_error, header.in_sequence) == (False, False, False)
    routing, storage = connection.startup
    assert routing.guid == "11111111-0000-4000-8000-000000000001-LibvirtComputingResource"
    assert (routing.dataCenter, routing.pod, routing.cluster) == ("lab-zone", "lab-pod", "lab-kvm")
    assert (routing.resourceName, routing.pool, routing.hypervisorType) == ("LibvirtComputingResource", "/root", "KVM")
    assert routing.hostDetails["host.instance.conversion"] == "true"
    assert routing.hostDetails["Host.OS"] == "Rocky Linux"
    assert routing.id is None
    assert isinstance(storage, StartupStorageCommand)
    assert (storage.poolInfo.poolType, storage.poolInfo.localPath) == ("Filesystem", "/var/lib/libvirt/images/")
    assert storage.poolInfo.availableBytes == 454255984640


@pytest.mark.slow
def test_pings_come_at_the_interval_and_go_on_unanswered(server, lab_hosts, make_fleet) -> None:
    """The first ping comes a full interval after the StartupAnswer; missing answers do no harm."""
    server.answers_pings = False
    server.welcomes = lambda connection: connection.welcome(
        connection.startup_headers[0], pingInterval=1, hostId=connection.host_id
    )
    make_fleet(lab_hosts[:1])
    connection = server.next_agent()
    started = time.monotonic()
    connection.requests.get(timeout=60)
    pings = [connection.requests.get(timeout=60) for _ in range(2)]
    assert time.monotonic() - started >= 1.5
    assert [ping.sequence for ping in pings] == [1, 2]
    assert all(type(ping.commands[0]) is PingRoutingCommand and ping.stop_on_error for ping in pings)
    assert pings[0].commands[0].hostId == pings[0].agent_id == pings[0].via == connection.host_id


def test_lost_link_is_renewed_with_the_known_id(server, lab_hosts, make_fleet) -> None:
    """After the link is lost the agent comes back by itself, with the host id it was given."""
    fleet = make_fleet(lab_hosts[:1], time_scale=math.inf)
    first = server.next_agent()
    assert fleet.wait_until_ready(60)
    first.close()
    again = server.next_agent()
    assert again.startup[0].id == first.host_id
    assert again.startup_headers[0].agent_id == first.host_id
    assert again.startup_headers[0].sequence == 1


def test_agent_waits_for_a_server_that_is_not_there(lab_hosts, make_fleet, server) -> None:
    """No server: one try per pause, and no harm; a broken TLS peer counts the same."""
    address = server.address
    server.stop()
    fleet = make_fleet(lab_hosts[:1], connect=address, time_scale=math.inf)
    phases = set()
    assert fleet.wait_for(lambda: phases.add(fleet.agent("kvm1").phase) or len(phases) == 2, 60)
    assert phases == {Phase.CONNECTING, Phase.WAITING}


def test_garbage_after_the_handshake_costs_the_link_only(server, lab_hosts, make_fleet) -> None:
    """A frame that is too long closes the link; the agent connects again."""
    make_fleet(lab_hosts[:1], time_scale=math.inf)
    first = server.next_agent()
    first.responses.get(timeout=60)
    first._socket.sendall(struct.pack(">i", 0x8000))
    assert first.closed.wait(60)
    assert server.next_agent().startup[0].id == first.host_id


def test_refused_agent_exits_with_a_shutdown_and_can_be_revived(server, lab_hosts, make_fleet) -> None:
    """A ReadyCommand with a reason: no answer, ShutdownCommand, end of the link, no reconnect until revived."""
    reason = "java.lang.IllegalArgumentException: Host 192.0.2.11 sent incorrect data center: lab-zone"

    def refuse(connection) -> None:
        command = ReadyCommand(_details=reason)
        request = Request(-1, (command,), in_sequence=True)
        connection.send(request.encode())

    server.welcomes = refuse
    fleet = make_fleet(lab_hosts[:1], time_scale=math.inf)
    connection = server.next_agent()
    assert connection.closed.wait(60)
    connection.requests.get(timeout=60)
    goodbye = connection.requests.get(timeout=60)
    assert isinstance(goodbye.commands[0], ShutdownCommand)
    assert (goodbye.sequence, goodbye.in_sequence, goodbye.stop_on_error) == (-1, True, True)
    assert connection.responses.empty()
    assert fleet.wait_for(lambda: fleet.agent("kvm1").exit_reason == reason, 60)
    with pytest.raises(queue.Empty):
        server.next_agent(timeout_s=0.3)
    server.welcomes = server._welcome
    fleet.revive("kvm1")
    assert server.next_agent().responses.get(timeout=60).answers[0].result


def test_stop_says_goodbye_and_leaves_nothing(server, lab_hosts, make_fleet) -> None:
    """`stop` leaves nothing behind: ShutdownCommand sent, sockets closed, no thread of the fleet left."""
    fleet = make_fleet(lab_hosts)
    connections = [server.next_agent() for _ in lab_hosts]
    assert fleet.wait_until_ready(60)
    fleet.stop()
    for connection in connections:
        assert connection.closed.wait(60)
        requests = list(connection.requests.queue)
        assert isinstance(requests[-1].commands[0], ShutdownCommand)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(("agent-fleet", "agent-tool"))]
    fleet.stop()
    with pytest.raises(FleetError, match="not running"):
        fleet.kill("kvm1")


def test_fleet_is_told_what_is_wrong(lab_hosts, make_fleet, server, tmp_path) -> None:
    """Unknown names, a second start and a bad time scale are refused in words."""
    fleet = make_fleet(lab_hosts[:1])
    with pytest.raises(FleetError, match="no agent named 'kvm9': there are kvm1"):
        fleet.agent("kvm9")
    with pytest.raises(FleetError, match="already running"):
        fleet.start()
    with pytest.raises(ValueError, match="time_scale: expected a number above 0, got 0"):
        Fleet(lab_hosts, ("127.0.0.1", 1), tmp_path, time_scale=0)
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(OSError, match="file"):
        Fleet(lab_hosts, ("127.0.0.1", 1), file).start()


def test_fleet_as_a_context_and_many_generated_hosts(server, tmp_path) -> None:
    """Twenty generated hosts attach in one loop, each with its own guid and address."""
    with Fleet(generated_hosts(20, seed=3), server.address, tmp_path) as fleet:
        connections = [server.next_agent() for _ in range(20)]
        assert fleet.wait_until_ready(60)
    assert len({connection.startup[0].guid for connection in connections}) == 20
    assert len({connection.startup[0].privateIpAddress for connection in connections}) == 20


@pytest.fixture
def agent(server, lab_hosts, make_fleet):
    """A connection to kvm1 that heard its Ready."""
    fleet = make_fleet(lab_hosts[:1])
    connection = server.next_agent()
    assert fleet.wait_until_ready(60)
    connection.fleet = fleet
    return connection


def filer(pool_type: str = "NetworkFilesystem", **fields) -> StorageFilerTO:
    values = {"id": 3, "uuid": POOL, "host": "192.0.2.20", "path": "/export/primary", "port": 2049, "type": pool_type}
    return StorageFilerTO(**{**values, **fields})


def test_connect_commands_are_answered_like_a_kvm_agent(agent) -> None:
    """The commands of a fresh attach: flags in the responses, classes and texts as recorded."""
    request = agent.request(SetHostParamsCommand(params={"migratewait": "3600"}))
    response = agent.answer_to(request.sequence)
    assert (response.in_sequence, response.stop_on_error, response.from_server) == (True, True, False)
    assert (response.management_id, response.agent_id) == (request.management_id, agent.host_id)
    assert response.answers[0].result
    assert agent.ask(ModifySshKeysCommand(_pubKey="a", _prvKey="b"))[0].result
    assert agent.ask(CheckHealthCommand())[0].details == "resource is alive"
    assert agent.ask(MaintainCommand())[0].willMigrate
    good = PhysicalNetworkSetupInfo(physicalNetworkId=200, guestNetworkName="cloudbr0")
    bad = PhysicalNetworkSetupInfo(physicalNetworkId=200, privateNetworkName="cloudbr9")
    assert agent.ask(CheckNetworkCommand(networkInfoList=[good, PhysicalNetworkSetupInfo()]))[0].result
    assert agent.ask(CheckNetworkCommand(networkInfoList=[bad]))[0].details == "Can not find network: cloudbr9"
    stats = agent.ask(GetHostStatsCommand(hostId=7))[0].hostStats
    assert (stats.hostId, stats.entityType, stats.totalMemoryKBs) == (7, "host", 268435456.0)


def test_network_rules_are_acknowledged_and_repeated(agent) -> None:
    """A cron command: acknowledged at once without details, then a response of the same sequence each interval."""
    request = agent.request(CleanupNetworkRulesCmd(interval=1))
    first = agent.answer_to(request.sequence).answers[0]
    assert (first.result, first.details) == (True, None)
    again = agent.answer_to(request.sequence).answers[0]
    assert (again.result, again.details) == (False, "")
    assert "Non-positive period" in agent.ask(CleanupNetworkRulesCmd(interval=0))[0].details


def test_pool_commands(agent) -> None:
    """Mount, measure, unmount, mount again (refused), remove, create."""
    added = agent.ask(ModifyStoragePoolCommand(add=True, pool=filer(), localPath=f"/mnt//{POOL}"))[0]
    info = added.poolInfo
    assert (info.host, info.hostPath, info.localPath) == ("192.0.2.20", "/export/primary", f"/mnt//{POOL}")
    assert (info.poolType, info.capacityBytes, info.availableBytes) == (
        "NetworkFilesystem", 2199023255552, 1649267441664,
    )  # fmt: skip
    assert (added.templateInfo, added.datastoreClusterChildren) == ({}, [])
    stats = agent.ask(GetStorageStatsCommand(id=POOL, localPath="/export/primary", pooltype="NetworkFilesystem"))[0]
    assert (stats.capacityBytes, stats.usedBytes) == (2199023255552, 2199023255552 - 1649267441664)
    assert (agent.fleet.agent("kvm1").root / "mnt" / POOL).is_dir()

    removed = agent.ask(ModifyStoragePoolCommand(add=False, pool=filer()))[0]
    assert removed.result and removed.poolInfo is None and removed.templateInfo is None
    assert not (agent.fleet.agent("kvm1").root / "mnt" / POOL).exists()
    again = agent.ask(ModifyStoragePoolCommand(add=True, pool=filer()))[0]
    assert again.details == (
        f"Failed to create storage pool: libvirt failed to mount storage pool {POOL} at /mnt/{POOL}"
    )
    assert agent.ask(DeleteStoragePoolCommand(_pool=filer()))[0].result
    assert agent.ask(DeleteStoragePoolCommand(_pool=filer()))[0].result
    assert "NullPointerException" in agent.ask(DeleteStoragePoolCommand())[0].details
    assert agent.ask(CreateStoragePoolCommand(add=True, pool=filer()))[0].result
    missing = filer("Filesystem", uuid="4c6f2f0e-8d0e-3f55-9c55-3c1f1b2d1a03", path="/srv/missing")
    text = "Failed to create storage pool: Failed to create storage pool: 4c6f2f0e-8d0e-3f55-9c55-3c1f1b2d1a03"
    assert agent.ask(CreateStoragePoolCommand(add=True, pool=missing))[0].details == text
    assert agent.ask(ModifyStoragePoolCommand(add=True, pool=missing))[0].details == text
    assert agent.ask(ModifyStoragePoolCommand(add=False))[0].result
    unknown = agent.ask(GetStorageStatsCommand(id="0", pooltype="Filesystem"))[0]
    assert unknown.details == (
        "com.cloud.utils.exception.CloudRuntimeException: Could not fetch storage pool 0 from libvirt due to "
        "org.libvirt.LibvirtException: Storage pool not found: no storage pool with matching uuid '0'"
    )


def test_several_commands_in_one_request(agent) -> None:
    """One answer per command; with STOP_ON_ERROR those after a failure are not run."""
    bad = CheckNetworkCommand(networkInfoList=[PhysicalNetworkSetupInfo(guestNetworkName="x")])
    stopped = agent.ask(CheckHealthCommand(), bad, CheckHealthCommand())
    assert [(a.result, a.details) for a in stopped] == [
        (True, "resource is alive"),
        (False, "Can not find network: x"),
        (False, "Stopped by previous failure"),
    ]
    assert [a.result for a in agent.ask(bad, CheckHealthCommand(), stop_on_error=False)] == [False, True]
    assert agent.ask() == []


def test_unmanaged_instances_of_a_host_without_domains(agent) -> None:
    """An empty map; an unknown name gives libvirt's text; so does PrepareUnmanage."""
    assert agent.ask(GetUnmanagedInstancesCommand())[0].unmanagedInstances == {}
    named = agent.ask(GetUnmanagedInstancesCommand(instanceName="nosuch"))[0]
    assert named.details == (
        "Error listing unmanaged instances: Domain not found: no domain with matching name 'nosuch'"
    )
    fields = {"instanceName": "nosuch", "contextMap": {}}
    command = UnknownCommand(java_class="com.cloud.agent.api.PrepareUnmanageVMInstanceCommand", fields=fields)
    answer = agent.ask(command)[0]
    assert (answer.result, answer.details) == (
        False, "Error: Domain not found: no domain with matching name 'nosuch'",
    )  # fmt: skip


def test_commands_without_a_handler(agent) -> None:
    """A class that Java knows is refused by name; one that it does not know turns the whole array into a BadCommand."""
    known = UnknownCommand(java_class="com.cloud.agent.api.PvlanSetupCommand", fields={"wait": 0})
    answer = agent.ask(known)[0]
    assert isinstance(answer, UnsupportedAnswer)
    text = "Unsupported command issued: {}.  Are you sure you got the right type of server?"
    assert answer.details == text.format("com.cloud.agent.api.PvlanSetupCommand")
    unknown = UnknownCommand(java_class="com.example.NoSuchCommand")
    answers = agent.ask(CheckHealthCommand(), unknown, CheckHealthCommand())
    assert [a.details for a in answers] == [text.format("com.cloud.agent.api.BadCommand")]


@pytest.mark.parametrize(
    ("content", "answered"),
    [
        (b"{broken", True),
        (b"{}", True),
        (b'[{"com.cloud.agent.api.ReadyCommand":{"hostId":{}}}]', True),
        (b"null", False),
        (b"", False),
        (b"[null]", False),
        (b'["x"]', False),
        (b"[{}]", False),
        (b'[{"com.cloud.agent.api.Answer":{"result":true,"contextMap":{}}}]', False),
        (
            b'[{"com.cloud.agent.api.ModifyStoragePoolCommand":{"add":true,"pool":{"type":"Nonsense"},"contextMap":{}}}]',
            False,
        ),
        (b'[{"com.cloud.agent.api.ConvertInstanceCommand":{"conversionTemporaryLocation":{"x":{}}}}]', False),
    ],
)
def test_content_that_cannot_be_read(agent, content, answered) -> None:
    """Broken content gets one UnsupportedAnswer for a BadCommand or nothing at all; the link stays in any case."""
    agent.send(Header(0x23, 77, len(content), 1, agent.host_id, agent.host_id).encode() + content)
    if answered:
        assert isinstance(agent.answer_to(77).answers[0], UnsupportedAnswer)
    assert agent.ask(CheckHealthCommand())[0].result
    assert agent.responses.empty()


def test_crash_of_a_handler_is_one_failed_answer(agent, monkeypatch) -> None:
    """A bug in a handler gives a failed Answer that names the class only, and the agent lives on."""
    monkeypatch.setattr(
        type(agent.fleet.agent("kvm1").hypervisor.storage), "find", lambda self, uuid: {}["the secret reason"]
    )
    answer = agent.ask(GetStorageStatsCommand(id=POOL))[0]
    assert answer.details == "java.lang.RuntimeException: KeyError\n"
    assert agent.ask(CheckHealthCommand())[0].result


def test_revived_agent_sees_what_changed_on_its_host(server, lab_hosts, make_fleet) -> None:
    """VDDK that is gone after a restart is reported as gone."""
    fleet = make_fleet(lab_hosts[:1])
    server.next_agent()
    fleet.kill("kvm1")
    tools = dataclasses.replace(lab_hosts[0].tools, nbdkit_vddk_plugin=None)
    fleet.revive("kvm1", dataclasses.replace(lab_hosts[0], tools=tools))
    details = server.next_agent().responses.get(timeout=60).answers[0].detailsMap
    assert details["host.vddk.support"] == "false"
    assert "host.vddk.version" not in details
