"""A world on the manual clock: nothing happens before it is moved, and then everything in its time."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest
from sqlalchemy import select

from cloudstack_mock import ConfigError, Settings, World
from mgmt.cli.client import sign
from mgmt.clock import ClockError
from mgmt.store import models

LAB_SETTINGS = {"clock": "manual", "time_scale": 1.0}


def status_of(lab: Any, job: str) -> int:
    return int(lab.client.call("queryAsyncJobResult", jobid=job)["jobstatus"])


def host_state(lab: Any, name: str) -> str:
    return str(lab.host(name)["state"])


def get(url: str, parameters: dict[str, str], cookie: str = "") -> tuple[int, Any]:
    """Status and content of a GET that may be refused."""
    request = Request(f"{url}?{urlencode(parameters)}", headers={"Cookie": cookie})
    try:
        with urlopen(request) as answer:
            return answer.status, json.load(answer)
    except OSError as error:
        return getattr(error, "code", 0), None


def test_an_import_waits_for_the_clock(lab: Any) -> None:
    """A job stands where its conversion began until the clock is moved, and takes as long as the model says."""
    clock = lab.world.clock
    begun_s = clock.now()
    job = lab.client.call("importVm", **lab.import_parameters("web01"))["jobid"]
    clock.advance(seconds=0)
    assert clock.now() == begun_s and status_of(lab, job) == 0
    (task,) = lab.tasks("running")
    assert task["description"].startswith("Converting the cloned VMware instance")
    clock.advance(minutes=10)
    assert clock.now() == begun_s + 600 and status_of(lab, job) == 0
    clock.run_until(job)
    assert status_of(lab, job) == 1
    # 70 GiB at 100 MiB/s, 60 s of fixed time, 30 s a TiB for the blocks, then 70 GiB at 200 MiB/s
    expected_s = 70 * 1024 / 100 + 60 + 30 * 70 / 1024 + 70 * 1024 / 200
    assert clock.now() - begun_s == pytest.approx(expected_s, rel=0.01)


def test_sessions_end(lab: Any) -> None:
    """A login lives for half an hour without a request, and not a second longer."""
    url, clock = str(lab.ready["api"]), lab.world.clock
    form = {"command": "login", "username": "admin", "password": "password", "response": "json"}
    with urlopen(Request(url, data=urlencode(form).encode())) as answer:
        key = json.load(answer)["loginresponse"]["sessionkey"]
        cookie = "; ".join(value.partition(";")[0] for value in answer.headers.get_all("Set-Cookie"))
    call = {"command": "listZones", "response": "json", "sessionkey": key}
    clock.advance(minutes=29)
    assert get(url, call, cookie)[0] == 200
    clock.advance(minutes=30, seconds=-1)
    assert get(url, call, cookie)[0] == 200
    clock.advance(minutes=30, seconds=1)
    assert get(url, call, cookie)[0] == 401


def test_signatures_end(lab: Any) -> None:
    """A signature of version 3 is good until its `expires`, by the world's clock."""
    url, clock = str(lab.ready["api"]), lab.world.clock
    expires = time.strftime("%Y-%m-%dT%H:%M:%S+0000", time.gmtime(clock.now() + 600))
    call = {
        "command": "listZones",
        "response": "json",
        "apiKey": str(lab.ready["api_key"]),
        "signatureVersion": "3",
        "expires": expires,
    }
    call["signature"] = sign({name.lower(): value.lower() for name, value in call.items()}, lab.ready["secret_key"])
    assert get(url, call)[0] == 200
    clock.advance(minutes=9)
    assert get(url, call)[0] == 200
    clock.advance(minutes=2)
    assert get(url, call)[0] == 401


def test_days_pass_without_harm(lab: Any) -> None:
    """Hosts that live stay Up however far the clock is moved at once; what they are asked in between is left out."""
    before = len(lab.world.server.services.journal.entries())
    lab.world.clock.advance(days=3)
    assert [host_state(lab, name) for name in ("kvm1", "kvm2", "kvm3")] == ["Up"] * 3
    entries = lab.world.server.services.journal.entries()[before:]
    assert not [entry for entry in entries if entry.kind in ("agent", "host")]


def test_a_silent_host_is_given_up(lab: Any) -> None:
    """Without pings a host is Up for two and a half minutes, asked for its health, and then in Alert; it comes back."""
    clock, fleet = lab.world.clock, lab.world.fleet
    clock.advance(minutes=3)
    fleet.freeze("kvm3")
    clock.advance(seconds=140)
    assert host_state(lab, "kvm3") == "Up"
    clock.advance(minutes=4)
    assert host_state(lab, "kvm3") == "Alert"
    moves = lab.world.server.services.journal.entries(kind="host")
    assert "no ping came" in str(moves[-1].fields)
    assert host_state(lab, "kvm1") == "Up"
    fleet.thaw("kvm3")
    clock.advance(minutes=1)
    assert host_state(lab, "kvm3") == "Up"


def test_a_host_that_stays_away_is_given_up(lab: Any) -> None:
    """A host that was disconnected in order is Disconnected, and in Alert when it is not back after half an hour."""
    clock, world = lab.world.clock, lab.world
    with world.server.services.store.session() as session:
        host_id = session.scalars(select(models.Host.id).where(models.Host.name == "kvm2")).one()
    world.fleet.freeze("kvm2")
    world.server.agents.disconnect(host_id, "a test")
    clock.advance(minutes=29)
    assert host_state(lab, "kvm2") == "Disconnected"
    clock.advance(minutes=3)
    assert host_state(lab, "kvm2") == "Alert"
    world.fleet.thaw("kvm2")
    clock.advance(minutes=1)
    assert host_state(lab, "kvm2") == "Up"


def test_run_until_needs_something_to_run(lab: Any) -> None:
    """A condition that nothing can make true is told at once, and a clock goes forward only."""
    with pytest.raises(ClockError, match="no timer is left"):
        lab.world.clock.run_until(lambda: False)
    with pytest.raises(ClockError, match="does not go back"):
        lab.world.clock.advance(seconds=-1)
    lab.world.clock.run_until(lambda: True)


def test_jumping_clocks_need_hosts_of_their_own() -> None:
    """A clock that runs ahead is refused where the hosts are elsewhere; the machine's clock cannot be moved."""
    for mode in ("automatic", "scaled"):
        with pytest.raises(ConfigError, match="hosts of other processes do not follow a clock of this one"):
            World(Settings(clock=mode, agents="none"))
    world = World(Settings(clock="manual", agents="none"))
    assert (world.clock.mode, world.clock.monotonic()) == ("manual", 0)
    with pytest.raises(ClockError, match="the real clock runs by itself"):
        World(Settings()).clock.advance(hours=1)


def test_a_lost_host_is_noticed_at_once(lab: Any) -> None:
    """A job whose host is lost in the middle of the conversion fails in that moment of the clock."""
    job = lab.client.call("importVm", **lab.import_parameters("web01", hostname="again", forced=True))["jobid"]
    lab.world.clock.advance(minutes=5)
    lost_s = lab.world.clock.now()
    lab.world.fleet.kill("kvm1")
    lab.world.fleet.kill("kvm2")
    lab.world.clock.run_until(job)
    assert lab.world.clock.now() == lost_s
    result = lab.client.call("queryAsyncJobResult", jobid=job)
    assert result["jobstatus"] == 2
    for name in ("kvm1", "kvm2"):
        lab.world.fleet.revive(name)
    lab.world.clock.advance(minutes=1)
    assert {host_state(lab, name) for name in ("kvm1", "kvm2")} == {"Up"}
