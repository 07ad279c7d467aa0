"""Each fault of the catalogue, provoked by its name: stage, task, answer, leftovers."""

from __future__ import annotations

from typing import Any

import pytest

from mgmt.faults import shipped_faults
from mgmt.faults.definitions import Fault, Proof

PROOFS = [(fault, proof) for fault in shipped_faults().values() for proof in fault.proofs]
STEPS_OF_STAGE = {
    "validate": {"check source", "resolve"},
    "select": {"choose hosts", "check host", "place"},
    "source": {"find source", "clone"},
    "recheck": {"reserve limits", "check guest", "network checks"},
    "export": {"export", "convert"},
    "convert": {"convert"},
    "copy": {"import", "sanitise"},
    "register": {"register"},
}


def name_of(case: tuple[Fault, Proof]) -> str:
    fault, proof = case
    return "-".join([fault.id, fault.name, *map(str, proof.choices.values())])


@pytest.mark.parametrize("case", PROOFS, ids=name_of)
def test_fault(lab: Any, case: tuple[Fault, Proof]) -> None:
    """The fault is seen at its stage, with its step, answer and log lines, and leaves what it says."""
    fault, proof = case
    seen = proof.seen or fault.seen
    left = fault.left if proof.left is None else proof.left
    host = lab.host("kvm1")
    try:
        armed = lab.world.fault(fault.name, **proof.choices)
        outcome = lab.attempt(proof)
        text = None
        if seen.text is not None:
            values = {"vm": proof.vm, "host": lab.shown("kvm1"), "host_number": lab.number("kvm1"), **lab.texts()}
            text = seen.text
            for key, value in values.items():
                text = text.replace(f"{{{key}}}", str(value))
        assert (outcome.code, outcome.text, outcome.step) == (seen.code, text, seen.step), outcome.log[-12:]
        if outcome.code is not None:
            assert outcome.failed_step in STEPS_OF_STAGE[fault.stage], outcome.failed_step
        for wanted in seen.log:
            assert any(wanted in line for line in outcome.log), (wanted, outcome.log[-30:])
        assert outcome.left == sorted(left)
        assert not fault.rules or armed.fired
    finally:
        lab.tidy()
    assert host["name"] == "kvm1"
