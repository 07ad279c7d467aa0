"""Login, logout, cookies and what needs them."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any

import pytest
from pyVim.connect import SmartConnect
from pyVmomi import vim, vmodl

from vcenter_sim.server import VcenterSim


class SteppedClock:
    """A clock that stands still until a test moves it; waits are not cut short by it."""

    def __init__(self) -> None:
        self.at_s = 1_800_000_000.0

    def now(self) -> float:
        return self.at_s

    def monotonic(self) -> float:
        return self.at_s

    def wait(self, event: threading.Event, timeout_s: float | None) -> bool:
        return event.wait(None if timeout_s is None else 0.01)


def test_login_gives_the_session_of_the_user(lab: VcenterSim, lab_client: Any) -> None:
    """After Login the session manager shows the caller's own session."""
    session = lab_client.content.sessionManager.currentSession
    assert session.userName == "administrator@vsphere.local"
    assert session.ipAddress == "127.0.0.1"
    assert session.key in {known.key for known in lab_client.content.sessionManager.sessionList}
    assert lab_client.content.sessionManager.SessionIsActive(session.key, session.userName)
    assert not lab_client.content.sessionManager.SessionIsActive("other", session.userName)


def test_the_user_name_is_compared_ignoring_case(lab: VcenterSim, connect: Any) -> None:
    """ADMINISTRATOR@VSPHERE.LOCAL is the same account."""
    assert connect(lab, user="ADMINISTRATOR@VSPHERE.LOCAL").CurrentTime() is not None


@pytest.mark.parametrize(("user", "password"), [(None, "wrong"), ("nobody", None), (None, "VMware1!LAB")])
def test_wrong_credentials_are_refused_with_vcenters_text(
    lab: VcenterSim, connect: Any, user: str | None, password: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """InvalidLogin says: Cannot complete login due to an incorrect user name or password."""
    caplog.set_level(logging.DEBUG)
    with pytest.raises(vim.fault.InvalidLogin) as caught:
        connect(lab, user, password)
    assert caught.value.msg == "Cannot complete login due to an incorrect user name or password."
    assert (password or lab.password) not in caplog.text


def test_the_cookie_comes_with_the_service_content_and_has_two_parts(lab: VcenterSim, raw: Any) -> None:
    """CloudStack's client takes the cookie of the first reply, before login, and requires a second part."""
    reply = raw(lab).call("RetrieveServiceContent", "ServiceInstance", "ServiceInstance")
    parts = reply.cookie.split(";")
    assert parts[0].startswith('vmware_soap_session="')
    assert parts[1].strip() == "Path=/"


def test_every_call_without_login_is_not_authenticated(lab: VcenterSim, raw: Any) -> None:
    """A session that has not logged in may read the service content and nothing else."""
    client = raw(lab)
    client.call("RetrieveServiceContent", "ServiceInstance", "ServiceInstance")
    assert "<capability" not in client.call("Fetch", "ServiceInstance", "ServiceInstance", "<prop>content</prop>").text
    for reply in (
        client.call("CurrentTime", "ServiceInstance", "ServiceInstance"),
        client.call("Fetch", "Folder", "group-d1", "<prop>name</prop>"),
        client.call(
            "RetrieveProperties",
            "PropertyCollector",
            "propertyCollector",
            "<specSet><propSet><type>Folder</type><pathSet>name</pathSet></propSet>"
            '<objectSet><obj type="Folder">group-d1</obj></objectSet></specSet>',
        ),
    ):
        assert reply.status == 500
        assert "NotAuthenticatedFault" in reply.text
        assert "The session is not authenticated." in reply.text


def test_logout_makes_the_cookie_worthless(vcenter: VcenterSim, client: Any) -> None:
    """After Logout the next call is NotAuthenticated, and a new Login works on the same connection."""
    content = client.RetrieveContent()
    content.sessionManager.Logout()
    with pytest.raises(vim.fault.NotAuthenticated):
        client.CurrentTime()
    content.sessionManager.Login(vcenter.username, vcenter.password, None)
    assert client.CurrentTime() is not None


def test_lost_sessions_are_not_authenticated(vcenter: VcenterSim, client: Any) -> None:
    """When vCenter drops its sessions the next call fails and a new login helps."""
    vcenter.end_sessions()
    with pytest.raises(vim.fault.NotAuthenticated) as caught:
        client.CurrentTime()
    assert caught.value.msg == "The session is not authenticated."


def test_idle_sessions_expire(lab_file: Path, connect: Any) -> None:
    """A session ends after the idle time of the clock, and each call starts it anew."""
    clock = SteppedClock()
    with VcenterSim(lab_file, clock=clock, session_idle_timeout_s=60) as vcenter:
        client = connect(vcenter)
        for _ in range(3):
            clock.at_s += 50
            client.CurrentTime()
        clock.at_s += 61
        with pytest.raises(vim.fault.NotAuthenticated):
            client.CurrentTime()


def test_a_session_can_end_another(vcenter: VcenterSim, connect: Any) -> None:
    """TerminateSession ends the session of that key, refuses the caller's own and unknown ones."""
    mine, other = connect(vcenter), connect(vcenter)
    manager = mine.content.sessionManager
    key = other.content.sessionManager.currentSession.key
    with pytest.raises(vmodl.fault.InvalidArgument):
        manager.TerminateSession([manager.currentSession.key])
    with pytest.raises(vim.fault.NotFound):
        manager.TerminateSession(["no-such-key"])
    manager.TerminateSession([key])
    with pytest.raises(vim.fault.NotAuthenticated):
        other.CurrentTime()


def test_credentials_given_replace_those_of_the_file(lab_file: Path, connect: Any) -> None:
    """The constructor's user name and password win, and the password is not in any repr."""
    with VcenterSim(lab_file, username="root", password="s3cret-x") as vcenter:
        assert connect(vcenter).CurrentTime() is not None
        assert "s3cret-x" not in repr(vcenter._credentials)
        with pytest.raises(vim.fault.InvalidLogin):
            connect(vcenter, "administrator@vsphere.local", "VMware1!lab")


def test_what_a_session_made_goes_with_it(vcenter: VcenterSim, client: Any) -> None:
    """Views and filters of a session are gone after its logout."""
    content = client.RetrieveContent()
    content.viewManager.CreateContainerView(content.rootFolder, [], True)
    assert list(vcenter.inventory.of_kind(vim.view.ContainerView))
    content.sessionManager.Logout()
    assert not list(vcenter.inventory.of_kind(vim.view.ContainerView))


def test_the_thumbprint_pins_the_certificate(lab: VcenterSim) -> None:
    """pyvmomi accepts the server by its SHA-1 thumbprint alone, and refuses another one."""
    host, port = lab.address
    login = {"host": host, "port": port, "user": lab.username, "pwd": lab.password}
    instance = SmartConnect(**login, disableSslCertValidation=True, thumbprint=lab.thumbprint_sha1)
    instance.content.sessionManager.Logout()
    instance._stub.DropConnections()
    assert len(lab.thumbprint_sha1.split(":")) == 20
    assert len(lab.thumbprint_sha256.split(":")) == 32
