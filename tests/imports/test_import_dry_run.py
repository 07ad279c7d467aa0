"""A dry run: what an import would do, and nothing done."""

from __future__ import annotations

from typing import Any

import pytest

from agent_sim.toolchain.timing import TimeModel
from mgmt.imports import prediction
from mgmt.imports.archive import KEPT, TraceArchive
from mgmt.imports.dryrun import DryRun
from mgmt.imports.trace import Trace
from mgmt.store import models
from mgmt.vmware.records import POWER_ON


def plan_of(world: Any, **changes: Any) -> dict[str, Any]:
    """The plan of a request; proves that no record was made, no host was asked and vCenter was not changed."""
    counted = (models.Template, models.Event, models.ImportVmTask)
    before = [len(world.rows(model)) for model in counted]
    plan: dict[str, Any] = DryRun(world.services, world.request(**changes), world.requester(), Trace()).run()
    assert [len(world.rows(model)) for model in counted] == before
    assert (world.agents.sent, world.vcenter.clones, world.vcenter.destroyed) == ([], [], [])
    world.assert_no_records()
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
        "P5", "V5", "H8", "I0", "T2", "D2", "D-fit", "C4",
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


def test_other_sources_have_no_dry_run(world: Any) -> None:
    """Only imports from vCenter can be looked at beforehand."""
    plan = plan_of(world, importsource="shared")
    assert (plan["possible"], plan["errortext"]) == (False, "A dry run of import source SHARED is not possible")


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
