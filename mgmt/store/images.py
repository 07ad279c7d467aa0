"""Images of SQLite databases: all that one holds, as the bytes of a file."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import cache
from typing import cast

from sqlalchemy import Connection, Engine, create_engine

from mgmt.store.models import SCHEMA_VERSION, Base, SchemaVersion

_FORMAT_VERSIONS = slice(18, 20)  # in an SQLite file's header
_WAL = b"\x02\x02"
_NO_WAL = b"\x01\x01"


def create_tables(connection: Connection) -> None:
    """Make all tables in an empty database and note the schema's version."""
    Base.metadata.create_all(connection)
    connection.execute(SchemaVersion.__table__.insert().values(version=SCHEMA_VERSION))  # type: ignore[attr-defined]


@cache
def empty_image() -> bytes:
    """A database with all tables and no rows: copying it takes a hundredth of the time of making it."""
    engine = create_engine("sqlite://")
    try:
        with engine.begin() as connection:
            create_tables(connection)
        return image_of(engine)
    finally:
        engine.dispose()


def image_of(engine: Engine) -> bytes:
    """What the SQLite database of `engine` holds, as the content of a file in WAL mode."""
    with engine.connect() as connection, closing(sqlite3.connect(":memory:")) as copy:
        _driver_connection(connection).backup(copy)
        content = bytearray(copy.serialize())
    content[_FORMAT_VERSIONS] = _WAL  # nothing has to be written when the file is opened
    return bytes(content)


def write_image(engine: Engine, image: bytes) -> None:
    """Let the SQLite database of `engine` hold what the image does, for all connections from now on."""
    content = bytearray(image)
    content[_FORMAT_VERSIONS] = _NO_WAL  # a database in memory has none
    with engine.connect() as connection, closing(sqlite3.connect(":memory:")) as source:
        source.deserialize(bytes(content))
        source.backup(_driver_connection(connection))


def _driver_connection(connection: Connection) -> sqlite3.Connection:
    return cast(sqlite3.Connection, connection.connection.driver_connection)
