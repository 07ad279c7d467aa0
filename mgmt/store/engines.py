"""Engines as stores need them: how each kind of database is spoken to."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.pool import QueuePool
from sqlalchemy.util import LRUCache

from mgmt.store.encryption import SecretBox, install

BUSY_TIMEOUT_S = 30.0
POOL_SIZE = 16
_SHARED_STATEMENTS = 1000

# Parameters are hidden in error texts: they may be passwords and keys.
_COMMON: dict[str, Any] = {"hide_parameters": True}
_POOL: dict[str, Any] = {"pool_size": POOL_SIZE, "max_overflow": -1}
# Python's driver opens a transaction at the first write only, and IMMEDIATE takes the write lock right then: a read
# transaction that turns into a writing one would fail at once, without waiting, after another's commit.
_SQLITE_CONNECT: dict[str, Any] = {
    "timeout": BUSY_TIMEOUT_S,
    "isolation_level": "IMMEDIATE",
    "check_same_thread": False,
}


def _json_text(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _lower(value: object) -> str | None:
    return None if value is None else str(value).lower()


def open_engine(url: URL, *, is_durable: bool = True) -> Engine:
    """An engine for a database server or an SQLite file; raises ModuleNotFoundError for a missing driver.

    A file that need not survive the machine (`is_durable` False) is not synchronised with the disk.
    """
    options = _COMMON | _POOL | {"json_serializer": _json_text, "json_deserializer": msgspec.json.decode}
    backend = url.get_backend_name()
    if backend != "sqlite":
        options["pool_pre_ping"] = True
        if backend == "mysql":
            # CloudStack's own level: a session sees what others committed, as it does on SQLite here.
            options["isolation_level"] = "READ COMMITTED"
        return create_engine(url, **options)
    engine = create_engine(url, connect_args=_SQLITE_CONNECT, **options)
    _configure_sqlite(engine, is_durable=is_durable)
    return engine


def open_memory_engine(url: URL) -> Engine:
    """An engine for the file of a memory database.

    Those of a process share their dialect, and with it what SQLAlchemy has made of statements: worlds that begin one
    after the other do not compile them anew. They share the key for secrets, too, which is in memory only.
    """
    prototype = _prototype()
    dialect = prototype.dialect
    arguments, _ = dialect.create_connect_args(url)
    pool = QueuePool(lambda: dialect.connect(*arguments, **_SQLITE_CONNECT), dialect=dialect, **_POOL)
    engine = Engine(pool, dialect, url, execution_options=prototype.get_execution_options(), **_COMMON)
    _configure_sqlite(engine, is_durable=False)
    return engine


@cache
def _prototype() -> Engine:
    engine = create_engine(
        "sqlite://",
        json_serializer=_json_text,
        json_deserializer=msgspec.json.decode,
        execution_options={"compiled_cache": LRUCache(_SHARED_STATEMENTS)},
        **_COMMON,
    )
    install(engine, SecretBox.in_memory())
    with engine.connect():
        pass  # lets the dialect look at SQLite's version
    engine.dispose()
    return engine


def _configure_sqlite(engine: Engine, *, is_durable: bool) -> None:
    def configure(connection: Any, _record: object) -> None:  # Any: the driver's own connection object
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA synchronous={'NORMAL' if is_durable else 'OFF'}")
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()
        # SQLite's own lower() knows ASCII only; names are compared without case in every alphabet.
        connection.create_function("lower", 1, _lower, deterministic=True)

    event.listen(engine, "connect", configure)
