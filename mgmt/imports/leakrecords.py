"""Records that an import can leave without an owner, read in one statement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, and_, func, literal, select, union_all
from sqlalchemy.orm import Session

from mgmt.store.models import ImportVmTask, Nic, ResourceReservation, VmInstance, Volume

RECORDS = "records"

_GONE_VOLUME_STATES = ("Destroy", "Expunging", "Expunged")
_FILE = "path"


@dataclass(frozen=True)
class Marks:
    """The highest number of each kind of record at some time; all 0: the beginning."""

    vm: int = 0
    volume: int = 0
    nic: int = 0
    task: int = 0
    reservation: int = 0

    @classmethod
    def now(cls, session: Session) -> Marks:
        """The marks of this moment."""
        columns = (VmInstance.id, Volume.id, Nic.id, ImportVmTask.id, ResourceReservation.id)
        row = session.execute(select(*(select(func.max(column)).scalar_subquery() for column in columns))).one()
        return cls(*(number or 0 for number in row))


@dataclass(frozen=True)
class RecordRow:
    """A record: its kind, its internal number, and what it is called."""

    kind: str
    id: int
    name: str


@dataclass(frozen=True)
class Found:
    """What is there above some marks.

    `rows` are the VMs (all of them: only who imported them knows whether they were wanted), volumes and NICs whose VM is
    gone, tasks that say Running, and claims on limits; `file_names` are the files of volumes.
    """

    rows: Sequence[RecordRow]
    file_names: frozenset[str]


def records_left(session: Session, marks: Marks) -> Found:
    """The records above `marks`, to be looked at while no import runs."""
    rows = session.execute(union_all(*_selects(marks))).all()
    return Found(
        [RecordRow(kind, number, _name(kind, number, name)) for kind, number, name in rows if kind != _FILE],
        frozenset(name for kind, _, name in rows if kind == _FILE),
    )


def _name(kind: str, number: int, name: str | None) -> str:
    return f"{name} (claim {number})" if kind == "reservation" else name or ""


def _selects(marks: Marks) -> list[Select[Any]]:
    def kind(text: str) -> Any:
        return literal(text).label("kind")

    owner_alive = VmInstance.removed.is_(None)
    return [
        select(kind("vm"), VmInstance.id, VmInstance.instance_name).where(VmInstance.id > marks.vm, owner_alive),
        select(kind("volume"), Volume.id, Volume.name)
        .outerjoin(VmInstance, and_(VmInstance.id == Volume.vm_id, owner_alive))
        .where(
            Volume.id > marks.volume,
            Volume.removed.is_(None),
            Volume.vm_id.is_not(None),
            Volume.state.not_in(_GONE_VOLUME_STATES),
            VmInstance.id.is_(None),
        ),
        select(kind(_FILE), Volume.id, Volume.path).where(
            Volume.id > marks.volume, Volume.removed.is_(None), Volume.path.is_not(None)
        ),
        select(kind("nic"), Nic.id, Nic.mac_address)
        .outerjoin(VmInstance, and_(VmInstance.id == Nic.vm_id, owner_alive))
        .where(Nic.id > marks.nic, Nic.removed.is_(None), VmInstance.id.is_(None)),
        select(kind("task"), ImportVmTask.id, ImportVmTask.uuid).where(
            ImportVmTask.id > marks.task, ImportVmTask.state == "Running"
        ),
        select(kind("reservation"), ResourceReservation.id, ResourceReservation.resource_type).where(
            ResourceReservation.id > marks.reservation
        ),
    ]
