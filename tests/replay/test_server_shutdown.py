"""Shutting the management server down in order, in the words of plugins/maintenance."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent_sim import Fleet, generated_hosts
from mgmt.config import Settings


@pytest.fixture(scope="module")
def lab(opener: Any) -> Iterator[Any]:
    """A lab of this module, whose jobs run."""
    for world in opener(Settings(port=0, agent_port=0, agents="none", vcenter="none")):
        world.server.agents.start()
        world.server.services.jobs.start()
        yield world


@pytest.fixture(autouse=True)
def up(lab: Any) -> Iterator[None]:
    """The server is Up again afterwards."""
    yield
    lab.server.services.server_shutdown.reset()
    lab.server.services.server_shutdown.stop(10)


def server(lab: Any) -> dict[str, str]:
    return {"managementserverid": lab.ok("listManagementServers")["managementserver"][0]["id"]}


def test_the_idle_answer(lab: Any) -> None:
    """readyForShutdown of a server that is Up says so, with its agents and jobs."""
    shown = lab.ok("readyForShutdown", **server(lab))["readyforshutdown"]
    assert {
        name: shown[name] for name in ("state", "maintenanceinitiated", "shutdowntriggered", "readyforshutdown")
    } == {
        "state": "Up",
        "maintenanceinitiated": False,
        "shutdowntriggered": False,
        "readyforshutdown": True,
    }
    assert (shown["pendingjobscount"], shown["agentscount"], shown["agents"]) == (0, 0, [])


def test_a_prepared_shutdown_takes_no_jobs(lab: Any, wait_until: Callable[..., Any]) -> None:
    """No new job until it is cancelled; without jobs under way the server becomes ready, also in its list."""
    where = server(lab)
    shown = lab.ok("prepareForShutdown", **where)["prepareforshutdown"]
    assert (shown["state"], shown["shutdowntriggered"]) == ("PreparingForShutDown", True)
    status, _, fields = lab.answer("issueCertificate", domain="a.example")
    assert (status, fields["errortext"].partition(".")[0]) == (
        503,
        "Maintenance or Shutdown has been initiated on this management server",
    )
    refusal = (530, "Management server is not in the right state to prepare for shutdown")
    assert lab.refused("prepareForShutdown", **where) == refusal
    wait_until(
        lambda: lab.ok("listManagementServers")["managementserver"][0]["state"] == "ReadyToShutDown", "ready", 60
    )
    assert lab.ok("cancelShutdown", **where)["cancelshutdown"]["state"] == "Up"
    assert "certificates" in lab.ok("issueCertificate", domain="a.example")
    refusal = (530, "Management server is not in the right state to cancel shutdown")
    assert lab.refused("cancelShutdown", **where) == refusal
    told = [event["type"] for event in lab.ok("listEvents", resourcetype="ManagementServer")["event"]]
    assert told[:2] == ["MS.SHUTDOWN.CANCEL", "MS.SHUTDOWN.PREPARE"]


def test_a_triggered_shutdown_ends_the_server(lab: Any, wait_until: Callable[..., Any]) -> None:
    """Once no job is under way the process is told to end; asking twice is refused."""
    ended: list[bool] = []
    lab.server.services.server_shutdown.on_exit = lambda: ended.append(True)
    where = server(lab)
    assert lab.ok("triggerShutdown", **where)["triggershutdown"]["state"] == "ShuttingDown"
    refusal = (530, "Management server is not in the right state to trigger shutdown")
    assert lab.refused("triggerShutdown", **where) == refusal
    wait_until(lambda: ended == [True], "the end", 60)


@pytest.mark.parametrize(
    ("command", "more", "text"),
    [
        (
            "prepareForMaintenance",
            {},
            "Prepare for maintenance not supported, there is only one active management server",
        ),
        (
            "prepareForMaintenance",
            {"algorithm": "best"},
            "Invalid algorithm best, valid values are: [static, roundrobin, shuffle]",
        ),
        ("cancelMaintenance", {}, "Management server is not in the right state to cancel maintenance"),
    ],
)
def test_one_server_alone_has_no_maintenance(lab: Any, command: str, more: dict[str, str], text: str) -> None:
    """There is nobody to take the agents over."""
    assert lab.refused(command, **server(lab), **more) == (530, text)


@pytest.fixture
def other(lab: Any, opener: Any) -> Iterator[Any]:
    """Another server on the same agent port, at another address of this machine."""
    _, port = lab.server.agents.address
    for world in opener(Settings(host="127.0.0.2", port=0, agent_port=port, agents="none", vcenter="none")):
        world.server.agents.start()
        yield world


def states(world: Any) -> list[str]:
    """The states of the hosts of the fleet."""
    hosts = world.ok("listHosts", type="Routing").get("host", [])
    return [host["state"] for host in hosts if host["name"].startswith("sim-")]


def test_maintenance_sends_the_agents_to_the_other_server(
    lab: Any, other: Any, tmp_path: Path, wait_until: Callable[..., Any]
) -> None:
    """An agent goes to the other server of its list; this one is in Maintenance then, until that is cancelled."""
    where, address = server(lab), lab.server.agents.address
    for world in (lab, other):
        world.ok("updateConfiguration", name="host", value=f"{address[0]},127.0.0.2")

    def state() -> str:
        return str(lab.ok("listManagementServers")["managementserver"][0]["state"])

    with Fleet(generated_hosts(1), address, tmp_path, time_scale=100):
        wait_until(lambda: states(lab) == ["Up"], "the agent is here", 60)
        shown = lab.ok("prepareForMaintenance", **where)["prepareformaintenance"]
        assert (shown["state"], shown["maintenanceinitiated"]) == ("PreparingForMaintenance", True)
        refusal = (530, "Management server is not in the right state to prepare for maintenance")
        assert lab.refused("prepareForMaintenance", **where) == refusal
        wait_until(lambda: states(other) == ["Up"], "the agent is there", 60)
        wait_until(lambda: state() == "Maintenance", "nobody is here any more", 60)
        wait_until(lambda: states(lab) == ["Disconnected"], "it is written down", 60)
        assert lab.ok("cancelMaintenance", **where)["cancelmaintenance"]["state"] == "Up"
    lab.ok("updateConfiguration", name="host", value="localhost")
