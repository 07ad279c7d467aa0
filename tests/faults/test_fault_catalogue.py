"""Each fault of the catalogue, provoked by its name: stage, task, answer, leftovers."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from mgmt.faults import shipped_faults
from mgmt.faults.definitions import Fault, Proof

PROOFS = [(fault, proof) for fault in shipped_faults().values() for proof in fault.proofs if proof.test is None]
STEPS_OF_STAGE = {
    "validate": {"check source", "resolve"},
    "select": {"choose hosts", "check host", "place"},
    "source": {"find source", "clone", None},  # None: the login, which is no step,
    "recheck": {"reserve limits", "check guest", "network checks"},
    "export": {"export", "convert"},
    "convert": {"convert"},
    "before": {None},
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
    try:
        if proof.twice:
            assert lab.attempt(replace(proof, request={})).code is None
        armed = lab.world.fault(fault.name, **proof.choices) if fault.rules else None
        outcome = lab.attempt(proof)
        assert (outcome.code, outcome.step) == (seen.code, seen.step), (outcome.text, outcome.log[-12:])
        if seen.text is None:
            assert outcome.text is None
        else:
            known = {"vm": proof.vm, "host": lab.shown("kvm1"), "host_number": lab.number("kvm1"), **lab.texts()}
            assert re.fullmatch(pattern(seen.text, known), outcome.text), outcome.text
        if outcome.code is not None:
            assert outcome.failed_step in STEPS_OF_STAGE[fault.stage], outcome.failed_step
        for wanted in seen.log:
            assert any(wanted in line for line in outcome.log), (wanted, outcome.log[-30:])
        for key, value in seen.vm.items():
            assert outcome.vm.get(key) == (lab.texts()[value[1:-1]] if str(value).startswith("{") else value), key
        assert outcome.took_s >= seen.takes_s
        assert outcome.left == sorted(left)
        assert armed is None or armed.fired
    finally:
        lab.tidy()


def pattern(text: str, known: dict[str, object]) -> str:
    """A regular expression for the text, whose `{*}` stands for anything."""
    for key, value in known.items():
        text = text.replace(f"{{{key}}}", str(value))
    return ".*".join(map(re.escape, text.split("{*}")))
