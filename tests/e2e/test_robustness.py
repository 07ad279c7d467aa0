"""What goes wrong on the wire, and what must not be found anywhere."""

from __future__ import annotations

import json
import logging
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from cloudstack_mock import ApiCallError

VCENTER_PASSWORD = "VMware1!lab"


@pytest.mark.slow
def test_agent_lost_during_a_conversion(start_lab: Any, wait_until: Callable[..., Any]) -> None:
    """Killing the agent fails the job with CloudStack's text; the host leaves Up, comes back, and imports again."""
    converting = threading.Event()
    lab = start_lab(on_progress=lambda event: converting.set(), time_scale=200)
    host = lab.host("kvm1")
    parameters = lab.import_parameters("web01", convertinstancehostid=host["id"])
    job_id = lab.client.call("importVm", **parameters)["jobid"]
    assert converting.wait(60), "the conversion never began"
    lab.world.fleet.kill("kvm1")

    job = wait_until(lambda: finished(lab, job_id), "the job ends after the agent was lost")
    assert job["jobstatus"] == 2
    assert job["jobresultcode"] == job["jobresult"]["errorcode"] == 530
    assert job["jobresult"]["errortext"].startswith("Could not send the convert instance command to host ")
    assert " due to: " in job["jobresult"]["errortext"]
    wait_until(lambda: lab.host("kvm1")["state"] == "Alert", "the host is in Alert")
    (task,) = lab.tasks("failed")
    assert task["step"] == "[3/5] ConvertingInstance"
    assert task["description"] == job["jobresult"]["errortext"]
    assert not list(Path(lab.world.fleet.work_dir).rglob("v2v.pass.cloud.*"))

    lab.world.fleet.revive("kvm1")
    wait_until(lambda: lab.host("kvm1")["state"] == "Up", "the host is Up again")

    def states() -> list[str]:
        entries = lab.world.server.services.journal.entries(kind="host")
        return [entry.name for entry in entries if entry.fields.get("host") == "kvm1"]

    # the journal is written after the record
    wait_until(lambda: states()[-4:] == ["Up", "Alert", "Connecting", "Up"], "the states in the journal")
    vm = lab.import_vm("edge-stopped", usevddk=False, convertinstancehostid=host["id"])
    assert vm["state"] == "Stopped"


@pytest.mark.slow
def test_a_stop_during_a_conversion_leaves_the_job_to_the_next_start(
    start_lab: Any, wait_until: Callable[..., Any], tmp_path: Path
) -> None:
    """A server stopped in the middle ends neither job nor task; the next start fails the job."""
    converting = threading.Event()
    url = f"sqlite:///{tmp_path / 'cloud.db'}"
    first = start_lab(on_progress=lambda event: converting.set(), time_scale=1, database=url)
    job_id = first.client.call("importVm", **first.import_parameters("web01"))["jobid"]
    assert converting.wait(60), "the conversion never began"
    first.world.stop()

    second = start_lab(database=url)
    job = second.client.call("queryAsyncJobResult", jobid=job_id)
    assert (job["jobstatus"], job["jobresult"]) == (
        2,
        {"errorcode": 530, "errortext": "job cancelled because of management server restart or shutdown"},
    )
    (task,) = second.tasks()
    assert (task["state"], task["step"]) == ("Running", "[3/5] ConvertingInstance")
    assert second.import_vm("db01")["state"] == "Stopped"


def finished(lab: Any, job_id: str) -> dict[str, Any] | None:
    job: dict[str, Any] = lab.client.call("queryAsyncJobResult", jobid=job_id)
    return job if job["jobstatus"] != 0 else None


