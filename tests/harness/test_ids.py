"""Identifiers that are the same in every run, whatever happens at one time."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

import cloudstack_mock
from cloudstack_mock import Cloud
from cloudstack_mock._ids import Draws, SeededIds, SeededRandom
from mgmt.observe.correlation import correlated

LISTS = ("listVirtualMachines", "listVolumes", "listEvents", "listAsyncJobs", "listUsers", "listAccounts", "listAlerts")
WITHOUT_VDDK = {"usevddk": False, "forcemstoimportvmfiles": True, "forced": True}


@pytest.fixture(scope="module")
def lab() -> Iterator[list[Cloud]]:
    """Two worlds of one seed."""
    with (
        cloudstack_mock.activate("https://one.example.org/client/api", seed=5) as one,
        cloudstack_mock.activate("https://two.example.org/client/api", seed=5) as two,
    ):
        yield [one, two]


def one_import(cloud: Cloud, number: int) -> object:
    return cloud.import_vm("web01", hostname=f"web-{number}", **WITHOUT_VDDK)["id"]


def two_imports(cloud: Cloud, number: int) -> object:
    with cloud.clock.held():
        jobs = [cloud.start_import(vm, hostname=f"{vm}-{number}", **WITHOUT_VDDK) for vm in ("app01", "db01")]
    return [cloud.client.result(job)["virtualmachine"]["id"] for job in jobs]


def an_account(cloud: Cloud, number: int) -> object:
    person = {"email": "u@example.org", "firstname": "U", "lastname": "V", "accounttype": 0}
    return cloud.client.createAccount(username=f"u{number}", password="p", **person)["account"]["id"]


def lost_links(cloud: Cloud, number: int) -> object:
    for name in ("kvm2", "kvm3"):
        cloud.fleet.drop_link(name)
    cloud.clock.advance(hours=1)
    return cloud.client.listHosts(type="Routing")["count"]


STEPS: tuple[Callable[[Cloud, int], object], ...] = (one_import, two_imports, an_account, lost_links)


def told(cloud: Cloud, steps: list[Callable[[Cloud, int], object]]) -> dict[str, Any]:
    """All identifiers that a caller can learn after these steps."""
    cloud.reset()
    found: dict[str, Any] = {"steps": [step(cloud, number) for number, step in enumerate(steps)]}
    for command in LISTS:
        answer = cloud.client.call(command, **({} if command == "listAlerts" else {"listall": True}))
        rows = next((value for value in answer.values() if isinstance(value, list)), [])
        found[command] = sorted(str(row.get("id", row.get("jobid"))) for row in rows)
    found["calls"] = [entry.correlation_id for entry in cloud.journal if entry.kind == "api"]
    return found


@settings(max_examples=2, phases=[Phase.explicit, Phase.generate])
@example(steps=[two_imports, lost_links, an_account])
@given(steps=st.lists(st.sampled_from(STEPS), min_size=1, max_size=3))
def test_identifiers_are_the_same_in_every_run(lab: list[Cloud], steps: list[Callable[[Cloud, int], object]]) -> None:
    """Two worlds of one seed that do the same have the same identifiers, of what happens at one time too."""
    first, second = (told(cloud, steps) for cloud in lab)
    assert first == second


def test_who_draws_beside_others_changes_nothing() -> None:
    """The draws of one call do not depend on those of others, nor on threads of the server."""

    def drawn(*, disturbed: bool) -> list[object]:
        draws = Draws("1")
        ids, chance = SeededIds(draws), SeededRandom(draws)
        found: list[object] = [ids.uuid()]
        for whose in ("a", "b"):
            with correlated(whose):
                found += [ids.uuid(), chance.choice(range(1000)), chance.randbytes(3)]
            if disturbed:
                agents = threading.Thread(target=ids.uuid, name="agents-db_0")
                agents.start()
                agents.join()
                ids.stream("vCenter").uuid()
                with correlated("c"):
                    chance.random()
        return [*found, ids.uuid()]

    assert drawn(disturbed=True) == drawn(disturbed=False)
    assert len(set(map(str, drawn(disturbed=False)))) == len(drawn(disturbed=False))


def test_chances_are_even() -> None:
    """Seeded chances are numbers like any others: all bits occur, and numbers from 0 to 1."""
    chance = SeededRandom(Draws("1"))
    assert isinstance(chance, random.Random)
    assert {chance.getrandbits(1) for _ in range(50)} == {0, 1}
    assert all(0 <= chance.random() < 1 for _ in range(50))
    assert 1 << 299 <= chance.getrandbits(300) | 1 << 299 < 1 << 300
    assert chance.getrandbits(0) == 0
    assert {chance.randrange(5) for _ in range(100)} == set(range(5))
