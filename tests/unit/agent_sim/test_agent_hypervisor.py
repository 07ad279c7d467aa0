"""Hosts without a network: storage, capabilities, domains, timers."""

from __future__ import annotations

import asyncio
import dataclasses
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agent_sim.capabilities import probe
from agent_sim.commands import answer_command
from agent_sim.errors import AgentFailure
from agent_sim.host import (
    CephPool,
    Domain,
    DomainDisk,
    DomainNic,
    HostDescription,
    LocalPool,
    NfsExport,
    OperatingSystem,
    Tools,
    VddkLibrary,
)
from agent_sim.hypervisor import Hypervisor, Surroundings
from agent_sim.properties import AgentProperties
from agent_sim.providers import RandomIds, RealClock, Timers
from agent_sim.remote import RemoteHosts
from agent_sim.storage import HostFiles, NfsServers, name_uuid
from agent_sim.toolchain.images import write_qcow2
from agent_sim.toolchain.timing import EsxiStreams, TimeModel
from mgmt.protocol.commands import (
    CheckOnHostCommand,
    GetUnmanagedInstancesCommand,
    HostTO,
    PingTestCommand,
    PrepareUnmanageVMInstanceAnswer,
    PrepareUnmanageVMInstanceCommand,
)
from mgmt.protocol.commands.machines import NetworkTO

GIB = 1024**3
WEB01 = Domain(
    name="web01",
    cpu_cores=2,
    cpu_shares=1000,
    memory_mb=256,
    vnc_password="Xy12Zz",
    disks=(DomainDisk("/srv/domains/web01.qcow2", 64 * 1024**2), DomainDisk("/srv/domains/data.qcow2", GIB, "scsi")),
    nics=(DomainNic("52:54:00:aa:bb:01", vlan=5),),
)


class ManualClock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.time_s = 0.0

    def now(self) -> float:
        return self.time_s

    def monotonic(self) -> float:
        return self.time_s


@pytest.fixture
def build(tmp_path: Path):
    """Makes a hypervisor of a host; other hosts made by it see the same exports."""
    exports = NfsServers(tmp_path / "exports")
    executor = ThreadPoolExecutor(2)

    def make(**fields) -> Hypervisor:
        host = HostDescription(**{"name": "h", "guid": "g", "ip": "192.0.2.11", **fields})
        exports.declare(host.nfs_exports)
        surroundings = Surroundings(
            exports,
            RemoteHosts(tmp_path / "remote"),
            Timers(RealClock()),
            executor,
            RandomIds(),
            EsxiStreams(),
            TimeModel(),
            float("inf"),
        )
        return Hypervisor(host, tmp_path / host.name, surroundings)

    yield make
    executor.shutdown()


# -- storage


def test_name_uuid_is_javas() -> None:
    """The temporary pool's uuid of the recorded agent."""
    assert name_uuid("127.0.0.1/export/secondary") == "edd0f1ae-bde5-35e1-8c38-8a8178bdde3e"


def test_paths_stay_inside_the_host(tmp_path: Path) -> None:
    """A path with `..` is refused."""
    assert HostFiles(tmp_path).real("/a/b") == tmp_path / "a" / "b"
    with pytest.raises(AgentFailure, match="is not allowed"):
        HostFiles(tmp_path).real("/a/../../b")
    for server, path in (("../x", "/p"), ("a/b", "/p"), ("s", "/p/../q")):
        with pytest.raises(AgentFailure, match="is no NFS export"):
            NfsServers(tmp_path).directory(server, path)


def test_hosts_share_an_export_and_its_space(build) -> None:
    """Two hosts with the same export see the same files; free space is what the images leave."""
    export = NfsExport("192.0.2.20", "/export/p/", capacity_bytes=100 * GIB, available_bytes=60 * GIB)
    one, two = build(name="one", nfs_exports=(export,)), build(name="two")
    pools = [host.storage.add("p", "NetworkFilesystem", "192.0.2.20", "/export//p") for host in (one, two)]
    write_qcow2(one.files.real("/mnt/p") / "disk", 40 * GIB, allocated_bytes=15 * GIB)
    (one.files.real("/mnt/p") / "ovf").mkdir()
    (one.files.real("/mnt/p") / "ovf" / "x").write_bytes(b"12")
    assert (two.files.real("/mnt/p") / "disk").exists()
    assert [pool.available_bytes() for pool in pools] == [45 * GIB - 2] * 2
    assert two.storage.pool_at("/mnt/p/ovf/") is pools[1]
    assert two.storage.pool_at("/elsewhere") is None
    (two.files.real("/mnt/p") / "disk").unlink()
    assert pools[0].available_bytes() == 60 * GIB - 2


