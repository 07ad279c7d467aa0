"""What settings limit: calls of an account in a time, wrong passwords, addresses of callers, idle sessions, cookies."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from typing import Any

import pytest

from mgmt.api.app import create_wsgi
from mgmt.api.origin import is_allowed
from mgmt.config import Settings
from mgmt.providers import Providers
from mgmt.store.models import Account, User

REFUSED = "unable to verify user credentials and/or request signature"
OVER = "The given user has reached his/her account api limit, please retry after [{}] ms."
USER = "user"
PASSWORD = "password"


class HandClock:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.at = 1_795_395_426.0

    def now(self) -> float:
        return self.at

    monotonic = now

    def sleep(self, duration_s: float) -> None:
        raise AssertionError("nothing waits")

    def wait(self, event: Any, timeout_s: float | None) -> bool:
        return bool(event.wait(0))


@pytest.fixture(scope="module")
def _clock() -> HandClock:
    return HandClock()


@pytest.fixture(scope="module")
def _world(opener: Any, _clock: HandClock) -> Iterator[Any]:
    settings = Settings(port=0, agent_port=0, agents="none", vcenter="none", session_timeout=5)
    for world in opener(settings, Providers(clock=_clock, random=random.Random(3))):
        world.app = world.server.wsgi  # as the server made it, with the options of its start
        yield world


@pytest.fixture
def clock(_clock: HandClock) -> HandClock:
    return _clock


@pytest.fixture
def world(_world: Any) -> Iterator[Any]:
    """A lab whose settings are the defaults again after each test."""
    services, app = _world.server.services, _world.app
    kept, limits = services.settings.save(), services.api_limits
    yield _world
    services.api_limits = limits
    with services.store.session() as session:
        for scope, scope_id, name in services.settings.save().keys() - kept.keys():
            services.settings.set(session, name, services.settings.definitions[name].default, scope=scope,
                                  scope_id=scope_id)  # fmt: skip
        session.query(User).filter(User.username == USER).update({"state": "enabled", "login_attempts": 0})
    services.settings.restore(kept)
    _world.app = app
    app.extensions["dispatcher"].forget()


def restarted(world: Any, **settings: str) -> None:
    """The API as after a restart of the server with these settings, whose dots are two underlines."""
    services = world.server.services
    with services.store.session() as session:
        for name, value in settings.items():
            services.settings.set(session, name.replace("__", "."), value)
    world.app = create_wsgi(services)


def test_an_account_has_so_many_calls_in_a_time(world: Any, clock: HandClock) -> None:
    """The call after the last one is 429 with the time to wait; denied calls do not count; later the count is anew."""
    restarted(world, api__throttling__enabled="true", api__throttling__interval="5", api__throttling__max="3")
    assert world.answer("listDomains", who=USER)[0] == 432  # no command of this role
    for _ in range(3):
        assert world.answer("listZones", who=USER)[0] == 200
    clock.at += 1.378
    response = world.ask("listZones", who=USER)
    assert (response.status, response.headers["X-Description"]) == ("429 Too Many Requests", OVER.format(3622))
    fields = {"uuidList": [], "errorcode": 429, "cserrorcode": 9999, "errortext": OVER.format(3622)}
    assert json.loads(response.get_data()) == {"listzonesresponse": fields}
    assert world.refused("getApiLimit", who=USER) == (429, OVER.format(3622))
    clock.at += 3.622
    shown = world.ok("getApiLimit", who=USER)["apilimit"]
    assert {name: shown[name] for name in ("account", "apiIssued", "apiAllowed", "expireAfter")} == {
        "account": USER, "apiIssued": 1, "apiAllowed": 2, "expireAfter": 5000,
    }  # fmt: skip


def test_root_admins_may_call_as_often_as_they_like(world: Any) -> None:
    """Nobody counts a root admin's calls, and it can give accounts their calls anew."""
    restarted(world, api__throttling__enabled="true", api__throttling__max="1")
    assert {world.answer("listZones")[0] for _ in range(5)} == {200}
    assert world.answer("listZones", who=USER)[0] == 200
    assert world.answer("listZones", who=USER)[0] == 429
    with world.server.services.store.session() as session:
        account = session.query(Account).filter(Account.name == USER).one().uuid
    assert world.ok("resetApiLimit", account=account) == {"success": True}
    assert world.answer("listZones", who=USER)[0] == 200
    assert world.answer("listZones", who=USER)[0] == 429
    assert world.ok("resetApiLimit") == {"success": True}
    assert world.answer("listZones", who=USER)[0] == 200


def test_calls_of_a_session_are_counted_too(world: Any) -> None:
    """A session's calls and signed ones are of one account."""
    restarted(world, api__throttling__enabled="true", api__throttling__max="2")
    call = session_of(world, USER)
    assert call("listZones").status_code == 200
    assert world.answer("listZones", who=USER)[0] == 200
    assert call("listZones").status_code == 429


