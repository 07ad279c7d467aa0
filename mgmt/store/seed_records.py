"""What has become of a seeded world, as rows of its tables: the part of a saved seed that no section has words for.

The sections of a saved seed are those that the world began with. `records` holds the rows that are new or have changed
since, by their keys, and `gone` the keys of those that are there no more.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import DateTime, Table, and_, delete, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from mgmt.observe.redaction import MASK
from mgmt.providers import Providers
from mgmt.store.database import Store
from mgmt.store.models import (
    Base,
    Domain,
    ResourceReservation,
    RevokedCertificate,
    RootCa,
    SchemaVersion,
    VmwareDatacenter,
)
from mgmt.store.seed_checks import Document, Problem
from mgmt.store.seed_rows import EMBEDDED, OwnVcenter, complete_rows, write_rows
from mgmt.store.seed_schemas import Moment

Row = dict[str, Any]
Rows = Mapping[str, Sequence[Row]]

# Not the world's: the form itself, what imports hold now, and the keys of the process that signs agents' certificates.
_LEFT_OUT = {each.__tablename__ for each in (SchemaVersion, ResourceReservation, RootCa, RevokedCertificate)}
# Who is connected is another matter in another process.
_OF_THE_PROCESS = {("host", name) for name in ("status", "last_ping", "disconnected", "management_server_id")}
_SECRETS = {("user", "secret_key"), ("storage_pool", "user_info")}
_DATACENTERS = VmwareDatacenter.__tablename__


def tables() -> Mapping[str, Table]:
    """The tables whose rows a saved seed may hold, by their names."""
    return {name: table for name, table in Base.metadata.tables.items() if name not in _LEFT_OUT}


def started(session: Session) -> datetime:
    """When the world of a database began."""
    return session.scalars(select(Domain.created).where(Domain.parent_id.is_(None))).one() or datetime(1970, 1, 1)


def difference(session: Session, document: Document, vcenter_address: str | None) -> tuple[Rows, Rows]:
    """`records` and `gone` of the world in `session`, which began with `document`; `started` must be set there.

    `vcenter_address` is where the world's own vCenter listens now: another world has it elsewhere. Passwords of
    vCenters are masked.
    """
    scratch = Store("sqlite://", Providers(random=random.Random(0)))
    records: dict[str, list[Row]] = {}
    gone: dict[str, list[Row]] = {}
    try:
        with scratch.session() as begun:
            write_rows(begun, document)
            begun.flush()
            complete_rows(begun, scratch.providers, document, OwnVcenter(EMBEDDED, MASK))
            for name, table in tables().items():
                then = {_key(table, row): row for row in _rows(begun, table)}
                now = {_key(table, row): _movable(table, row, vcenter_address) for row in _rows(session, table)}
                changed = [_written(_changed(table, then.get(key), row)) for key, row in now.items()]
                records[name] = [row for row in changed if row]
                gone[name] = [_named(table, key) for key in then if key not in now]
    finally:
        scratch.close()
    return _filled(records), _filled(gone)


def write_records(session: Session, document: Document, vcenter: OwnVcenter | None) -> None:
    """Let the rows of a world that began with `document` be those of the world that was saved.

    Raises ValueError for rows that do not fit, and for a database that is none of SQLite's.
    """
    records, gone = document["records"], document["gone"]
    if not records and not gone:
        return
    if session.get_bind().dialect.name != "sqlite":
        raise ValueError("a saved world needs a database of SQLite's: in others, rows have numbers of their own")
    session.flush()
    session.execute(text("PRAGMA defer_foreign_keys=ON"))
    try:
        for name, table in tables().items():
            _write(session, table, records.get(name, ()), gone.get(name, ()), vcenter)
    except SQLAlchemyError as error:
        raise ValueError(str(getattr(error, "orig", None) or error)) from None


def _write(
    session: Session, table: Table, rows: Sequence[Row], gone: Sequence[Row], vcenter: OwnVcenter | None
) -> None:
    """All rows that change are taken out and put in again: they may have exchanged what only one may have."""
    if not rows and not gone:
        return
    there = {_key(table, row): row for row in _rows(session, table)}
    wanted = {}
    for given in (_loaded(table, row) for row in rows):
        row = there.get(_key(table, given), {}) | given
        if table.name != _DATACENTERS or (row := _linked(row, vcenter)):
            wanted[_key(table, row)] = row
    for key in {*wanted, *(_key(table, row) for row in gone)} & there.keys():
        session.execute(delete(table).where(_is(table, _named(table, key))))
    for row in wanted.values():
        session.execute(table.insert().values(row))


def _linked(row: Row, vcenter: OwnVcenter | None) -> Row:
    """A VMware datacenter with address and password in this world; nothing for one whose vCenter does not run."""
    address = row.get("vcenter_host")
    if vcenter is not None and address in (EMBEDDED, vcenter.address):
        return row | {"vcenter_host": vcenter.address, "password": vcenter.password}
    return row | {"password": MASK} if address not in (None, EMBEDDED) else {}


def find_problems(document: Document) -> Iterator[Problem]:
    """What names no table, no column, or not the whole key of a row."""
    known = tables()
    for part in ("records", "gone"):
        for name, rows in document[part].items():
            if name not in known:
                yield Problem(f"{part}.{name}", "no table has this name")
                continue
            columns = set(known[name].columns.keys())
            key = set(_key_names(known[name]))
            for index, row in enumerate(rows):
                place = f"{part}.{name}[{index}]"
                for column in sorted(row.keys() - columns):
                    yield Problem(f"{place}.{column}", "the table has no such column")
                for column in sorted(key - row.keys()):
                    yield Problem(f"{place}.{column}", "a row needs its key")


def secrets(document: Document) -> Iterator[str]:
    """The secrets among the rows."""
    for name, column in sorted(_SECRETS):
        yield from (row[column] for row in document["records"].get(name, ()) if row.get(column))


def _filled(part: Rows) -> Rows:
    return {name: rows for name, rows in part.items() if rows}


def _rows(session: Session, table: Table) -> list[Row]:
    return [dict(row) for row in session.execute(select(table).order_by(*table.primary_key.columns)).mappings()]


def _key_names(table: Table) -> list[str]:
    return list(map(str, table.primary_key.columns.keys()))


def _key(table: Table, row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[column] for column in _key_names(table))


def _named(table: Table, key: tuple[Any, ...]) -> Row:
    return dict(zip(_key_names(table), key, strict=True))


def _is(table: Table, row: Mapping[str, Any]) -> Any:
    return and_(*(column == row[name] for name, column in table.primary_key.columns.items()))


def _movable(table: Table, row: Row, vcenter_address: str | None) -> Row:
    """A row without what is of its process, and without the password of a vCenter."""
    row = {name: value for name, value in row.items() if (table.name, name) not in _OF_THE_PROCESS}
    if table.name == _DATACENTERS:
        is_own = vcenter_address is not None and row["vcenter_host"] == vcenter_address
        row |= {"password": MASK} | ({"vcenter_host": EMBEDDED} if is_own else {})
    return row


def _changed(table: Table, then: Row | None, now: Row) -> Row:
    """The row, or its key and what has changed of it; nothing when nothing has."""
    if then is None:
        return now
    changed = {name: value for name, value in now.items() if value != then[name]}
    if changed and table.name == _DATACENTERS:
        return now  # a world whose own vCenter does not run has no row that could be changed
    return _named(table, _key(table, now)) | changed if changed else {}


def _written(row: Row) -> Row:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}


def _loaded(table: Table, given: Row) -> Row:
    moment = Moment()
    return {
        name: moment.deserialize(value)
        if value is not None and isinstance(table.columns[name].type, DateTime)
        else value
        for name, value in given.items()
    }
