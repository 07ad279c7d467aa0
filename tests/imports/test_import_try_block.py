"""From the host choice to the conversion: failures, tasks, and the null-task defect."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from mgmt.errors import AgentUnavailableError, JavaError, OperationTimedOutError
from mgmt.imports.pipeline import NULL_TASK_TEXT
from mgmt.protocol.commands import (
    CheckConvertInstanceAnswer,
    CheckConvertInstanceCommand,
    ConvertInstanceCommand,
    ImportConvertedInstanceAnswer,
    ImportConvertedInstanceCommand,
    UnmanagedInstanceTO,
    UnsupportedAnswer,
)
from mgmt.protocol.records import Answer
from mgmt.providers import Providers
from mgmt.store import models
from mgmt.vmware.records import POWER_OFF, POWER_ON

OVF = {"usevddk": False}


def shown(world: Any, host: str) -> str:
    return f'Host {{"id":{world.id_of(host)},"name":"{host}","type":"Routing","uuid":"{host}"}}'


# The null-task defect (4.2)


def test_null_task_defect(world: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A failure before the task exists shows Java's null-pointer text; log and journal have the reason."""
    world.change("K1", status="Alert")
    error = world.refused(convertinstancehostid="K1")
    assert (type(error), error.text, error.job_errorcode(), error.row) == (JavaError, NULL_TASK_TEXT, 530, "H3")
    assert [(state, level) for state, level, _, _ in world.events] == [("Started", "INFO")]
    reason = f"Cannot perform the conversion on the host {shown(world, 'K1')} as it is not running"
    assert reason in caplog.text
    entries = world.services.journal.entries(kind="import")
    assert [entry.fields["reason"] for entry in entries if entry.fields["state"] == "failed"] == [reason] * 2


def test_null_task_defect_repaired(world: Any) -> None:
    """With the fix the caller gets the reason and the error event is written."""
    world.change("K1", status="Alert")
    row, text = world.reason(convertinstancehostid="K1")
    assert (row, text) == ("H3", f"Cannot perform the conversion on the host {shown(world, 'K1')} as it is not running")
    assert [(state, level) for state, level, _, _ in world.events] == [("Started", "INFO"), ("Completed", "ERROR")]
    assert world.rows(models.ImportVmTask) == []


# Hosts, with records


def test_H5b_conversion_host_of_another_cluster(world: Any) -> None:
    """With VDDK a named host of another cluster of the zone has both roles."""
    world.run(convertinstancehostid="K3")
    assert {host for host, _ in world.agents.sent} == {world.id_of("K3")}


def test_H5c_import_host_from_the_cluster(world: Any) -> None:
    """Without VDDK the import host comes from the destination cluster, and the command goes there."""
    world.run(convertinstancehostid="K3", **OVF)
    converts = {host for host, command in world.agents.sent if isinstance(command, ConvertInstanceCommand)}
    imports = {host for host, command in world.agents.sent if isinstance(command, ImportConvertedInstanceCommand)}
    assert converts == {world.id_of("K3")}
    assert imports <= {world.id_of("K1"), world.id_of("K2")}


def test_H5d_pool_of_the_cluster(world: Any) -> None:
    """A conversion host of another cluster cannot use the cluster's pool."""
    assert world.reason(convertinstancehostid="K3", convertinstancepoolid="pool-N1")[0] == "T4b"


def test_H2b_disabled_host(world: Any) -> None:
    """A disabled host converts and does not import."""
    world.change("K1", resource_state="Disabled")
    row, text = world.reason(convertinstancehostid="K1", importinstancehostid="K1")
    assert row == "I2"
    assert text == (
        f"Cannot import the converted instance on the host {shown(world, 'K1')} as it is not in Enabled state"
    )
    world.run(convertinstancehostid="K1", importinstancehostid="K2")


@pytest.mark.parametrize("seed", range(5))
def test_H8_chance_among_vddk_hosts(world: Any, seed: int) -> None:
    """The host with VDDK is chosen whatever the random source says."""
    world.services = replace(
        world.services, providers=Providers(world.clock, world.services.providers.ids, random.Random(seed))
    )
    world.details("K1", host_vddk_support="true", host_instance_conversion="true")
    world.details("K2", host_instance_conversion="true")
    world.run()
    assert world.agents.sent[0][0] == world.id_of("K1")
    assert "H8" in world.trace