@pytest.mark.parametrize(
    ("state", "undeclared", "reason"),
    [
        ("missing", True, "mounting s:/p failed, reason given by server: No such file or directory"),
        ("unreachable", True, "Connection timed out"),
        (None, False, "mounting s:/p failed, reason given by server: No such file or directory"),
    ],
)
def test_mount_failures_have_libvirts_text(build, state, undeclared, reason) -> None:
    """The recorded text of a failed mount, with the reason."""
    exports = (NfsExport("s", "/p", state=state),) if state else ()
    host = build(nfs_exports=exports, mounts_undeclared_exports=undeclared)
    with pytest.raises(AgentFailure) as caught:
        host.storage.add("u", "NetworkFilesystem", "s", "/p")
    assert caught.value.text == (
        "org.libvirt.LibvirtException: internal error: Child process (/bin/mount -o nodev,nosuid,noexec "
        f"s:/p /mnt/u) unexpected exit status 32: mount.nfs: {reason}\n"
    )


def test_temporary_pools_are_counted(build) -> None:
    """Each opening counts; the last release unmounts; an agent that starts anew has forgotten the counts."""
    storage = build().storage
    pool = storage.open_by_uri("nfs://192.0.2.20/export/secondary")
    assert storage.open_by_uri("nfs://192.0.2.20/export/secondary") is pool
    assert storage.release(pool) is False
    assert storage.mounts() == [f"/mnt/{name_uuid('192.0.2.20/export/secondary')}"]
    assert storage.release(pool) is True
    assert storage.mounts() == []
    pool = storage.open_by_uri("nfs://192.0.2.20/export/secondary")
    storage.open_by_uri("nfs://192.0.2.20/export/secondary")
    storage.forget_references()
    assert storage.release(pool) is True


def test_pools_of_other_types(build) -> None:
    """RBD has sizes and no directory; a directory pool must be there; others are refused."""
    host = build(
        ceph_pools=(CephPool("192.0.2.30", "rbd", 10, 5),),
        local_pools=(LocalPool("/data", 7 * GIB, 4 * GIB),),
    )
    known = host.storage.add("r", "RBD", "192.0.2.30", "rbd")
    other = host.storage.add("r2", "RBD", "192.0.2.31", "rbd")
    assert (known.capacity_bytes, known.available_bytes()) == (10, 5)
    assert other.capacity_bytes == other.available_bytes() == 1024 * GIB
    with pytest.raises(AgentFailure, match="pool r of type RBD has no directory"):
        _ = known.directory
    directory = host.storage.add("d", "SharedMountPoint", "192.0.2.11", "/data")
    assert directory.directory == host.files.real("/data")
    assert host.storage.add("d", "SharedMountPoint", "192.0.2.11", "/data") is directory
    with pytest.raises(AgentFailure, match="Failed to create storage pool: c"):
        host.storage.add("c", "CLVM", "192.0.2.11", "vg")
    (local,) = host.storage.local_pools
    assert (local.uuid, local.available_bytes()) == (name_uuid("192.0.2.11/data"), 4 * GIB)
    host.storage.delete("d")
    with pytest.raises(AgentFailure, match="no storage pool with matching uuid 'd'"):
        host.storage.find("d")


# -- capabilities


LIBRARY = VddkLibrary("/usr/lib/vmware-vix-disklib-distrib", ("lib64/libvixDiskLib.so.8",))
ALL = Tools(virt_v2v="2.8.1rhel=9,release=1", nbdkit="1.38", nbdkit_vddk_plugin="1.38.5")
NO_PLUGIN = dataclasses.replace(ALL, nbdkit_vddk_plugin=None)


