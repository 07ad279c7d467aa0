"""The HTTPS edge: paths, bodies of all kinds, bad clients, and a clean stop."""

from __future__ import annotations

import gzip
import io
import socket
import ssl
import statistics
import threading
import time
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcenter_sim import http as edge
from vcenter_sim.http import BodyError, read_body
from vcenter_sim.server import VcenterSim

SERVICE = ("RetrieveServiceContent", "ServiceInstance", "ServiceInstance")


@pytest.mark.parametrize("path", ["/sdk", "/sdk/", "/sdk/vimService", "/sdk?x=1"])
def test_soap_is_served_on_the_paths_clients_use(lab: VcenterSim, raw: Any, soap: Any, path: str) -> None:
    """pyvmomi posts to /sdk, CloudStack to /sdk/vimService."""
    reply = raw(lab).post(soap(*SERVICE), path)
    assert reply.status == 200
    assert "<fullName>VMware vCenter Server 8.0.2 build-22385739</fullName>" in reply.text


def test_other_paths_are_not_found(lab: VcenterSim, raw: Any, soap: Any) -> None:
    """Anything else is 404, and the connection stays usable."""
    client = raw(lab)
    assert client.post(soap(*SERVICE), "/elsewhere").status == 404
    client.connection.request("GET", "/sdk/vimService.wsdl")
    response = client.connection.getresponse()
    assert (response.status, response.read()) == (404, b"")
    assert client.post(soap(*SERVICE)).status == 200


def test_the_versions_document_lists_what_is_offered(lab: VcenterSim, raw: Any) -> None:
    """vimServiceVersions.xml names 8.0.2.0 and older ones."""
    client = raw(lab)
    client.connection.request("GET", "/sdk/vimServiceVersions.xml")
    response = client.connection.getresponse()
    text = response.read().decode()
    assert response.status == 200
    assert "<name>urn:vim25</name>\n  <version>8.0.2.0</version>" in text
    assert "<version>6.7</version>" in text


def test_chunked_bodies_are_taken(lab: VcenterSim, raw: Any, soap: Any) -> None:
    """Go clients send no length but chunks."""
    body = soap(*SERVICE)
    pieces = iter([body[:10], body[10:500], body[500:]])
    reply = raw(lab).post(pieces, Transfer_Encoding="chunked")
    assert reply.status == 200
    assert "ServiceInstance" not in reply.text
    assert "group-d1" in reply.text


@pytest.mark.parametrize("chunked", [False, True])
def test_gzip_bodies_are_taken(lab: VcenterSim, raw: Any, soap: Any, chunked: bool) -> None:
    """A compressed body works with a length and in chunks."""
    body = gzip.compress(soap(*SERVICE))
    headers = {"Content_Encoding": "gzip"} | ({"Transfer_Encoding": "chunked"} if chunked else {})
    assert raw(lab).post(iter([body]) if chunked else body, **headers).status == 200


def test_connections_are_kept_alive_and_quick(lab: VcenterSim, raw: Any, soap: Any, wait_until: Any) -> None:
    """Calls over one connection take far less than the 40 ms each that delayed ACKs would cost."""
    client = raw(lab)
    client.post(soap(*SERVICE))
    opened = client.connection.sock

    def are_quick() -> bool:  # those of the quick quarter: other work may slow the rest down, now and then all
        durations_s = []
        for _ in range(50):
            started = time.monotonic()
            assert client.post(soap(*SERVICE)).status == 200
            durations_s.append(time.monotonic() - started)
        return statistics.quantiles(durations_s, n=4)[0] < 0.035

    wait_until(are_quick, "calls without the delay")
    assert client.connection.sock is opened


