"""Host maintenance: asking for it, emptying the host, and taking it back.

Upstream: ResourceManagerImpl (maintain, doMaintain, attemptMaintain, cancelMaintenance) and
HighAvailabilityManagerImpl, whose work queue moves and stops the VMs.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection
from dataclasses import dataclass, field

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from mgmt.agents.alerts import host_text
from mgmt.clock import Hold, hold, new_event, working
from mgmt.errors import (
    AgentUnavailableError,
    CloudError,
    CloudRuntimeError,
    InvalidParameterValueError,
    JavaError,
    OperationTimedOutError,
    ServerStoppingError,
)
from mgmt.inventory.events import EventCaller, Originator, record_event
from mgmt.inventory.lookup import get_live
from mgmt.inventory.resource_states import (
    MAINTENANCE_STATES,
    NO_MAINTENANCE_AGAIN,
    NoTransitionError,
    ResourceEvent,
    ResourceState,
    move_resource,
)
from mgmt.inventory.vm_states import VmState
from mgmt.life.hosts import is_usable
from mgmt.life.migrate import migrate_away
from mgmt.life.ports import LifeServices
from mgmt.life.records import live_volumes
from mgmt.life.stop import stop_locked
from mgmt.protocol.commands import MaintainAnswer, MaintainCommand
from mgmt.protocol.records import java_class
from mgmt.store.models import Cluster, Host, User, VmInstance

logger = logging.getLogger(__name__)

PREPARE_EVENT = "MAINT.PREPARE"
FIRST_LOOK_S = 1.0  # the real server shows PrepareForMaintenance for one to three seconds
LOCAL_STORAGE_IN_USE = (
    "There are active VMs using the host's local storage pool. Please stop all VMs on this host that use local storage."
)
_PREPARING = (ResourceState.PREPARE_FOR_MAINTENANCE, ResourceState.ERROR_IN_PREPARE_FOR_MAINTENANCE)
_ACTIVE = (VmState.RUNNING, VmState.STARTING, VmState.STOPPING, VmState.MIGRATING)
_INCOMING = "Host contains incoming VMs migrating. Please wait for them to complete before putting to maintenance."
_CHANGING = (
    "Host contains VMs in starting/stopping state. Please wait for them to complete before putting to maintenance."
)
_BROKEN = "Host contains VMs in error/unknown/shutdown state. Please fix errors to proceed."
_STATES_IN_THE_WAY = (
    ((VmState.MIGRATING,), _INCOMING),
    ((VmState.STARTING, VmState.STOPPING), _CHANGING),
    ((VmState.ERROR,), _BROKEN),
)


@dataclass
class _Work:
    """What is to be done with one VM of the host: moved away, or stopped; `tries` counts the failures."""

    is_stop: bool
    tries: int = 0


@dataclass
class _Plan:
    """What is to be done with a host's VMs, by their ids, and on whose behalf."""

    caller: EventCaller
    work: dict[int, _Work] = field(default_factory=dict)


