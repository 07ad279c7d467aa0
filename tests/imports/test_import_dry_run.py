"""A dry run: what an import would do, and nothing done; the trace of an import: every rule looked at, in order."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from agent_sim.toolchain.timing import TimeModel
from mgmt.imports import prediction
from mgmt.imports.adopted import AdoptedImport
from mgmt.imports.archive import KEPT, TraceArchive
from mgmt.imports.dryrun import DryRun
from mgmt.imports.pipeline import ImportPipeline
from mgmt.imports.rules import _FOLDER, import_rules, traced_rows
from mgmt.imports.trace import Trace
from mgmt.protocol.commands import (
    CheckConvertInstanceAnswer,
    CheckConvertInstanceCommand,
    CheckVolumeCommand,
    GetRemoteVmsCommand,
    GetUnmanagedInstancesAnswer,
    GetUnmanagedInstancesCommand,
    UnmanagedDisk,
    UnmanagedInstanceTO,
    UnmanagedNic,
)
from mgmt.protocol.records import Answer
from mgmt.vmware.records import POWER_ON

# Commands that only look at something.
LOOKS = {CheckConvertInstanceCommand, GetRemoteVmsCommand, CheckVolumeCommand}


def plan_of(world: Any, **changes: Any) -> dict[str, Any]:
    """The plan of a request; proves that no record was made, no host was asked and vCenter was not changed."""
    before = world.dump()
    plan: dict[str, Any] = DryRun(world.services, world.request(**changes), world.requester(), Trace()).run()
    assert world.dump() == before
    assert {type(command) for _, command in world.agents.sent} <= LOOKS
    assert (world.vcenter.clones, world.vcenter.destroyed) == ([], [])
    return plan


def rows_of(plan: dict[str, Any]) -> list[str]:
    return [decision["row"] for decision in plan["trace"]]


def test_plan_of_a_good_request(world: Any) -> None:
    """Hosts, places, commands and seconds are told, with the row of every table that was looked at."""
    world.details("K1", host_instance_conversion="true", host_vddk_support="true")
    plan = plan_of(world, templateid=None)
    assert (plan["possible"], plan["converthost"], plan["importhost"], plan["clone"]) == (True, "K1", "K1", False)
    assert plan["commands"] == (
        "CheckConvertInstanceCommand K1,ConvertInstanceCommand K1,ImportConvertedInstanceCommand K1"
    )
    assert plan["predictedseconds"] > 60
    assert [row for row in rows_of(plan) if row[0] in "PVHITDC"] == [
        "P5", "V5", "H8", "I0", "T2", "D2", "D-fit", "C1", "C4",
    ]  # fmt: skip
    (host,) = [decision for decision in plan["trace"] if decision["row"] == "H8"]
    assert host["passed_over"] == ["H1", "H2", "H3", "H4", "H5", "H6", "H7"]


@pytest.mark.parametrize(
    ("row", "changes"),
    [
        ("14", {"vcenter": None}),
        ("P1", {"forceconverttopool": True}),
        ("V2", {"convertinstancepoolid": "pool-N1", "serviceofferingid": "O2"}),
        ("C2", {"name": "nosuch"}),
        ("2.7-1", {"nicnetworklist": {}}),
    ],
)
def test_refusal_is_part_of_the_plan(world: Any, row: str, changes: dict[str, Any]) -> None:
    """A rule that refuses ends the plan with its row and text, as the last line of the trace."""
    plan = plan_of(world, **changes)
    assert (plan["possible"], plan["row"], rows_of(plan)[-1]) == (False, row, row)
    assert plan["trace"][-1]["verdict"] == f"refused: {plan['errortext']}"


def test_plan_of_a_running_linux_source(world: Any, make_source: Any) -> None:
    """A clone is told, not made."""
    world.vcenter.vms["web01"] = make_source(power_state=POWER_ON)
    assert plan_of(world)["clone"] is True


def test_limits_are_looked_at(world: Any) -> None:
    """A limit that the import would pass is a refusal, and nothing stays reserved."""
    world.change("l2", account_id=world.id_of("bob-account"))
    world.change("bob-account", limits={"user_vm": 0})
    plan = plan_of(world, account="bob", domainid="ROOT")
    assert plan["possible"] is False
    assert "Maximum amount of resources" in plan["errortext"]


# What every import looks at first, and what the sources add.
COMMON = ["3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "13a", "13b"]
NIC = ["2.7-2", "2.7-3", "2.7-4", "2.7-6", "2.7-7"]
LATE_NIC = ["2.7-33", "2.7-4", "2.7-6", "2.7-7"]
KVM_COMMON = ["1", "5.2-1", "5.2-2", "5.2-3", "3", "4", "10", "11", "12", "5.2-6", "13b"]
BEFORE_CONVERSION = [
    *["1", "2", *COMMON, "14", "15", "16", "P5", "V5", "19", "20", "H11", "I0", "3.2", "T2", "D2", "D-fit"],
    *["C1", "C4", "27", "2.7-1", *NIC],
]
RECORDS = ["3.8-2", "3.8-3", "3.8-4", "3.8-5", "3.8-5"]
IMAGE = ["5.4-1", "5.4-2", "5.4-3", "5.4-4", "5.4-5", "S1", "5.4-6", "5.4-10", "2.7-4", "5.4-12", "5.4-13"]
LOOKED_AT = ["5.4-17", "5.3-15", "5.3-16", "5.3-17"]
TRACES = {
    "vmware": [
        *[*BEFORE_CONVERSION, "3.4", "3.5", "3.7", "3.8-1", *RECORDS, "2.7-33", *LATE_NIC, "3.8-7", "3.8-8", "3.8-9"]
    ],
    "external": [
        *[*KVM_COMMON, "5.3-1", "1.4-4", "1.4-5", "5.3-3", "3.8-2", "3.8-3", "3.8-4", "5.3-5", "2.7-33", *LATE_NIC],
        *["5.3-10", "5.3-11", "5.3-13", "5.3-14", "5.3-15", "5.3-16", "5.3-17", "3.8-8"],
    ],
    "shared": [*KVM_COMMON, *IMAGE, "5.3-10", "5.3-11", *LOOKED_AT, "3.8-8"],
    "local": [*KVM_COMMON, *IMAGE[:7], "5.4-7", "5.4-8", "5.4-9", *IMAGE[7:], *LOOKED_AT, "3.8-8"],
}
# Where the dry run of a source stops looking: what follows needs a change.
LAST_LOOKED_AT = {"vmware": "2.7-7", "external": "5.3-11", "shared": "5.3-17", "local": "5.3-17"}


@pytest.mark.parametrize("source", TRACES)
def test_trace_holds_every_rule_in_order(hosts: Any, sources: Any, source: str) -> None:
    """The trace of an import names each rule that was looked at, those that passed as well."""
    pipeline = ImportPipeline(hosts.services, hosts.request(**sources[source]), hosts.requester())
    pipeline.run()
    assert pipeline.trace.rows == TRACES[source]
    assert all(decision.verdict.startswith("passed") for decision in pipeline.trace.decisions)
    assert all(decision.facts for decision in pipeline.trace.decisions)


@pytest.mark.parametrize("source", TRACES)
def test_dry_run_of_every_source_looks_at_the_same_rules(hosts: Any, sources: Any, source: str) -> None:
    """A dry run looks at the import's rules in the import's order, up to the first one that needs a change."""
    plan = plan_of(hosts, **sources[source])
    assert plan["possible"] is True, plan
    rows = rows_of(plan)
    if source == "vmware":  # the check that CloudStack makes after the conversion only
        assert rows.pop() == "3.8-3"
    assert rows == TRACES[source][: len(rows)]
    assert rows[-1] == LAST_LOOKED_AT[source]


def test_plan_of_an_external_import(hosts: Any, sources: Any) -> None:
    """The host, the pool of each disk, the commands and the seconds of the copy (5 GiB, twice at 200 MiB/s)."""
    plan = plan_of(hosts, **sources["external"])
    assert (plan["importhost"], plan["pools"], plan["commands"]) == ("K1", "N1", "CopyRemoteVolumeCommand K1")
    assert plan["predictedseconds"] == 51


def test_plan_of_an_import_of_an_image(hosts: Any, sources: Any) -> None:
    """A shared image is looked at where the planner puts the VM, a local one on its host and in its pool."""
    plan = plan_of(hosts, **sources["shared"])
    assert (plan["importhost"], plan["pools"], plan["commands"]) == ("K1", "N1", "CheckVolumeCommand K1")
    plan = plan_of(hosts, **sources["local"])
    assert (plan["importhost"], plan["pools"], plan["predictedseconds"]) == ("K1", "L1", 0)


@pytest.mark.parametrize(
    ("row", "source", "changes", "asked"),
    [
        ("5.1", "unmanaged", {"vcenter": None}, 0),
        ("5.2-2", "shared", {"zoneid": 9999}, 0),
        ("5.3-1", "external", {"username": " "}, 0),
        ("5.3-3", "external", {"name": "other"}, 1),
        ("5.3-10", "external", {"serviceofferingid": "O3"}, 1),
        ("5.4-9", "local", {"hostid": "K2"}, 0),
        ("2.7-33", "external", {"nicnetworklist": {}}, 1),
    ],
)
def test_refusals_of_other_sources_are_part_of_their_plans(
    hosts: Any, sources: Any, row: str, source: str, changes: dict[str, Any], asked: int
) -> None:
    """The plan ends with the rule that refuses, and what it would have said."""
    plan = plan_of(hosts, **{**sources.get(source, {"importsource": source}), **changes})
    assert (plan["possible"], plan["row"], rows_of(plan)[-1]) == (False, row, row)
    assert plan["trace"][-1]["verdict"] == f"refused: {plan['errortext']}"
    assert len(hosts.agents.sent) == asked


def test_image_that_is_not_there_is_part_of_the_plan(hosts: Any, sources: Any) -> None:
    """The host looks at the image, as it would for the import."""
    hosts.agents.script(CheckVolumeCommand, Answer(result=False))
    plan = plan_of(hosts, **sources["shared"])
    assert (plan["possible"], plan["row"], plan["errortext"]) == (False, "5.4-17", "Disk not found or is invalid")


def test_host_that_cannot_convert_is_part_of_the_plan(world: Any) -> None:
    """The conversion host is asked, as it would be for the import."""
    world.agents.script(CheckConvertInstanceCommand, CheckConvertInstanceAnswer(details="no VDDK"))
    plan = plan_of(world)
    assert (plan["possible"], plan["row"]) == (False, "3.2")
    assert plan["errortext"].endswith("due to: no VDDK")


def test_trace_of_an_unmanaged_instance(world: Any) -> None:
    """importUnmanagedInstance keeps the same kind of trace."""
    world.change("TPL", size_bytes=1)
    disk = UnmanagedDisk(
        diskId="0", capacity=1024**3, controller="virtio", datastoreName="pool-N1", datastoreType="NetworkFilesystem"
    )
    nic = UnmanagedNic(nicId="n", macAddress="52:54:00:00:00:09", adapterType="virtio")
    vm = UnmanagedInstanceTO(name="um1", cpuCores=1, memory=512, powerState="PowerOff", disks=[disk], nics=[nic])
    world.agents.defaults[GetUnmanagedInstancesCommand] = lambda _: GetUnmanagedInstancesAnswer(
        result=True, unmanagedInstances={"um1": vm}
    )
    nics = {"0": {"nic": "n", "network": "l2"}}
    request = world.request(importsource="unmanaged", name="um1", nicnetworklist=nics)
    work = AdoptedImport(world.services, request, world.requester())
    work.run()
    assert work.trace.rows == [
        *[*COMMON, "5.5-1", "5.5-12", "5.5-2", "5.5-3", *RECORDS, "2.7-6", "2.7-33", *LATE_NIC],
        *["5.5-8", "5.5-9", "5.5-10", "3.8-7", "3.8-8", "3.8-9"],
    ]


def test_every_rule_of_an_import_is_noted_where_it_is_looked_at() -> None:
    """No rule outside the tables is only there when it refuses; the listing and unmanage commands keep no trace."""
    in_tables = {rule.id for rule in import_rules() if rule.id[0] in "HIPVTDECS"}
    noted = {row for file in _FOLDER.glob("*.py") for row in traced_rows(ast.parse(file.read_text(encoding="utf-8")))}
    rules = {rule.id for rule in import_rules() if not rule.id.startswith("1.5-")} - {"1.4-1", "1.4-2", "1.4-3"}
    by_error = {"5.1", "5.3-15", "5.3-16", "5.3-17"}  # noted with their errors, or by a small table of their own
    assert rules - in_tables - noted == by_error


def test_numbers_are_those_of_the_simulated_hosts() -> None:
    """The prediction uses the time model of the hosts; 100 GiB by VDDK take 17 minutes and a move of 9."""
    model = TimeModel()
    assert (
        model.disk_stream_mib_s, model.esxi_limit_mib_s, model.https_stream_mib_s,
        model.copy_mib_s, model.fixed_linux_s, model.fixed_windows_s, model.extent_s_per_tib,
    ) == (
        prediction.DISK_STREAM_MIB_S, prediction.ESXI_LIMIT_MIB_S, prediction.HTTPS_STREAM_MIB_S,
        prediction.COPY_MIB_S, prediction.FIXED_LINUX_S, prediction.FIXED_WINDOWS_S, prediction.EXTENT_S_PER_TIB,
    )  # fmt: skip
    size = [100 * 1024**3]

    def by(**changes: Any) -> float:
        usual = {"use_vddk": True, "windows": False, "threads": 1, "force_to_pool": True}
        return prediction.predicted_s(size, **(usual | changes))

    assert by() == pytest.approx(60 + 100 / 1024 * 30 + 1024)
    assert by(force_to_pool=False) - by() == pytest.approx(512)
    assert by(windows=True) - by() == pytest.approx(60)
    assert by(use_vddk=False) == pytest.approx(100 * 1024 / 53 + 60 + 1024)


def test_archive_keeps_the_last_traces() -> None:
    """Old traces make room for new ones."""
    archive, first, last = TraceArchive(), Trace(), Trace()
    archive.keep("first", first)
    assert archive.find("first") is first
    for number in range(KEPT - 1):
        archive.keep(str(number), Trace())
    archive.keep("last", last)
    assert (archive.find("first"), archive.find("last")) == (None, last)