@pytest.mark.parametrize(
    ("fields", "lib_dir", "support"),
    [
        ({"vddk_libraries": (LIBRARY,)}, LIBRARY.path, True),
        ({"vddk_libraries": (LIBRARY,), "properties": {"vddk.lib.dir": "/wrong"}}, LIBRARY.path, True),
        (
            {"vddk_libraries": (LIBRARY,), "tools": dataclasses.replace(ALL, nbdkit_vddk_plugin=None)},
            LIBRARY.path,
            False,
        ),
        ({"vddk_libraries": (LIBRARY,), "tools": dataclasses.replace(ALL, nbdkit=None)}, LIBRARY.path, False),
        ({"vddk_libraries": (LIBRARY,), "tools": dataclasses.replace(ALL, virt_v2v=None)}, LIBRARY.path, False),
        ({"vddk_libraries": (dataclasses.replace(LIBRARY, files=("lib64/other",)),)}, None, False),
        ({"vddk_libraries": (VddkLibrary("/opt/vddk", LIBRARY.files),)}, None, False),
        (
            {"vddk_libraries": (VddkLibrary("/opt/vddk", LIBRARY.files),), "properties": {"vddk.lib.dir": "/opt/vddk"}},
            "/opt/vddk",
            True,
        ),
        ({}, None, False),
    ],
)
def test_vddk_directory_and_support(build, fields, lib_dir, support) -> None:
    """Configured and valid, else found by its name, else none; support wants virt-v2v, plug-in and directory."""
    fields = {"tools": ALL, **fields, "properties": AgentProperties(fields.get("properties"))}
    found = build(**fields).capabilities
    assert found.vddk_lib_dir == lib_dir
    assert found.supports_vddk(found.vddk_lib_dir) is support
    assert found.ready_details()["host.vddk.support"] == ("true" if support else "false")


def test_ready_details_of_a_bare_host(build) -> None:
    """No tools: only that VDDK is not supported; on Debian virt-v2v alone is not enough either."""
    assert build().capabilities.ready_details() == {"host.vddk.support": "false"}
    assert build().capabilities.startup_details() == {"host.instance.conversion": "false"}
    assert build().capabilities.password_option is None
    debian = build(os=OperatingSystem(name="Debian GNU/Linux"), tools=Tools(virt_v2v="2.2.0"))
    assert not debian.capabilities.instance_conversion
    assert debian.capabilities.password_option == "-ip"


def test_probe_sees_changes_at_the_next_start_only(build) -> None:
    """A host whose tools change is reported as before until its agent starts again."""
    host = build(tools=ALL)
    host.change_host(dataclasses.replace(host.host, vddk_libraries=(LIBRARY,)))
    assert host.capabilities.vddk_lib_dir is None
    host.start_agent()
    assert host.capabilities == probe(host.host, host.files)
    assert host.capabilities.vddk_lib_dir == LIBRARY.path


# -- domains


def run(host: Hypervisor, command):
    return asyncio.run(answer_command(host, command))


def test_unmanaged_instances(build) -> None:
    """Running and paused domains in the recorded form; shut off ones are left out, managed ones refused."""
    host = build(domains=(WEB01, Domain(name="off", state="shut off"), Domain(name="paused", state="paused")))
    answer = run(host, GetUnmanagedInstancesCommand(managedInstancesNames=["paused"]))
    assert set(answer.unmanagedInstances) == {"web01"}
    web01 = answer.unmanagedInstances["web01"]
    assert (web01.powerState, web01.cpuCores, web01.cpuCoresPerSocket, web01.cpuSpeed) == ("PowerOn", 2, 2, 500)
    first = web01.disks[0]
    assert (first.diskId, first.label, first.capacity, first.fileBaseName, first.controller) == (
        "0", "vda", 64 * 1024**2, "web01.qcow2", "virtio",
    )  # fmt: skip
    assert (first.datastoreName, first.datastorePath, first.datastoreType) == ("/srv/domains", "/srv/domains", "file")
    assert (web01.nics[0].nicId, web01.nics[0].network, web01.nics[0].vlan) == ("0", "vnet0", 5)
    assert web01.vncPassword.startswith("Xy12Zz") and len(web01.vncPassword) == 22
    assert run(host, GetUnmanagedInstancesCommand(instanceName="off")).unmanagedInstances == {}
    paused = run(host, GetUnmanagedInstancesCommand(instanceName="paused")).unmanagedInstances["paused"]
    assert (paused.powerState, paused.vncPassword) == ("PowerOn", None)
    host.set_domain_state("web01", "shut off")
    assert set(run(host, GetUnmanagedInstancesCommand()).unmanagedInstances) == {"paused"}
    refused = run(host, GetUnmanagedInstancesCommand(instanceName="web01", managedInstancesNames=["web01"]))
    assert refused.details == (
        "Error listing unmanaged instances: GetUnmanagedInstancesCommand:  vm already managed web01"
    )
    assert host.files.real("/srv/domains/data.qcow2").exists()


def test_prepare_unmanage_of_a_known_domain(build) -> None:
    """True with OK; nothing changes."""
    answer = run(build(domains=(WEB01,)), PrepareUnmanageVMInstanceCommand(instanceName="web01"))
    assert (type(answer), answer.result, answer.details) == (PrepareUnmanageVMInstanceAnswer, True, "OK")


