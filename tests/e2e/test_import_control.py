"""cancelImportVm over real sockets: the host's tool, vCenter's work and every file are gone afterwards."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent_sim.fleet import Fleet, ProgressEvent, load_hosts
from cloudstack_mock import ApiCallError
from mgmt.fixtures import fixtures_dir
from mgmt.store import models


class Watcher:
    """Lets a test go on once a conversion has come as far as it wants; from then on the hosts are slow."""

    def __init__(self) -> None:
        self.lab: Any = None
        self.reached = threading.Event()
        self.until: Callable[[ProgressEvent], bool] = lambda event: False

    def __call__(self, event: ProgressEvent) -> None:
        if not self.reached.is_set() and self.until(event):
            self.set_time_scale(1)
            self.reached.set()

    def set_time_scale(self, time_scale: float) -> None:
        for member in self.lab.world.fleet.agents:
            member.hypervisor.bench.time_scale = time_scale

    def begin(self, name: str, until: Callable[[ProgressEvent], bool], **changes: object) -> str:
        """Start an import; its job once it has come so far."""
        self.reached.clear()
        self.until = until
        self.set_time_scale(1e9)
        job_id: str = self.lab.client.call("importVm", **self.lab.import_parameters(name, forced=True, **changes))[
            "jobid"
        ]
        assert self.reached.wait(60), "the import never came so far"
        return job_id


@pytest.fixture(scope="module")
def watcher() -> Watcher:
    """What watches the conversions of the module's lab."""
    return Watcher()


@pytest.fixture(scope="module")
def lab(make_lab: Any, watcher: Watcher) -> Any:
    """A lab with extensions that the tests share; the last one leaves an import waiting when it stops."""
    watcher.lab = make_lab(on_progress=watcher, extensions=True)
    return watcher.lab


def cancelled_job(lab: Any, job_id: str, wait_until: Callable[..., Any], *, task: bool = True) -> str:
    """Wait for the job's end; the text with which it failed."""

    def ended() -> Any:
        job = lab.client.call("queryAsyncJobResult", jobid=job_id)
        return job if job["jobstatus"] != 0 else None

    job = wait_until(ended, "the cancelled job ends")
    assert (job["jobstatus"], job["jobresultcode"]) == (2, 530)
    text: str = job["jobresult"]["errortext"]
    if task:
        assert lab.tasks("failed")[0]["description"] == text
        assert lab.tasks("running") == []
    return text


def files_of(fleet: Fleet) -> set[str]:
    """Every file and directory of an import that hosts and exports hold."""
    found = {str(path) for path in (fleet.work_dir / "exports").glob("*/export/*/*")}
    return found | {str(path) for path in fleet.work_dir.rglob("v2v.pass.cloud.*")}


def reservations(lab: Any) -> int:
    with lab.world.server.services.store.session() as session:
        return int(session.query(models.ResourceReservation).count())


COPYING = {
    "vddk": {},
    "ovftool": {"usevddk": False},
    "server": {"usevddk": False, "forcemstoimportvmfiles": True},
}


def test_cancel_with_embedded_hosts(lab: Any, watcher: Watcher, wait_until: Callable[..., Any]) -> None:
    """In the middle of a copy on each path: the tool is killed, and vCenter, hosts and records are as before."""
    vms = lab.world.vcenter.inventory.vm_names
    for name, changes in COPYING.items():
        job_id = watcher.begin("app01", lambda event: event.bytes_done > 0, **changes)
        answer = lab.client.call("cancelImportVm", id=job_id)["importcancellation"]
        assert (answer["id"], answer["state"], answer["first"]) == (job_id, "Cancelling", True), name
        text = cancelled_job(lab, job_id, wait_until)
        assert text == "The import of VM app01 was cancelled by admin at step: convert"
        assert lab.world.vcenter.inventory.vm_names == vms
        assert lab.world.vcenter.exports.leases_open() == []
        assert files_of(lab.world.fleet) == set()
        assert reservations(lab) == 0
        with pytest.raises(ApiCallError, match=r"431: .* cannot be cancelled, it has ended: Cancelled"):
            lab.client.call("cancelImportVm", id=job_id)
    killed = [
        entry.fields["argv"][0]
        for entry in lab.world.server.services.journal.entries(kind="tool")
        if entry.fields["exit_status"] is None
    ]
    assert len(killed) == len(COPYING)
    watcher.set_time_scale(1e9)
    copying = lambda event: event.tool == "qemu-img"  # noqa: E731
    job_id = watcher.begin("web01", copying)
    task_id = lab.world.server.services.imports.find(job_id).task_uuid
    lab.client.call("cancelImportVm", id=task_id)
    assert "at step: import" in cancelled_job(lab, job_id, wait_until)
    assert [name for name in files_of(lab.world.fleet) if Path(name).suffix == ".xml"] == []
    watcher.set_time_scale(1e9)
    assert lab.import_vm("edge-stopped")["state"] == "Stopped"
    with pytest.raises(ApiCallError, match="431: There is no import with job or task ID: x"):
        lab.client.call("cancelImportVm", id="x")


