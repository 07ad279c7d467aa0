"""What has become of a seeded world, as rows of a saved seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select, update

from mgmt.observe.redaction import MASK
from mgmt.store import seed_records
from mgmt.store.database import Store
from mgmt.store.models import Configuration, DiskOffering, Host, Network, VmwareDatacenter
from mgmt.store.seed_rows import OwnVcenter
from mgmt.store.seeding import read_seed, seed

OWN = OwnVcenter("127.0.0.1:8989", "its own")


def document_of(store: Store) -> dict[str, Any]:
    """The document of a saved seed with the rows that differ."""
    with store.session() as session:
        began = dict(read_seed("lab").document) | {"started": seed_records.started(session)}
        began["vmware_datacenters"] = [entry | {"password": MASK} for entry in began["vmware_datacenters"]]
        records, gone = seed_records.difference(session, began, OWN.address)
    return began | {"records": records, "gone": gone}


@pytest.fixture
def store(open_store: Callable[[], Store]) -> Store:
    made = open_store()
    seed(made, "lab", vcenter_address=OWN.address, vcenter_password=OWN.password)
    return made


def test_an_unchanged_world_has_no_rows_of_its_own(store: Store) -> None:
    """Nothing but password hashes, which have their salt, differs from the seed."""
    found = document_of(store)
    assert found["gone"] == {}
    assert found["records"].keys() == {"user"}
    assert all(row.keys() == {"id", "password_hash"} for row in found["records"]["user"])


def test_rows_are_taken_over(store: Store, open_store: Callable[[], Store]) -> None:
    """Rows that are new, changed or gone are so in the other database, also where two have exchanged what is unique."""
    with store.session() as session:
        session.add(Configuration(name="alert.wait", value="77"))
        session.delete(session.scalars(select(Network)).first())
        first, second, *_ = session.scalars(select(DiskOffering).order_by(DiskOffering.id)).all()
        one, other = first.uuid, second.uuid
        first.uuid = "for a moment"
        session.flush()
        second.uuid = one
        session.flush()
        first.uuid = other
        session.execute(update(Host), {"status": "Up", "annotation": "in rack 7"})
    document = document_of(store)
    again = open_store()
    seed(again, "lab", vcenter_address=OWN.address)
    with again.session() as session:
        seed_records.write_records(session, document, OWN)
    with store.session() as old, again.session() as new:
        for model in (Configuration, DiskOffering, Network):
            columns = [column for column in model.__table__.columns if column.name != "created"]
            assert new.execute(select(*columns)).all() == old.execute(select(*columns)).all()
        assert {host.annotation for host in new.scalars(select(Host))} == {"in rack 7"}
        assert {host.status for host in new.scalars(select(Host))} == {"Disconnected"}, "a state of the process"


@pytest.mark.parametrize(
    ("address", "vcenter", "found"),
    [
        (OWN.address, OWN, (OWN.address, OWN.password)),
        (OWN.address, None, None),
        ("vc.example.org", OWN, ("vc.example.org", MASK)),
        ("vc.example.org", None, ("vc.example.org", MASK)),
    ],
)
def test_passwords_of_vcenters_are_not_saved(
    store: Store, open_store: Callable[[], Store], address: str, vcenter: OwnVcenter | None, found: object
) -> None:
    """The own vCenter's datacenter gets its password and address of now; that of another one has none."""
    with store.session() as session:
        (row,) = session.scalars(select(VmwareDatacenter)).all()
        row.vcenter_host, row.password, row.username = address, "a secret", "somebody"
    document = document_of(store)
    assert "a secret" not in str(document["records"])
    again = open_store()
    seed(again, "lab", vcenter_address=vcenter and vcenter.address, vcenter_password=vcenter and vcenter.password)
    with again.session() as session:
        seed_records.write_records(session, document, vcenter)
        rows = session.scalars(select(VmwareDatacenter)).all()
        assert [(row.vcenter_host, row.password) for row in rows] == ([] if found is None else [found])
        assert all(row.username == "somebody" for row in rows)


def test_rows_that_do_not_fit_are_refused(store: Store, open_store: Callable[[], Store]) -> None:
    """A row that the tables cannot take is an error with the database's words, and nothing is written."""
    document = document_of(store) | {"records": {"nics": [{"id": 1, "uuid": "x"}]}}
    with pytest.raises(ValueError, match="NOT NULL"), open_store().session() as session:
        seed_records.write_records(session, document, None)