@pytest.mark.parametrize(
    "body",
    [b"", b"no xml", b"<a><b></a>", b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', b"<x>" * 5000],
)
def test_bad_xml_is_an_invalid_request_and_harms_nobody(lab: VcenterSim, raw: Any, soap: Any, body: bytes) -> None:
    """A body that is no request gets a soap fault InvalidRequest; the next request works."""
    client = raw(lab)
    reply = client.post(body)
    assert reply.status == 500
    assert "InvalidRequestFault" in reply.text
    assert client.post(soap(*SERVICE)).status == 200


def test_an_unknown_method_is_method_not_found(
    lab: VcenterSim, raw: Any, soap: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A method that no type table has is answered with MethodNotFound and named in the log."""
    reply = raw(lab).post(soap("MakeCoffee", "Folder", "group-d1"))
    assert reply.status == 500
    assert "<method>MakeCoffee</method>" in reply.text
    assert "MethodNotFoundFault" in reply.text
    assert "method MakeCoffee is not there" in caplog.text


def test_a_method_of_another_type_is_method_not_found(lab: VcenterSim, lab_client: Any, raw: Any, soap: Any) -> None:
    """PowerOnVM_Task on a folder is refused."""
    client = raw(lab)
    client.cookie = lab_client._stub.cookie
    reply = client.post(soap("PowerOnVM_Task", "Folder", "group-d1"))
    assert "MethodNotFoundFault" in reply.text


def test_a_failure_inside_is_a_system_error_with_its_traceback_in_the_log(
    vcenter: VcenterSim, client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A defect of ours is answered with SystemError and does not end the connection."""
    from pyVmomi import vim, vmodl

    content = client.RetrieveContent()
    root = vcenter.inventory.find(vim.Folder("group-d1"))
    root.compute(childEntity=lambda: 1 / 0)
    with pytest.raises(vmodl.fault.SystemError) as caught:
        _ = content.rootFolder.childEntity
    assert caught.value.reason == "ZeroDivisionError"
    assert "failed inside the stand-in" in caplog.text
    assert client.CurrentTime() is not None


@pytest.mark.parametrize("cookie", ['vmware_soap_session="nosuch"', "garbage", "a=b; c=d", "vmware_soap_session"])
def test_unknown_cookies_open_a_new_session(lab: VcenterSim, raw: Any, soap: Any, cookie: str) -> None:
    """A cookie we did not give is as good as none: the reply sets a new one."""
    reply = raw(lab).post(soap(*SERVICE), Cookie=cookie)
    assert reply.status == 200
    assert reply.cookie.startswith("vmware_soap_session=")


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Content_Length": str(9 * 1024 * 1024)}, b"", 413),
        ({"Content_Length": "-1"}, b"", 400),
        ({"Content_Length": "x"}, b"", 400),
        ({}, None, 411),
        ({"Transfer_Encoding": "chunked"}, [b"x" * 1024 * 1024] * 9, 413),
        ({"Transfer_Encoding": "brotli"}, b"", 501),
        ({"Content_Encoding": "br"}, b"x", 415),
        ({"Content_Encoding": "gzip"}, b"x", 400),
        ({"Content_Encoding": "gzip"}, gzip.compress(bytes(9 * 1024 * 1024), mtime=0), 413),
        ({"Content_Encoding": "gzip"}, gzip.compress(b"x" * 100, mtime=0)[:-9], 400),
    ],
)
def test_bodies_that_cannot_be_taken_are_refused(
    lab: VcenterSim, raw: Any, soap: Any, headers: dict[str, str], body: Any, status: int
) -> None:
    """Too large, unknown coding or no length: the status says so, the connection ends, the server lives."""
    client = raw(lab)
    if body is None:
        client.connection.putrequest("POST", "/sdk")
        client.connection.endheaders()
        response = client.connection.getresponse()
        assert response.status == status
        response.read()
    else:
        try:
            reply = client.post(iter(body) if isinstance(body, list) else body, **headers)
        except (ConnectionError, ssl.SSLEOFError):
            assert status == 413  # refused and closed while the client was still sending
        else:
            assert reply.status == status
            assert reply.closes
    assert raw(lab).post(soap(*SERVICE)).status == 200


def headers_of(**values: str) -> Message:
    message = Message()
    for name, value in values.items():
        message[name.replace("_", "-")] = value
    return message


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=6), st.booleans())
def test_any_chunking_gives_the_body_back(chunks: list[bytes], extensions: bool) -> None:
    """The body is the chunks joined, with or without chunk extensions and trailers."""
    wire = b"".join(b"%x%s\r\n%s\r\n" % (len(chunk), b";a=b" if extensions else b"", chunk) for chunk in chunks)
    wire += b"0\r\n" + (b"Trailer: x\r\n" if extensions else b"") + b"\r\n"
    stream = io.BytesIO(wire + b"next request")
    assert read_body(headers_of(Transfer_Encoding="chunked"), stream) == b"".join(chunks)
    assert stream.read() == b"next request"


@pytest.mark.parametrize(
    "wire",
    [b"", b"zz\r\n", b"-1\r\n", b"5\r\nab", b"2\r\nabc\r\n0\r\n\r\n", b"0\r\n" + b"t: x\r\n" * 200],
)
def test_broken_chunks_are_a_bad_request(wire: bytes) -> None:
    """A chunk without length, shorter or longer than it says, or endless trailers are refused."""
    with pytest.raises(BodyError) as caught:
        read_body(headers_of(Transfer_Encoding="chunked"), io.BytesIO(wire))
    assert caught.value.status == 400