def test_cancel_with_agents_that_cannot_be_told(start_lab: Any, wait_until: Callable[..., Any], tmp_path: Path) -> None:
    """An agent reached by the wire alone goes on: job and caller are told so; its late answer has its files removed."""
    watcher = Watcher()
    lab = start_lab(agents="none", extensions=True)
    variables = {"vcenter.thumbprint": lab.world.vcenter.thumbprint_sha1}
    hosts = load_hosts(fixtures_dir() / "hosts" / "lab.yaml", variables)
    address = lab.world.server.agents.address
    with Fleet(hosts, connect=address, work_dir=tmp_path, time_scale=1e9, on_progress=watcher) as fleet:
        assert lab.world.server.agents.wait_for_hosts_up(
            [host.full_guid for host in hosts if not host.spare], timeout_s=60
        )
        go_on = threading.Event()
        watcher.until = lambda event: go_on.wait(60)
        fleet.agent("kvm1").hypervisor.bench.on_progress = lambda event: (watcher.reached.set(), go_on.wait(60))
        parameters = lab.import_parameters("web01", convertinstancehostid=lab.host("kvm1")["id"])
        job_id = lab.client.call("importVm", **parameters)["jobid"]
        assert watcher.reached.wait(60)
        answer = lab.client.call("cancelImportVm", id=job_id)["importcancellation"]
        remark = (
            "host kvm1 goes on with ConvertInstanceCommand: CloudStack's agents cannot be told to stop it; what it "
            "writes is removed when it answers"
        )
        assert answer["remarks"] == [remark]
        text = cancelled_job(lab, job_id, wait_until)
        assert text == f"The import of VM web01 was cancelled by admin at step: convert. {remark}"
        go_on.set()
        wait_until(lambda: fleet.agent("kvm1").running_commands == 0, "the host's own conversion ends")
        wait_until(lambda: not [each for each in fleet.holdings() if each.kind == "file"], "its files go")


def progress(lab: Any, job_id: str) -> dict[str, Any]:
    found: dict[str, Any] = lab.client.call("getImportProgress", id=job_id)["importprogress"]
    return found


def test_progress_of_each_stage(lab: Any, watcher: Watcher, wait_until: Callable[..., Any]) -> None:
    """Bytes, rate and time left of both disks while a host copies, and what a download was."""
    stages = (("convert", "virt-v2v", {}), ("export", "ovftool", {"usevddk": False}), ("import", "qemu-img", {}))
    for stage, tool, changes in stages:
        job_id = watcher.begin(
            "web01",
            lambda event, tool=tool: event.tool == tool and event.disk_index == 2 and event.bytes_done > 0,
            **changes,
        )
        shown = progress(lab, job_id)
        assert (shown["stage"], shown["isreported"], shown["diskcount"]) == (stage, True, len(shown["disk"]))
        first, second = shown["disk"][:2]
        assert first["bytesdone"] == first["totalbytes"] > second["bytesdone"] > 0 or stage == "import"
        assert shown["bytesdone"] == sum(disk["bytesdone"] for disk in shown["disk"])
        assert shown["totalbytes"] == sum(disk["totalbytes"] for disk in shown["disk"]) > shown["bytesdone"]
        assert shown["rate"] > 0 and shown["eta"] >= 0
        lab.client.call("cancelImportVm", id=shown["taskid"])
        cancelled_job(lab, job_id, wait_until)
        assert "eta" not in progress(lab, job_id)
    with pytest.raises(ApiCallError, match="431: There is no import"):
        progress(lab, "nothing")


def test_imports_over_a_limit_wait(lab: Any, watcher: Watcher, wait_until: Callable[..., Any]) -> None:
    """With one import a vCenter the others wait in order, hold no worker, and can be cancelled; a new limit acts."""
    client, setting = lab.client, "cloudstackmock.import.limit.per.vcenter"
    text = f"431: Please enter a value greater than or equal to 0 for the configuration parameter:{setting}"
    with pytest.raises(ApiCallError, match=text):
        client.call("updateConfiguration", name=setting, value="-1")
    client.call("updateConfiguration", name=setting, value="1")
    first = watcher.begin("web01", lambda event: event.bytes_done > 0)
    parameters = lab.import_parameters("db01", forced=True)
    others = [client.call("importVm", **parameters, hostname=f"db-{number}")["jobid"] for number in range(12)]
    waiting = lambda job: progress(lab, job)["state"] == "Waiting"  # noqa: E731
    wait_until(lambda: all(waiting(job) for job in others), "the others wait")
    shown = progress(lab, others[-1])
    assert (shown["waitsfor"][0].split()[0], shown["queueplace"]) == ("vCenter", 11)
    assert {task["step"] for task in lab.tasks("running")} == {"[2/5] Waiting", "[3/5] ConvertingInstance"}
    plan = client.run("importVm", parameters | {"dryrun": True}, poll_interval_s=0.01)["importplan"]
    assert plan["possible"] is True, "the workers are free"

    for job in others[2:]:
        client.call("cancelImportVm", id=job)
    texts = [cancelled_job(lab, job, wait_until, task=False) for job in others[2:]]
    assert set(texts) == {"The import of VM db01 was cancelled by admin at step: wait in the queue"}
    assert [job for job in others[:2] if waiting(job)] == others[:2]

    watcher.set_time_scale(1e9)
    client.call("updateConfiguration", name=setting, value="0")
    for job in others[:2]:
        wait_until(lambda job=job: client.call("queryAsyncJobResult", jobid=job)["jobstatus"] == 1, "it goes on")
    client.call("cancelImportVm", id=first)
    cancelled_job(lab, first, wait_until, task=False)

    watcher.begin("web02", lambda event: event.bytes_done > 0)
    client.call("updateConfiguration", name=setting, value="1")
    left = client.call("importVm", **parameters, hostname="db-left")["jobid"]
    wait_until(lambda: waiting(left), "it waits when the server stops")
