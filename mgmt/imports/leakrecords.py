"""Records that an import can leave without an owner, read in one statement."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Integer, Select, and_, bindparam, func, literal, select, union_all
from sqlalchemy.orm import Session

from mgmt.store.models import ImportVmTask, Nic, ResourceReservation, VmInstance, Volume

RECORDS = "records"

_GONE_VOLUME_STATES = ("Destroy", "Expunging", "Expunged")
_FILE = "path"
_MARK = "mark "
_NUMBERS = {
    "vm": VmInstance.id,
    "volume": Volume.id,
    "nic": Nic.id,
    "task": ImportVmTask.id,
    "reservation": ResourceReservation.id,
}


@dataclass(frozen=True)
class RecordRow:
    """A record: its kind, its internal number, and what it is called."""

    kind: str
    id: int
    name: str


@dataclass(frozen=True)
class Found:
    """What is there above some marks.

    `rows` are the VMs (all of them: only who imported them knows whether they were wanted), volumes and NICs whose VM
    is gone, tasks that say Running, and claims on limits. `file_names` are the files of volumes, removed ones too.
    `marks` are the highest numbers of each kind of record now.
    """

    rows: Sequence[RecordRow]
    file_names: frozenset[str]
    marks: Mapping[str, int]


def records_left(session: Session, marks: Mapping[str, int]) -> Found:
    """The records above `marks` (none: from the beginning), to be looked at while no import runs."""
    values = {kind: marks.get(kind, 0) for kind in _NUMBERS}
    rows: list[RecordRow] = []
    files: set[str] = set()
    highest: dict[str, int] = {}
    for kind, number, name in session.connection().execute(_STATEMENT, values):
        if kind.startswith(_MARK):
            highest[kind.removeprefix(_MARK)] = number or 0
        elif kind == _FILE:
            files.add(name)
        else:
            shown = f"{name} (claim {number})" if kind == "reservation" else name or ""
            rows.append(RecordRow(kind, number, shown))
    return Found(rows, frozenset(files), highest)


def _selects() -> Iterator[Select[Any]]:
    def row(kind: str, number: Any, name: Any) -> Select[Any]:
        return select(literal(kind).label("kind"), number.label("number"), name.label("name"))

    def above(column: Any, kind: str) -> ColumnElement[bool]:
        found: ColumnElement[bool] = column > bindparam(kind, type_=Integer)
        return found

    owner_alive = VmInstance.removed.is_(None)
    live_volume = and_(above(Volume.id, "volume"), Volume.removed.is_(None))
    for kind, number in _NUMBERS.items():
        yield row(_MARK + kind, func.max(number), literal(""))
    yield row("vm", VmInstance.id, VmInstance.instance_name).where(above(VmInstance.id, "vm"), owner_alive)
    # Removed volumes too: the file of a VM that was unmanaged since is the VM's, and no import's leak.
    yield row(_FILE, Volume.id, Volume.path).where(above(Volume.id, "volume"), Volume.path.is_not(None))
    yield (
        row("volume", Volume.id, Volume.name)
        .outerjoin(VmInstance, and_(VmInstance.id == Volume.vm_id, owner_alive))
        .where(
            live_volume,
            Volume.vm_id.is_not(None),
            *(Volume.state != state for state in _GONE_VOLUME_STATES),  # `not_in` is expanded anew each time
            VmInstance.id.is_(None),
        )
    )
    yield (
        row("nic", Nic.id, Nic.mac_address)
        .outerjoin(VmInstance, and_(VmInstance.id == Nic.vm_id, owner_alive))
        .where(above(Nic.id, "nic"), Nic.removed.is_(None), VmInstance.id.is_(None))
    )
    yield row("task", ImportVmTask.id, ImportVmTask.uuid).where(
        above(ImportVmTask.id, "task"), ImportVmTask.state == "Running"
    )
    yield row("reservation", ResourceReservation.id, ResourceReservation.resource_type).where(
        above(ResourceReservation.id, "reservation")
    )


_STATEMENT = union_all(*_selects())  # built once: building it costs more than running it
