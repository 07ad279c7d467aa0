"""Host descriptions: the lab's file, generated hosts, and every fault named with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent_sim.host import HostFileError, generated_hosts
from agent_sim.hostfile import load_hosts

LAB = Path(__file__).parents[3] / "fixtures" / "hosts" / "lab.yaml"
GUID = "11111111-0000-4000-8000-00000000000"


def test_lab_file_describes_three_hosts() -> None:
    """kvm1 and kvm2 have a VDDK library and the plug-in, kvm3 has neither, kvm4 is spare; exports are shared."""
    hosts = load_hosts(LAB)
    assert [(host.name, host.spare) for host in hosts] == [
        ("kvm1", False),
        ("kvm2", False),
        ("kvm3", False),
        ("kvm4", True),
    ]
    assert [host.guid for host in hosts] == [f"{GUID}{i}" for i in (1, 2, 3, 4)]
    assert [host.ip for host in hosts] == ["192.0.2.11", "192.0.2.12", "192.0.2.13", "192.0.2.14"]
    assert [len(host.vddk_libraries) for host in hosts] == [1, 1, 0, 0]
    assert hosts[2].tools.nbdkit_vddk_plugin is None
    assert {export.path for export in hosts[0].nfs_exports} == {"/export/primary", "/export/gold", "/export/secondary"}
    keys = set(hosts[0].properties.as_dict())
    assert {"libguestfs.backend", "vddk.lib.dir", "vddk.transports", "vddk.thumbprint"} <= keys


def test_generated_hosts_are_the_same_for_the_same_seed() -> None:
    """Names, guids and addresses depend on seed and position only, and do not repeat."""
    hosts = generated_hosts(300, zone="z", pod="p", cluster="c", seed=5)
    assert hosts == generated_hosts(300, zone="z", pod="p", cluster="c", seed=5)
    for field in ("name", "guid", "ip", "mac"):
        assert len({getattr(host, field) for host in hosts}) == 300
    assert hosts[0].guid != generated_hosts(1, seed=6)[0].guid
    assert (hosts[0].properties.zone, hosts[0].properties.pod, hosts[0].properties.cluster) == ("z", "p", "c")


GOOD = f"hosts:\n  - {{name: a, guid: {GUID}1, ip: 192.0.2.1}}\n"


def test_shortest_host_has_defaults(tmp_path: Path) -> None:
    """Name, guid and ip are enough."""
    path = tmp_path / "h.yaml"
    path.write_text(f"x-note: anchors live here\nundeclared_exports: refuse\n{GOOD}")
    host = load_hosts(path)[0]
    assert (host.cpu.cores, host.os.name, host.tools.virt_v2v) == (32, "Rocky Linux", None)
    assert not host.mounts_undeclared_exports


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[1]", "document: expected a mapping with the key 'hosts'"),
        ("hosts: []", "hosts: Shorter than minimum length 1."),
        ("hosts: [", "cannot be read"),
        (f"{GOOD}wrong: 1", "wrong: Unknown field."),
        (GOOD.replace("192.0.2.1}", "nowhere}"), "hosts.0.ip: expected an IP address, got 'nowhere'"),
        (GOOD.replace(f"{GUID}1", "x"), "hosts.0.guid: must be a UUID"),
        (GOOD.replace("}", ", cpu: {cores: 0}}"), "hosts.0.cpu.cores: Must be greater than or equal to 1."),
        (GOOD.replace("}", ", tools: {virtv2v: '2'}}"), "hosts.0.tools.virtv2v: Unknown field."),
        (GOOD.replace("}", ", mac: x}"), "hosts.0.mac: must be a MAC address"),
        (GOOD.replace("}", ", properties: 'port=x'}"), "hosts.0.properties: port: expected a whole number, got 'x'"),
        (GOOD.replace("}", ", properties: 'a=\\u1'}"), "hosts.0.properties: line 1: malformed"),
        (
            GOOD.replace("}", ", local_pools: [{path: /a/../b, capacity_bytes: 1, available_bytes: 1}]}"),
            "hosts.0.local_pools.0.path: must be an absolute path without '..'",
        ),
        (
            GOOD.replace("}", ", vddk_libraries: [{path: /a, files: [/etc/x]}]}"),
            "hosts.0.vddk_libraries.0.files.0: must be a relative path without '..'",
        ),
        (GOOD + GOOD.split("\n")[1].replace("name: a", "name: b"), f"hosts.1.guid: '{GUID}1' is there twice"),
        (GOOD + GOOD.split("\n")[1].replace(f"{GUID}1", f"{GUID}2"), "hosts.1.name: 'a' is there twice"),
        (GOOD + "nfs_exports: [{server: s, path: /p, state: gone}]", "nfs_exports.0.state: Must be one of"),
    ],
)
def test_faults_name_file_place_and_reason(tmp_path: Path, text, reason) -> None:
    """A fault in the document is told with the file, the path inside the document and the reason."""
    path = tmp_path / "hosts.yaml"
    path.write_text(text)
    with pytest.raises(HostFileError) as caught:
        load_hosts(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert reason in str(caught.value)


def test_missing_file_is_a_fault_too(tmp_path: Path) -> None:
    """A file that is not there is reported by name."""
    with pytest.raises(HostFileError, match=r"none\.yaml: cannot be read"):
        load_hosts(tmp_path / "none.yaml")


def test_variables_of_the_properties_are_filled_in() -> None:
    """`${vcenter.thumbprint}` in the lab's properties is the given value, and blank (unset) without one."""
    assert load_hosts(LAB, {"vcenter.thumbprint": "AA:BB"})[0].properties.vddk_thumbprint == "AA:BB"
    assert not load_hosts(LAB)[0].properties.vddk_thumbprint
