"""The vCenter password goes to vCenter and to the agent commands, and nowhere else."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import pytest

from mgmt.errors import AgentUnavailableError
from mgmt.protocol.commands import ConvertInstanceCommand, ImportConvertedInstanceCommand
from mgmt.protocol.records import Answer
from mgmt.store.models import Base
from mgmt.vmware.errors import VcenterUnreachableError
from mgmt.vmware.records import POWER_ON

PASSWORD = "vcenter-Secret/9+x"
ENCODED = "vcenter-Secret%2F9%2Bx"


def database_text(world: Any) -> str:
    with world.services.store.session() as session:
        return "\n".join(
            repr(tuple(row)) for table in Base.metadata.sorted_tables for row in session.execute(table.select())
        )


def assert_hidden(world: Any, *texts: str) -> None:
    """The password is in no text, no row, no journal entry and no repr."""
    everything = "\n".join(
        (*texts, database_text(world), world.journal_text(), repr(world.pipelines), repr(world.vcenter.credentials))
    )
    assert PASSWORD not in everything
    assert ENCODED not in everything


def test_success(world: Any, caplog: pytest.LogCaptureFixture) -> None:
    """After an import only the commands hold the password."""
    caplog.set_level(logging.DEBUG)
    world.run()
    assert [command.sourceInstance.vcenterPassword for command in world.agents.commands(ConvertInstanceCommand)] == [
        PASSWORD
    ]
    (taken,) = world.agents.commands(ImportConvertedInstanceCommand)
    assert taken.sourceInstance.vcenterPassword == PASSWORD
    assert_hidden(world, caplog.text, repr(world.agents.sent))


@pytest.mark.parametrize(
    "answer",
    [
        Answer(result=False, details=f"exec ovftool vi://u:{ENCODED}@vc1/x failed ({PASSWORD})"),
        AgentUnavailableError(f"lost while sending {PASSWORD}"),
    ],
)
def test_host_that_tells(world: Any, caplog: pytest.LogCaptureFixture, answer: Any) -> None:
    """A password in a host's words is masked before the text is kept or shown."""
    caplog.set_level(logging.DEBUG)
    world.agents.script(ConvertInstanceCommand, answer)
    error = world.refused()
    assert "*****" in error.text
    assert "*****" in world.task.description
    assert_hidden(world, caplog.text, error.text, str(error), repr(error))


@pytest.mark.parametrize("method", ["connect", "destroy_vm"])
def test_vcenter_that_tells(world: Any, caplog: pytest.LogCaptureFixture, method: str) -> None:
    """A password in a vCenter's words is masked too, in errors as in clean-up warnings."""
    caplog.set_level(logging.DEBUG)
    world.vcenter.vms["web01"] = replace(world.vcenter.vms["web01"], power_state=POWER_ON)
    world.vcenter.failures[method] = VcenterUnreachableError(f"bad {PASSWORD}")
    text = ""
    if method == "connect":
        text = world.refused().text
        assert text.endswith("bad *****")
    else:
        world.run()
        assert "bad *****" in caplog.text
    assert_hidden(world, caplog.text, text)


def test_before_the_try_block(world: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A refused parameter that repeats the password does not show it."""
    caplog.set_level(logging.DEBUG)
    error = world.refused(nicnetworklist={"0": {"nic": PASSWORD, "network": "x"}})
    assert error.text == "Network ID: x for NIC ID: ***** is invalid"
    world.pipelines.clear()  # the request itself repeats what was sent
    assert_hidden(world, caplog.text, error.text)


def test_linked_datacenter(world: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A linked datacenter's password stays in its own row."""
    caplog.set_level(logging.DEBUG)
    world.agents.script(ConvertInstanceCommand, Answer(result=False, details="linked-Secret-7"))
    error = world.refused(existingvcenterid="DC", vcenter=None)
    assert error.text.endswith("*****")
    assert database_text(world).count("linked-Secret-7") == 1
    assert "linked-Secret-7" not in world.journal_text() + caplog.text + repr(world.pipelines)


def test_other_secrets_leave_the_texts_alone(world: Any) -> None:
    """A login with the word `password` for a password masks no word of CloudStack's texts."""
    world.services.redactor.register("password")
    assert world.refused(username=None).text == (
        "Please set all the information for a vCenter IP/Name, datacenter, username and password"
    )
    world.vcenter.failures["connect"] = VcenterUnreachableError("incorrect user name or password.")
    assert world.refused().text.endswith("incorrect user name or password.")
    assert world.task.description.endswith("incorrect user name or password.")
