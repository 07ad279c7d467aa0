"""One server's database: opening it, checking its schema version, and sessions that many threads may use at once.

SQLite files run in WAL mode. A memory database (`sqlite://`) is a private file in a temporary folder that goes away
with the store: shared-cache memory databases refuse concurrent work with table locks that no busy timeout waits for,
while the WAL file gives tests the very behaviour of a database on disk, and two stores share nothing.
"""

from __future__ import annotations

import logging
import re
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, inspect, select, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.orm import Session

from mgmt.providers import Providers
from mgmt.store import images
from mgmt.store.changes import TableChanges
from mgmt.store.claim import Claim, ClaimedError
from mgmt.store.encryption import SecretBox, SecretError, install
from mgmt.store.engines import open_engine, open_memory_engine
from mgmt.store.models import SCHEMA_VERSION, SchemaVersion, VmwareDatacenter
from mgmt.store.sessions import StoreSession
from mgmt.workfolders import WorkFolder

logger = logging.getLogger(__name__)


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
        self._remove_files: weakref.finalize[[], Store] | None = None
        self._memory_file: Path | None = None
        self._file: Path | None = None
        self._claim: Claim | None = None
        is_memory = self._is_sqlite and parsed.database in (None, "", ":memory:")
        if is_memory:
            folder = WorkFolder("db-")
            self._remove_files = weakref.finalize(self, folder.remove)
            self._memory_file = folder.path / "memory.db"
            self._memory_file.write_bytes(images.empty_image())
            parsed = parsed.set(database=str(self._memory_file))
        elif self._is_sqlite and not str(parsed.database).startswith("file:"):
            self._file = Path(str(parsed.database))
            self._make_private(self._file)
        self._shares_key = is_memory and encryption_key is None
        self._engine = self._open(parsed, is_durable=not is_memory)
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
        self.changes = TableChanges(self._engine)

    def _open(self, url: URL, *, is_durable: bool) -> Engine:
        try:
            return open_memory_engine(url) if self._shares_key else open_engine(url, is_durable=is_durable)
        except ModuleNotFoundError as error:
            raise StoreError(
                f"cannot open database {self.display_url}: the driver {error.name} is not installed; "
                "cloudstack-mock[mysql] brings pymysql (mysql+pymysql://...), cloudstack-mock[postgresql] psycopg "
                "(postgresql+psycopg://...)"
            ) from None

    def _make_private(self, file: Path) -> None:
        """Make a new database file readable by its owner only: it holds keys. SQLite's own files take its mode."""
        try:
            file.touch(mode=0o600)
        except OSError as error:
            raise StoreError(f"cannot open database {self.display_url}: {error.strerror}") from None

    @property
    def engine(self) -> Engine:
        """The SQLAlchemy engine, for dumps and tests."""
        self._is_untouched = False
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
        with StoreSession(self._engine) as session:
            try:
                if exclusive and self._is_sqlite:
                    session.execute(text("BEGIN IMMEDIATE"))
                yield session
                session.commit()
            except BaseException:
                session.rollback()
                raise

    def claim(self) -> None:
        """Keep other servers from a database file until `close`; raises StoreError when one has it.

        Databases of another kind are not claimed.
        """
        if self._file is None:
            return
        try:
            self._claim = Claim(self._file)
        except ClaimedError as error:
            raise StoreError(
                f"database {self.display_url} is used by another server, with pid {error.pid}: it would lose its jobs"
            ) from None
        except OSError as error:
            raise StoreError(f"cannot claim database {self.display_url}: {error.strerror}") from None

    def close(self) -> None:
        """Close every connection; a memory database is gone afterwards. May be called twice."""
        self._engine.dispose()
        if self._claim is not None:
            self._claim.release()
            self._claim = None
        if self._remove_files is not None:
            self._remove_files()

    def _prepare_key(self, passphrase: str | None, key_file: Path | None) -> None:
        try:
            if passphrase is not None:
                box, source = SecretBox.from_passphrase(passphrase), "encryption_key"
            elif key_file is not None:
                box, source = SecretBox.from_file(key_file), f"key file {key_file}"
            else:
                return  # the engines of memory databases have their key
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
                images.create_tables(connection)
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
        """All that an SQLite database holds, for `load_image` and `restore`; raises StoreError for any other."""
        self._require_sqlite()
        return images.image_of(self.engine)

    def restore(self, image: bytes) -> None:
        """Hold what `image` does in place of all that is there; nobody may write meanwhile.

        Raises StoreError for a database that is none of SQLite's.
        """
        self._require_sqlite()
        images.write_image(self.engine, image)

    def _require_sqlite(self) -> None:
        if not self._is_sqlite:
            raise StoreError(f"database {self.display_url} cannot be kept and taken back: only SQLite's can")

    def load_image(self, image: bytes) -> None:
        """Give a memory database that is untouched the content of `image`; raises RuntimeError for any other.

        Encrypted columns must be empty in it, or closed with this store's key.
        """
        if self._memory_file is None or not self._is_untouched:
            raise RuntimeError("only a memory database that nobody has used yet takes an image")
        self._memory_file.write_bytes(image)  # no connection is open yet
        self._is_untouched = False


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