class HostMaintenance:
    """Prepares hosts for maintenance; a thread of its own moves or stops their VMs and looks how far they are.

    A server that is started again goes on with the hosts that it finds in preparation.
    """

    def __init__(self, services: LifeServices) -> None:
        self._services = services
        self._plans: dict[int, _Plan] = {}
        self._guard = threading.Lock()
        self._wanted = new_event(services.providers.clock)
        self._stopping = new_event(services.providers.clock)
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to look at hosts in preparation."""
        self._stopping.clear()
        taken = hold(self._services.providers.clock, "host maintenance")
        self._thread = threading.Thread(target=self._run, args=(taken,), name="host-maintenance", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """End the thread; it finishes the VM that it works on."""
        self._stopping.set()
        self._wanted.set()
        if self._thread is not None:
            self._thread.join(timeout_s)
            self._thread = None

    @property
    def is_busy(self) -> bool:
        """Whether a host is in preparation, or was when it was looked at last."""
        with self._guard:
            return bool(self._plans)

    def forget(self) -> None:
        """After `stop`: forget the hosts in preparation; `start` goes on with those that the records have then."""
        with self._guard:
            self._plans.clear()

    # -- what an administrator asks

    def prepare(self, caller: EventCaller, host_id: int) -> None:
        """Ask a host to prepare for maintenance; its VMs go in the background.

        Raises InvalidParameterValueError, CloudRuntimeError and JavaError with CloudStack's texts.
        """
        services = self._services
        with services.store.session() as session:
            host = _host(session, host_id)
            self._check(session, host)
            failure = CloudRuntimeError(f"Unable to prepare for maintenance host {host_text(host)}")
        answer = _ask(services, host_id)
        if answer is None or not answer.result:
            raise failure
        with services.store.session() as session:
            host = session.get_one(Host, host_id)
            try:
                move_resource(host, ResourceEvent.ADMIN_ASK_MAINTENANCE)
            except NoTransitionError as error:
                text = f"Cannot transit resource state of {host_text(host)} to Maintenance{error}"
                raise CloudRuntimeError(text) from None
            _event(session, services, caller, host, "Started", f"starting maintenance for host {host_text(host)}")
            plan = _plan(session, caller, host, is_stop=not answer.willMigrate)
        services.agents.set_maintenance(host_id, True)
        with self._guard:
            self._plans[host_id] = plan if plan is not None else _Plan(caller)
        self._wanted.set()
        if plan is None:
            raise failure

    def cancel(self, host_id: int) -> None:
        """End maintenance: the host is Enabled at once, and gets nothing but clean-ups that waited for it."""
        services = self._services
        with services.store.session() as session:
            host = get_live(session, Host, host_id)
            if host is None:
                raise InvalidParameterValueError(f"Host with id {host_id} doesn't exist")
            if host.resource_state not in MAINTENANCE_STATES:
                raise CloudRuntimeError(
                    f"Cannot perform cancelMaintenance when resource state is {host.resource_state}, host: "
                    f"{host_text(host)}"
                )
            move_resource(host, ResourceEvent.ADMIN_CANCEL_MAINTENANCE)
        with self._guard:
            self._plans.pop(host_id, None)
        services.agents.set_maintenance(host_id, False)

    def _check(self, session: Session, host: Host) -> None:
        if host.resource_state in NO_MAINTENANCE_AGAIN:
            raise CloudRuntimeError(
                f"Host is already in state {host.resource_state}. Cannot recall for maintenance until resolved."
            )
        others = select(Host.id).where(
            Host.cluster_id == host.cluster_id, Host.resource_state.in_(_PREPARING), Host.removed.is_(None)
        )
        if session.scalar(others.limit(1)) is not None:
            raise CloudRuntimeError(
                "There are other servers attempting migrations for maintenance. Found hosts in PrepareForMaintenance OR"
                f" ErrorInPrepareForMaintenance STATUS in cluster {_cluster_text(session, host)}"
            )
        if self._strategy() == "error" and any(_is_local(session, vm) for vm in _vms(session, host.id, _ACTIVE)):
            raise CloudRuntimeError(LOCAL_STORAGE_IN_USE)
        for states, text in _STATES_IN_THE_WAY:
            if _vms(session, host.id, states):
                raise CloudRuntimeError(text)

    def _strategy(self) -> str:
        return (self._services.settings.get_text("host.maintenance.local.storage.strategy") or "Error").lower()

    # -- what follows in the background

    def _run(self, taken: Hold | None) -> None:
        clock = self._services.providers.clock
        with working(clock, "host maintenance", taken):
            while not self._stopping.is_set():
                is_any_left = True
                try:
                    is_any_left = self.round()
                except ServerStoppingError:
                    return
                except Exception:
                    logger.exception("looking at hosts in preparation for maintenance failed")
                # Without a host to look at again nothing is waited for but the next call.
                timeout_s = self._services.settings.get_int("ping.interval") if is_any_left else None
                if clock.wait(self._wanted, timeout_s):
                    self._wanted.clear()
                    clock.wait(self._stopping, FIRST_LOOK_S)

    def round(self) -> bool:
        """Work on every host that prepares for maintenance, once; whether one is left that still prepares."""
        with self._services.store.session() as session:
            statement = select(Host.id).where(Host.resource_state.in_(_PREPARING), Host.removed.is_(None))
            host_ids = list(session.scalars(statement.order_by(Host.id)))
        are_left = [self._work_on(host_id) for host_id in host_ids]
        return any(are_left)

    def _work_on(self, host_id: int) -> bool:
        plan = self._plan_of(host_id)
        retries = self._services.settings.get_int("vm.ha.migration.max.retries")
        failed = set()
        for vm_id, work in list(plan.work.items()):
            if self._stopping.is_set():
                return True
            try:
                _do(self._services, vm_id, host_id, work)
            except CloudError as error:
                work.tries += 1
                logger.warning("maintenance of host %d: VM %d stays: %s", host_id, vm_id, error.text)
                failed.add(vm_id)
                if work.tries < retries:
                    continue
            del plan.work[vm_id]
        with self._services.store.session() as session:
            host = session.get_one(Host, host_id)
            self._conclude(session, host, plan, failed)
            return host.resource_state in _PREPARING

    def _plan_of(self, host_id: int) -> _Plan:
        with self._guard:
            plan = self._plans.get(host_id)
        if plan is None:  # another run of the server began it
            with self._services.store.session() as session:
                host = session.get_one(Host, host_id)
                system = _system(session)
                plan = _plan(session, system, host, is_stop=False) or _Plan(system)
            with self._guard:
                plan = self._plans.setdefault(host_id, plan)
        return plan

    def _conclude(self, session: Session, host: Host, plan: _Plan, failed: Collection[int]) -> None:
        """ResourceManagerImpl.attemptMaintain: where the host stands with the VMs that are left on it."""
        if host.resource_state not in _PREPARING:
            return  # cancelled meanwhile
        left = _vms(session, host.id, (*_ACTIVE, VmState.ERROR))
        is_leaving = bool(_leaving(session, host.id))
        is_pending = bool(plan.work) or is_leaving
        if not left and not is_leaving:
            move_resource(host, ResourceEvent.INTERNAL_ENTER_MAINTENANCE)
            text = f"completed maintenance for host {host_text(host)}"
            _event(session, self._services, plan.caller, host, "Completed", text)
        elif not is_pending and any(vm.state in (VmState.RUNNING, VmState.ERROR) for vm in left):
            move_resource(host, ResourceEvent.UNABLE_TO_MAINTAIN)
        elif is_pending and (failed or any(vm.state == VmState.ERROR for vm in left)):
            move_resource(host, ResourceEvent.UNABLE_TO_MIGRATE)
        elif host.resource_state == ResourceState.ERROR_IN_PREPARE_FOR_MAINTENANCE:
            move_resource(host, ResourceEvent.ERRORS_CORRECTED)
        else:
            return
        logger.info("host %s is now %s", host.name, host.resource_state)
        if host.resource_state not in _PREPARING:
            with self._guard:
                self._plans.pop(host.id, None)


def _system(session: Session) -> EventCaller:
    """On whose behalf the server works by itself: its first user."""
    user = session.scalars(select(User).order_by(User.id).limit(1)).one()
    return Originator(user.id, user.account_id, user.account.domain_id)


def _host(session: Session, host_id: int) -> Host:
    host = get_live(session, Host, host_id)
    if host is None:
        raise InvalidParameterValueError(f"Unable to find host with ID: {host_id}. Please specify a valid host ID.")
    return host


def _ask(services: LifeServices, host_id: int) -> MaintainAnswer | None:
    """The answer to MaintainCommand, None when there is none. Upstream casts it, whatever it is."""
    try:
        answer = services.agents.send(host_id, MaintainCommand())
    except (AgentUnavailableError, OperationTimedOutError) as error:
        logger.warning("host %d was not asked for maintenance: %s", host_id, error.text)
        return None
    if not isinstance(answer, MaintainAnswer):
        found, wanted = java_class(answer), java_class(MaintainAnswer)
        raise JavaError(
            f"class {found} cannot be cast to class {wanted} ({found} and {wanted} are in unnamed module of loader "
            "'app')"
        )
    return answer


def _plan(session: Session, caller: EventCaller, host: Host, *, is_stop: bool) -> _Plan | None:
    """What is to be done with the host's VMs; None when they have nowhere to go. `is_stop`: none can be moved."""
    vms = _vms(session, host.id, _ACTIVE)
    plan = _Plan(caller)
    if not vms:
        return plan
    neighbours = select(Host).where(Host.cluster_id == host.cluster_id, Host.id != host.id, Host.removed.is_(None))
    if not any(is_usable(other) for other in session.scalars(neighbours)):
        logger.warning("host %s: no other host of its cluster takes its VMs", host.name)
        return None
    for vm in vms:
        plan.work[vm.id] = _Work(is_stop=is_stop or _is_local(session, vm))
    return plan


