"""A built web UI at /client/, and callers of other origins."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from cloudstack_mock import ConfigError, Settings, World, load_settings

INDEX = "<!doctype html><title>built</title><script src=js/app.1a2b.js></script>"
CONFIG = '{"apiBase": "/client/api"}'
ORIGIN = "http://localhost:5050"


@pytest.fixture(scope="module")
def ui_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `npm run build` leaves, in small; a secret lies beside it."""
    folder = tmp_path_factory.mktemp("ui") / "dist"
    (folder / "js").mkdir(parents=True)
    (folder / "index.html").write_text(INDEX)
    (folder / "config.json").write_text(CONFIG)
    (folder / "js" / "app.1a2b.js").write_text("console.log(1)")
    (folder.parent / "secret.txt").write_text("geheim")
    return folder


@pytest.fixture(scope="module")
def base(ui_folder: Path) -> Iterator[str]:
    """The address of a server with a UI and one allowed origin."""
    settings = Settings(port=0, agent_port=0, agents="none", vcenter="none", ui_dir=ui_folder, cors_origin=(ORIGIN,))
    with World(settings) as world:
        yield world.server.api_url.removesuffix("/client/api")


def test_the_ui_and_its_api_are_one_origin(base: str) -> None:
    """The entry, config.json, scripts, and a login with the cookies that the UI goes on with."""
    with requests.Session() as browser:
        entry = browser.get(f"{base}/client/")
        assert (entry.text, entry.headers["Cache-Control"]) == (INDEX, "no-cache")
        assert entry.headers["Content-Type"].startswith("text/html")
        config = browser.get(f"{base}/client/config.json", params={"ts": "1"})
        assert (config.json(), config.headers["Cache-Control"]) == ({"apiBase": "/client/api"}, "no-cache")
        script = browser.get(f"{base}/client/js/app.1a2b.js")
        assert script.headers["Content-Type"].startswith("text/javascript")
        assert "max-age=86400" in script.headers["Cache-Control"]
        again = browser.get(f"{base}/client/js/app.1a2b.js", headers={"If-None-Match": script.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert browser.get(f"{base}/client").url == f"{base}/client/"
        form = {"command": "login", "username": "admin", "password": "password", "response": "json"}
        session = browser.post(f"{base}/client/api/", data=form).json()["loginresponse"]
        zones = browser.get(
            f"{base}/client/api/",
            params={"command": "listZones", "response": "json", "sessionkey": session["sessionkey"]},
        )
        assert zones.json()["listzonesresponse"]["count"] == 1


@pytest.mark.parametrize("path", ["js/none.js", "../secret.txt", "%2e%2e/secret.txt", "js/..%2f..%2fsecret.txt", "js/"])
def test_nothing_beside_the_folder_is_served(base: str, path: str) -> None:
    """A missing file, a folder and what lies outside are Jetty's 404."""
    request = requests.Request("GET", base).prepare()
    request.url = f"{base}/client/{path}"
    with requests.Session() as browser:
        answer = browser.send(request)
    assert answer.status_code in (400, 404)
    assert "geheim" not in answer.text


def test_a_page_of_an_allowed_origin_may_call(base: str) -> None:
    """Its answers carry the CORS headers, errors too, with X-Description to read; the preflight is answered."""
    answer = requests.get(f"{base}/client/api", params={"command": "listZones"}, headers={"Origin": ORIGIN})
    assert answer.status_code == 401
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    assert answer.headers["Access-Control-Expose-Headers"] == "X-Description"
    assert "Origin" in answer.headers["Vary"]
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-a"}
    preflight = requests.options(f"{base}/client/api", headers=asked)
    assert preflight.status_code == 200
    assert preflight.headers["Access-Control-Allow-Methods"] == "GET, HEAD, POST"
    assert preflight.headers["Access-Control-Allow-Headers"] == "x-a"


def test_a_page_of_another_origin_may_not(base: str) -> None:
    """No CORS header for others."""
    answer = requests.get(f"{base}/client/api", headers={"Origin": "http://localhost:6060"})
    assert not [name for name in answer.headers if name.startswith("Access-Control")]


@pytest.mark.parametrize(
    ("name", "value"),
    [("ui_dir", "/nonexistent"), ("cors_origin", "localhost:5050"), ("cors_origin", ("http://a/path",))],
)
def test_unusable_settings_are_refused(name: str, value: Any) -> None:
    """A folder without index.html, and what is no origin, are named with what was expected."""
    with pytest.raises(ConfigError, match=r"with an index\.html in it|origins such as http://localhost:5050"):
        load_settings(options={name: value})
