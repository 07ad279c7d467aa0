"""Odd names and passwords through real vCenter, agents and tools: nothing breaks on the way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from cloudstack_mock import ApiCallError, ApiClient, Settings, World
from mgmt.fixtures import fixtures_dir

PASSWORD = "p@ss:/#$%?&+ü'\""  # a blank would be sent as `+`, which ovftool does not turn back
NAMES = ["a b", "it's", 'say "x"', "a+b@c", "100%", "虚拟机", "x" * 80, "$(reboot);&|"]
WAYS: list[dict[str, Any]] = [{}, {"usevddk": False}, {"usevddk": False, "forcemstoimportvmfiles": True}]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world whose vCenter has VMs with those names, and that password."""
    folder = tmp_path_factory.mktemp("names")
    inventory = yaml.safe_load((fixtures_dir() / "vcenters" / "lab.yaml").read_text(encoding="utf-8"))
    inventory["password"] = PASSWORD
    (datacenter,) = inventory["datacenters"]
    plain = next(vm for vm in datacenter["vms"] if vm["name"] == "edge-stopped")
    datacenter["vms"] = [plain, *({**plain, "name": name} for name in NAMES)]
    (folder / "vcenter.yaml").write_text(yaml.safe_dump(inventory), encoding="utf-8")
    seed = yaml.safe_load((fixtures_dir() / "seeds" / "lab.yaml").read_text(encoding="utf-8"))
    seed["vmware_datacenters"][0]["password"] = PASSWORD
    seed["vcenter"] = "vcenter.yaml"
    (folder / "names.yaml").write_text(yaml.safe_dump(seed), encoding="utf-8")
    with World(Settings(port=0, agent_port=0, time_scale=1e9, seed=str(folder / "names.yaml"))) as world:
        yield world


def outcome(lab: World, name: str, **changes: Any) -> str:
    """`ok`, or the CloudStack text of an import that fails."""
    ready = lab.ready()
    client = ApiClient(str(ready["api"]), str(ready["api_key"]), str(ready["secret_key"]))
    try:
        one = {key: client.call(command, **more)[key][0]["id"] for command, key, more in (
            ("listServiceOfferings", "serviceoffering", {"name": "Small Instance"}),
            ("listNetworks", "network", {"listall": True, "type": "L2"}),
            ("listHosts", "host", {"name": "kvm1"}),
        )}  # fmt: skip
        parameters = {
            "name": name,
            "hostname": f"vm-{NAMES.index(name) if name in NAMES else 'plain'}",
            "zoneid": ready["zone_id"],
            "clusterid": ready["cluster_id"],
            "hypervisor": "KVM",
            "importsource": "vmware",
            "existingvcenterid": client.call("listVmwareDcs", zoneid=ready["zone_id"])["VMwareDC"][0]["id"],
            "serviceofferingid": one["serviceoffering"],
            "convertinstancehostid": one["host"],
            "nicnetworklist[0].nic": "Network adapter 1",
            "nicnetworklist[0].network": one["network"],
            "forced": True,
        }
        vm = client.run("importVm", parameters | changes, poll_interval_s=0.02)["virtualmachine"]
        assert vm["displayname"] == name
        return "ok"
    except ApiCallError as error:
        assert error.body is not None
        return f"{error.body['errorcode']} {error.body['errortext']}"
    finally:
        client.close()


@pytest.mark.parametrize(("place", "name"), list(enumerate(NAMES)))
def test_odd_name(lab: World, place: int, name: str, caplog: pytest.LogCaptureFixture) -> None:
    """The import ends well, or with the text of a conversion that upstream's unquoted command line breaks."""
    told = outcome(lab, name, **WAYS[place % 3])
    if told != "ok":
        assert place % 3 == 0, f"only the VDDK command line is not quoted: {told}"
        assert told.startswith("530 The convert process failed for instance ") or "illegal ASCII" in told
    assert not [record for record in caplog.records if "Traceback" in record.getMessage()]


def test_password_of_special_characters(lab: World) -> None:
    """The password passes by every way; afterwards all hosts are still Up."""
    for way in WAYS:
        assert outcome(lab, "edge-stopped", **way, hostname=f"by-{WAYS.index(way)}") == "ok"
    ready = lab.ready()
    client = ApiClient(str(ready["api"]), str(ready["api_key"]), str(ready["secret_key"]))
    assert {host["state"] for host in client.call("listHosts", type="Routing")["host"]} == {"Up"}
    client.close()
