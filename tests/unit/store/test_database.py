"""The store: opening, schema versions, sessions, threads."""

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError

from mgmt.providers import Providers
from mgmt.store.database import SchemaVersionError, Store, StoreError
from mgmt.store.models import SCHEMA_VERSION, Pod, Zone


def count_zones(store: Store) -> int:
    with store.session() as session:
        return session.scalar(select(func.count(Zone.id))) or 0


def test_two_memory_stores_share_nothing(open_store):
    """A row of one memory store is not in another one of the same process."""
    first, second = open_store(), open_store()
    with first.session() as session:
        session.add(Zone(uuid="z", name="z"))
    assert (count_zones(first), count_zones(second)) == (1, 0)


def test_a_memory_store_leaves_no_file(open_store, tmp_path, monkeypatch):
    """What a memory store keeps in the temporary folder is gone once it is closed; closing twice is harmless."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    store = open_store()
    assert list(tmp_path.iterdir())
    store.close()
    store.close()
    assert list(tmp_path.iterdir()) == []


def test_a_memory_stores_folder_is_private(open_store, tmp_path, monkeypatch):
    """Others on the machine cannot read it."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    open_store()
    (folder,) = tmp_path.iterdir()
    assert folder.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("name", ["lab.db", "with blank.db"])
def test_a_file_keeps_its_rows(open_store, tmp_path, name):
    """A file is opened again with what was in it, in WAL mode."""
    url = f"sqlite:///{tmp_path / name}"
    store = open_store(url)
    with store.session() as session:
        session.add(Zone(uuid="z", name="z"))
        assert session.scalar(text("PRAGMA journal_mode")) == "wal"
    store.close()
    assert count_zones(open_store(url)) == 1


def test_a_session_rolls_back_on_an_error(open_store):
    """When the block raises, nothing of it stays and the error comes through."""
    store = open_store()
    with pytest.raises(RuntimeError, match="stop"), store.session() as session:
        session.add(Zone(uuid="z", name="z"))
        session.flush()
        raise RuntimeError("stop")
    assert count_zones(store) == 0


def test_rows_stay_readable_after_the_session(open_store):
    """Loaded attributes are usable when the session has ended."""
    store = open_store()
    with store.session() as session:
        zone = Zone(uuid="z", name="lab")
        session.add(zone)
    assert (zone.name, zone.id) == ("lab", 1)


def test_many_threads_write_and_none_fails(open_store):
    """Sessions that read and then write wait for each other; no write is lost."""
    store = open_store()
    with store.session() as session:
        session.add(Zone(uuid="first", name="n"))
    start = threading.Barrier(8)

    def work(number: int) -> None:
        start.wait()
        for step in range(10):
            with store.session() as session:
                session.scalar(select(Zone))
                session.add(Zone(uuid=f"{number}-{step}", name="n"))

    with ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(work, number) for number in range(8)]:
            future.result()
    assert count_zones(store) == 81


def test_readers_do_not_wait_for_a_writer(open_store):
    """While a session has written and not committed, others read the state before it."""
    store = open_store()
    with store.session() as writing:
        writing.add(Zone(uuid="z", name="z"))
        writing.flush()
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(count_zones, store).result(timeout=60) == 0
    assert count_zones(store) == 1


def test_an_open_reader_does_not_hinder_a_writer(open_store):
    """A session that has read stays usable while another one commits, and then sees its rows."""
    store = open_store()
    with store.session() as reading:
        assert reading.scalar(select(func.count(Zone.id))) == 0
        with store.session() as writing:
            writing.add(Zone(uuid="z", name="z"))
        reading.add(Zone(uuid="y", name="y"))
        assert reading.scalar(select(func.count(Zone.id))) == 2
    assert count_zones(store) == 2


def test_exclusive_sessions_do_not_lose_updates(open_store):
    """Reading and then writing in an exclusive session is one step for all threads."""
    store = open_store()
    with store.session() as session:
        session.add(Zone(uuid="z", name="0"))

    def add_one(_: int) -> None:
        with store.session(exclusive=True) as session:
            zone = session.scalars(select(Zone)).one()
            zone.name = str(int(zone.name) + 1)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(add_one, range(30)))
    with store.session() as session:
        assert session.scalars(select(Zone.name)).one() == "30"


