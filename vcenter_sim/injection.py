"""What a fault injector may do to the stand-in: a small port, asked for each call and each task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from vcenter_sim import faults
from vcenter_sim.inventory import Inventory, Managed
from vcenter_sim.providers import new_event, wait_for
from vcenter_sim.sessions import Session
from vcenter_sim.types import Fault, vim, vmodl


class FaultEffect(Protocol):
    """Something to do."""

    @property
    def kind(self) -> str: ...

    @property
    def args(self) -> Mapping[str, Any]: ...


class FaultPort(Protocol):
    """Asked at each point that a call passes."""

    def hit(self, point: str, facts: Mapping[str, object]) -> Sequence[FaultEffect]:
        """What is to be done now."""
        ...

    def positions(self, point: str, facts: Mapping[str, object]) -> Sequence[float]:
        """At which percent of a task it wants to be asked."""
        ...


class ConnectionDropped(Exception):
    """The call gets no answer: its connection ends."""


@dataclass(frozen=True)
class TaskFault:
    """A task that ends in a fault at a percent of its way; `leaves_work` says that its work is done all the same."""

    fault: Fault
    percent: float
    leaves_work: bool


@dataclass(frozen=True)
class LeaseFaults:
    """How a lease ends: what its client is answered with, and what its task in vCenter says."""

    given: Fault | None = None
    of_task: Fault | None = None


class Injection:
    """Does the effects of a port on calls and tasks."""

    def __init__(self, port: FaultPort, inventory: Inventory) -> None:
        self._port = port
        self._inventory = inventory

    def call(self, method: str, this: Managed, session: Session, end_session: Callable[[], None]) -> None:
        """A call arrives; raises the fault to answer with, or ConnectionDropped. May wait: call it without the lock."""
        facts = {"method": method, "vm": _vm_name(this), "user": session.username or ""}
        for effect in self._port.hit("vcenter.call", facts):
            match effect.kind:
                case "delay":
                    clock = self._inventory.clock
                    wait_for(clock, new_event(clock), effect.args["for_s"], on_behalf_of=session.cookie)
                case "delay_per_vm":
                    with self._inventory.lock:
                        count = sum(1 for _ in self._inventory.of_kind(vim.VirtualMachine))
                    clock = self._inventory.clock
                    wait_for(clock, new_event(clock), effect.args["for_s"] * count, on_behalf_of=session.cookie)
                case "end_session":
                    end_session()
                    raise faults.not_authenticated(this.ref)
                case "fault":
                    raise _fault(effect.args["type"], effect.args["text"])
                case "drop":
                    raise ConnectionDropped
                case other:
                    raise ValueError(f"a call cannot do {other!r}")

    def lease(self, action: str, entity: Managed) -> LeaseFaults:
        """A lease is about to be ready (`open`) or done (`complete`); what its client and what its task are to get."""
        given, of_task = None, None
        for effect in self._port.hit("vcenter.lease", {"action": action, "vm": _vm_name(entity)}):
            made = _fault(effect.args["type"], effect.args["text"])
            if effect.kind == "task_fault":
                of_task = made
            else:
                given = made
        return LeaseFaults(given, of_task)

    def task(self, method: str, entity: Managed) -> TaskFault | None:
        """A task begins; how it is to fail, if at all."""
        facts = {"method": method, "vm": _vm_name(entity)}
        percent = max(self._port.positions("vcenter.task", facts), default=None)
        counted = {} if percent is None else {"percent": percent, "percent_before": -1}
        for effect in self._port.hit("vcenter.task", {**facts, **counted}):
            args = effect.args
            return TaskFault(_fault(args["type"], args["text"]), percent or 0.0, args.get("leave", False))
        return None


def _vm_name(managed: Managed) -> str | None:
    return managed.name if managed.kind is vim.VirtualMachine else None


def _fault(kind: str, text: str) -> Fault:
    for space in (vim.fault, vmodl.fault, vmodl):
        found = getattr(space, kind, None)
        if found is not None:
            made: Fault = found(msg=text)
            return made
    raise ValueError(f"vCenter has no fault {kind!r}")
