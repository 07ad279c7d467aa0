"""Bad input: every parameter of the import's commands gets what nobody should send; each has a CloudStack answer."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select

from cloudstack_mock import ApiCallError, ApiClient, Settings, World
from mgmt.commands import all_declarations
from mgmt.commands.declaration import Declaration
from mgmt.commands.fields import Boolean, Integer, MapParam, Uuid
from mgmt.store.models import AsyncJob

HUGE = "9" * 30
NOBODY = "01234567-0000-4000-8000-000000000000"
TEXTS = [
    *[
        "a b",
        "it's",
        'say "x"',
        "a+b",
        "a@b",
        "100%",
        "%20",
        "büro-ü",
        "虚拟机",
        "x" * 255,
        "tab\there",
        "bell\x07",
        "nul\x00",
    ],
    *["", " ", "$(reboot)", "a;b&c|d", "../../etc/passwd", "<xml/>", "{}", "\\", "\u202e"],
]
NUMBERS = ["0", "-1", HUGE, f"-{HUGE}", "1.5", "1e3", "x", "", " ", "٣", "0x10", "NaN"]
IDS = ["", " ", "x", "0", "-1", HUGE, NOBODY, "ü", "'", "1 OR 1=1"]
BOOLEANS = ["", " ", "x", "TRUE", "1", "yes"]
MAPS: list[dict[str, str]] = [
    {"": "x"},
    {"[0]": "x"},
    {"[0].": "x"},
    {"[x].nic": "x"},
    {"[-1].nic": "x"},
    {f"[{HUGE}].nic": "x"},
    {"[0].nic": "bell\x07", "[0].network": "x"},
    {"[0].disk": "ü", "[0].diskOffering": NOBODY},
    {"[0].nic": "n", "[0].ip4Address": "999.1.1.1"},
    {"[0].nic": "n", "[0].ip4Address": "٣.1.1.1"},
    {"[0].cpuNumber": HUGE, "[0].memory": "-1", "[0].cpuSpeed": "x"},
]
CODES = {401, 430, 431, 432, 530, 531, 533}
COMMANDS = [
    *["importVm", "importUnmanagedInstance", "listVmsForImport", "listUnmanagedInstances", "listImportVmTasks"],
    *["addVmwareDc", "updateVmwareDc", "removeVmwareDc", "listVmwareDcVms", "listVmwareDcHosts", "listVmwareDcs"],
    *["startVirtualMachine", "stopVirtualMachine", "rebootVirtualMachine", "destroyVirtualMachine"],
    *["expungeVirtualMachine", "recoverVirtualMachine", "updateVirtualMachine", "unmanageVirtualMachine"],
    *["migrateVirtualMachine", "createVolume", "attachVolume", "detachVolume", "deleteVolume"],
]


class Bare:
    """A server without hosts and vCenter: what is refused before they count is refused here as well."""

    def __init__(self, world: World) -> None:
        self.world = world
        ready = world.ready()
        self.client = ApiClient(str(ready["api"]), str(ready["api_key"]), str(ready["secret_key"]))
        call = self.client.call
        self.ids = {
            "zone": str(ready["zone_id"]),
            "cluster": str(ready["cluster_id"]),
            "serviceoffering": call("listServiceOfferings", name="Small Instance")["serviceoffering"][0]["id"],
            "storagepool": call("listStoragePools", name="nfs-primary")["storagepool"][0]["id"],
            "network": call("listNetworks", listall=True, type="L2")["network"][0]["id"],
            "host": call("listHosts", name="kvm1")["host"][0]["id"],
            "diskoffering": call("listDiskOfferings", name="Custom Disk")["diskoffering"][0]["id"],
        }

    def good(self, declaration: Declaration) -> dict[str, str]:
        """Something for each parameter that the command must have."""
        found = {
            name: self.ids.get(field.entity or "", NOBODY) if isinstance(field, Uuid) else "some"
            for name, field in declaration.params._declared_fields.items()
            if getattr(field, "required", False)
        }
        if declaration.name == "importVm":
            found |= {"hypervisor": "KVM", "importsource": "vmware"}
        if declaration.name == "listVmsForImport":
            found["hypervisor"] = "KVM"
        if "vcenter" in declaration.params._declared_fields:  # nobody listens there
            found |= {"vcenter": "127.0.0.1:1", "username": "u", "password": "p"}
            found |= {"datacentername": "d"} if "datacentername" in declaration.params._declared_fields else {}
        return found

    def send(self, command: str, parameters: dict[str, str]) -> dict[str, Any]:
        """The answer, or a job's number; a CloudStack text is an answer too."""
        try:
            answer: dict[str, Any] = self.client.send(command, parameters)
        except ApiCallError as error:
            assert error.body is not None, f"{command} {parameters}: {error}"
            assert error.body["errorcode"] in CODES, (command, parameters, error.body)
            return error.body
        return answer

    def ended_jobs(self) -> dict[str, tuple[int, dict[str, Any]]]:
        """Code and result of every job by its uuid, when none is under way any more."""
        deadline = time.monotonic() + 60
        while True:
            with self.world.server.services.store.session() as session:
                jobs = list(session.scalars(select(AsyncJob)))
            if all(job.status != 0 for job in jobs):
                return {job.uuid: (job.result_code, job.result or {}) for job in jobs}
            assert time.monotonic() < deadline, "a job goes on"
            threading.Event().wait(0.05)


