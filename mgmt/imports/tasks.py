"""The import task: its record, its steps and how listImportVmTasks shows it (import-vm 4).

Upstream: server/.../vm/ImportVmTasksManagerImpl.java, api/.../vm/ImportVmTask.java.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from enum import Enum
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from mgmt.errors import PARAM_ERROR, ServerApiError
from mgmt.imports.facts import HostFacts
from mgmt.inventory.listing import Window, equals_ignoring_case, page
from mgmt.providers import Providers
from mgmt.store.database import Store
from mgmt.store.models import ImportVmTask, VmInstance
from mgmt.store.rows import add_row, change_row


class Step(Enum):
    """The steps in their order; `Prepare` is never set by the VMware path."""

    PREPARE = "Prepare"
    CLONING = "CloningInstance"
    CONVERTING = "ConvertingInstance"
    IMPORTING = "Importing"
    COMPLETED = "Completed"


RUNNING = "Running"
COMPLETED = "Completed"
FAILED = "Failed"

FILTERS = {"": None, "all": None, "running": RUNNING, "completed": COMPLETED, "failed": FAILED}

_STEPS = [step.value for step in Step]


class TaskRecorder:
    """Writes the import task of one import, each change in a session of its own."""

    def __init__(self, store: Store, providers: Providers) -> None:
        self._store = store
        self._providers = providers
        self._task_id: int | None = None
        self._created: datetime.datetime | None = None

    @property
    def exists(self) -> bool:
        """True once the record was made."""
        return self._task_id is not None

    def create(
        self,
        *,
        zone_id: int,
        account_id: int,
        user_id: int,
        display_name: str,
        vcenter: str,
        datacenter: str,
        source_vm_name: str,
        convert_host: HostFacts,
        import_host: HostFacts,
    ) -> str:
        """Make the record, in state Running and step CloningInstance; returns its UUID."""
        now = self._providers.utcnow()
        with self._store.session() as session:
            values = {
                "uuid": self._providers.ids.uuid(),
                "zone_id": zone_id,
                "account_id": account_id,
                "user_id": user_id,
                "display_name": display_name,
                "vcenter": vcenter,
                "datacenter": datacenter,
                "source_vm_name": source_vm_name,
                "convert_host_id": convert_host.id,
                "import_host_id": import_host.id,
                "step": Step.CLONING.value,
                "state": RUNNING,
                "description": (
                    f"Cloning source instance: {source_vm_name} on vCenter: {vcenter} / datacenter: {datacenter}"
                ),
                "created": now,
                "updated": now,
            }
            self._task_id = add_row(session, ImportVmTask, values)
            self._created = now
            return str(values["uuid"])

    def converting(self, convert_host: HostFacts) -> None:
        """Step ConvertingInstance; the text is the same for VDDK and for a source that was not cloned."""
        self._update(
            Step.CONVERTING, f"Converting the cloned VMware instance to a KVM instance on the host: {convert_host.name}"
        )

    def importing(self, import_host: HostFacts) -> None:
        """Step Importing."""
        self._update(Step.IMPORTING, f"Importing the converted KVM instance on the host: {import_host.name}")

    def completed(self, vm_id: int) -> None:
        """The end: state and step Completed, the VM, and the duration in milliseconds."""
        now = self._providers.utcnow()
        self._write(
            state=COMPLETED,
            step=Step.COMPLETED.value,
            description=f"Completed at {now:%Y-%m-%d %H:%M:%S} GMT",
            vm_id=vm_id,
            duration_ms=int((now - self._created).total_seconds() * 1000) if self._created else None,
            updated=now,
        )

    def failed(self, text: str) -> None:
        """State Failed with the reason; the step stays."""
        self._write(state=FAILED, description=text, updated=self._providers.utcnow())

    def _update(self, step: Step, description: str) -> None:
        self._write(step=step.value, description=description, updated=self._providers.utcnow())

    def _write(self, **values: Any) -> None:
        with self._store.session() as session:
            change_row(session, ImportVmTask, self._task_id, values)


def list_tasks(
    session: Session,
    paging: Window,
    *,
    zone_id: int | None,
    account_id: int | None = None,
    vcenter: str | None = None,
    convert_host_id: int | None = None,
    tasks_filter: str | None = None,
) -> tuple[list[ImportVmTask], int]:
    """A page of the tasks, newest first, and the number of matches over all pages.

    Raises ServerApiError (431) for a filter that is none of all, running, completed, failed.
    """
    wanted = (tasks_filter or "").strip().lower()
    if wanted not in FILTERS:
        raise ServerApiError(PARAM_ERROR, f"Invalid value for task state: {tasks_filter}")
    statement = (
        select(ImportVmTask)
        .where(ImportVmTask.zone_id == zone_id)
        .options(joinedload(ImportVmTask.zone), joinedload(ImportVmTask.account), joinedload(ImportVmTask.convert_host))
        .order_by(ImportVmTask.created.desc(), ImportVmTask.id.desc())
    )
    state = FILTERS[wanted]
    if state is not None:
        statement = statement.where(ImportVmTask.state == state)
    if account_id is not None:
        statement = statement.where(ImportVmTask.account_id == account_id)
    if vcenter:
        statement = statement.where(equals_ignoring_case(ImportVmTask.vcenter, vcenter))
    if convert_host_id is not None:
        statement = statement.where(ImportVmTask.convert_host_id == convert_host_id)
    return page(session, statement, paging)


def task_views(
    session: Session, tasks: Sequence[ImportVmTask], now: datetime.datetime, *, show_id: bool = False
) -> list[dict[str, Any]]:
    """The tasks as listImportVmTasks shows them; `id` is declared upstream but never set: `show_id` is the repair."""
    wanted = {task.vm_id for task in tasks if task.vm_id is not None}
    living = select(VmInstance.id, VmInstance.uuid).where(VmInstance.id.in_(wanted), VmInstance.removed.is_(None))
    vms = dict(session.execute(living).all())
    return [_view(task, vms, now, show_id=show_id) for task in tasks]


def _view(task: ImportVmTask, vms: dict[int, str], now: datetime.datetime, *, show_id: bool) -> dict[str, Any]:
    is_running = task.state == RUNNING
    host = task.convert_host if task.convert_host and task.convert_host.removed is None else None
    return {
        "id": task.uuid if show_id else None,
        "zoneid": task.zone.uuid,
        "zonename": task.zone.name,
        "account": task.account.name,
        "accountid": task.account.uuid,
        "virtualmachineid": vms.get(task.vm_id) if task.vm_id is not None else None,
        "displayname": task.display_name,
        "state": task.state,
        "vcenter": task.vcenter,
        "datacentername": task.datacenter,
        "sourcevmname": task.source_vm_name,
        "step": step_text(task.step),
        "stepduration": duration_text((now - task.updated).total_seconds()) if is_running else None,
        "duration": None if is_running else duration_text((task.updated - task.created).total_seconds()),
        "description": task.description,
        "convertinstancehostid": host.uuid if host else None,
        "convertinstancehostname": host.name if host else None,
        "created": task.created,
        "lastupdated": task.updated,
    }


def step_text(step: str) -> str:
    """A step with its place among all: `[2/5] CloningInstance`."""
    return f"[{_STEPS.index(step) + 1}/{len(_STEPS)}] {step}"


def duration_text(duration_s: float) -> str:
    """A duration as the task shows it: `1 hs 2 min 3 secs`, each part only when it is not 0."""
    whole = max(0, int(duration_s))
    hours, minutes, seconds = whole // 3600, whole // 60 % 60, whole % 60
    return (
        (f"{hours} hs " if hours else "")
        + (f"{minutes} min " if minutes else "")
        + (f"{seconds} secs" if seconds else "")
    )
