"""Whose job it is, of which command, and the events that the framework writes for it.

Upstream: server/.../event/ActionEventInterceptor.java.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from sqlalchemy.orm import Session

from mgmt.jobs.states import JobState
from mgmt.providers import Providers

B = TypeVar("B", contravariant=True)


class JobEventSpec(Protocol[B]):
    """The framework's events of a command (`mgmt.commands.declaration.EventSpec`)."""

    @property
    def type(self) -> str: ...
    @property
    def scheduled(self) -> Callable[[B], str]: ...
    @property
    def gerund(self) -> str: ...
    @property
    def resource_type(self) -> str | None: ...


class JobCommand(Protocol[B]):
    """What a job needs to know of its command (`mgmt.commands.declaration.Declaration` has it)."""

    @property
    def name(self) -> str: ...
    @property
    def java_class(self) -> str: ...
    @property
    def job_instance_type(self) -> str | None: ...
    @property
    def event(self) -> JobEventSpec[B] | None: ...


class JobCaller(Protocol):
    """Whose job it is (`mgmt.commands.declaration.Caller` has it)."""

    @property
    def user_id(self) -> int: ...
    @property
    def account_id(self) -> int: ...
    @property
    def domain_id(self) -> int: ...


class EventRecorder(Protocol):
    """`mgmt.inventory.events.record_event`: writes an event and returns its internal number."""

    def __call__(
        self,
        session: Session,
        providers: Providers,
        *,
        type: str,
        level: str,
        state: str,
        description: str,
        caller: JobCaller,
        resource_type: str | None = None,
        resource_uuid: str | None = None,
        start_id: int | None = None,
    ) -> int: ...


class JobEvents:
    """The events of one job; does nothing for a command that has none."""

    def __init__(
        self,
        providers: Providers,
        spec: JobEventSpec[Any] | None,
        record: EventRecorder | None,
        caller: JobCaller,
        instance_uuid: str | None,
    ) -> None:
        self._providers = providers
        self._spec = spec if record is not None else None
        self._record = record
        self._caller = caller
        self._instance_uuid = instance_uuid
        self._start_id: int | None = None

    def scheduled(self, session: Session, bound: object) -> None:
        if self._spec is not None:
            self._start_id = self._write(session, "INFO", "Scheduled", self._spec.scheduled(bound))

    def started(self, session: Session) -> None:
        if self._spec is not None and self._spec.gerund:
            gerund = self._spec.gerund
            self._write(session, "INFO", "Started", gerund[:1].upper() + gerund[1:])

    def ended(self, session: Session, state: JobState) -> None:
        if self._spec is None or not self._spec.gerund:
            return
        if state is JobState.SUCCEEDED:
            self._write(session, "INFO", "Completed", f"Successfully completed {self._spec.gerund}")
        else:
            self._write(session, "ERROR", "Completed", f"Error while {self._spec.gerund}")

    def _write(self, session: Session, level: str, state: str, description: str) -> int:
        assert self._spec is not None and self._record is not None
        return self._record(
            session,
            self._providers,
            type=self._spec.type,
            level=level,
            state=state,
            description=description,
            caller=self._caller,
            resource_type=self._spec.resource_type,
            resource_uuid=self._instance_uuid,
            start_id=self._start_id,
        )
