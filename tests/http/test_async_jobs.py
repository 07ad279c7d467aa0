"""Async commands over HTTP: start, query, list, failure, custom ids and the framework's events."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from mgmt.commands.declaration import Item, Success
from mgmt.errors import AgentUnavailableError, InvalidParameterValueError, ServerApiError
from mgmt.store.models import AsyncJob, Event

UUID = "fbbf0edd-f3ab-4bf1-9910-566fc732e5ad"
TIMEOUT_S = 60
HEAD = '<?xml version="1.0" encoding="UTF-8"?>'
VERSION = ' cloud-stack-version="4.22.0.0-SNAPSHOT"'


@pytest.fixture
def held(edge: Any) -> Iterator[threading.Event]:
    """Jobs wait until this event is set."""
    event = threading.Event()
    edge.recorder.gate = lambda call: call.job_uuid and event.wait(TIMEOUT_S)
    yield event
    event.set()
    with edge.services.store.session() as db:
        pending = [job.uuid for job in db.query(AsyncJob).filter_by(status=0)]
    for job in pending:
        edge.services.jobs.wait(job, TIMEOUT_S)


def start(edge: Any, command: str = "importVm", **parameters: str) -> str:
    answer = edge.get(command, **{"name": "vm", "mode": "m", **parameters})
    assert answer.status_code == 200, answer.data
    return str(answer.json[f"{command.lower()}response"]["jobid"])


def finished(edge: Any, command: str = "importVm", **parameters: str) -> dict[str, Any]:
    job = start(edge, command, **parameters)
    assert edge.services.jobs.wait(job, TIMEOUT_S)
    return query(edge, job)


def query(edge: Any, job: str, **more: str) -> dict[str, Any]:
    return dict(edge.get("queryAsyncJobResult", jobid=job, **more).json["queryasyncjobresultresponse"])


def test_pending_job_names_its_server(edge: Any, held: threading.Event) -> None:
    """A pending job shows the executing server and no result, in the recorded order."""
    job = start(edge, "stopVirtualMachine")
    assert list(query(edge, job).items()) == [
        ("accountid", "account-admin"),
        ("account", "admin"),
        ("domainid", "472f002c-e6d2-11f1-b0c4-02fc00000001"),
        ("domainpath", "ROOT"),
        ("userid", "4730d2e8-e6d2-11f1-b0c4-02fc00000001"),
        ("cmd", "org.apache.cloudstack.api.command.admin.vm.StopVMCmdByAdmin"),
        ("jobprocstatus", 0),
        ("jobresultcode", 0),
        ("jobinstancetype", "VirtualMachine"),
        ("managementserverid", "73fbcaa8-c53b-4175-90dd-2257954d5ca5"),
        ("managementservername", "localhost"),
        ("created", "2026-11-23T00:57:06+0000"),
        ("jobid", job),
        ("jobstatus", 0),
    ]


def test_succeeded_job_has_its_entity(edge: Any) -> None:
    """A job that succeeded has code 0, an object result and a completion time, and no server any more."""
    edge.recorder.result = Item({"id": "i", "name": "vm", "details": {"k": "v"}, "hostid": None})
    shown = finished(edge)
    assert shown["jobresult"] == {"virtualmachine": {"id": "i", "name": "vm", "details": {"k": "v"}}}
    assert (shown["jobstatus"], shown["jobresultcode"], shown["jobresulttype"]) == (1, 0, "object")
    assert shown["completed"] == "2026-11-23T00:57:06+0000"
    assert "managementserverid" not in shown and "jobinstancetype" not in shown


def test_job_result_in_xml(edge: Any) -> None:
    """In XML a job's result stands in `jobresult`, with maps of the command's own response as Java text."""
    edge.recorder.result = Item({"id": "i", "details": {"k": "v"}, "tags": [{"key": "a"}]})
    job = start(edge)
    assert edge.services.jobs.wait(job, TIMEOUT_S)
    document = edge.get("queryAsyncJobResult", jobid=job, response="xml").get_data(as_text=True)
    assert (
        "<jobresult><virtualmachine><id>i</id><details>{k=v}</details><tags><key>a</key></tags></virtualmachine>"
        "</jobresult>" in document
    )
    document = edge.get("importVm", name="vm", mode="m", response="xml").get_data(as_text=True)
    assert document.startswith(f"{HEAD}<importvmresponse{VERSION}><jobid>")


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (InvalidParameterValueError("bad value"), 431, "bad value"),
        (ServerApiError(533, "no room"), 533, "no room"),
        (AgentUnavailableError("lost"), 530, "lost"),
        (RuntimeError("secret"), 530, "Internal error executing command, please contact your system administrator"),
    ],
)
def test_failed_job(edge: Any, error: Exception, code: int, text: str) -> None:
    """An invalid value ends a job with 431, an API exception with its own code, all else with 530; the query is 200."""
    edge.recorder.error = error
    shown = finished(edge)
    assert (shown["jobstatus"], shown["jobresultcode"]) == (2, code)
    assert shown["jobresult"] == {"errorcode": code, "errortext": text}
    document = edge.get("queryAsyncJobResult", jobid=shown["jobid"], response="xml").get_data(as_text=True)
    assert f"<jobresult><errorcode>{code}</errorcode><errortext>{text}</errortext></jobresult>" in document


def test_success_text_of_a_job_is_called_details(edge: Any) -> None:
    """A job that only succeeds says so, with its text under `details`."""
    edge.recorder.result = Success("moved")
    assert finished(edge)["jobresult"] == {"success": True, "details": "moved"}


def test_parameters_are_checked_before_a_job_is_made(edge: Any) -> None:
    """A missing parameter of an async command is an ordinary HTTP error."""
    answer = edge.get("importVm", name="vm")
    assert answer.json["importvmresponse"]["errortext"] == (
        "Unable to execute API command importvm due to missing parameter mode"
    )
    with edge.services.store.session() as db:
        assert db.query(AsyncJob).count() == 0


def test_custom_job_id(edge: Any) -> None:
    """The caller may choose the job's id once."""
    assert start(edge, customjobid=UUID.upper()) == UUID
    body = edge.get("importVm", name="vm", mode="m", customjobid=UUID).json["importvmresponse"]
    assert (body["errorcode"], body["cserrorcode"]) == (431, 4350)
    assert body["errortext"] == f"UUID: {UUID} already exists so can't create/update with custom id"
    body = edge.get("importVm", name="vm", mode="m", customjobid="abc").json["importvmresponse"]
    assert (body["errorcode"], body["cserrorcode"]) == (431, 4350)
    assert body["errortext"] == "UUID: abc doesn't follow the UUID format"
    assert edge.services.jobs.wait(UUID, TIMEOUT_S)