def test_a_body_that_ends_early_is_a_bad_request() -> None:
    """Fewer bytes than the length says is no body."""
    with pytest.raises(BodyError, match="ended early"):
        read_body(headers_of(Content_Length="10"), io.BytesIO(b"abc"))


def test_slow_clients_block_nobody(lab: VcenterSim, raw: Any, soap: Any) -> None:
    """Clients that say nothing, begin a handshake or stop in the middle of a body leave others alone."""
    half_open = socket.create_connection(lab.address)
    half_shaken = socket.create_connection(lab.address)
    half_shaken.sendall(b"\x16\x03\x01\x02\x00\x01")
    slow = raw(lab)
    slow.connection.putrequest("POST", "/sdk")
    slow.connection.putheader("Content-Length", "500")
    slow.connection.endheaders()
    try:
        assert raw(lab).post(soap(*SERVICE)).status == 200
    finally:
        half_open.close()
        half_shaken.close()


def test_what_is_no_tls_is_dropped(lab: VcenterSim, raw: Any, soap: Any) -> None:
    """Plain HTTP on the port ends that connection only."""
    with socket.create_connection(lab.address, timeout=60) as plain:
        plain.sendall(b"GET / HTTP/1.0\r\n\r\n" + b"x" * 100)
        while plain.recv(1024):
            pass
    assert raw(lab).post(soap(*SERVICE)).status == 200


def test_a_silent_handshake_times_out(lab: VcenterSim, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that never begins TLS is closed after the handshake time."""
    monkeypatch.setattr(edge, "HANDSHAKE_TIMEOUT_S", 0.05)
    with socket.create_connection(lab.address, timeout=60) as silent:
        assert silent.recv(1) == b""


def test_stop_ends_all_threads_and_connections(vcenter: VcenterSim, client: Any, raw: Any, soap: Any) -> None:
    """With idle, half-open and busy connections stop leaves no thread and no listener."""
    idle = raw(vcenter)
    idle.post(soap(*SERVICE))
    half_open = socket.create_connection(vcenter.address)
    vcenter.stop()
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("vcenter-sim") and
                _belongs(thread, vcenter)]  # fmt: skip
    with pytest.raises(OSError):
        socket.create_connection(vcenter.address, timeout=1)
    half_open.close()
    vcenter.stop()


def _belongs(thread: threading.Thread, vcenter: VcenterSim) -> bool:
    """The session-wide lab vCenter has threads of its own; only those of a stopped one count."""
    target = getattr(thread, "_target", None)
    owner = getattr(target, "__self__", None)
    return owner is None or getattr(owner, "service", None) is vcenter._service


def test_a_restarted_vcenter_has_its_port_and_objects_and_no_sessions(
    vcenter: VcenterSim, client: Any, connect: Any, vm_named: Any, finish: Any
) -> None:
    """After stop and start the same address serves the same inventory to whoever logs in anew."""
    finish(vm_named(client, "web01").Destroy_Task())
    address = vcenter.address
    vcenter.stop()
    vcenter.start()
    assert vcenter.address == address
    with pytest.raises(RuntimeError, match="runs already"):
        vcenter.start()
    assert "web01" not in vcenter.inventory.vm_names
    again = connect(vcenter)
    assert finish(vm_named(again, "db01").PowerOnVM_Task()).state == "success"


def test_a_taken_port_is_an_os_error(lab: VcenterSim, lab_file: Path) -> None:
    """start raises OSError and leaves nothing running."""
    second = VcenterSim(lab_file, port=lab.address[1])
    with pytest.raises(OSError):
        second.start()
    assert not second.running


def test_two_stand_ins_live_side_by_side(
    lab: VcenterSim, vcenter: VcenterSim, client: Any, vm_named: Any, finish: Any
) -> None:
    """What happens in one is not seen in the other."""
    finish(vm_named(client, "web01").Destroy_Task())
    assert lab.inventory.find_vm("web01") is not None


def test_a_certificate_folder_keeps_the_certificate(lab_file: Path, tmp_path: Path) -> None:
    """Two starts with one folder have one thumbprint; the key is for its owner only; a new folder means a new one."""
    kept = [VcenterSim(lab_file, certificate_dir=tmp_path / "a").thumbprint_sha1 for _ in range(2)]
    assert kept[0] == kept[1]
    assert (tmp_path / "a" / "vcenter.key").stat().st_mode & 0o777 == 0o600
    other = VcenterSim(lab_file, certificate_dir=tmp_path / "b", host="vcenter.lab.example")
    assert other.thumbprint_sha1 != kept[0]
    assert "BEGIN CERTIFICATE" in other.certificate_pem
