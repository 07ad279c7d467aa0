"""Memory databases that are copied from one that was seeded before."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from mgmt.providers import Providers, RealClock
from mgmt.store.database import Store
from mgmt.store.models import Base, Host, User, VmwareDatacenter, Zone
from mgmt.store.passwords import verify_password
from mgmt.store.seeding import read_seed, seed

AT = datetime(2031, 5, 6, 7, 8, 9)


@dataclass
class LaterClock(RealClock):
    """A clock that stands in the future."""

    def now(self) -> float:
        return (AT - datetime(1970, 1, 1)).total_seconds()


def rows(store: Store, *, without: frozenset[str] = frozenset()) -> dict[str, list[dict[str, Any]]]:
    """All rows of all tables, without some columns."""
    with store.session() as session:
        return {
            table.name: [
                {name: value for name, value in row._mapping.items() if name not in without}
                for row in session.execute(select(table).order_by(*table.primary_key.columns))
            ]
            for table in Base.metadata.sorted_tables
        }


def test_a_copied_world_equals_a_written_one(open_store: Callable[..., Store], tmp_path: Path) -> None:
    """The second memory database of a seed, a copy, holds what a file database holds that was written row by row."""
    own = frozenset({"created", "password_hash"})
    seed(open_store(), "lab", vcenter_address="vc:1")
    copied, written = open_store(), open_store(f"sqlite:///{tmp_path / 'cloud.db'}")
    seed(copied, "lab", vcenter_address="vc:1")
    seed(written, "lab", vcenter_address="vc:1")
    assert rows(copied, without=own) == rows(written, without=own)
    assert len(rows(copied)["host"]) == 3


def test_a_copy_has_its_own_times_salts_and_vcenter(open_store: Callable[..., Store]) -> None:
    """What a server's providers and its vCenter say goes into the copy, and nothing of the first server's stays."""
    first, second = open_store(), Store("sqlite://", Providers(clock=LaterClock(), random=random.Random(4)))
    third = Store("sqlite://", Providers(clock=LaterClock(), random=random.Random(4)))
    for store, address in ((first, "vc:1"), (second, "vc:2"), (third, None)):
        seed(store, "lab", vcenter_address=address)
    hashes = []
    for store in (second, third):
        with store.session() as session:
            assert set(session.scalars(select(Host.created))) == {AT}
            hashes.append(session.scalars(select(User.password_hash).where(User.username == "admin")).one())
    assert hashes[0] == hashes[1] and verify_password("password", hashes[0])
    addresses = []
    for store in (first, second, third):
        with store.session() as session:
            addresses.append(list(session.scalars(select(VmwareDatacenter.vcenter_host))))
    assert addresses == [["vc:1"], ["vc:2"], []]
    second.close()
    third.close()


def test_copies_share_nothing(open_store: Callable[..., Store]) -> None:
    """A change in one world is seen in no other, whether it was there before or comes after."""
    stores = [open_store(), open_store()]
    for store in stores:
        seed(store, "lab", vcenter_address=None)
    with stores[0].session() as session:
        session.scalars(select(Zone)).one().name = "changed"
    stores.append(open_store())
    seed(stores[2], "lab", vcenter_address=None)
    names = []
    for store in stores:
        with store.session() as session:
            names.append(session.scalars(select(Zone.name)).one())
    assert names == ["changed", "lab-zone", "lab-zone"]


def test_a_changed_file_is_read_anew(write_seed: Callable[[Any], str], lab_document: dict[str, Any]) -> None:
    """The same file gives the same document as long as its text is the same, and its new one afterwards."""
    before = read_seed(write_seed(lab_document))
    assert read_seed(write_seed(lab_document)).document is before.document
    lab_document["zones"][0]["dns1"] = "192.0.2.53"
    assert read_seed(write_seed(lab_document)).document["zones"][0]["dns1"] == "192.0.2.53"


def test_a_used_database_takes_no_image(open_store: Callable[..., Store], tmp_path: Path) -> None:
    """An image never overwrites what somebody may have written, and a file database takes none."""
    used, file = open_store(), open_store(f"sqlite:///{tmp_path / 'cloud.db'}")
    assert used.is_untouched and not file.is_untouched
    image = used.image()
    assert not used.is_untouched
    for store in (used, file):
        with pytest.raises(RuntimeError, match="nobody has used yet"):
            store.load_image(image)