def test_job_can_be_queried_by_its_internal_number(edge: Any) -> None:
    """jobid takes the internal number too."""
    job = finished(edge)["jobid"]
    with edge.services.store.session() as db:
        number = db.query(AsyncJob).filter_by(uuid=job).one().id
    assert query(edge, str(number))["jobid"] == job


def test_jobs_of_others(edge: Any) -> None:
    """A user and a domain admin are refused another account's job with their own texts each."""
    job = finished(edge)["jobid"]
    with edge.services.store.session() as db:
        number = db.query(AsyncJob).filter_by(uuid=job).one().id
    body = edge.get("queryAsyncJobResult", jobid=job, who="user1").json["queryasyncjobresultresponse"]
    assert (body["errorcode"], body["cserrorcode"]) == (531, 4365)
    assert body["errortext"] == (
        'Account Account [{"accountName":"user1","id":2,"uuid":"account-user1"}] is not authorized to see '
        f"job id={number}"
    )
    body = edge.get("queryAsyncJobResult", jobid=job, who="dadmin1").json["queryasyncjobresultresponse"]
    assert body["errortext"] == "Caller does not have permission to operate with provided resource."
    own = edge.get("importVm", who="user1", name="vm", mode="m").json["importvmresponse"]["jobid"]
    for who in ("user1", "dadmin1", "admin"):
        shown = edge.get("queryAsyncJobResult", jobid=own, who=who).json["queryasyncjobresultresponse"]
        assert shown["domainpath"] == "ROOT/D1"
    assert edge.services.jobs.wait(own, TIMEOUT_S)


