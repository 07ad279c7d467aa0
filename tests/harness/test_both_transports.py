"""One suite for both ways of reaching a cloud: in memory and over sockets, chosen by one argument."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

import cloudstack_mock
from cloudstack_mock import Cloud, CloudStackError

URL = "https://cloud.example.org/client/api"
UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
JOURNALS: dict[tuple[str, str], list[tuple[object, ...]]] = {}


@pytest.fixture(scope="module", params=["memory", "sockets"])
def transport(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(scope="module")
def shared(transport: Any) -> Iterator[Cloud]:
    with cloudstack_mock.activate(URL, transport=transport, seed=7) as cloud:
        yield cloud


@pytest.fixture(name="cloud")
def reset_cloud(shared: Cloud) -> Cloud:
    shared.reset()
    return shared


@pytest.fixture(scope="module")
def lab() -> None:
    """Worlds that a module shares start threads when they need them."""


@pytest.fixture(autouse=True)
def shares_a_world(lab: None) -> None:
    """See `lab`."""


def test_a_callers_own_session_logs_in_and_stays_logged_in(cloud: Cloud) -> None:
    """Cookies travel as over the network, and end with a reset of the world."""
    with requests.Session() as session:
        login = {"command": "login", "username": cloud.username, "password": cloud.password, "response": "json"}
        key = session.post(URL, data=login).json()["loginresponse"]["sessionkey"]
        wanted = {"command": "listZones", "response": "json", "sessionkey": key}
        assert session.get(URL, params=wanted).json()["listzonesresponse"]["count"] == 1
        cloud.reset()
        assert session.get(URL, params=wanted).status_code == 401


def test_a_streamed_answer_comes_in_pieces(cloud: Cloud) -> None:
    """`stream=True` gives the same bytes in pieces, unpacked."""
    client = cloud.client
    whole = client.listHosts(type="Routing")
    asked = {"command": "listHosts", "type": "Routing", "apiKey": cloud.api_key, "response": "json"}
    from mgmt.cli.client import sign

    asked["signature"] = sign(asked, cloud.secret_key)
    with requests.get(URL, params=asked, stream=True) as answer:
        pieces = list(answer.iter_content(100))
    assert len(pieces) > 1
    assert json.loads(b"".join(pieces))["listhostsresponse"]["count"] == whole["count"]


def test_a_callers_retries_meet_a_server_that_recovers(cloud: Cloud) -> None:
    """An adapter's retries send the request again, as often as it says."""
    with requests.Session() as session:
        session.mount("https://", HTTPAdapter(max_retries=Retry(2, status_forcelist=[401], backoff_factor=0)))
        before = len([entry for entry in cloud.journal if entry.kind == "api"])
        with pytest.raises(requests.exceptions.RetryError):
            session.get(URL, params={"command": "listZones", "response": "json"})
        assert len([entry for entry in cloud.journal if entry.kind == "api"]) - before == 3


def test_http_faces_beside_the_api_are_there(cloud: Cloud) -> None:
    """Methods that CloudStack refuses are refused, and long forms taken."""
    assert requests.put(URL).status_code == 405
    assert requests.post(URL, data={"command": "listZones", "x": "y" * 5000}).status_code == 401


def test_an_error_has_its_numbers(cloud: Cloud) -> None:
    """CloudStackError has errorcode, cserrorcode and errortext."""
    with pytest.raises(CloudStackError) as caught:
        cloud.client.listHosts(id="nothing")
    assert (caught.value.errorcode, caught.value.cserrorcode) == (431, 9999)
    assert caught.value.errortext.startswith("Unable to execute API command listhosts")


def test_an_import_ends_with_the_vm(cloud: Cloud) -> None:
    """A job is awaited, by VDDK and by the export of the server, through agents and vCenter."""
    assert cloud.import_vm("web01")["state"] == "Stopped"
    assert cloud.import_vm("db01", usevddk=False, forcemstoimportvmfiles=True)["name"] == "db01"
    assert cloud.saw("ConvertInstanceCommand", sourceInstance__instanceName="web01").once()
    assert cloud.client.listVirtualMachines(listall=True)["count"] == 2


def test_a_fault_is_met(cloud: Cloud) -> None:
    """A failure by name ends the job as the catalogue has it."""
    armed = cloud.fault("vddk.crash", vm="web01")
    with pytest.raises(CloudStackError, match="Instance conversion failed for VM web01") as caught:
        cloud.import_vm("web01")
    assert armed.fired == 1
    assert caught.value.command == "importVm"
    assert caught.value.job_id is not None
    assert "fault vddk.crash" in str(cloud.timeline(caught.value.job_id))


