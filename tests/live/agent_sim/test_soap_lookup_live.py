"""The look-up of a VM in vCenter, as libvirt and ovftool see it."""

from __future__ import annotations

import asyncio
import threading

import pytest

from agent_sim.toolchain.soap import SoapReader
from agent_sim.toolchain.tls import certificate_der
from agent_sim.toolchain.vsphere import (
    LoginRefusedError,
    NotFoundError,
    VcenterUnreachableError,
    vcenter_reader,
)

PASSWORD = "VMware1!lab"
USER = "administrator@vsphere.local"
GIB = 1024**3


@pytest.fixture
def address(vcenter) -> str:
    return "{}:{}".format(*vcenter.address)


def test_machine_has_its_disks_in_order_and_its_nics(address) -> None:
    """Disks by label with sizes, nics with network and MAC address, firmware and system."""
    reader = vcenter_reader(address, USER, PASSWORD)
    machine = reader.find_on_host("lab-dc", "esx-cluster", "esx1.lab.example", "web01")
    assert [(disk.label, disk.capacity_bytes) for disk in machine.disks] == [
        ("Hard disk 1", 20 * GIB),
        ("Hard disk 2", 50 * GIB),
    ]
    assert all(0 < disk.allocated_bytes <= disk.capacity_bytes for disk in machine.disks)
    assert machine.nics[0].network == "VM Network" and machine.nics[0].mac
    assert (machine.uefi, machine.is_windows, machine.powered_on) == (False, False, False)
    assert machine.esxi_host == "esx1.lab.example"
    assert reader.find_by_path("lab-dc/vm/web01") == machine


@pytest.mark.parametrize(
    ("where", "kind", "name"),
    [
        (("nodc", "esx-cluster", "esx1.lab.example", "web01"), "datacenter", "nodc"),
        (("lab-dc", "none", "esx1.lab.example", "web01"), "compute resource", "none"),
        (("lab-dc", "esx-cluster", "none", "web01"), "host system", "none"),
        (("lab-dc", "esx-cluster", "esx1.lab.example", "WEB01"), "vm", "WEB01"),
        (("lab-dc", "esx3.lab.example", None, "web01"), "vm", "web01"),
    ],
)
def test_what_is_not_there_is_named(address, where, kind, name) -> None:
    """Each part of the path is looked for in turn; VM names are compared exactly."""
    with pytest.raises(NotFoundError) as caught:
        vcenter_reader(address, USER, PASSWORD).find_on_host(*where)
    assert (caught.value.kind, caught.value.name) == (kind, name)


def test_path_that_is_no_vm(address) -> None:
    """A folder is no VM."""
    with pytest.raises(NotFoundError):
        vcenter_reader(address, USER, PASSWORD).find_by_path("lab-dc/vm")


def test_refused_login_holds_no_secret(address) -> None:
    """A wrong password is refused with vCenter's words; neither error nor reader shows it."""
    reader = SoapReader(address, USER, "a secret")
    with pytest.raises(LoginRefusedError) as caught:
        reader.find_by_path("lab-dc/vm/web01")
    assert "incorrect user name or password" in str(caught.value)
    assert "secret" not in repr(reader) + str(caught.value)


def test_no_vcenter_there() -> None:
    """Nobody listens: the address is in the error, for both kinds of question."""
    with pytest.raises(VcenterUnreachableError, match=r"Failed to connect to 127\.0\.0\.1 port 1: "):
        vcenter_reader("127.0.0.1:1", USER, PASSWORD).find_by_path("lab-dc/vm/web01")
    with pytest.raises(VcenterUnreachableError, match=r"Failed to connect to 127\.0\.0\.1 port 1: "):
        asyncio.run(certificate_der("127.0.0.1:1"))


def test_abort_ends_a_look_up_that_hangs(server_certificate) -> None:
    """A vCenter that accepts and never answers: `abort` from another thread ends the look-up."""
    import socket
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*server_certificate)
    listener = socket.create_server(("127.0.0.1", 0))
    heard = threading.Event()
    finished = threading.Event()

    def serve() -> None:
        plain, _ = listener.accept()
        with context.wrap_socket(plain, server_side=True) as link:
            link.recv(1)
            heard.set()
            finished.wait(60)

    serving = threading.Thread(target=serve, daemon=True)
    serving.start()
    reader = SoapReader(f"127.0.0.1:{listener.getsockname()[1]}", USER, PASSWORD)
    failures: list[Exception] = []

    def look() -> None:
        try:
            reader.find_by_path("lab-dc/vm/web01")
        except VcenterUnreachableError as error:
            failures.append(error)

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    assert heard.wait(60)
    reader.abort()
    looking.join(60)
    finished.set()
    serving.join(60)
    listener.close()
    assert not looking.is_alive()
    assert len(failures) == 1
    SoapReader("x", USER, PASSWORD).abort()
