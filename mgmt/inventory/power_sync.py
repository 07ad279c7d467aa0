"""Follows what hosts report of their VMs' power, so that the records catch up with changes behind the server's back.

A host reports the VMs that are on. Upstream: engine/.../vm/VirtualMachinePowerStateSyncImpl.java, VMInstanceDaoImpl
(updatePowerState, isPowerStateUpToDate), VirtualMachineManagerImpl.HandlePowerStateReport.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from mgmt.agents.powerreports import PowerReport
from mgmt.inventory.settings import GlobalSettings
from mgmt.inventory.vm_resources import release_nics
from mgmt.inventory.vm_states import VmEvent, VmState, transit
from mgmt.observe.journal import Journal
from mgmt.providers import Providers
from mgmt.store.database import Store
from mgmt.store.models import Alert, Host, VmInstance

logger = logging.getLogger(__name__)

POWER_ON = "PowerOn"
MISSING = "PowerReportMissing"
MAX_SAME_REPORTS = 3  # after so many equal reports in a row a state is not written any more
GRACE_PINGS = 2
ALERT_SYNC = 28  # ALERT_TYPE_SYNC
_WATCHED = (VmState.RUNNING, VmState.STOPPING, VmState.STARTING)


class PowerSync:
    """Applies power reports. `is_busy` tells whether work on a VM is under way: its report then waits."""

    def __init__(
        self,
        store: Store,
        providers: Providers,
        settings: GlobalSettings,
        journal: Journal,
        is_busy: Callable[[int], bool],
    ) -> None:
        self._store = store
        self._providers = providers
        self._settings = settings
        self._journal = journal
        self._is_busy = is_busy

    def report(self, reports: Sequence[PowerReport]) -> list[bool]:
        """Hosts' reports, one after the other. May be called from any thread.

        One that came because a VM ended gives no grace to those that are missing in it. Answers for each whether it
        told nothing new: it changed nothing, and the same report once more would not either.
        """
        with self._store.session() as session:
            known = self._known(session, reports)
            return [self._told_nothing_new(session, report, known) for report in reports]

    @staticmethod
    def _known(session: Session, reports: Sequence[PowerReport]) -> Sequence[VmInstance]:
        """The VMs that some of the reports speak of, or should."""
        names = {name for report in reports for name in report.states}
        conditions = VmInstance.host_id.in_({report.host_id for report in reports}) & VmInstance.state.in_(_WATCHED)
        if names:
            conditions |= VmInstance.instance_name.in_(names)
        return session.scalars(select(VmInstance).where(conditions, VmInstance.removed.is_(None))).all()

    def _told_nothing_new(self, session: Session, report: PowerReport, known: Sequence[VmInstance]) -> bool:
        is_old = True
        for vm in known:
            power_state = report.states.get(vm.instance_name)
            if power_state is not None:
                is_old &= not self._seen(session, vm, report.host_id, power_state)
        for vm in known:
            is_missing = vm.instance_name not in report.states and vm.host_id == report.host_id
            if is_missing and vm.state in _WATCHED and vm.removed is None:
                is_old = False
                self._missing(session, vm, report.host_id, has_grace=not report.is_out_of_band)
        return is_old

    def _seen(self, session: Session, vm: VmInstance, host_id: int, power_state: str) -> bool:
        is_written = self._write(vm, host_id, power_state)
        if is_written:
            self._follow(session, vm)
        return is_written

    def _missing(self, session: Session, vm: VmInstance, host_id: int, *, has_grace: bool) -> None:
        if vm.power_state_count >= MAX_SAME_REPORTS:  # not written for a while: how old it is cannot be told
            self._reset(vm)
            return
        now = self._providers.utcnow()
        last = vm.power_state_updated or vm.updated or vm.created
        grace = timedelta(seconds=self._settings.get_int("ping.interval") * GRACE_PINGS)
        if (now - last > grace or not has_grace) and self._write(vm, host_id, MISSING):
            self._follow(session, vm)

    def _write(self, vm: VmInstance, host_id: int, power_state: str) -> bool:
        """Write a reported state; False when it is an old story."""
        if vm.power_state != power_state or vm.power_host_id != host_id:
            vm.power_state, vm.power_host_id, vm.power_state_count = power_state, host_id, 1
        elif vm.power_state_count < MAX_SAME_REPORTS:
            vm.power_state_count += 1
        elif self._contradicts(vm, host_id, power_state):
            self._reset(vm)
        else:
            return False
        vm.power_state_updated = self._providers.utcnow()
        return True

    @staticmethod
    def _contradicts(vm: VmInstance, host_id: int, power_state: str) -> bool:
        is_running = vm.state == VmState.RUNNING
        return is_running != (power_state == POWER_ON) or (is_running and vm.host_id != host_id)

    def _reset(self, vm: VmInstance) -> None:
        vm.power_state_count = 0
        vm.power_state_updated = self._providers.utcnow()

    def _follow(self, session: Session, vm: VmInstance) -> None:
        """Bring the VM's state in line with its power state, unless somebody works on it."""
        if self._is_busy(vm.id):
            self._reset(vm)
            return
        if vm.state not in (*_WATCHED, VmState.STOPPED, VmState.MIGRATING):
            logger.info("%s is %s: its power report is ignored", vm.instance_name, vm.state)
            return
        before, old_host = vm.state, vm.host_id
        if vm.power_state == POWER_ON:
            transit(session, self._providers, vm, VmEvent.POWER_ON_REPORT, vm.power_host_id)
        else:
            release_nics(vm)
            transit(session, self._providers, vm, VmEvent.POWER_OFF_REPORT, None)
        if (vm.state, vm.host_id) == (before, old_host):
            return
        logger.info("%s is now %s (was %s), as its host reports", vm.instance_name, vm.state, before)
        self._journal.record(
            "vm", vm.instance_name, state=vm.state, was=before, host=_host_name(session, vm.host_id), by="power report"
        )
        if vm.state != before:
            self._alert(session, vm, before)

    def _alert(self, session: Session, vm: VmInstance, before: str) -> None:
        change = f"({before} -> {vm.state})"
        text = f"VM {vm.name}({vm.instance_name}) state is sync-ed {change} from out-of-context transition."
        if vm.state == VmState.RUNNING:
            text += " VM network environment may need to be reset"
        session.add(
            Alert(
                uuid=self._providers.stream(text).ids.uuid(),  # of several hosts, any may be the first to report
                type=ALERT_SYNC,
                name="ALERT.VM.SYNC",
                description=text,
                zone_id=vm.zone_id,
                sent=self._providers.utcnow(),
            )
        )


def _host_name(session: Session, host_id: int | None) -> str | None:
    return None if host_id is None else session.get_one(Host, host_id).name