def test_H9_both_hosts_are_tried(world: Any) -> None:
    """Without a VDDK host any capable one is chosen by chance and the live check decides."""
    world.details("K1", host_instance_conversion="true")
    world.details("K2", host_instance_conversion="true")
    world.agents.defaults[CheckConvertInstanceCommand] = lambda _: CheckConvertInstanceAnswer(details="no VDDK")
    rows = [world.reason()[0] for _ in range(12)]
    assert set(rows) == {"3.2"}
    assert {host for host, _ in world.agents.sent} == {world.id_of("K1"), world.id_of("K2")}
    assert "H9" in world.trace


def test_H13_empty_cluster(world: Any) -> None:
    """A cluster whose hosts are all down has none."""
    world.change("K1", status="Disconnected")
    world.change("K2", resource_state="Maintenance")
    assert world.reason()[0] == "H13"
    assert world.reason(**OVF)[0] == "H12"
    assert world.reason(convertinstancehostid="K3", **OVF)[0] == "I8"


def test_removed_host_is_not_found(world: Any) -> None:
    """A removed host counts as missing."""
    world.change("K1", removed=datetime(2026, 1, 1))
    number = world.id_of("K1")
    assert world.reason(convertinstancehostid="K1") == ("H1", f"Cannot find host with ID {number} for conversion")
    assert world.reason(importinstancehostid="K1") == (
        "I1",
        f"Cannot find host with ID {number} to import the instance",
    )


# The check command (3.2)


def test_3p2_check_command_false(world: Any) -> None:
    """A host that says no is named with its reason."""
    world.agents.script(CheckConvertInstanceCommand, CheckConvertInstanceAnswer(result=False, details="NOPE"))
    assert world.reason(convertinstancehostid="K1") == (
        "3.2",
        f"The host {shown(world, 'K1')} doesn't support conversion of instance web01 from VMware to KVM due to: NOPE",
    )


@pytest.mark.parametrize("error", [AgentUnavailableError("gone"), OperationTimedOutError("gone")])
def test_3p2_check_command_not_answered(world: Any, error: Exception) -> None:
    """A host that cannot be asked is named; between `check` and `conversion` nothing is said for Linux."""
    world.agents.script(CheckConvertInstanceCommand, error)
    assert world.reason(convertinstancehostid="K1") == (
        "3.2",
        (
            f"Failed to check  conversion support on the host {shown(world, 'K1')} for converting instance web01 from "
            "VMware to KVM due to: gone"
        ),
    )


def test_check_command_unsupported(world: Any) -> None:
    """An answer of another class is a class-cast failure, with the defect as well as without."""
    world.agents.script(CheckConvertInstanceCommand, UnsupportedAnswer(details="?"))
    error = world.refused()
    assert type(error) is JavaError
    assert error.text == (
        "class com.cloud.agent.api.UnsupportedAnswer cannot be cast to class "
        "com.cloud.agent.api.CheckConvertInstanceAnswer (com.cloud.agent.api.UnsupportedAnswer and "
        "com.cloud.agent.api.CheckConvertInstanceAnswer are in unnamed module of loader 'app')"
    )
    assert world.rows(models.ImportVmTask) == []


# Placement, with records


@pytest.mark.parametrize(
    ("row", "changes"),
    [
        ("T3", {"clusterid": "C3"}),
        ("T4", {"convertinstancepoolid": "pool-N3"}),
        ("T5", {"convertinstancepoolid": "pool-L1"}),
        (
            "T5",
            {
                "convertinstancepoolid": "pool-L1",
                "forceconverttopool": True,
                "convertinstancehostid": "K1",
                "importinstancehostid": "K2",
            },
        ),
        ("T6", {"convertinstancepoolid": "pool-S1"}),
        (
            "D5",
            {
                "convertinstancepoolid": "pool-N1",
                "forceconverttopool": True,
                "serviceofferingid": "O2",
                "usevddk": False,
            },
        ),
        (
            "D7",
            {
                "convertinstancepoolid": "pool-N1",
                "forceconverttopool": True,
                "datadiskofferinglist": {"0": {"disk": "d", "diskOffering": "d2"}},
                "usevddk": False,
            },
        ),
    ],
)
def test_placement_refused(world: Any, row: str, changes: dict[str, Any]) -> None:
    """Tables T and D come after the check command and before the task."""
    assert world.reason(**changes)[0] == row
    assert len(world.agents.sent) == 1
    assert world.rows(models.ImportVmTask) == []
    assert world.vcenter.credentials == []