def test_without_the_setting_nobody_counts(world: Any) -> None:
    """The setting acts after a restart; until then both commands say that they are not available."""
    with world.server.services.store.session() as session:
        world.server.services.settings.set(session, "api.throttling.enabled", "true")
    text = "This api is only available when api.throttling.enabled = true."
    assert {world.answer("listZones", who=USER)[0] for _ in range(30)} == {200}
    assert world.refused("getApiLimit", who=USER) == (432, text)
    assert world.refused("resetApiLimit") == (432, text)


def session_of(world: Any, username: str) -> Any:
    """Makes calls of a session of the user."""
    answer = world.login(username, PASSWORD)
    assert answer.status_code == 200, answer.get_data()
    cookies = "; ".join(each.partition(";")[0] for each in answer.headers.getlist("Set-Cookie"))
    key = json.loads(answer.get_data())["loginresponse"]["sessionkey"]

    def call(command: str) -> Any:
        query = {"command": command, "response": "json", "sessionkey": key}
        return world.client().get("/client/api", query_string=query, headers={"Cookie": cookies})

    return call


def test_wrong_passwords_lock_a_user_out(world: Any) -> None:
    """So many wrong passwords in a row as the setting allows disable the user, whose right one is refused then."""
    with world.server.services.store.session() as session:
        world.server.services.settings.set(session, "incorrect.login.attempts.allowed", "3")

    def attempt(password: str) -> tuple[int, str]:
        answer = world.login(USER, password)
        fields = json.loads(answer.get_data())["loginresponse"]
        return answer.status_code, fields.get("errortext", "")[:12]

    right, wrong = (200, ""), (531, "Failed to au")
    assert [attempt("bad"), attempt("bad"), attempt(PASSWORD)] == [wrong, wrong, right]
    assert [attempt("bad") for _ in range(3)] == [wrong] * 3
    assert attempt(PASSWORD)[1] == "User UserAcc"  # ... is disabled/locked
    assert world.answer("listZones", who=USER)[0] == 401
    assert [world.login("admin", "bad").status_code for _ in range(4)] == [531] * 4
    assert world.login("admin", PASSWORD).status_code == 200


def test_secure_session_cookies(world: Any) -> None:
    """After a restart with the setting the session's cookie is for HTTPS, hidden from scripts, and works."""
    restarted(world, enable__secure__session__cookie="true")
    answer = world.login("admin", PASSWORD)
    session, key = answer.headers.getlist("Set-Cookie")
    assert re.fullmatch(r"JSESSIONID=node0[0-9a-f]+;Secure;HttpOnly;Path=/client", session)
    assert key.endswith(";HttpOnly;SameSite=Lax")
    assert session_of(world, "admin")("listZones").status_code == 200


def test_sessions_end_after_the_time_that_the_server_is_started_with(world: Any, clock: HandClock) -> None:
    """The option session_timeout is in minutes; login tells it in seconds."""
    answer = json.loads(world.login("admin", PASSWORD).get_data())
    assert answer["loginresponse"]["timeout"] == 300
    call = session_of(world, "admin")
    clock.at += 299
    assert call("listZones").status_code == 200
    clock.at += 301
    assert call("listZones").status_code == 401


@pytest.mark.parametrize(
    ("peer", "networks", "allowed"),
    [
        ("10.1.2.3", "0.0.0.0/0,::/0", True),
        ("10.1.2.3", "192.0.2.0/24, 10.0.0.0/8", True),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3", "10.1.2.4/32,::/0", False),
        ("fd00::1", "fd00::/8", True),
        ("fe80::1%eth0", "fe80::/10", True),
        ("10.1.2.3", "nowhere", False),
        ("10.1.2.3", None, False),
        ("somebody", "10.0.0.0/8", False),
        (None, "10.0.0.0/8", True),
    ],
)
def test_networks_of_callers(peer: str | None, networks: str | None, allowed: bool) -> None:
    """An address is in one of the networks or not; a caller of this process has none."""
    assert is_allowed(peer, networks) is allowed


def test_calls_from_other_networks_are_refused(world: Any) -> None:
    """api.allowed.source.cidr.list, also that of one account, refuses signed calls and sessions with the plain 401."""
    services = world.server.services
    call = session_of(world, USER)
    with services.store.session() as session:
        account_id = session.query(Account).filter(Account.name == USER).one().id
        services.settings.set(
            session, "api.allowed.source.cidr.list", "192.0.2.0/24", scope="Account", scope_id=account_id
        )
    assert world.answer("listZones")[0] == 200
    status, _, fields = world.answer("listZones", who=USER)
    assert (status, fields) == (401, {"uuidList": [], "errorcode": 401, "errortext": REFUSED})
    assert json.loads(call("listZones").get_data())["listzonesresponse"] == fields