def _do(services: LifeServices, vm_id: int, host_id: int, work: _Work) -> None:
    """Move or stop one VM, if it still runs on the host; raises CloudError when that fails."""
    with services.work.on(vm_id):
        with services.store.session() as session:
            vm = session.get_one(VmInstance, vm_id)
            if vm.removed is not None or vm.host_id != host_id or vm.state not in _ACTIVE:
                return
        if work.is_stop:
            stop_locked(services, vm_id, forced=True)
        else:
            migrate_away(services, vm_id)


def _vms(session: Session, host_id: int, states: Collection[VmState]) -> list[VmInstance]:
    statement = select(VmInstance).where(
        VmInstance.host_id == host_id, VmInstance.state.in_(states), VmInstance.removed.is_(None)
    )
    return list(session.scalars(statement.order_by(VmInstance.id)))


def _leaving(session: Session, host_id: int) -> list[VmInstance]:
    statement = select(VmInstance).where(
        VmInstance.last_host_id == host_id,
        or_(VmInstance.host_id.is_(None), VmInstance.host_id != host_id),
        VmInstance.state == VmState.MIGRATING,
        VmInstance.removed.is_(None),
    )
    return list(session.scalars(statement))


def _is_local(session: Session, vm: VmInstance) -> bool:
    return any(volume.pool is not None and volume.pool.scope == "HOST" for volume in live_volumes(session, vm.id))


def _cluster_text(session: Session, host: Host) -> str:
    cluster = session.get(Cluster, host.cluster_id) if host.cluster_id is not None else None
    if cluster is None:
        return "null"
    return f'Cluster {{id: "{cluster.id}", name: "{cluster.name}", uuid: "{cluster.uuid}"}}'


def _event(
    session: Session, services: LifeServices, caller: EventCaller, host: Host, state: str, description: str
) -> None:
    record_event(
        session,
        services.providers,
        type=PREPARE_EVENT,
        level="INFO",
        state=state,
        description=description,
        caller=caller,
        resource_type="Host",
        resource_uuid=host.uuid,
    )