def test_references_are_enforced(open_store):
    """A row that refers to nothing is refused by SQLite too."""
    store = open_store()
    with pytest.raises(IntegrityError), store.session() as session:
        session.add(Pod(uuid="p", name="p", zone_id=7, gateway="g", netmask="n", start_ip="s", end_ip="e"))


def test_error_texts_hide_parameters(open_store):
    """The text of a database error does not show the values, which may be secrets."""
    store = open_store()
    with pytest.raises(IntegrityError) as raised, store.session() as session:
        session.add(Zone(uuid="z", name="topsecret"))
        session.flush()
        session.execute(text("INSERT INTO data_center (uuid, name) VALUES ('z', :name)"), {"name": "topsecret"})
    assert "topsecret" not in str(raised.value)


@pytest.fixture
def foreign_file(tmp_path: Path) -> Path:
    """A database of another program."""
    file = tmp_path / "foreign.db"
    connection = sqlite3.connect(file)
    connection.execute("CREATE TABLE cats (name TEXT)")
    connection.commit()
    connection.close()
    return file


def test_a_foreign_database_is_refused_and_left_alone(foreign_file):
    """Tables without our version: the text says so, and nothing is added."""
    before = foreign_file.read_bytes()[100:]
    with pytest.raises(SchemaVersionError) as raised:
        Store(f"sqlite:///{foreign_file}", Providers())
    assert str(raised.value) == (
        f"database sqlite:///{foreign_file} holds tables but no schema_version: it does not belong to "
        "cloudstack-mock; nothing was changed, name an empty database"
    )
    assert foreign_file.read_bytes()[100:] == before


@pytest.mark.parametrize(("rows", "found"), [([SCHEMA_VERSION + 1], str(SCHEMA_VERSION + 1)), ([], "none")])
def test_another_schema_version_is_refused(open_store, tmp_path, rows, found):
    """A database of another version names both versions and is left as it is."""
    file = tmp_path / "old.db"
    store = open_store(f"sqlite:///{file}")
    with store.session() as session:
        session.execute(text("DELETE FROM schema_version"))
        for row in rows:
            session.execute(text("INSERT INTO schema_version VALUES (:row)"), {"row": row})
    store.close()
    with pytest.raises(SchemaVersionError) as raised:
        Store(f"sqlite:///{file}", Providers())
    assert str(raised.value) == (
        f"database sqlite:///{file} has schema version {found}, this program needs {SCHEMA_VERSION}; "
        "nothing was changed, use the matching program version or name an empty database"
    )


def test_what_is_no_database_is_refused(tmp_path):
    """A file that SQLite cannot read names the file and the reason."""
    file = tmp_path / "text.db"
    file.write_text("not a database at all, but a long enough text to be looked at" * 20)
    with pytest.raises(StoreError, match=r"^cannot open database sqlite:///.*text\.db: file is not a database$"):
        Store(f"sqlite:///{file}", Providers())


def test_a_missing_folder_is_named(tmp_path):
    """A path that cannot be opened names the database and the reason."""
    with pytest.raises(StoreError, match=r"cannot open database .*missing/lab\.db: No such file or directory"):
        Store(f"sqlite:///{tmp_path}/missing/lab.db", Providers())


@pytest.mark.parametrize("url", ["", "nonsense", "foodb://host/x"])
def test_an_unknown_url_is_refused(url):
    """A URL that SQLAlchemy does not know is refused without repeating it, for it may hold a password."""
    with pytest.raises(StoreError, match=r"^the database URL is none that SQLAlchemy knows: expected something like"):
        Store(url, Providers())


def test_a_missing_driver_is_named():
    """A database whose driver is not installed names the driver and hides the password."""
    with pytest.raises(StoreError) as raised:
        Store("mysql+mysqldb://root:topsecret@127.0.0.1/cloud", Providers())
    assert "topsecret" not in str(raised.value)
    assert "MySQLdb" in str(raised.value)