@pytest.fixture(scope="module")
def lab() -> Iterator[Bare]:
    """The server that all tests of the module share."""
    with World(Settings(port=0, agent_port=0, agents="none", vcenter="none")) as world:
        bare = Bare(world)
        yield bare
        bare.client.close()


@pytest.fixture
def no_surprises(lab: Bare, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail when the server met an error that it did not expect, or a job ended without a CloudStack code."""
    caplog.set_level(logging.WARNING)
    yield
    assert [
        job for job in lab.ended_jobs().values() if job[0] and (job[0] not in CODES or not job[1]["errortext"])
    ] == []
    found = [record.getMessage() for record in caplog.records if "Traceback" in record.getMessage()]
    assert found == []


def values_of(field: Any) -> list[str]:
    if isinstance(field, Uuid):
        return IDS
    if isinstance(field, Integer):
        return NUMBERS
    if isinstance(field, Boolean):
        return BOOLEANS
    return TEXTS


@pytest.mark.usefixtures("no_surprises")
@pytest.mark.parametrize("command", COMMANDS)
def test_every_parameter(lab: Bare, command: str) -> None:
    """Each parameter of the command with some of the bad values of its type: an answer each time, never a surprise."""
    declaration = all_declarations()[command]
    good = lab.good(declaration)
    rotation = {id(values): itertools.cycle(values) for values in (TEXTS, NUMBERS, IDS, BOOLEANS)}
    maps = itertools.cycle(MAPS)
    for name, field in declaration.params._declared_fields.items():
        for _ in range(2):
            if isinstance(field, MapParam):
                lab.send(command, good | {f"{name}{key}": value for key, value in next(maps).items()})
            else:
                lab.send(command, good | {name: next(rotation[id(values_of(field))])})


SOURCES = {
    "external": {"host": "192.0.2.60", "username": "root"},
    "shared": {"diskpath": "x.qcow2", "networkid": "network", "storageid": "storagepool"},
    "local": {"diskpath": "x.qcow2", "networkid": "network", "storageid": "storagepool", "hostid": "host"},
    "unmanaged": {},
}


@pytest.mark.usefixtures("no_surprises")
@pytest.mark.parametrize("source", SOURCES)
def test_every_text_through_the_sources(lab: Bare, source: str) -> None:
    """Every bad text as name, display name, host name, disk path, temporary path and address of each source."""
    good = lab.good(all_declarations()["importVm"]) | {"importsource": source, "name": "good", "hostname": "good"}
    good |= {key: lab.ids.get(value, value) for key, value in SOURCES[source].items()}
    names = itertools.cycle(["name", "displayname", "hostname", "diskpath", "temppath", "host", "username", "account"])
    for text in TEXTS:
        lab.send("importVm", good | {next(names): text})


@pytest.mark.usefixtures("no_surprises")
def test_names_through_importvm(lab: Bare) -> None:
    """A name that is no host name is refused with its text unless a host name is given; no name breaks anything."""
    good = lab.good(all_declarations()["importVm"]) | {"clusterid": lab.ids["cluster"]}
    answers = [lab.send("importVm", good | {"name": text}) for text in TEXTS[:13]]
    jobs = lab.ended_jobs()
    told = {
        (jobs[answer["jobid"]][1] if "jobid" in answer else answer)["errortext"].split(" name")[0] for answer in answers
    }
    assert told == {
        "Please provide a valid hostname for the VM. VM",
        "Received value containing illegal ASCII non-printable characters for parameter",
    }
