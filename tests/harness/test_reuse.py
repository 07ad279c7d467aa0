"""A world that one test has used and the next one gets: nothing of the first is there any more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudstack_mock import Cloud, CloudStackError
from cloudstack_mock._pool import Pool, Wanted

LISTS = (
    "listVirtualMachines",
    "listVolumes",
    "listConfigurations",
    "listHosts",
    "listUsers",
    "listAccounts",
    "listEvents",
    "listAsyncJobs",
    "listImportVmTasks",
    "listDiskOfferings",
    "listSSHKeyPairs",
    "listTags",
    "listVmwareDcs",
)
OF_OWNERS = ("listVirtualMachines", "listVolumes", "listUsers", "listSSHKeyPairs", "listTags")
# Times of the process: when a host was last heard of, and what it measures of itself.
_OF_THE_MOMENT = ("lastpinged", "cpuused", "networkkbsread", "networkkbswrite", "cpuloadaverage")


@pytest.fixture(params=["memory", "sockets"])
def wanted(request: pytest.FixtureRequest) -> Wanted:
    return Wanted.of({"transport": request.param, "seed": 5})


@pytest.fixture
def pool() -> Iterator[Pool]:
    pool = Pool()
    yield pool
    pool.close()


def answers(cloud: Cloud) -> dict[str, Any]:
    found = {}
    for command in LISTS:
        of_zone = command in ("listImportVmTasks", "listVmwareDcs")
        given = {"zoneid": cloud.zone_id} if of_zone else {"listall": True} if command in OF_OWNERS else {}
        found[command] = _without(getattr(cloud.client, command)(**given))
    return found


def _without(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without(each) for name, each in value.items() if name not in _OF_THE_MOMENT}
    return [_without(each) for each in value] if isinstance(value, list) else value


def state(cloud: Cloud) -> dict[str, Any]:
    """What a test could find of the one before, apart from the API's answers."""
    world = cloud.world
    work_dir = cloud.fleet.work_dir
    return {
        "files": sorted(
            (str(path.relative_to(work_dir)), path.read_bytes() if path.is_file() else b"")
            for path in Path(work_dir).rglob("*")
        ),
        "domains": {member.name: dict(member.hypervisor.domains) for member in cloud.fleet.agents},
        "source VMs": cloud.vcenter.inventory.vm_names,
        "vCenter password": cloud.vcenter.password,
        "faults": list(world.faults.armed),
        "jobs": sorted(world.server.services.jobs.pending),
        "leaks": list(world.server.services.leaks.report().leaks),
        "keys": (cloud.api_key, cloud.secret_key),
    }


def disturb(cloud: Cloud) -> None:
    """Leave as much behind as a careless test can."""
    client = cloud.client
    cloud.import_vm("web01")
    cloud.fault("vddk.crash", vm="db01")
    with pytest.raises(CloudStackError):
        cloud.import_vm("db01")
    cloud.fault("guest.no_root", vm="win-files")
    cloud.clock.advance(hours=5)
    client.updateConfiguration(name="alert.wait", value="77")
    admin = client.listUsers(username="admin", listall=True)["user"][0]["id"]
    client.registerUserKeys(id=admin)  # the client's own are of no more use
    cloud.vcenter.change_password("another")
    cloud.fleet.change_tools("kvm1", virtio_win=False)
    (cloud.fleet.work_dir / "hosts" / "kvm1" / "tmp" / "left").write_text("by a test")


def test_nothing_is_left_for_the_next_test(pool: Pool, wanted: Wanted) -> None:
    """Records, keys, settings, files, VMs, faults, jobs and journal are as at the start; time has gone on."""
    with pool.lent(wanted) as first:
        world, before, began = first.world, (answers(first), state(first)), first.clock.now()
    with pool.lent(wanted) as second:
        assert second.world is world
        disturb(second)
    with pool.lent(wanted) as third:
        assert third.world is world
        assert [entry for entry in third.journal if entry.kind != "host"] == []
        assert (answers(third), state(third)) == before
        assert third.clock.now() >= began
        assert third.import_vm("web01")["name"] == "web01"
