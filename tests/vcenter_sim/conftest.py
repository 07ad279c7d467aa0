"""A running stand-in and pyvmomi clients of it."""

from __future__ import annotations

import contextlib
import http.client
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pyVim.connect import SmartStubAdapter
from pyVmomi import vim, vmodl

from vcenter_sim.server import VcenterSim

LAB = Path(__file__).resolve().parents[2] / "fixtures" / "vcenters" / "lab.yaml"


@pytest.fixture(scope="session")
def lab_file() -> Path:
    return LAB


@pytest.fixture(scope="module")
def lab() -> Iterator[VcenterSim]:
    """The lab's vCenter for tests that change nothing."""
    with VcenterSim(LAB) as vcenter:
        yield vcenter


@pytest.fixture
def vcenter() -> Iterator[VcenterSim]:
    """A lab vCenter of the test's own."""
    with VcenterSim(LAB) as vcenter:
        yield vcenter


@pytest.fixture
def connect() -> Iterator[Callable[..., Any]]:
    """Log in to a stand-in with pyvmomi; logged out and closed after the test."""
    opened: list[tuple[VcenterSim, Any]] = []

    def connect(vcenter: VcenterSim, user: str | None = None, password: str | None = None) -> Any:
        host, port = vcenter.address
        # Not SmartConnect: it leaves its connection open when the login fails.
        stub = SmartStubAdapter(host=host, port=port, disableSslCertValidation=True, httpConnectionTimeout=60)
        instance = vim.ServiceInstance("ServiceInstance", stub)
        opened.append((vcenter, instance))
        manager = instance.RetrieveContent().sessionManager
        manager.Login(user or vcenter.username, password or vcenter.password, None)
        return instance

    yield connect
    for vcenter, instance in opened:
        if vcenter.running:
            with contextlib.suppress(vim.fault.NotAuthenticated, OSError, http.client.HTTPException):
                instance.RetrieveContent().sessionManager.Logout()
        instance._stub.DropConnections()


@pytest.fixture
def lab_client(lab: VcenterSim, connect: Callable[..., Any]) -> Any:
    return connect(lab)


@pytest.fixture
def client(vcenter: VcenterSim, connect: Callable[..., Any]) -> Any:
    return connect(vcenter)


@pytest.fixture(scope="session")
def vm_named() -> Callable[[Any, str], Any]:
    """Find a VM by name with one collector call."""

    def vm_named(instance: Any, name: str) -> Any:
        content = instance.RetrieveContent()
        view = content.viewManager.CreateContainerView(content.rootFolder, [vim.VirtualMachine], True)
        collector = vmodl.query.PropertyCollector
        spec = collector.FilterSpec(
            objectSet=[
                collector.ObjectSpec(
                    obj=view,
                    skip=True,
                    selectSet=[collector.TraversalSpec(name="view", type=vim.view.ContainerView, path="view")],
                )
            ],
            propSet=[collector.PropertySpec(type=vim.VirtualMachine, pathSet=["name"])],
        )
        found = content.propertyCollector.RetrieveProperties([spec])
        view.DestroyView()
        return next(item.obj for item in found if item.propSet[0].val == name)

    return vm_named


@pytest.fixture(scope="session")
def finish() -> Callable[[Any], Any]:
    """Wait for a task by reading its info; return the info."""

    def finish(task: Any, timeout_s: float = 60.0) -> Any:
        deadline = time.monotonic() + timeout_s
        pause = threading.Event()
        while time.monotonic() < deadline:
            info = task.info
            if info.state in ("success", "error"):
                return info
            pause.wait(0.005)
        raise AssertionError(f"{task} did not end within {timeout_s} s")

    return finish


@pytest.fixture(scope="session")
def read() -> Callable[..., dict[str, Any]]:
    """Read paths of one object with one RetrieveProperties call."""

    def read(instance: Any, obj: Any, *paths: str) -> dict[str, Any]:
        collector = vmodl.query.PropertyCollector
        spec = collector.FilterSpec(
            objectSet=[collector.ObjectSpec(obj=obj)],
            propSet=[collector.PropertySpec(type=type(obj), pathSet=list(paths))],
        )
        found = instance.RetrieveContent().propertyCollector.RetrieveProperties([spec])
        return {item.name: item.val for item in found[0].propSet}

    return read


class RawReply:
    """What came back for one raw request."""

    def __init__(self, response: Any) -> None:
        self.status = response.status
        self.text = response.read().decode()
        self.cookie = response.getheader("Set-Cookie")
        self.closes = response.getheader("Connection") == "close"


class RawClient:
    """A plain http.client over TLS that keeps the cookie."""

    def __init__(self, vcenter: VcenterSim) -> None:
        host, port = vcenter.address
        context = ssl.create_default_context(cadata=vcenter.certificate_pem)
        self.connection = http.client.HTTPSConnection(host, port, context=context, timeout=60)
        self.cookie: str | None = None

    def post(self, body: Any, path: str = "/sdk", **headers: str) -> RawReply:
        """POST a body; header names are written with underscores."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.cookie:
            sent.setdefault("Cookie", self.cookie)
        self.connection.request("POST", path, body, sent, encode_chunked=sent.get("Transfer-Encoding") == "chunked")
        reply = RawReply(self.connection.getresponse())
        self.cookie = reply.cookie or self.cookie
        return reply

    def call(self, method: str, kind: str, moid: str, arguments: str = "") -> RawReply:
        """Call a method with its arguments as XML text."""
        return self.post(envelope(method, kind, moid, arguments))


def envelope(method: str, kind: str, moid: str, arguments: str = "") -> bytes:
    return (
        '<?xml version="1.0" encoding="UTF-8"?><e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema"><e:Body>'
        f'<{method} xmlns="urn:vim25"><_this type="{kind}">{moid}</_this>{arguments}</{method}></e:Body></e:Envelope>'
    ).encode()


@pytest.fixture
def raw() -> Iterator[Callable[[VcenterSim], RawClient]]:
    """Make raw clients; closed after the test."""
    clients: list[RawClient] = []

    def raw(vcenter: VcenterSim) -> RawClient:
        clients.append(RawClient(vcenter))
        return clients[-1]

    yield raw
    for client in clients:
        client.connection.close()


@pytest.fixture(scope="session")
def soap() -> Callable[..., bytes]:
    """Make a request envelope."""
    return envelope