def ask(cloud: Cloud) -> None:
    """HTTP: answers, an error, a login and its end."""
    cloud.client.listHosts(type="Routing")
    with pytest.raises(CloudStackError):
        cloud.client.listHosts(id="nothing")
    with requests.Session() as session:
        login = {"command": "login", "username": cloud.username, "password": cloud.password, "response": "json"}
        key = session.post(URL, data=login).json()["loginresponse"]["sessionkey"]
        session.get(URL, params={"command": "logout", "response": "json", "sessionkey": key})
    requests.get(URL, params={"command": "listZones", "response": "json"})


def work(cloud: Cloud) -> None:
    """Jobs: one that ends well, one that is refused in the job."""
    vm = cloud.import_vm("web01")["id"]
    cloud.client.startVirtualMachine(id=vm)
    cloud.client.stopVirtualMachine(id=vm, forced=True)
    with pytest.raises(CloudStackError):
        cloud.client.deleteVolume(id=cloud.client.listVolumes(virtualmachineid=vm)["volume"][0]["id"])
    cloud.client.destroyVirtualMachine(id=vm, expunge=True)


def by_vddk(cloud: Cloud) -> None:
    """An import by VDDK."""
    cloud.import_vm("web01")


def by_export(cloud: Cloud) -> None:
    """An import from files that the host exports."""
    cloud.import_vm("web01", usevddk=False)


def by_the_servers_export(cloud: Cloud) -> None:
    """An import from files that the management server exports."""
    cloud.import_vm("web01", usevddk=False, forcemstoimportvmfiles=True)


def fail_at_the_tool(cloud: Cloud) -> None:
    """A fault of a host's program."""
    cloud.fault("vddk.crash", vm="web01")
    with pytest.raises(CloudStackError):
        cloud.import_vm("web01")


def fail_at_the_vcenter(cloud: Cloud) -> None:
    """A fault of the vCenter."""
    cloud.fault("vcenter.login_refused", times=1)
    cloud.client.listHosts()
    with pytest.raises(CloudStackError):
        cloud.import_vm("web01")


def fail_at_the_host(cloud: Cloud) -> None:
    """A fault of what a host says of itself."""
    cloud.fault("host.v2v_missing", host="*")
    with pytest.raises(CloudStackError):
        cloud.import_vm("web01", usevddk=False)


CASES = [ask, work, by_vddk, by_export, by_the_servers_export, fail_at_the_tool, fail_at_the_vcenter, fail_at_the_host]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_the_journals_are_the_same_in_both(cloud: Cloud, transport: str, case: Callable[[Cloud], None]) -> None:
    """With the same seed all that crosses an edge is the same, in order, facts and relations, apart from addresses."""
    case(cloud)
    JOURNALS[case.__name__, transport] = comparable(cloud.journal)
    memory, sockets = (JOURNALS.get((case.__name__, each)) for each in ("memory", "sockets"))
    assert JOURNALS[case.__name__, transport]
    if memory is not None and sockets is not None:
        assert memory == sockets


def comparable(entries: Iterable[Any]) -> list[tuple[object, ...]]:
    """Entries without what names a transport: addresses, the vCenter's certificate and file names made of its name.

    Identifiers are numbered as they appear: all threads draw from one source, and what follows a job's end races with
    the caller who learns of it.
    """
    numbers: dict[str, str] = {}

    def numbered(text: str | None) -> str | None:
        return text and re.sub(UUID, lambda found: numbers.setdefault(found[0], f"ID-{len(numbers)}"), text)

    told = []
    for entry in entries:
        fields = json.dumps(dict(entry.fields), sort_keys=True, default=str)
        fields = re.sub(r"(240\.0\.0\.\d+|127\.0\.0\.1)(:\d+)?", "ADDRESS", fields)
        fields = re.sub(r"(?:[0-9A-F]{2}:){19}[0-9A-F]{2}", "THUMBPRINT", fields)
        fields = re.sub(r'"sequence": \d+', "", fields)
        told.append((entry.kind, entry.name, numbered(entry.correlation_id), numbered(fields)))
    return told


def test_in_memory_no_socket_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """A world in memory, its hosts, its vCenter and an import need no network socket."""
    opened = []

    class Watched(socket.socket):
        def bind(self, address: Any) -> None:
            opened.append(address)
            super().bind(address)

        def connect(self, address: Any) -> None:
            opened.append(address)
            super().connect(address)

    monkeypatch.setattr(socket, "socket", Watched)
    with cloudstack_mock.activate(URL.replace("cloud", "other")) as cloud:
        cloud.import_vm("web01")
    assert opened == []
