"""Bad names and numbers that go all the way: each import ends with a VM or with a CloudStack text."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mgmt.errors import CloudError
from mgmt.imports.staging import MountedStaging
from mgmt.protocol.commands import GetRemoteVmsAnswer, GetRemoteVmsCommand
from mgmt.store import models

NAMES = [
    *["a b", "it's", 'say "x"', "a+b", "a@b", "100%", "%20", "büro-ü", "虚拟机", "x" * 255, "tab\there", "bell\x07"],
    *["$(reboot)", "a;b&c|d", "../../etc/passwd", "\\", "\u202e", "\ud7ff"],
]
NUMBERS = [
    "0",
    "-1",
    "9" * 30,
    "-" + "9" * 30,
    "1.5",
    "x",
    "",
    " ",
    "٣",
    "0x10",
    "NaN",
    "9223372036854775807",
    "2147483648",
]
KINDS = ["vddk", "ovf", "by the server", "external", "shared", "local"]


def request(kind: str, sources: Any, name: str, **changes: Any) -> dict[str, Any]:
    """A request for the VM `name` by that way; the host name is a good one."""
    found = dict(sources.get(kind, {})) | {"name": name, "hostname": "good", "forced": True}
    if kind == "ovf":
        found["usevddk"] = False
    if kind == "by the server":
        found |= {"usevddk": False, "forcemstoimportvmfiles": True}
    return found | changes


@pytest.fixture
def ready(hosts: Any, tmp_path: Path) -> Any:
    """A world in which every way of importing is open."""
    for path in ("export/secondary", "export/N1"):
        (tmp_path / "192.0.2.20" / path).mkdir(parents=True)
    hosts.services = replace(hosts.services, staging=MountedStaging(tmp_path))
    return hosts


@pytest.mark.parametrize("kind", KINDS)
def test_every_name_by_every_way(ready: Any, sources: Any, kind: str) -> None:
    """With a good host name a VM of any name comes in by every way, and is shown under its name."""
    source = ready.vcenter.vms["web01"]
    (remote,) = ready.agents.defaults[GetRemoteVmsCommand](None).unmanagedInstances.values()
    for place, name in enumerate(NAMES):
        ready.vcenter.vms[name] = replace(source, name=name)
        ready.agents.defaults[GetRemoteVmsCommand] = lambda _, name=name: GetRemoteVmsAnswer(
            result=True, details="", unmanagedInstances={name: remote}
        )
        more = {"hostname": f"good-{place}"} | ({"diskpath": name} if kind in ("shared", "local") else {})
        ready.run(**request(kind, sources, name, **more))
    assert [vm.display_name for vm in ready.rows(models.VmInstance)] == NAMES


@pytest.mark.parametrize("kind", KINDS)
def test_every_number_by_every_way(ready: Any, sources: Any, kind: str) -> None:
    """Numbers of the details that are none, or too large, end in a text or in a VM; nothing else is raised."""
    ready.vcenter.vms["web01"] = replace(ready.vcenter.vms["web01"], cpu_speed_mhz=1000)
    name = "rv1" if kind == "external" else "web01"
    ready.change("l2", account_id=ready.id_of("bob-account"))
    details = itertools.cycle(["cpuNumber", "cpuSpeed", "memory", "miniops", "maxiops"])
    owners = itertools.cycle([{}, {"account": "bob", "domainid": "ROOT"}])
    for number in NUMBERS:
        given = {"cpuNumber": "1", "cpuSpeed": "1000", "memory": "512", next(details): number}
        asked = request(kind, sources, name, serviceofferingid="O3", details={"0": given}, **next(owners))
        try:
            ready.run(**asked)
        except CloudError as error:
            assert error.text
        for vm in ready.rows(models.VmInstance):
            assert 0 <= vm.cpu_number < 2**31 and 0 <= vm.memory_mb < 2**31
        ready.forget_vms()
