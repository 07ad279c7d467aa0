"""What settings change of the HTTP side: POST enforced, and the integration port."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from mgmt.api.app import create_wsgi
from mgmt.api.integration import create_integration_wsgi
from mgmt.api.server import HttpServer
from mgmt.api.signature import sign
from mgmt.config import Settings

REFUSED = "unable to verify user credentials and/or request signature"


@pytest.fixture(scope="module")
def enforcing(own_world: Any) -> Any:
    """An application of a server that enforces POST and time stamps."""
    own_world.ok("updateConfiguration", name="enforce.post.requests.and.timestamps", value="true")
    return create_wsgi(own_world.server.services)


def send(world: Any, app: Any, method: str, ahead_s: int | None = 60, **parameters: str) -> tuple[int, Any, Any]:
    """Status, fields and headers of a signed call; `ahead_s` None: without a time stamp."""
    key, secret = world.keys["admin"]
    sent = {"response": "json", **parameters, "apiKey": key}
    if ahead_s is not None:
        expires = datetime.now(UTC) + timedelta(seconds=ahead_s)
        sent |= {"signatureVersion": "3", "expires": expires.strftime("%Y-%m-%dT%H:%M:%S+0000")}
    sent["signature"] = sign(sent, secret)
    where = {"query_string": sent} if method == "GET" else {"data": sent}
    response = app.test_client(use_cookies=False).open("/client/api", method=method, **where)
    ((_, fields),) = json.loads(response.get_data()).items()
    return response.status_code, fields, response.headers


def test_what_changes_something_needs_post(own_world: Any, enforcing: Any) -> None:
    """A GET of a changing command, known or not, is a 400 without X-Description; reading ones may come by GET."""
    for given, text in (
        ({"command": "updateZone"}, "State changing command updateZone needs to be sent using POST request"),
        ({"command": "frobnicate"}, "State changing command frobnicate needs to be sent using POST request"),
        (
            {"command": "updateConfiguration", "name": "expunge.delay"},
            "Changes for configuration expunge.delay needs to be sent using POST request",
        ),
    ):
        status, fields, headers = send(own_world, enforcing, "GET", **given)
        assert (status, fields["cserrorcode"], fields["errortext"]) == (400, 9999, text)
        assert "X-Description" not in headers
    assert send(own_world, enforcing, "GET", command="quotaIsEnabled")[0] == 200
    assert send(own_world, enforcing, "GET", command="listZones")[0] == 200
    status, fields, _ = send(own_world, enforcing, "POST", command="updateZone")
    assert (status, fields["errortext"][-20:]) == (431, "missing parameter id")


def test_calls_need_a_time_not_too_far_ahead(own_world: Any, enforcing: Any) -> None:
    """Without signature version 3, and with a time over 15 minutes ahead, a call is refused."""
    for ahead_s in (None, 16 * 60, -1):
        status, fields, _ = send(own_world, enforcing, "GET", ahead_s, command="listZones")
        assert (status, fields["errortext"]) == (401, REFUSED), ahead_s
    assert send(own_world, enforcing, "GET", 14 * 60, command="listZones")[0] == 200


@pytest.fixture(scope="module")
def tools(own_world: Any) -> Iterator[HttpServer]:
    """The integration port of the module's world."""
    dispatcher = own_world.app.extensions["dispatcher"]
    app = create_integration_wsgi(dispatcher, lambda: "application/json; charset=UTF-8")
    server = HttpServer(app, "127.0.0.1", 0, threads=1, keeps_alive=False)  # type: ignore[arg-type]
    server.start()
    yield server
    server.stop()


def ask(
    server: HttpServer, path: str = "/client/api", method: str = "GET", body: str | None = None, **query: str
) -> Any:
    """The response of the integration port, read, with its body as `text`."""
    connection = http.client.HTTPConnection(*server.address, timeout=60)
    try:
        connection.request(method, f"{path}?{urlencode(query)}" if query else path, body=body)
        response: Any = connection.getresponse()
        response.text = response.read().decode()
        return response
    finally:
        connection.close()


@pytest.mark.parametrize("path", ["/client/api", "/x", "/"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_the_integration_port_asks_nobody(tools: HttpServer, path: str, method: str) -> None:
    """Any path and method is answered, unsigned, with root rights and one answer a connection."""
    response = ask(tools, path, method, command="listZones", response="json")
    assert (response.status, response.reason) == (200, "OK")
    assert response.getheader("Content-Type") == "application/json; charset=UTF-8"
    assert response.getheader("Connection") == "Close"
    assert response.getheader("Date")
    assert response.getheader("X-Content-Type-Options") is None
    (zone,) = json.loads(response.text)["listzonesresponse"]["zone"]
    assert zone["dns1"], "shown to root admins only"


def test_errors_of_the_integration_port(tools: HttpServer) -> None:
    """The reason phrase is the error's text; there is no X-Description, and no version in XML."""
    missing = "Unable to execute API command updatehost due to missing parameter id"
    for given, status, text in (
        ({"command": "frobnicate"}, 432, "Unknown API command: frobnicate"),
        ({"response": "json"}, 432, "Invalid request, no command sent"),
        ({"command": "updateHost"}, 431, missing),
        ({}, 432, "Invalid request, no command sent"),
    ):
        response = ask(tools, **given)
        assert (response.status, response.reason) == (status, text)
        assert response.getheader("X-Description") is None
        assert text in response.text
        assert "cloud-stack-version" not in response.text
    response = ask(tools, method="POST", body="command=listZones", response="json")
    assert response.reason == "Invalid request, no command sent"


def test_odd_calls_of_the_integration_port(tools: HttpServer) -> None:
    """login is no answer there, of a repeated parameter the first stays, and the system owns nothing."""
    response = ask(tools, command="login", response="json")
    assert (response.status, response.text) == (200, '{ "error" : { "description" : "Internal Server Error" } }')
    repeated = ask(tools, "/client/api?command=listUsers&response=json&listall=true&username=admin&username=zzz")
    assert json.loads(repeated.text)["listusersresponse"]["count"] == 1
    assert json.loads(ask(tools, command="listUsers", response="json").text) == {"listusersresponse": {}}


def test_the_setting_opens_the_integration_port(opener: Any, tmp_path: Path) -> None:
    """A server that starts with integration.api.port set listens there too."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = Settings(port=0, agent_port=0, agents="none", vcenter="none", database=f"sqlite:///{tmp_path}/c.db")
    for world in opener(settings):
        assert world.server.integration_http is None
        world.ok("updateConfiguration", name="integration.api.port", value=str(port))
    for world in opener(settings):
        server = world.server.integration_http
        assert server.address == ("127.0.0.1", port)
        server.start()
        assert ask(server, command="listZones").status == 200