# -- timers


def test_timers_follow_a_clock_that_is_moved() -> None:
    """Timers on a manual clock wait for the clock and not for the machine; cancelled ones never fire."""
    clock = ManualClock()
    fired: list[str] = []

    async def scenario() -> None:
        timers = Timers.for_clock(clock)
        timers.call_at(5.0, lambda: fired.append("five"))
        timers.call_at(3.0, lambda: fired.append("never")).cancel()
        timers.call_at(4.0, lambda: fired.append("four"))
        sleeper = asyncio.ensure_future(timers.sleep(10.0))
        await timers.sleep(0.0)
        await asyncio.sleep(0.03)
        assert fired == []
        clock.time_s = 5.0
        while len(fired) < 2:
            await asyncio.sleep(0.005)
        assert not sleeper.done()
        clock.time_s = 10.0
        await asyncio.wait_for(sleeper, 60)
        cancelled = asyncio.ensure_future(timers.sleep(10.0))
        await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.gather(cancelled, return_exceptions=True)
        timers.call_at(99.0, lambda: fired.append("closed"))
        timers.close()

    asyncio.run(scenario())
    assert fired == ["four", "five"]


def test_timers_on_the_machines_clock_sleep_until_due() -> None:
    """With the machine's clock a sleep takes its time."""
    clock = RealClock()

    async def scenario() -> float:
        started_s = clock.monotonic()
        await Timers.for_clock(clock).sleep(0.02)
        return clock.monotonic() - started_s

    assert 0.019 <= asyncio.run(scenario()) < 5
    assert clock.now() > 1.6e9


def test_tools_are_probed_again_and_vddk_is_not(build) -> None:
    """A ready command and a check of the conversion look at the tools again; VDDK and properties wait for a restart."""
    host = build(tools=Tools(virt_v2v="2.5.6", nbdkit="1.38.5"))
    edited = host.host.properties.edited({"vddk.lib.dir": LIBRARY.path, "workers": "7"})
    host.change_host(
        dataclasses.replace(
            host.described,
            tools=Tools(virt_v2v="2.8.1", nbdkit="1.38.5", nbdkit_vddk_plugin="1.38.5", ovftool="4.6.3", ovmf=True),
            vddk_libraries=(LIBRARY,),
            properties=edited,
        )
    )
    tools = {"host.virtv2v.version": "2.8.1", "host.ovftool.version": "4.6.3", "host.uefi.enable": "true"}
    assert host.probe_tools().ready_details() == tools | {"host.vddk.support": "false"}
    assert (host.host.properties.workers, host.described.properties.workers) == (5, 7)
    host.start_agent()
    assert host.host.properties == edited
    assert host.probe_tools().ready_details() == tools | {
        "host.vddk.support": "true",
        "vddk.lib.dir": LIBRARY.path,
        "host.vddk.version": "1.38.5",
    }
    host.change_host(dataclasses.replace(host.described, tools=Tools()))
    assert not host.probe_tools().supports_vddk(LIBRARY.path)


def test_neighbours_know_a_host_by_its_heartbeat(build, monkeypatch: pytest.MonkeyPatch) -> None:
    """CheckOnHost: a heartbeat on a common NFS pool counts for 60 s after the agent's end; PingTest: the power."""
    one, two = build(name="one"), build(name="two", ip="192.0.2.12")
    one.neighbours[two.host.ip] = two
    now_s = [100.0]
    monkeypatch.setattr(two._surroundings.timers, "now_s", lambda: now_s[0])
    question = CheckOnHostCommand(host=HostTO(privateNetwork=NetworkTO(ip="192.0.2.12")))

    def is_missed() -> bool:
        answer = run(one, question)
        assert answer.details == (None if answer.result else "Heart is beating...")
        return answer.result

    def answers_ping(address: str) -> bool:
        return run(one, PingTestCommand(_computingHostIp=address)).result

    assert is_missed()  # its agent has never run
    two.start_agent()
    assert is_missed()  # there is no pool that both write to
    for host in (one, two):
        host.storage.add("p", "NetworkFilesystem", "192.0.2.20", "/export/p")
    assert not is_missed()
    two.agent_ended()
    now_s[0] += 59
    assert not is_missed()
    now_s[0] += 2
    assert is_missed() and answers_ping("192.0.2.12") and not answers_ping("192.0.2.99")
    two.start_agent()
    two.is_powered = False
    assert is_missed() and not answers_ping("192.0.2.12")
    assert run(one, CheckOnHostCommand()).result
