"""The random operators of a soak run, as a hypothesis state machine over one world."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import ClassVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from tests.soak.world import HOSTS, POOLS, SETTINGS, VMWARE_VMS, SoakWorld

DEFAULT_STEPS = 150
STEPS_A_RUN = 25
MOST_VMS = 8

hosts = st.sampled_from(HOSTS)
pools = st.sampled_from(tuple(POOLS))
numbers = st.integers(0, 7)
vmware_vms = st.sampled_from(VMWARE_VMS)
paths = st.sampled_from(("vddk", "host", "server"))
VM_COMMANDS = (
    "startVirtualMachine",
    "stopVirtualMachine",
    "rebootVirtualMachine",
    "destroyVirtualMachine",
    "recoverVirtualMachine",
)


def wanted_steps() -> int:
    """How many steps a run of the suite makes: SOAK_STEPS, else as many as it has time for."""
    return int(os.environ.get("SOAK_STEPS", DEFAULT_STEPS))


class Operators(RuleBasedStateMachine):
    """What may happen next, whatever happened before. All runs share `soak`, which comes to rest between them."""

    soak: ClassVar[SoakWorld]

    def _step(self) -> SoakWorld:
        self.soak.steps += 1
        return self.soak

    # Imports; those that are not waited for run on under the next steps

    @rule(vm=vmware_vms, path=paths, wait=st.booleans())
    def import_from_vmware(self, vm: str, path: str, wait: bool) -> None:
        self._step().import_vmware(vm, path, None, None, "", wait=wait)

    @rule(vm=vmware_vms, path=paths, pool=pools, wait=st.booleans())
    def import_into_pool(self, vm: str, path: str, pool: str, wait: bool) -> None:
        self._step().import_vmware(vm, path, pool, None, "", wait=wait)

    @rule(vm=vmware_vms, path=paths, host=hosts, wait=st.booleans())
    def import_on_host(self, vm: str, path: str, host: str, wait: bool) -> None:
        self._step().import_vmware(vm, path, None, host, "", wait=wait)

    @rule(
        vm=vmware_vms,
        path=paths,
        pool=st.one_of(st.none(), pools),
        fault=st.sampled_from(("mac", "nic", "disk", "pool", "record", "tool")),
        wait=st.booleans(),
    )
    def import_with_fault(self, vm: str, path: str, pool: str | None, fault: str, wait: bool) -> None:
        self._step().import_vmware(vm, path, pool, None, fault, wait=wait)

    @rule(fault=st.sampled_from(("", "", "name", "password")), wait=st.booleans())
    def import_external(self, fault: str, wait: bool) -> None:
        self._step().import_external(fault, wait=wait)

    @rule(source=st.sampled_from(("shared", "local")), fault=st.sampled_from(("", "", "name")), wait=st.booleans())
    def import_image(self, source: str, fault: str, wait: bool) -> None:
        self._step().import_image(source, fault, wait=wait)

    @rule(host=hosts, wait=st.booleans())
    def import_unmanaged(self, host: str, wait: bool) -> None:
        self._step().import_unmanaged(host, wait=wait)

    @precondition(lambda self: self.soak.can_cancel)
    @rule(number=numbers)
    def cancel(self, number: int) -> None:
        self._step().cancel(number)

    # The life of VMs and volumes

    @rule(number=numbers, command=st.sampled_from(VM_COMMANDS))
    def life(self, number: int, command: str) -> None:
        self._step().life(number, command)

    @rule(number=numbers)
    def unmanage(self, number: int) -> None:
        self._step().unmanage(number)

    @rule(number=numbers, host=hosts)
    def migrate(self, number: int, host: str) -> None:
        self._step().migrate(number, host)

    @rule(number=numbers)
    def guest_ends(self, number: int) -> None:
        self._step().guest_ends(number)

    @rule(number=numbers)
    def add_volume(self, number: int) -> None:
        self._step().add_volume(number)

    @rule(number=numbers, delete=st.booleans())
    def drop_volume(self, number: int, delete: bool) -> None:
        self._step().drop_volume(number, delete=delete)

    # Operators

    @rule(host=hosts)
    def kill_host(self, host: str) -> None:
        self._step().kill_host(host)

    @rule(host=hosts)
    def revive_host(self, host: str) -> None:
        self._step().revive_host(host)

    @rule(host=hosts)
    def drop_link(self, host: str) -> None:
        self._step().drop_link(host)

    @rule(host=hosts, enabled=st.booleans())
    def enable_host(self, host: str, enabled: bool) -> None:
        self._step().enable_host(host, enabled)

    @rule(host=hosts, maintained=st.booleans(), wait=st.booleans())
    def maintain_host(self, host: str, maintained: bool, wait: bool) -> None:
        self._step().maintain_host(host, maintained, wait=wait)

    @rule(pool=pools, maintained=st.booleans(), wait=st.booleans())
    def maintain_pool(self, pool: str, maintained: bool, wait: bool) -> None:
        self._step().maintain_pool(pool, maintained, wait=wait)

    @rule(name=st.sampled_from(tuple(SETTINGS)), number=numbers)
    def configure(self, name: str, number: int) -> None:
        self._step().configure(name, number)

    @rule(number=st.integers(0, 5))
    def restart(self, number: int) -> None:
        soak = self._step()
        if number == 5:  # the dearest step by far
            soak.restart()

    @invariant()
    def no_program_error(self) -> None:
        self.soak.look()

    def teardown(self) -> None:
        self.soak.come_to_rest()
        if len(self.soak.vms()) > MOST_VMS:
            self.soak.clear()


def run_steps(
    soak: SoakWorld, steps: int, after_run: Callable[[], None] = lambda: None, *, is_random: bool = True
) -> None:
    """Let random operators do `steps` steps in `soak`; raises what they found. `after_run` is called between runs.

    Without `is_random` it is the same choices each time; how fast threads are differs all the same.
    """

    found: list[BaseException] = []

    class Bound(Operators):
        def teardown(self) -> None:
            error = sys.exc_info()[1]  # of the step before; hypothesis ends a run with errors of its own
            if error is None or type(error).__module__.startswith("hypothesis"):
                error = None
                try:
                    super().teardown()
                    after_run()
                except Exception as problem:
                    error = problem
            if error is not None:
                found.append(error)
                raise error

    Bound.soak = soak
    try:
        _run(Bound, steps, is_random=is_random)
    except Exception as error:
        # Hypothesis takes the same choices with another end for a mistake of the test, and does not tell the end.
        raise (found[0] if found else error) from None
    soak.come_to_rest()
    soak.clear()


def _run(machine: type[Operators], steps: int, *, is_random: bool) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=max(1, steps // STEPS_A_RUN),
            stateful_step_count=STEPS_A_RUN,
            deadline=None,
            database=None,
            derandomize=not is_random,
            phases=(Phase.generate,),  # a run cannot be repeated: the world goes on where it was
            suppress_health_check=list(HealthCheck),
        ),
    )