def test_list_has_pending_jobs_of_an_instance_type_only(edge: Any, held: threading.Event) -> None:
    """listAsyncJobs shows pending jobs that are tied to an instance type, and none that has ended."""
    jobs = [start(edge, "stopVirtualMachine"), start(edge, "stopVirtualMachine")]
    start(edge, "importVm")
    listed = edge.get("listAsyncJobs").json["listasyncjobsresponse"]
    assert listed["count"] == 2
    assert [each["jobid"] for each in listed["asyncjobs"]] == jobs
    window = edge.get("listAsyncJobs", page="2", pagesize="1").json["listasyncjobsresponse"]
    assert (window["count"], [each["jobid"] for each in window["asyncjobs"]]) == (2, jobs[1:])
    for filters, count in (
        ({"keyword": "stopvm"}, 2),
        ({"keyword": "virtualmach"}, 2),
        ({"keyword": "nothing"}, None),
        ({"startdate": "2026-11-23"}, 2),
        ({"startdate": "2026-11-24"}, None),
        ({"managementserverid": "73fbcaa8-c53b-4175-90dd-2257954d5ca5"}, 2),
        ({"account": "admin", "domainid": "472f002c-e6d2-11f1-b0c4-02fc00000001"}, 2),
    ):
        assert edge.get("listAsyncJobs", **filters).json["listasyncjobsresponse"].get("count") == count, filters
    assert edge.get("listAsyncJobs", who="user1", listall="true").json["listasyncjobsresponse"] == {}
    held.set()
    assert all(edge.services.jobs.wait(job, TIMEOUT_S) for job in jobs)
    assert edge.get("listAsyncJobs", listall="true").json["listasyncjobsresponse"] == {}


@pytest.mark.parametrize("fails", [False, True])
def test_framework_events(edge: Any, fails: bool) -> None:
    """A job writes Scheduled, Started and Completed; the later two point to the first."""
    edge.recorder.error = InvalidParameterValueError("no") if fails else None
    finished(edge, name="vm7")
    with edge.services.store.session() as db:
        events = db.query(Event).order_by(Event.id).all()
    last = "Error while importing VM" if fails else "Successfully completed importing VM"
    assert [(each.type, each.level, each.state, each.description) for each in events] == [
        ("VM.IMPORT", "INFO", "Scheduled", "Importing unmanaged VM: vm7"),
        ("VM.IMPORT", "INFO", "Started", "Importing VM"),
        ("VM.IMPORT", "ERROR" if fails else "INFO", "Completed", last),
    ]
    assert [each.start_id for each in events] == [None, events[0].id, events[0].id]
    assert {(each.resource_type, each.resource_uuid) for each in events} == {("VirtualMachine", None)}


def test_job_keeps_the_calls_correlation_id_and_no_secret(edge: Any) -> None:
    """Call, job and journal share one correlation id; the job's record and the journal hold no password."""
    edge.recorder.error = InvalidParameterValueError("vCenter refused VMware1!lab")
    shown = finished(edge, password="VMware1!lab")
    assert shown["jobresult"]["errortext"] == "vCenter refused *****"
    states = edge.services.journal.entries(kind="job")
    assert [each.fields["state"] for each in states] == ["queued", "running", "failed"]
    (call,) = [each for each in edge.services.journal.entries(kind="api") if each.name == "importVm"]
    assert {each.correlation_id for each in states} == {call.correlation_id}
    with edge.services.store.session() as db:
        job = db.query(AsyncJob).filter_by(uuid=shown["jobid"]).one()
        assert job.correlation_id == call.correlation_id
    assert "VMware1!lab" not in repr(edge.services.journal.entries())
