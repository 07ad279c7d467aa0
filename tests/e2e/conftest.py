"""Whole worlds over real sockets, and what an import through the API needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cloudstack_mock import ApiClient, Settings, World

FAST = 1e9


class Lab:
    """A started world of the seed `lab` and a caller with the admin's keys."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.ready = world.ready()
        self.client = ApiClient(str(self.ready["api"]), str(self.ready["api_key"]), str(self.ready["secret_key"]))
        self.zone_id = str(self.ready["zone_id"])
        self.cluster_id = str(self.ready["cluster_id"])

    def one(self, command: str, key: str, **parameters: object) -> dict[str, Any]:
        found: dict[str, Any] = self.client.call(command, **parameters)[key][0]
        return found

    def datacenter_id(self) -> str:
        return str(self.one("listVmwareDcs", "VMwareDC", zoneid=self.zone_id)["id"])

    def source(self, name: str) -> dict[str, Any]:
        """The VM as the vCenter shows it, with disks and NICs."""
        vms = self.client.call("listVmwareDcVms", existingvcenterid=self.datacenter_id())["unmanagedinstance"]
        listed = next(vm for vm in vms if vm["name"] == name)
        return self.one(
            "listVmwareDcVms",
            "unmanagedinstance",
            existingvcenterid=self.datacenter_id(),
            hostname=listed["hostname"],
            instancename=name,
        )

    def host(self, name: str) -> dict[str, Any]:
        return self.one("listHosts", "host", name=name)

    def import_parameters(self, name: str, **changes: object) -> dict[str, Any]:
        """What an import of VM `name` needs: every NIC on the L2 network, every data disk on the custom offering."""
        parameters: dict[str, Any] = {
            "name": name,
            "zoneid": self.zone_id,
            "clusterid": self.cluster_id,
            "hypervisor": "KVM",
            "importsource": "vmware",
            "existingvcenterid": self.datacenter_id(),
            "serviceofferingid": self.one("listServiceOfferings", "serviceoffering", name="Medium Instance")["id"],
        }
        source = self.source(name)
        network = self.one("listNetworks", "network", listall=True, type="L2")["id"]
        data_offering = self.one("listDiskOfferings", "diskoffering", name="Custom Disk")["id"]
        for index, nic in enumerate(source.get("nic", [])):
            parameters[f"nicnetworklist[{index}].nic"] = nic["id"]
            parameters[f"nicnetworklist[{index}].network"] = network
        for index, disk in enumerate(source.get("disk", [])[1:]):
            parameters[f"datadiskofferinglist[{index}].disk"] = disk["id"]
            parameters[f"datadiskofferinglist[{index}].diskOffering"] = data_offering
        return parameters | changes

    def import_vm(self, name: str, **changes: object) -> dict[str, Any]:
        result = self.client.run("importVm", self.import_parameters(name, **changes), poll_interval_s=0.01)
        vm: dict[str, Any] = result["virtualmachine"]
        return vm

    def journal(self, kind: str) -> list[Any]:
        """What the server has noted of that kind until now."""
        return list(self.world.server.services.journal.entries(kind=kind))

    def tasks(self, state: str = "all") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.client.call("listImportVmTasks", zoneid=self.zone_id, tasksfilter=state).get(
            "importvmtask", []
        )
        return found


@pytest.fixture(scope="session")
def lab_of() -> type[Lab]:
    """Makes a lab of a started world; the caller closes its client."""
    return Lab


def _starter() -> Iterator[Callable[..., Lab]]:
    labs: list[Lab] = []

    def start(on_progress: Any = None, **changes: Any) -> Lab:
        settings = Settings(**({"port": 0, "agent_port": 0, "time_scale": FAST} | changes))
        world = World(settings, on_progress=on_progress, resettable=settings.database == "sqlite://")
        world.start()
        labs.append(Lab(world))
        return labs[-1]

    yield start
    for lab in labs:
        lab.client.close()
        lab.world.stop()


@pytest.fixture
def start_lab() -> Iterator[Callable[..., Lab]]:
    """Start a lab of one's own with changed settings; all are stopped at the end."""
    yield from _starter()


@pytest.fixture(scope="module")
def make_lab() -> Iterator[Callable[..., Lab]]:
    """Start a lab for the tests of a module with changed settings; all are stopped after them."""
    yield from _starter()


@pytest.fixture(scope="module")
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A lab that the tests of a module share, with the settings that the module has in LAB_SETTINGS."""
    changes = getattr(request.module, "LAB_SETTINGS", {})
    with World(Settings(**({"port": 0, "agent_port": 0, "time_scale": FAST} | changes)), resettable=True) as world:
        shared = Lab(world)
        yield shared
        shared.client.close()


@pytest.fixture(autouse=True)
def lab_is_as_at_its_start(request: pytest.FixtureRequest) -> None:
    """No test finds in a lab that a module shares what another one has left there.

    A module whose own fixtures prepare its lab says LAB_IS_PREPARED.
    """
    if "lab" in request.fixturenames and not getattr(request.module, "LAB_IS_PREPARED", False):
        request.getfixturevalue("lab").world.reset()
