"""Shutting the management server down in order, in the words of plugins/maintenance."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

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