def tls_socket(address: tuple[str, int]) -> tuple[socket.socket, ssl.SSLObject, ssl.MemoryBIO, ssl.MemoryBIO]:
    """A socket after the plain TLS handshake, as an agent makes it, with the objects to go on by hand."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing)
    raw = socket.create_connection(address, timeout=60)
    while True:
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            raw.sendall(outgoing.read())
            incoming.write(raw.recv(65536))
        else:
            raw.sendall(outgoing.read())
            return raw, tls, incoming, outgoing


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(struct.pack(">i", 100 * 2**20) + b"x" * 1000, id="100 MB length prefix"),
        pytest.param(struct.pack(">i", 100) + b"\x17\x03\x03\x00\x5f" + b"x" * 95, id="garbage record"),
        pytest.param(struct.pack(">i", 18001) + b"x" * 18001, id="frame over 18000 bytes"),
        pytest.param(struct.pack(">i", 0x8000) + b"x" * 64, id="negative size"),
    ],
)
def test_bad_frames_close_only_their_link(lab: Any, wait_until: Callable[..., Any], frame: bytes) -> None:
    """A bad frame on the agent port ends that link; hosts stay Up and imports go on."""
    raw, *_ = tls_socket(lab.world.server.agents.address)
    with raw:
        raw.sendall(frame)
        assert wait_for_end(raw), "the server kept the link open"
    assert lab.client.call("listHosts", type="Routing", state="Up")["count"] == 3


def wait_for_end(raw: socket.socket) -> bool:
    try:
        while raw.recv(65536):
            continue
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


def test_bytes_that_are_no_tls_are_cut(lab: Any) -> None:
    """Clear text on the agent port is cut at once, and a bare probe does no harm."""
    with socket.create_connection(lab.world.server.agents.address, timeout=60) as raw:
        raw.sendall(b"GET / HTTP/1.1\r\n\r\n" * 10)
        assert wait_for_end(raw)
    socket.create_connection(lab.world.server.agents.address).close()
    assert lab.client.call("listHosts", type="Routing", state="Up")["count"] == 3


def test_the_vcenter_password_is_nowhere_it_must_not_be(
    start_lab: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """After imports by all ways, good and bad, the password stands in no log, no file and no table."""
    caplog.set_level(logging.DEBUG)
    database, work_dir = tmp_path / "cloud.db", tmp_path / "work"
    lab = start_lab(database=f"sqlite:///{database}", work_dir=work_dir)
    ready = lab.ready["vcenter"]
    external = {
        "existingvcenterid": None,
        "vcenter": f"{ready['host']}:{ready['port']}",
        "datacentername": ready["datacenter"],
        "username": ready["username"],
        "password": ready["password"],
    }
    lab.import_vm("web01", **external)
    lab.import_vm("db01", usevddk=False)
    lab.import_vm("edge-stopped", usevddk=False, forcemstoimportvmfiles=True)
    with pytest.raises(ApiCallError):
        lab.import_vm("web01", hostname="other", displayname="other", **external | {"password": VCENTER_PASSWORD + "x"})
    journal = json.dumps([str(entry) for entry in lab.world.server.services.journal.entries()])
    jobs = json.dumps([lab.client.call("queryAsyncJobResult", jobid=job_id) for job_id in job_ids(database)])
    lab.world.stop()

    assert ready["password"] == VCENTER_PASSWORD
    assert VCENTER_PASSWORD not in caplog.text
    assert VCENTER_PASSWORD not in journal
    assert VCENTER_PASSWORD not in jobs
    left = [path for path in work_dir.rglob("*") if path.is_file() and holds(path, VCENTER_PASSWORD.encode())]
    assert left == []
    assert rows_with(database, "lab-dc") != []
    assert rows_with(database, VCENTER_PASSWORD) == []
    assert not any(VCENTER_PASSWORD.encode() in path.read_bytes() for path in tmp_path.glob("cloud.db*"))


def holds(path: Path, needle: bytes) -> bool:
    """Whether the first MiB of a (maybe sparse) file has `needle`."""
    with path.open("rb") as file:
        return needle in file.read(2**20)


def job_ids(database: Path) -> list[str]:
    engine = create_engine(f"sqlite:///{database}")
    with engine.connect() as connection:
        found = [row[0] for row in connection.execute(text("select uuid from async_job"))]
    engine.dispose()
    assert found
    return found


def rows_with(database: Path, needle: str) -> list[str]:
    """The names of the tables that have a row with `needle` in it."""
    engine = create_engine(f"sqlite:///{database}")
    with engine.connect() as connection:
        tables = [row[0] for row in connection.execute(text("select name from sqlite_master where type = 'table'"))]
        found = [
            table
            for table in tables
            if any(needle in str(row) for row in connection.execute(text(f'select * from "{table}"')))
        ]
    engine.dispose()
    return found
