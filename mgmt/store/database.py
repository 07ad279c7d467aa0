"""One server's database: opening it, checking its schema version, and sessions that many threads may use at once.

SQLite files run in WAL mode. A memory database (`sqlite://`) is a private file in a temporary folder that goes away
with the store: shared-cache memory databases refuse concurrent work with table locks that no busy timeout waits for,
while the WAL file gives tests the very behaviour of a database on disk, and two stores share nothing.
"""

from __future__ import annotations

import logging
import re
import shutil
import sqlite3
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, create_engine, event, inspect, select, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.orm import Session, sessionmaker

from mgmt.providers import Providers
from mgmt.store.encryption import SecretBox, SecretError, install
from mgmt.store.models import SCHEMA_VERSION, Base, SchemaVersion, VmwareDatacenter

logger = logging.getLogger(__name__)

BUSY_TIMEOUT_S = 30.0
POOL_SIZE = 16
_FORMAT_VERSIONS = slice(18, 20)  # in an SQLite file's header


class StoreError(Exception):
    """The database cannot be opened; the text names the database (without its password) and the reason."""


class SchemaVersionError(StoreError):
    """The database holds tables that this version does not know; nothing was changed in it."""


class Store:
    """The database at `url`; opened at once, its tables created when it is empty.

    `url` is an SQLAlchemy URL: `sqlite://` (memory), `sqlite:///path`, or a MySQL or PostgreSQL one. Raises
    `SchemaVersionError` for a database of another schema version and `StoreError` when it cannot be opened.
    `encryption_key` is the passphrase for the secrets in it; without one an SQLite file has a key file beside it
    (`<file>.key`), a database in memory a key in memory, and a database server is refused.
    """

    def __init__(self, url: str, providers: Providers, *, encryption_key: str | None = None) -> None:
        self.providers = providers
        parsed = _parsed_url(url)
        self.display_url = _without_password(url)
        self._is_sqlite = parsed.get_backend_name() == "sqlite"
        self._remove_files: weakref.finalize[[str, bool], Store] | None = None
        is_memory = self._is_sqlite and parsed.database in (None, "", ":memory:")
        if is_memory:
            folder = tempfile.mkdtemp(prefix="cloudstack-mock-db-")
            self._remove_files = weakref.finalize(self, shutil.rmtree, folder, True)
            file = Path(folder) / "memory.db"
            file.write_bytes(_empty_image())
            parsed = parsed.set(database=str(file))
        elif self._is_sqlite and not str(parsed.database).startswith("file:"):
            self._make_private(Path(str(parsed.database)))
        self._engine = _open_engine(parsed, durable=not is_memory, shown=self.display_url)
        self._new_session = sessionmaker(self._engine, expire_on_commit=False)
        self._is_untouched = is_memory
        key_file = None if is_memory or not self._is_sqlite else Path(f"{parsed.database}.key")
        try:
            if encryption_key is None and not self._is_sqlite:
                raise StoreError(
                    f"database {self.display_url} needs a key for the passwords in it: set encryption_key "
                    "(CLOUDSTACK_MOCK_ENCRYPTION_KEY)"
                )
            if not is_memory:
                self._prepare_schema()
            self._prepare_key(encryption_key, key_file)
        except DBAPIError as error:
            self.close()
            raise StoreError(f"cannot open database {self.display_url}: {error.orig}") from None
        except StoreError:
            self.close()
            raise

    def _make_private(self, file: Path) -> None:
        """Make a new database file readable by its owner only: it holds keys. SQLite's own files take its mode."""
        try:
            file.touch(mode=0o600)
        except OSError as error:
            raise StoreError(f"cannot open database {self.display_url}: {error.strerror}") from None

    @property
    def engine(self) -> Engine:
        """The SQLAlchemy engine, for dumps and tests."""
        return self._engine

    @property
    def is_untouched(self) -> bool:
        """True for a memory database that had no session yet: it has tables and no rows."""
        return self._is_untouched

    @contextmanager
    def session(self, *, exclusive: bool = False) -> Iterator[Session]:
        """A session that commits when the block ends and rolls back when it raises.

        Reads hold no lock; from the first write to the end of the block this session is the database's only writer
        (SQLite), so write late and never wait for an agent or a vCenter after a flush. With `exclusive` it is the only
        writer from the start: what it reads cannot be changed by another session before it writes.
        """
        self._is_untouched = False
        with self._new_session() as session:
            try:
                if exclusive and self._is_sqlite:
                    session.execute(text("BEGIN IMMEDIATE"))
                yield session
                session.commit()
            except BaseException:
                session.rollback()
                raise

    def close(self) -> None:
        """Close every connection; a memory database is gone afterwards. May be called twice."""
        self._engine.dispose()
        if self._remove_files is not None:
            self._remove_files()

    def _prepare_key(self, passphrase: str | None, key_file: Path | None) -> None:
        try:
            if passphrase is not None:
                box, source = SecretBox.from_passphrase(passphrase), "encryption_key"
            elif key_file is not None:
                box, source = SecretBox.from_file(key_file), f"key file {key_file}"
            else:
                box, source = SecretBox.in_memory(), "memory"
        except (OSError, SecretError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise StoreError(f"key file {key_file} cannot be used: {reason}") from None
        install(self._engine, box)
        if self._is_untouched:
            return
        with self._engine.connect() as connection:
            try:
                connection.execute(select(VmwareDatacenter.password).limit(1)).all()
            except SecretError:
                raise StoreError(
                    f"the passwords in database {self.display_url} were not encrypted with the key of {source}; "
                    "nothing was changed"
                ) from None

    def _prepare_schema(self) -> None:
        tables = set(inspect(self._engine).get_table_names())
        if not tables:
            with self._engine.begin() as connection:
                if self._is_sqlite:
                    connection.execute(text("BEGIN IMMEDIATE"))
                _create_tables(connection)
            logger.info("created the tables of schema version %d in %s", SCHEMA_VERSION, self.display_url)
            return
        if SchemaVersion.__tablename__ not in tables:
            raise SchemaVersionError(
                f"database {self.display_url} holds tables but no {SchemaVersion.__tablename__}: it does not belong to "
                "cloudstack-mock; nothing was changed, name an empty database"
            )
        with self._engine.connect() as connection:
            versions = list(connection.execute(select(SchemaVersion.version)).scalars())
        if versions != [SCHEMA_VERSION]:
            found = ", ".join(str(version) for version in versions) or "none"
            raise SchemaVersionError(
                f"database {self.display_url} has schema version {found}, this program needs {SCHEMA_VERSION}; "
                "nothing was changed, use the matching program version or name an empty database"
            )


    def image(self) -> bytes:
        """All that a memory database holds, for `load_image`."""
        with self._engine.connect() as connection, closing(sqlite3.connect(":memory:")) as copy:
            connection.connection.driver_connection.backup(copy)
            content = bytearray(copy.serialize())
        content[_FORMAT_VERSIONS] = b"\x01\x01"  # the file's say WAL, which a database without files cannot have
        return bytes(content)

    def load_image(self, image: bytes) -> None:
        """Replace all that a memory database holds by the content of `image`; no session may be open.

        Columns that are encrypted must be empty in it, unless it is this store's own: another one's key closed them.
        """
        with self._engine.connect() as connection, closing(_opened(image)) as source:
            source.backup(connection.connection.driver_connection)
        self._is_untouched = False


def _create_tables(connection: Connection) -> None:
    Base.metadata.create_all(connection)
    connection.execute(SchemaVersion.__table__.insert().values(version=SCHEMA_VERSION))  # type: ignore[attr-defined]


@cache
def _empty_image() -> bytes:
    """A database with all tables and no rows: copying it takes a hundredth of the time of making it."""
    engine = create_engine("sqlite://")
    try:
        with engine.begin() as connection:
            _create_tables(connection)
            return connection.connection.driver_connection.serialize()
    finally:
        engine.dispose()


def _opened(image: bytes) -> sqlite3.Connection:
    source = sqlite3.connect(":memory:")
    source.deserialize(image)
    return source


def _parsed_url(url: str) -> URL:
    try:
        parsed = make_url(url)
        parsed.get_dialect()
    except (ArgumentError, NoSuchModuleError):
        raise StoreError(
            "the database URL is none that SQLAlchemy knows: expected something like sqlite:///path"
        ) from None
    return parsed


def _without_password(url: str) -> str:
    # Up to the last @: in a URL whose password is not encoded, SQLAlchemy would hide only what it takes for it.
    return re.sub(r"(//[^:/@]*:).*@", r"\1***@", url)


def _json_text(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _lower(value: object) -> str | None:
    return None if value is None else str(value).lower()


def _open_engine(url: URL, *, durable: bool, shown: str) -> Engine:
    # Parameters are hidden in error texts: they may be passwords and keys.
    options: dict[str, Any] = {
        "hide_parameters": True,
        "json_serializer": _json_text,
        "json_deserializer": msgspec.json.decode,
        "pool_size": POOL_SIZE,
        "max_overflow": -1,
    }
    if url.get_backend_name() != "sqlite":
        options["pool_pre_ping"] = True
        if url.get_backend_name() == "mysql":
            # CloudStack's own level: a session sees what others committed, as it does on SQLite here.
            options["isolation_level"] = "READ COMMITTED"
        return _create_engine(url, options, shown)
    # Python's driver opens a transaction at the first write only, and IMMEDIATE takes the write lock right then: a
    # read transaction that turns into a writing one would fail at once, without waiting, after another's commit.
    options["connect_args"] = {
        "timeout": BUSY_TIMEOUT_S,
        "isolation_level": "IMMEDIATE",
        "check_same_thread": False,
    }
    engine = _create_engine(url, options, shown)

    def configure(connection: Any, _record: object) -> None:  # Any: the driver's own connection object
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute(f"PRAGMA synchronous={'NORMAL' if durable else 'OFF'}")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()
        # SQLite's own lower() knows ASCII only; names are compared without case in every alphabet.
        connection.create_function("lower", 1, _lower, deterministic=True)

    event.listen(engine, "connect", configure)
    return engine


def _create_engine(url: URL, options: dict[str, Any], shown: str) -> Engine:
    try:
        return create_engine(url, **options)
    except ModuleNotFoundError as error:
        raise StoreError(
            f"cannot open database {shown}: the driver {error.name} is not installed; "
            "cloudstack-mock[mysql] brings pymysql (mysql+pymysql://...), cloudstack-mock[postgresql] psycopg "
            "(postgresql+psycopg://...)"
        ) from None
