"""Secrets at rest: where keys come from, what stands in the database, and what is refused."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, select, text

from mgmt.providers import Providers
from mgmt.store.database import Store, StoreError
from mgmt.store.encryption import EncryptedText, SecretBox, SecretError
from mgmt.store.models import VmwareDatacenter, Zone

PASSWORD = "VMware1!lab-ü"


def link(store: Store) -> None:
    with store.session() as session:
        zone = Zone(uuid="zone", name="z")
        session.add(zone)
        session.flush()
        session.add(
            VmwareDatacenter(uuid="dc", name="dc", vcenter_host="vc", username="u", password=PASSWORD, zone_id=zone.id)
        )


def password(store: Store) -> str:
    with store.session() as session:
        return session.scalars(select(VmwareDatacenter)).one().password


def stored(file: Path) -> str:
    engine = create_engine(f"sqlite:///{file}")
    with engine.connect() as connection:
        found: str = connection.execute(text("select password from vmware_data_center")).scalar_one()
    engine.dispose()
    return found


def test_a_file_has_a_key_beside_it(open_store: Callable[..., Store], tmp_path: Path) -> None:
    """The password is in no byte of the database; the key file is its owner's only and opens it again."""
    file = tmp_path / "cloud.db"
    store = open_store(f"sqlite:///{file}")
    link(store)
    assert password(store) == PASSWORD
    store.close()
    key_file = tmp_path / "cloud.db.key"
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert PASSWORD not in stored(file)
    assert all(PASSWORD.encode() not in path.read_bytes() for path in tmp_path.iterdir())
    key = key_file.read_bytes()
    assert password(open_store(f"sqlite:///{file}")) == PASSWORD
    assert key_file.read_bytes() == key


def test_another_key_is_refused(open_store: Callable[..., Store], tmp_path: Path) -> None:
    """Without the key file, or with a passphrase instead, the database is refused and the source of the key named."""
    url = f"sqlite:///{tmp_path / 'cloud.db'}"
    store = open_store(url)
    link(store)
    store.close()
    key_file = tmp_path / "cloud.db.key"
    key_file.unlink()
    with pytest.raises(StoreError, match=r"were not encrypted with the key of key file .*cloud\.db\.key; nothing was"):
        Store(url, Providers())
    with pytest.raises(StoreError, match="were not encrypted with the key of encryption_key"):
        Store(url, Providers(), encryption_key="a passphrase of some length")
    key_file.write_text("no key")
    with pytest.raises(StoreError, match=r"key file .*cloud\.db\.key cannot be used: it holds no key"):
        Store(url, Providers())


def test_a_passphrase_makes_no_file(tmp_path: Path) -> None:
    """With encryption_key there is no key file, and the same passphrase opens the database again."""
    url = f"sqlite:///{tmp_path / 'cloud.db'}"
    for first in (True, False):
        store = Store(url, Providers(), encryption_key="a passphrase of some length")
        if first:
            link(store)
        assert password(store) == PASSWORD
        store.close()
    assert not (tmp_path / "cloud.db.key").exists()


def test_a_folder_where_the_key_belongs(tmp_path: Path) -> None:
    """A key file that cannot be read is named with the reason."""
    (tmp_path / "cloud.db.key").mkdir()
    with pytest.raises(StoreError, match=r"key file .*cloud\.db\.key cannot be used: Is a directory"):
        Store(f"sqlite:///{tmp_path / 'cloud.db'}", Providers())


def test_a_database_server_needs_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no safe place for a key beside a database server: the setting is asked for."""
    from mgmt.store import database

    class Engine:
        def dispose(self) -> None:
            return None

    monkeypatch.setattr(database, "open_engine", lambda url, is_durable: Engine())
    with pytest.raises(StoreError, match=r"needs a key .*: set encryption_key \(CLOUDSTACK_MOCK_ENCRYPTION_KEY\)"):
        Store("postgresql://u:secret@127.0.0.1/cloud", Providers())


def test_two_memory_databases_have_two_keys(open_store: Callable[..., Store]) -> None:
    """What one store sealed the other cannot open; within one, the same text never looks the same."""
    boxes = [SecretBox.in_memory() for _ in range(2)]
    sealed = boxes[0].seal("x")
    assert boxes[0].open(sealed) == "x" and boxes[0].seal("x") != sealed
    with pytest.raises(SecretError, match="another key, or not at all"):
        boxes[1].open(sealed)
    first, second = open_store(), open_store()
    link(first)
    link(second)
    assert password(first) == password(second) == PASSWORD


def test_an_engine_without_a_key_is_refused() -> None:
    """Encrypted columns cannot be read or written past the store; nothing stays nothing."""
    engine: Any = create_engine("sqlite://")
    column = EncryptedText()
    with pytest.raises(SecretError, match="this engine has no key"):
        column.process_bind_param("x", engine.dialect)
    assert column.process_bind_param(None, engine.dialect) is None
    assert column.process_result_value(None, engine.dialect) is None
    engine.dispose()
