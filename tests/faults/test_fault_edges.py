"""Effects that no row of the catalogue needs, and faults that follow each other, in the shared world."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cloudstack_mock import ApiCallError, FaultRefusedError, Settings, StartError, World
from mgmt.faults.definitions import Proof

OWN = """
faults:
  - {id: F-01, name: own.cut, text: t, stage: any, upstream: "-", seen: {}, proofs: [{}],
     rules: [{at: agent.command, where: {command: ConvertInstanceCommand}, do: [{cut_answer: {at_byte: 20}}]}]}
  - {id: F-01, name: own.corrupt, text: t, stage: any, upstream: "-", seen: {}, proofs: [{}],
     rules: [{at: agent.command, where: {command: ConvertInstanceCommand}, do: [{corrupt_answer: {at_byte: 60}}]}]}
  - {id: F-01, name: own.answer, text: t, stage: any, upstream: "-", seen: {}, proofs: [{}],
     rules: [{at: agent.command, where: {command: ConvertInstanceCommand},
              do: [{delay: {for_s: 7}}, {answer: {details: "no"}}]}]}
  - {id: F-01, name: own.amend, text: t, stage: any, upstream: "-", seen: {}, proofs: [{}],
     rules: [{at: agent.command, where: {command: ImportConvertedInstanceCommand},
              do: [{amend: {set: {convertedInstance.disks.1: "-"}}}]}]}
  - {id: F-01, name: own.slow_vcenter, text: t, stage: any, upstream: "-", seen: {}, proofs: [{}],
     rules: [{at: vcenter.call, where: {method: RetrievePropertiesEx}, do: [{delay: {for_s: 90}}]}]}
  - {id: F-01, name: own.dropped, text: t, stage: any, upstream: "-", seen: {}, proofs: [{}],
     rules: [{at: vcenter.call, where: {method: RetrievePropertiesEx}, times: always, do: [{drop: {}}]}]}
  - {id: F-01, name: own.ended, text: t, stage: any, upstream: "-", seen: {}, proofs: [{}],
     rules: [{at: vcenter.call, where: {method: RetrievePropertiesEx}, do: [{end_session: {}}]}]}
  - {id: F-01, name: own.api, text: t, stage: any, upstream: "-", seen: {}, proofs: [{}],
     rules: [{at: api, where: {command: "list*"}, do: [{delay: {for_s: 30}}, {error: {code: 503, text: busy}}]}]}
  - {id: F-01, name: own.job, text: t, stage: any, upstream: "-", seen: {}, proofs: [{}],
     rules: [{at: job, where: {command: importVm}, do: [{error: {text: not today}}]}]}
  - {id: F-01, name: own.store, text: t, stage: any, upstream: "-", seen: {}, proofs: [{}],
     rules: [{at: store, where: {statement: insert, table: nics},
              do: [{delay: {for_s: 9}}, {error: {text: "DB Exception"}}]}]}
  - {id: F-01, name: own.lease, text: t, stage: any, upstream: "-", seen: {}, proofs: [{}],
     rules: [{at: vcenter.lease, where: {action: open}, do: [{fault: {type: FileFault, text: cannot be read}}]}]}