def test_T3a_zone_without_secondary_storage(world: Any) -> None:
    """The zone shows as its internal number."""
    text = world.reason(clusterid="C3")[1]
    assert f"on zone {world.id_of('Z2')} to use" in text


def test_D3_no_nfs_pool(world: Any) -> None:
    """Without NFS pools in cluster and zone there is no destination."""
    for name in ("pool-N1", "pool-N2"):
        world.change(name, removed=datetime(2026, 1, 1))
    assert world.reason() == ("D3", "Cannot find suitable storage pools in the cluster C1 for the conversion")


def test_V5b_root_disk_by_tags(world: Any) -> None:
    """Without VDDK the pool is only the temporary place and the root disk goes to a pool with its tags."""
    world.run(convertinstancepoolid="pool-N1", serviceofferingid="O2", **OVF)
    (convert,) = world.agents.commands(ConvertInstanceCommand)
    assert convert.conversionTemporaryLocation.name == "N1"
    (taken,) = world.agents.commands(ImportConvertedInstanceCommand)
    assert taken.destinationStoragePools == ["pool-N2"]


@pytest.mark.parametrize("pool", ["N1", "S1"])
def test_D1_direct_conversion(world: Any, pool: str) -> None:
    """With force the disks stay in the conversion pool, which travels whole."""
    world.run(convertinstancepoolid=f"pool-{pool}", forceconverttopool=True)
    (convert,) = world.agents.commands(ConvertInstanceCommand)
    place = convert.conversionTemporaryLocation
    kind = "NetworkFilesystem" if pool == "N1" else "SharedMountPoint"
    assert (place.uuid, place.poolType, place.host, place.path, place.port, place.isManaged) == (
        f"pool-{pool}",
        kind,
        "192.0.2.20",
        f"/export/{pool}",
        2049,
        False,
    )
    assert place.url == f"{kind}://192.0.2.20/export/{pool}/?ROLE=Primary&STOREUUID=pool-{pool}"
    (taken,) = world.agents.commands(ImportConvertedInstanceCommand)
    assert (taken.destinationStoragePools, taken.forceConvertToPool) == ([f"pool-{pool}"], True)
    assert [volume.pool_id for volume in world.rows(models.Volume)] == [world.id_of(f"pool-{pool}")]


def test_T5b_local_pool(world: Any) -> None:
    """With VDDK and one host for both roles a local pool is fine."""
    world.run(convertinstancepoolid="pool-L1", forceconverttopool=True, convertinstancehostid="K1")
    assert [volume.pool_id for volume in world.rows(models.Volume)] == [world.id_of("pool-L1")]


# Windows (W1) and the OVF path


def test_W1_windows_is_checked_twice(world: Any, make_source: Any) -> None:
    """A stopped Windows source is asked for a second time, with the flag."""
    world.vcenter.vms["web01"] = make_source(os="Microsoft Windows Server 2022")
    world.run()
    checks = world.agents.commands(CheckConvertInstanceCommand)
    assert [check.checkWindowsGuestConversionSupport for check in checks] == [False, True]


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (AgentUnavailableError("gone"), "Failed to check windows guest conversion support on the host"),
        (CheckConvertInstanceAnswer(result=False, details="no virtio-win"), "doesn't support conversion of instance"),
    ],
)
def test_W1_refused(world: Any, make_source: Any, answer: Any, text: str) -> None:
    """The second check fails with the task there: state Failed with the text."""
    world.vcenter.vms["web01"] = make_source(os="WINDOWS 11")
    world.agents.script(CheckConvertInstanceCommand, CheckConvertInstanceAnswer(result=True), answer)
    error = world.refused()
    assert text in error.text
    assert (world.task.state, world.task.step, world.task.description) == ("Failed", "CloningInstance", error.text)


