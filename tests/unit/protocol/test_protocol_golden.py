"""The golden bytes of the wire: captures of a Java agent, and messages that Java classes made."""

from __future__ import annotations

import gzip
import hashlib

import pytest

from mgmt.protocol.commands import (
    CheckHealthCommand,
    GetUnmanagedInstancesCommand,
    MaintainAnswer,
    MaintainCommand,
    PingCommand,
    ShutdownCommand,
    StartupAnswer,
    StartupRoutingCommand,
    StartupStorageCommand,
    StoragePoolInfo,
)
from mgmt.protocol.message import Request, Response, decode

NODE_ID = 345050284381
G1_HEADER = "00000001 0000000000000000 0000062f ffffffffffffffff ffffffffffffffff ffffffffffffffff"
G1_CONTENT = (
    '[{"com.cloud.agent.api.StartupRoutingCommand":{"cpus":4,"speed":4000,"memory":16777216000,'
    '"dom0MinMemory":805306368,"poolSync":false,"supportsClonedVolumes":false,"caps":"hvm","hypervisorType":"KVM",'
    '"hostDetails":{"Host.OS.Kernel.Version":"2.6.35.6-45.fc14.x86_64",'
    '"com.cloud.network.Networks.RouterPrivateIpStrategy":"HostLocal","Host.OS.Version":"14","Host.OS":"Fedora"},'
    '"hostTags":[],"groupDetails":{},"gpuDevices":[],"type":"Routing","dataCenter":"1","pod":"1","cluster":"1",'
    '"guid":"5b6e0b0e-3d0e-4c6a-9f2c-5a4f8b4b1f11-DummyResource","name":"vm","version":"4.22.0.0-SNAPSHOT",'
    '"privateIpAddress":"127.0.0.1","privateMacAddress":"8A:D2:54:3F:7C:C3","privateNetmask":"255.255.255.0",'
    '"storageIpAddress":"127.0.0.1","storageNetmask":"255.255.255.0","storageMacAddress":"8A:D2:54:3F:7C:C3",'
    '"resourceName":"DummyResource","gatewayIpAddress":"127.0.0.1","msHostList":"127.0.0.1",'
    '"connectionTransferred":false,"arch":"x86_64","contextMap":{},"wait":0,"bypassHostMaintenance":false}},'
    '{"com.cloud.agent.api.StartupStorageCommand":{"totalSize":0,'
    '"poolInfo":{"uuid":"2f59f588-5b98-31fa-88b8-113a12bc077a","host":"127.0.0.1","localPath":"/mnt",'
    '"hostPath":"/mnt","poolType":"Filesystem","capacityBytes":1000000000,"availableBytes":10000000},'
    '"resourceType":"STORAGE_POOL","hostDetails":{},"type":"Storage","dataCenter":"1","pod":"1",'
    '"guid":"5b6e0b0e-3d0e-4c6a-9f2c-5a4f8b4b1f11-DummyResource","name":"vm","version":"4.22.0.0-SNAPSHOT",'
    '"resourceName":"DummyResource","msHostList":"127.0.0.1","connectionTransferred":false,"arch":"x86_64",'
    '"contextMap":{},"wait":0,"bypassHostMaintenance":false}}]'
)
COMMON = {
    "dataCenter": "1",
    "pod": "1",
    "guid": "5b6e0b0e-3d0e-4c6a-9f2c-5a4f8b4b1f11-DummyResource",
    "name": "vm",
    "version": "4.22.0.0-SNAPSHOT",
    "resourceName": "DummyResource",
    "msHostList": "127.0.0.1",
    "arch": "x86_64",
}


def g1() -> Request:
    routing = StartupRoutingCommand(
        cpus=4,
        speed=4000,
        memory=16777216000,
        dom0MinMemory=805306368,
        caps="hvm",
        hypervisorType="KVM",
        hostDetails={
            "Host.OS.Kernel.Version": "2.6.35.6-45.fc14.x86_64",
            "com.cloud.network.Networks.RouterPrivateIpStrategy": "HostLocal",
            "Host.OS.Version": "14",
            "Host.OS": "Fedora",
        },
        cluster="1",
        privateIpAddress="127.0.0.1",
        privateMacAddress="8A:D2:54:3F:7C:C3",
        privateNetmask="255.255.255.0",
        storageIpAddress="127.0.0.1",
        storageNetmask="255.255.255.0",
        storageMacAddress="8A:D2:54:3F:7C:C3",
        gatewayIpAddress="127.0.0.1",
        **COMMON,
    )
    pool = StoragePoolInfo(
        uuid="2f59f588-5b98-31fa-88b8-113a12bc077a",
        host="127.0.0.1",
        localPath="/mnt",
        hostPath="/mnt",
        poolType="Filesystem",
        capacityBytes=1000000000,
        availableBytes=10000000,
    )
    storage = StartupStorageCommand(poolInfo=pool, resourceType="STORAGE_POOL", **COMMON)
    return Request(sequence=0, commands=(routing, storage), stop_on_error=False)


