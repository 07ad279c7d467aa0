"""The lab's management server without hosts and vCenter, behind its HTTP edge in this process."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import pytest
import yaml
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from mgmt.api.app import create_wsgi
from mgmt.api.signature import sign
from mgmt.app import ManagementServer, create_server
from mgmt.config import Settings
from mgmt.embedded import World
from mgmt.providers import Providers
from mgmt.store.models import User
from mgmt.worldclock import WorldClock


@dataclass
class BareWorld:
    """The server, its application, and keys by user name."""

    server: ManagementServer
    app: Any
    keys: dict[str, tuple[str, str]]
    clock: WorldClock | None = None
    """The clock of a world with hosts, which is moved by hand."""

    def client(self) -> FlaskClient:
        return cast(FlaskClient, self.app.test_client(use_cookies=False))

    def ask(self, name: str, /, *, who: str = "admin", **parameters: str) -> TestResponse:
        """A signed GET with `response=json` unless given otherwise; a trailing `_` of a name is dropped."""
        key, secret = self.keys[who]
        sent = {"response": "json", "command": name, **parameters, "apiKey": key}
        sent["signature"] = sign(sent, secret)
        return self.client().get("/client/api", query_string=sent)

    def answer(self, name: str, /, *, who: str = "admin", **parameters: str) -> tuple[int, str, dict[str, Any]]:
        """Status, key and fields of `ask`."""
        response = self.ask(name, who=who, **parameters)
        ((key, fields),) = json.loads(response.get_data()).items()
        return response.status_code, key, fields

    def ok(self, name: str, /, *, who: str = "admin", **parameters: str) -> dict[str, Any]:
        """The fields of an answer that is no error; of a job its result, once it is there."""
        status, _, fields = self.answer(name, who=who, **parameters)
        assert status == 200, fields
        if "jobid" not in fields:
            return fields
        assert self.server.services.jobs.wait(fields["jobid"], 60)
        _, _, job = self.answer("queryAsyncJobResult", who=who, jobid=fields["jobid"])
        assert job["jobstatus"] == 1, job
        return cast(dict[str, Any], job["jobresult"])

    def refused(self, name: str, /, *, who: str = "admin", **parameters: str) -> tuple[int, str]:
        """Code and text of an error; of a job the ones that it ended with."""
        _, _, fields = self.answer(name, who=who, **parameters)
        if "jobid" in fields:
            assert self.server.services.jobs.wait(fields["jobid"], 60)
            fields = self.answer("queryAsyncJobResult", who=who, jobid=fields["jobid"])[2]["jobresult"]
        return fields["errorcode"], fields["errortext"]

    def login(self, username: str, password: str, domain: str = "/") -> TestResponse:
        """The answer to a login."""
        given = {"command": "login", "username": username, "password": password, "domain": domain}
        return self.client().post("/client/api?response=json", data=given)


def open_world(settings: Settings, providers: Providers | None = None) -> Iterator[BareWorld]:
    """A bare world; its users all have keys."""
    server = create_server(settings, providers)
    try:
        yield BareWorld(server, create_wsgi(server.services), _keys(server))
    finally:
        server.stop()


def _keys(server: ManagementServer) -> dict[str, tuple[str, str]]:
    """The keys of all users, who get some where they have none."""
    keys = {}
    with server.services.store.session() as session:
        for user in session.query(User).filter(User.username != "system"):
            user.api_key = user.api_key or f"{user.username}-key"
            user.secret_key = user.secret_key or f"{user.username}-secret"
            keys[user.username] = (user.api_key, user.secret_key)
    return keys


@pytest.fixture(scope="session")
def bare_world() -> Iterator[BareWorld]:
    """The lab as it starts; tests leave it as they found it."""
    yield from open_world(Settings(port=0, agent_port=0, agents="none", vcenter="none"))


@pytest.fixture(scope="module")
def own_world() -> Iterator[BareWorld]:
    """A lab of one test module, which its tests may change; its jobs run."""
    for world in open_world(Settings(port=0, agent_port=0, agents="none", vcenter="none")):
        world.server.services.jobs.start()
        yield world


@pytest.fixture(scope="session")
def opener() -> Any:
    """`opener(settings)`: yields a bare world of these settings, once."""
    return open_world


def _beside(name: str) -> ModuleType:
    spec = spec_from_file_location(f"replay_{name}", Path(__file__).parent / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[module.__name__] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def whole_opener() -> Any:
    """`whole_opener(settings)`: yields a world with its hosts, once; nothing is on ports."""

    def open_whole(settings: Settings) -> Iterator[BareWorld]:
        with World(settings, in_memory=True) as world:
            yield BareWorld(world.server, create_wsgi(world.server.services), _keys(world.server), world.clock)

    return open_whole


@pytest.fixture(scope="session")
def shapes() -> ModuleType:
    """The module shapes.py beside this file, which is not on the path."""
    return _beside("shapes")


@pytest.fixture(scope="session")
def beside() -> Callable[[str], ModuleType]:
    """`beside(name)`: a module of this folder, which is not on the path."""
    return cache(_beside)


@pytest.fixture(scope="session")
def talk() -> ModuleType:
    """The module talk.py beside this file, which is not on the path."""
    return _beside("talk")


@pytest.fixture(scope="session")
def explained() -> Callable[[str, str, list[str]], None]:
    """`explained(side, name, found)`: fails unless `data/wire_differences.yaml` says why, of each and of no other."""
    rules = yaml.safe_load((Path(__file__).parent / "data" / "wire_differences.yaml").read_text(encoding="utf-8"))

    def check(side: str, name: str, found: list[str]) -> None:
        mine = [re.compile(rule["is"]) for rule in rules[side] if name in rule["in"]]
        unexplained = [text for text in found if not any(rule.fullmatch(text) for rule in mine)]
        idle = [rule.pattern for rule in mine if not any(rule.fullmatch(text) for text in found)]
        assert (unexplained, idle) == ([], []), "\n".join(unexplained)

    return check