def test_ovf_path_on_the_host(world: Any, make_source: Any) -> None:
    """Without VDDK the host exports with one thread per disk and no VDDK field is set."""
    world.vcenter.vms["web01"] = make_source(disks=2)
    world.run(
        details={"0": {"vddk.lib.dir": "/x"}},
        datadiskofferinglist={"0": {"disk": "1-2001", "diskOffering": "d1"}},
        extraparams=" ",
        **OVF,
    )
    (convert,) = world.agents.commands(ConvertInstanceCommand)
    assert (convert.useVddk, convert.exportOvfToConversionLocation, convert.threadsCountToExportOvf) == (False, True, 2)
    assert (convert.vddkLibDir, convert.vddkTransports, convert.vddkThumbprint) == (None, None, None)
    assert convert.templateDirOnConversionLocation is None


def test_settings_of_the_conversion(world: Any) -> None:
    """Time-out (hours), threads and extra parameters come from settings and request."""
    world.set("convert.vmware.instance.to.kvm.timeout", "5")
    world.set("threads.on.kvm.host.to.import.vmware.vm.files", "7")
    world.set("convert.vmware.instance.to.kvm.extra.params.allowed", "true")
    world.set("convert.vmware.instance.to.kvm.extra.params.allowed.list", "root,mac")
    world.run(extraparams="--root first", **OVF)
    (convert,) = world.agents.commands(ConvertInstanceCommand)
    assert (convert.wait, convert.threadsCountToExportOvf, convert.extraParams) == (18000, 7, "--root first")


def test_vddk_ignores_ovf_support(world: Any) -> None:
    """With VDDK the host needs no ovftool."""
    world.agents.script(CheckConvertInstanceCommand, CheckConvertInstanceAnswer(result=True, ovfExportSupported=False))
    world.run()


# Convert and import (3.4, 3.5)


def failed(world: Any, **changes: Any) -> str:
    """Run a failing import of a running source; everything must be as after every late failure."""
    vm = world.vcenter.vms["web01"]
    world.vcenter.vms["web01"] = replace(vm, power_state=POWER_ON)
    error = world.refused(convertinstancehostid="K1", **changes)
    assert error.job_errorcode() == 530
    assert (world.task.state, world.task.description, world.task.duration_ms) == ("Failed", error.text, None)
    assert world.vcenter.destroyed == world.vcenter.clones != []
    assert world.events[-1][:2] == ("Completed", "ERROR")
    world.assert_no_records()
    text: str = error.text
    return text


def test_3p4_A1_convert_false(world: Any) -> None:
    """A failed conversion is told with the host's words and no import is tried."""
    world.agents.script(ConvertInstanceCommand, Answer(result=False, details="Instance conversion failed"))
    assert failed(world) == (
        f"The convert process failed for instance web01 from VMware to KVM on host {shown(world, 'K1')}: "
        "Instance conversion failed"
    )
    assert world.agents.commands(ImportConvertedInstanceCommand) == []
    assert world.task.step == "ConvertingInstance"


def test_3p4_A2_agent_drops(world: Any) -> None:
    """An agent that goes away during the conversion ends the import."""
    world.agents.script(ConvertInstanceCommand, AgentUnavailableError("link cut"))
    assert failed(world) == (
        f"Could not send the convert instance command to host {shown(world, 'K1')} due to: link cut"
    )


def test_3p5_import_not_sent(world: Any) -> None:
    """A time-out of the import command has its text."""
    world.agents.script(ImportConvertedInstanceCommand, OperationTimedOutError("too late"))
    assert failed(world) == (
        f"Could not send the import converted instance command to host {shown(world, 'K1')} due to: too late"
    )


def test_3p5_import_false(world: Any) -> None:
    """A failed import is told with the host's words."""
    world.agents.script(ImportConvertedInstanceCommand, ImportConvertedInstanceAnswer(result=False, details="no space"))
    assert failed(world) == (
        f"The import process failed for instance web01 from VMware to KVM on host {shown(world, 'K1')}: no space"
    )