def bytes_of(header: str, content: str) -> bytes:
    return bytes.fromhex(header) + content.encode()


def test_g1_startup_of_a_new_agent() -> None:
    """G1: the Startup request of a new Java agent is made byte for byte and read back as the same records."""
    message = bytes_of(G1_HEADER, G1_CONTENT)
    assert len(message) == 1623
    assert (
        hashlib.sha256(message[40:]).hexdigest() == "a5f181fa85331182faab959d54b8a63a6d12ccace19f3988cb7bdf193cecabeb"
    )
    assert g1().encode() == message
    assert decode(message) == g1()


def test_g2_startup_answer_of_a_classic_server() -> None:
    """G2: the first response copies the agent id, puts the node id in and sets `via` to -1."""
    answer = StartupAnswer(hostId=0, hostName="", hostUuid="", pingInterval=60, result=True)
    message = Response.to(g1(), [answer], management_id=NODE_ID, via=-1).encode()
    assert message[:40] == bytes.fromhex(
        "00000020 0000000000000000 000000a7 000000505699815d ffffffffffffffff ffffffffffffffff"
    )
    assert (
        hashlib.sha256(message[40:]).hexdigest() == "980fdc40870f88b58283ddb37aa6e2e061fe474df4556144e85f0290b72fdf71"
    )


def server_request(sequence: int, *commands: object, in_sequence: bool = False) -> Request:
    return Request(
        sequence=sequence,
        commands=commands,  # type: ignore[arg-type]
        management_id=NODE_ID,
        agent_id=7,
        via=7,
        from_server=True,
        in_sequence=in_sequence,
    )


def test_g3_check_health_command() -> None:
    """G3: a normal command to host 7 has the flags 0x23 and the host id twice."""
    message = server_request(0x1234000000000001, CheckHealthCommand(wait=50)).encode()
    assert message == bytes_of(
        "00000023 1234000000000001 00000066 000000505699815d 0000000000000007 0000000000000007",
        '[{"com.cloud.agent.api.CheckHealthCommand":{"contextMap":{},"wait":50,"bypassHostMaintenance":false}}]',
    )


def test_g4_compressed_request() -> None:
    """G4: 13030 bytes of content are gzipped, `size` stays 13030, and the gzip ends in the known CRC and length."""
    names = [f"i-2-{number}-VM" for number in range(1, 1001)]
    message = server_request(0x1234000000000002, GetUnmanagedInstancesCommand(managedInstancesNames=names)).encode()
    assert message[:40] == bytes.fromhex(
        "000000a3 1234000000000002 000032e6 000000505699815d 0000000000000007 0000000000000007"
    )
    body = message[40:]
    assert body[:3] == bytes.fromhex("1f8b08")
    assert body[-8:] == bytes.fromhex("941a6dfb e6320000")
    content = gzip.decompress(body)
    assert hashlib.sha256(content).hexdigest() == "88a1bd26fb3b1c91c6433f4f6ba8b66b2df0c7f7c64016638999e723b9589898"
    java_made = message[:49] + b"\xff" + message[50:]  # JDK 17 writes another operating system byte
    assert decode(java_made) == decode(message)


@pytest.mark.parametrize(
    ("message", "header", "content"),
    [
        pytest.param(
            Request(sequence=1, commands=(PingCommand(hostType="Routing", hostId=7),), agent_id=7, via=7),
            "00000003 0000000000000001 000000a2 ffffffffffffffff 0000000000000007 0000000000000007",
            '[{"com.cloud.agent.api.PingCommand":{"hostType":"Routing","hostId":7,"outOfBand":false,"commandInfos":[],'
            '"contextMap":{},"wait":0,"bypassHostMaintenance":false}}]',
            id="G6 ping",
        ),
        pytest.param(
            Request(sequence=-1, commands=(ShutdownCommand(reason="sig.kill"),), agent_id=7, via=7, in_sequence=True),
            "00000007 ffffffffffffffff 00000089 ffffffffffffffff 0000000000000007 0000000000000007",
            '[{"com.cloud.agent.api.ShutdownCommand":{"reason":"sig.kill","removeHost":false,"contextMap":{},'
            '"wait":0,"bypassHostMaintenance":false}}]',
            id="G7 shutdown",
        ),
        pytest.param(
            Response.to(
                server_request(0x1234000000000003, MaintainCommand(), in_sequence=True),
                [MaintainAnswer(willMigrate=True, result=True)],
            ),
            "00000006 1234000000000003 00000082 000000505699815d 0000000000000007 0000000000000007",
            '[{"com.cloud.agent.api.MaintainAnswer":{"willMigrate":true,"result":true,"contextMap":{},"wait":0,'
            '"bypassHostMaintenance":false}}]',
            id="G7 answer to maintain",
        ),
    ],
)
def test_g6_and_g7_small_messages(message: Request | Response, header: str, content: str) -> None:
    """G6, G7: a ping, an agent's shutdown and an in-sequence answer are made and read byte for byte."""
    assert message.encode() == bytes_of(header, content)
    assert decode(message.encode()) == message
