"""Answers that are kept: the same bytes for the same question, until anything changes."""

from __future__ import annotations

from typing import Any

import pytest

from vcenter_sim import wire
from vcenter_sim.inventory import Inventory
from vcenter_sim.reads import MAX_KEPT, Reads
from vcenter_sim.types import vim, vmodl

BODY = (
    '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>'
    '<{method} xmlns="urn:vim25"><_this type="PropertyCollector">pc</_this><specSet><propSet><type>Folder</type>'
    '<pathSet>{path}</pathSet></propSet><objectSet><obj type="Folder">f</obj></objectSet></specSet>'
    "<options/></{method}></soapenv:Body></soapenv:Envelope>"
)


def body(path: str = "name") -> bytes:
    return BODY.format(method="RetrievePropertiesEx", path=path).encode()


@pytest.fixture
def inventory() -> Inventory:
    """An inventory with one folder."""
    made = Inventory(clock=None, ids=None)  # type: ignore[arg-type]  # neither is asked
    made.add(vim.Folder, "f", name="one")
    return made


def result(obj: Any, **values: Any) -> Any:
    content = vmodl.query.PropertyCollector.ObjectContent(obj=obj)
    return vmodl.query.PropertyCollector.RetrieveResult(objects=[content], **values)


def test_answer_is_kept_until_a_value_changes(inventory: Inventory) -> None:
    """Announced changes and values that are set without a word end it; the end of a session does not."""
    reads = Reads(inventory)
    call = reads.call(body(), None)
    assert reads.call(body(), None) is call and reads.answer(call, body()) is None
    for change in (inventory.changed, lambda: inventory.find(vim.Folder("f")).set(name="two")):
        reads.keep(call, body(), result(vim.Folder("f")), b"answer")
        inventory.session_ended()
        assert reads.answer(call, body()) == b"answer"
        assert reads.answer(call, body("parent")) is None
        change()
        assert reads.answer(call, body()) is None


@pytest.mark.parametrize(
    "shown",
    [
        None,
        result(vim.SessionManager("SessionManager")),
        result(vim.Task("task-1")),
        result(vim.Folder("f"), token="1"),
    ],
)
def test_what_depends_on_more_than_the_inventory_is_not_kept(inventory: Inventory, shown: Any) -> None:
    """Nothing, sessions, tasks and the first of several pages are made anew each time."""
    reads = Reads(inventory)
    call = reads.call(body(), None)
    reads.keep(call, body(), shown, b"answer")
    assert reads.answer(call, body()) is None


def test_other_methods_and_old_requests_are_forgotten(inventory: Inventory) -> None:
    """Only property reads are remembered, and only so many."""
    reads = Reads(inventory)
    first = reads.call(body(), None)
    for number in range(MAX_KEPT):
        call = reads.call(body(f"value[{number}]"), None)
        reads.keep(call, body(f"value[{number}]"), result(vim.Folder("f")), b"answer")
    assert reads.call(body(), None) is not first
    logout = BODY.partition("<specSet>")[0].format(method="Logout").replace("PropertyCollector", "SessionManager")
    text = (logout.replace(">pc<", ">SessionManager<") + "</Logout></soapenv:Body></soapenv:Envelope>").encode()
    call = reads.call(text, None)
    assert isinstance(call, wire.Call) and reads.call(text, None) is not call
    reads.keep(call, text, None, b"")
    assert reads.answer(call, text) is None
