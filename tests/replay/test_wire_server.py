"""The recorded agents' side of the conversations in fixtures/wire, played against our server.

What our server says is compared with what the real one said; `data/wire_differences.yaml` has what differs and why.
The API calls that made the real server say it are made between the same lines (`wire_scripts.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mgmt.config import Settings
from mgmt.providers import Providers

IS_ONE_STORY = True  # conversations with one server: later ones find what earlier ones have set

# Those that need no more than hosts, pools and the calls that were made.
FILES = (
    "fresh-attach",
    "attach-with-labels",
    "disconnect-and-reattach",
    "refused-answers",
    "ready-variants",
    "silence-and-health-check",
    "maintenance-and-delete",
    "odd-messages-and-startups",
    "server-list-and-settings",
    "certificates",
    "storage-pools",
    "shared-import",
    "local-import",
    "unmanaged-import",
    "external-import",
)

NOT_PLAYED = {
    "check-convert": "five hosts in turn, and no line says what chose them; what they are asked is one command, always "
    "the same, which tests/imports compares",
    "start-stop-destroy": "VMs that other conversations imported, in states that no line explains; "
    "tests/unit/life/test_vm_life.py compares each command with it",
    "unmanage": "VMs that other conversations imported and lost; tests/imports/test_import_unmanaged_instance.py has "
    "the same commands",
    "kvm-agent": "the recorded server was a stand-in that asked what was to be tried, and no management server",
}


@pytest.fixture(scope="module")
def lab(request: pytest.FixtureRequest, beside: Any, talk: Any) -> Iterator[Any]:
    """A bare server whose clock moves by hand."""
    clock = talk.HandClock()
    settings = Settings(port=0, agent_port=0, agents="none", vcenter="none", profile="4.22.0")
    worlds = request.getfixturevalue("opener")(settings, Providers(clock=clock))
    world = next(worlds)
    attach = request.config.rootpath / "fixtures" / "wire" / "fresh-attach.jsonl"
    made = beside("installation").Installation(world, clock, talk, attach)
    try:
        world.server.services.jobs.start()
        world.server.services.maintenance.start()
        world.server.agents.start()
        yield made
    finally:
        made.close()
        assert next(worlds, None) is None


@pytest.mark.parametrize("name", FILES)
def test_the_server_says_what_the_real_one_said(
    name: str,
    lab: Any,
    talk: Any,
    beside: Any,
    explained: Callable[[str, str, list[str]], None],
    request: pytest.FixtureRequest,
) -> None:
    """Given the recorded agents' messages and the API calls, it says what is recorded, but for what is listed."""
    lab.reset()
    arguments = beside("wire_scripts").SCRIPTS[name](lab)
    file = request.config.rootpath / "fixtures" / "wire" / f"{name}.jsonl"
    side = talk.AgentSide(talk.rows_of(file), lab.connect, lab.translate, **arguments)
    found = side.play()
    lab.join()
    explained("server", name, found)


def test_every_conversation_is_played_or_has_a_reason_not_to(request: pytest.FixtureRequest) -> None:
    """A new file in fixtures/wire is played against our server, or says here why not."""
    files = {file.stem for file in (request.config.rootpath / "fixtures" / "wire").glob("*.jsonl")}
    assert set(FILES) | set(NOT_PLAYED) == files
    assert not set(FILES) & set(NOT_PLAYED)
