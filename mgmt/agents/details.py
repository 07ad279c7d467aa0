"""The details of a host as the agent edge writes them: plain statements, for every attach writes dozens."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from mgmt.store.models import HostDetail

_DETAILS = HostDetail.__table__
_OF_HOST = _DETAILS.c.host_id == bindparam("of_host")
_OF_NAME = _DETAILS.c.name == bindparam("of_name")
_STORED = select(_DETAILS.c.name, _DETAILS.c.value).where(_OF_HOST)
_INSERT = insert(_DETAILS)  # type: ignore[arg-type]  # a table
_UPDATE = update(_DETAILS).where(_OF_HOST, _OF_NAME)  # type: ignore[arg-type]
_DELETE = delete(_DETAILS).where(_OF_HOST, _OF_NAME)  # type: ignore[arg-type]


def put_details(
    connection: Connection,
    host_id: int,
    details: Mapping[str, str],
    *,
    gone: Collection[str] = (),
    is_new: bool = False,
) -> None:
    """Write host details and remove those named in `gone`; other keys stay as they are.

    `is_new` says that the host has none yet.
    """
    stored: dict[str, str] = {}
    if not is_new:
        stored = {name: value for name, value in connection.execute(_STORED, {"of_host": host_id})}  # noqa: C416
    added = [{"host_id": host_id, "name": name, "value": details[name]} for name in details if name not in stored]
    changed = [
        {"of_host": host_id, "of_name": name, "value": value}
        for name, value in details.items()
        if name in stored and stored[name] != value
    ]
    removed = [{"of_host": host_id, "of_name": name} for name in gone if name in stored]
    if changed:
        connection.execute(_UPDATE, changed)
    if added:
        connection.execute(_INSERT, added)
    if removed:
        connection.execute(_DELETE, removed)