def test_3p8i2_A3_no_disks(world: Any) -> None:
    """An import answer without disks ends in the records' first check."""
    world.agents.script(
        ImportConvertedInstanceCommand,
        ImportConvertedInstanceAnswer(result=True, convertedInstance=UnmanagedInstanceTO(name="x")),
    )
    assert failed(world) == "No attached disks found for the unmanaged VM: web01"
    assert world.task.step == "Importing"


def test_3p8i5_A4_unknown_pool(world: Any, make_converted: Any) -> None:
    """A disk in a pool that the server does not know leaves no VM."""

    def answer(command: ImportConvertedInstanceCommand) -> Answer:
        instance = make_converted(command, world)
        instance.disks[0].datastoreName, instance.disks[0].datastorePath = "elsewhere", "/else"
        return ImportConvertedInstanceAnswer(result=True, convertedInstance=instance)

    world.agents.script(ImportConvertedInstanceCommand, answer)
    assert failed(world) == ("Storage pool for disk null(1-2000) with datastore: elsewhere not found in zone ID: Z1")


@pytest.mark.parametrize("kind", [ConvertInstanceCommand, ImportConvertedInstanceCommand])
def test_true_answer_of_another_class(world: Any, kind: Any) -> None:
    """A true answer of the wrong class is a class-cast failure: the task stays Running."""
    world.agents.script(kind, Answer(result=True))
    error = world.refused()
    assert type(error) is JavaError
    assert "cannot be cast" in error.text
    assert world.task.state == "Running"


def test_3p7_more_disks_than_the_source_has(world: Any, make_converted: Any) -> None:
    """More converted than source disks is an index failure: 530, and the task stays Running."""

    def answer(command: ImportConvertedInstanceCommand) -> Answer:
        instance = make_converted(command, world)
        instance.disks.append(instance.disks[0])
        return ImportConvertedInstanceAnswer(result=True, convertedInstance=instance)

    world.agents.script(ImportConvertedInstanceCommand, answer)
    error = world.refused()
    assert (error.text, error.job_errorcode()) == ("Index 1 out of bounds for length 1", 530)
    assert (world.task.state, world.task.step) == ("Running", "ConvertingInstance")
    assert world.events[-1][:2] == ("Started", "INFO")


# Limits (27)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"cpu_cores": None}, "CPU cores [null] is not valid for importing VM [web01]."),
        ({"cpu_cores": 0}, "CPU cores [0] is not valid for importing VM [web01]."),
        ({"memory_mb": None}, "Memory [null] is not valid for importing VM [web01]."),
        ({"memory_mb": 0}, "Memory [0] is not valid for importing VM [web01]."),
    ],
)
def test_27_numbers_of_the_source(world: Any, make_source: Any, changes: dict[str, Any], text: str) -> None:
    """A custom offering takes the source's numbers, which must be there."""
    world.vcenter.vms["web01"] = make_source(**changes)
    error = world.refused(serviceofferingid="O3")
    assert (error.row, error.text) == ("27", text)
    assert world.task.state == "Failed"


def test_27_limit_exceeded(world: Any, make_source: Any) -> None:
    """A limit is a checked failure: 530 with its text, the task stays Running, no error event, the clone is gone."""
    world.change("l2", account_id=world.id_of("bob-account"))
    world.change("bob-account", limits={"user_vm": 0})
    world.vcenter.vms["web01"] = make_source(power_state=POWER_ON)
    error = world.refused(account="bob", domainid="ROOT")
    assert error.text.startswith("VM resource allocation error for account: bob-account. Maximum amount of resources")
    assert (error.row, error.job_errorcode()) == ("27", 530)
    assert world.task.state == "Running"
    assert world.events[-1][:2] == ("Started", "INFO")
    assert world.vcenter.destroyed == world.vcenter.clones != []
    world.assert_no_records()


def test_claims_are_released(world: Any) -> None:
    """After an import for an account with limits no claim is left."""
    world.change("l2", account_id=world.id_of("bob-account"))
    world.run(account="bob", domainid="ROOT")
    assert world.rows(models.ResourceReservation) == []
    assert world.vcenter.vms["web01"].power_state == POWER_OFF