"""


@pytest.fixture
def own(lab: Any, tmp_path: Path) -> Any:
    """The lab with faults of a file of its own; tidied up afterwards."""
    path = tmp_path / "own.yaml"
    path.write_text(OWN)
    lab.world.faults.load(path)
    yield lab
    lab.tidy()


def test_an_answer_that_is_cut_off_or_damaged(own: Any) -> None:
    """An answer that ends too early loses the link; a damaged one answers nothing that was asked."""
    own.world.fault("own.cut")
    outcome = own.attempt(Proof())
    assert outcome.code == 530
    assert outcome.text.startswith("Could not send the convert instance command to host ")
    own.tidy()
    own.world.fault("own.corrupt")
    outcome = own.attempt(Proof())
    assert outcome.code == 530


def test_answers_of_an_agent(own: Any) -> None:
    """An agent answers late and with an error, or leaves a disk out of its answer."""
    begun_s = own.world.clock.monotonic()
    own.world.fault("own.answer", host="kvm1")
    assert own.attempt(Proof()).text.endswith(f"on host {own.shown('kvm1')}: no")
    assert own.world.clock.monotonic() - begun_s >= 7
    own.tidy()
    own.world.fault("own.amend")
    assert "VM has total 1 disks" in own.attempt(Proof()).text


def test_vcenter_is_slow_drops_calls_and_ends_sessions(own: Any) -> None:
    """A slow answer is waited for, an ended session is opened again, a dropped connection fails the import."""
    begun_s = own.world.clock.monotonic()
    own.world.fault("own.slow_vcenter")
    own.world.fault("own.ended", after=own.world.faults.armed[0])
    assert own.attempt(Proof()).code is None
    assert own.world.clock.monotonic() - begun_s >= 90
    own.tidy()
    own.world.fault("own.dropped")
    outcome = own.attempt(Proof())
    assert outcome.code == 530
    assert outcome.text.startswith("Error while finding or cloning VM: web01 from vCenter ")


def test_calls_and_jobs(own: Any) -> None:
    """An API call is answered with an error after a while, a job ends with one."""
    begun_s = own.world.clock.monotonic()
    own.world.fault("own.api", command="listZones")
    with pytest.raises(ApiCallError) as raised:
        own.client.call("listZones")
    assert raised.value.body["errorcode"] == 503
    assert raised.value.body["errortext"] == "busy"
    assert own.world.clock.monotonic() - begun_s >= 30
    assert own.client.call("listZones")["count"] == 1
    own.world.fault("own.job")
    outcome = own.attempt(Proof())
    assert (outcome.code, outcome.text, outcome.step) == (530, "not today", None)


def test_the_store_and_a_lease(own: Any) -> None:
    """A statement of the database fails after a while and ends the registration; a lease is never ready."""
    begun_s = own.world.clock.monotonic()
    own.world.fault("own.store")
    outcome = own.attempt(Proof())
    assert (outcome.code, outcome.text) == (530, "Failed to import NICs while importing vm: web01. DB Exception")
    assert outcome.failed_step == "register"
    assert own.world.clock.monotonic() - begun_s >= 9
    own.tidy()
    own.world.fault("own.lease", vm="web01")
    outcome = own.attempt(Proof(request={"usevddk": False, "forcemstoimportvmfiles": True}))
    assert (outcome.failed_step, outcome.left) == ("export", [])
    own.tidy()
    assert own.attempt(Proof()).code is None


def test_a_retry_on_another_host_succeeds(own: Any) -> None:
    """A fault of one host does not touch the other one; the journal tells that it happened."""
    own.world.fault("vddk.port_902_blocked", host="kvm1")
    assert own.attempt(Proof()).code == 530
    second = Proof(request={"convertinstancehostid": "host:kvm2", "importinstancehostid": "host:kvm2"})
    assert own.attempt(second).code is None
    entries = own.world.server.services.journal.entries(kind="fault")
    assert [entry.name for entry in entries][-2:] == ["vddk.port_902_blocked"] * 2
    assert {entry.fields["effect"] for entry in entries[-2:]} == {"delay", "exit"}


def test_faults_of_the_settings() -> None:
    """`--fault` arms from the start; a name that is not known ends the start with the nearest ones."""
    none = {"port": 0, "agent_port": 0, "agents": "none", "vcenter": "none"}
    with World(Settings(**none, fault=("api.extraparams_denied,times=3",))) as world:
        assert [(armed.name, armed.times) for armed in world.faults.armed] == [("api.extraparams_denied", 3)]
        with pytest.raises(FaultRefusedError, match="needs a world that can do 'vcenter_password'"):
            world.fault("vcenter.login_refused")
    with pytest.raises(StartError, match=r"no fault is named 'vddk.crush'; near it are vddk.crash"):
        World(Settings(**none, fault=("vddk.crush",))).start()
