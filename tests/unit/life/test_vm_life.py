"""Start, stop, reboot, destroy, expunge, recover and move: commands sent, states, records and error texts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mgmt.commands.life_calls import life_services_of
from mgmt.errors import (
    AgentUnavailableError,
    CloudRuntimeError,
    InvalidParameterValueError,
    OperationTimedOutError,
    PermissionDeniedError,
    ServerApiError,
)
from mgmt.inventory.scope import NO_PERMISSION_TEXT
from mgmt.inventory.vm_states import TRANSITIONS, NoTransitionError, VmEvent, VmState, next_state
from mgmt.life.migrate import move_imported
from mgmt.protocol import commands as wire
from mgmt.protocol.records import Answer, as_wire_mapping, java_class
from mgmt.store import models

WRONG, DENIED = InvalidParameterValueError, PermissionDeniedError
ADMIN_PARAMETER = " can only be specified by a Root Admin, permission denied"
NO = Answer(result=False, details="no")


def start(life: Any, **given: Any) -> Any:
    return life.run("startVirtualMachine", id=life.ids["vm"], **given).fields


def test_start_sends_the_recorded_command(life: Any) -> None:
    """A start sends StartCommand with disks, an empty CD-ROM drive and NICs, and shows the VM as running."""
    view = start(life)
    assert (view["state"], view["hostname"]) == ("Running", "h1")
    (command,) = life.agents.of(wire.StartCommand)
    body = as_wire_mapping(command)
    vm = body["vm"]
    assert body["hostIp"] == "192.0.2.11" and body["executeInSequence"] is False
    assert {key: vm[key] for key in ("name", "state", "cpus", "minSpeed", "minRam", "bootArgs", "vcpuMaxLimit")} == {
        "name": "i-2-30-VM",
        "state": "Starting",
        "cpus": 1,
        "minSpeed": 500,
        "minRam": 536870912,
        "bootArgs": "",
        "vcpuMaxLimit": 1,
    }
    assert vm["details"]["deployvm"] == "true" and vm["vncPassword"] == "vnc-Secret-1"
    assert vm["configDriveLocation"] == "SECONDARY" and vm["metadataProductName"] == "CloudStack KVM Hypervisor"
    root, data, cdrom = vm["disks"]
    assert (root["diskSeq"], root["type"], root["path"]) == (0, "ROOT", "um1-disk0.qcow2")
    assert root["details"] == {
        "storageHost": "10.9.9.1",
        "managed": "false",
        "storagePort": "2049",
        "protocoltype": "NetworkFilesystem",
        "storage.pool.disk.wait": "60",
        "volumeSize": str(5 * 1024**3),
    }
    volume = root["data"]["org.apache.cloudstack.storage.to.VolumeObjectTO"]
    assert volume["bytesReadRate"] == 0 and volume["provisioningType"] == "THIN"
    assert data["type"] == "DATADISK"
    assert (cdrom["diskSeq"], cdrom["type"]) == (3, "ISO")
    (nic,) = vm["nics"]
    assert nic["broadcastUri"] == nic["isolationUri"] == "vlan://162"
    assert nic["networkRateMbps"] == 200 and nic["dns1"] == "10.147.28.6" and "ip" not in nic
    assert vm["networkIdToNetworkNameMap"] == {str(life.ids["l2"]): nic["networkSegmentName"]}


def shape(value: Any) -> Any:
    """The keys of an object, in order, and those of what is in it; maps of details count as one."""
    if isinstance(value, dict):
        return {key: None if key in ("details", "contextMap", "networkIdToNetworkNameMap") else shape(item)
                for key, item in value.items()}  # fmt: skip
    return [shape(item) for item in value] if isinstance(value, list) else None


def test_commands_have_the_recorded_shape(life: Any, request: pytest.FixtureRequest) -> None:
    """Start, stop, reboot and delete carry the fields that the real server sends, in its order, and no other."""
    life.change(models.Volume, life.ids["DATA-30"], vm_id=None)  # the recorded VM has one disk
    start(life)
    life.run("rebootVirtualMachine", id=life.ids["vm"])
    life.run("destroyVirtualMachine", id=life.ids["vm"], expunge=True)
    recorded = {}
    for line in (request.config.rootpath / "fixtures" / "wire" / "start-stop-destroy.jsonl").read_text().splitlines():
        row = json.loads(line)
        if row["from"] == "server":
            recorded |= {name: body for element in row["content"] for name, body in element.items()}
    compared = 0
    for _, command in life.agents.sent:
        body = as_wire_mapping(command)
        assert json.dumps(shape(body)) == json.dumps(shape(recorded[java_class(command)]))
        compared += 1
    assert compared == 8  # twice two questions, and the four commands


def test_start_leaves_the_recorded_records(life: Any) -> None:
    """After a start the mark of a new VM is gone, the NIC has its VLAN and the usage events are there."""
    view = start(life)
    assert "deployvm" not in view["details"]
    assert view["nic"][0]["broadcasturi"] == "vlan://162"
    assert life.usage() == ["NETWORK.OFFERING.ASSIGN", "VM.START"]
    assert life.vm.last_host_id == life.ids["h1"] and life.vm.power_state == "PowerOn"
    assert life.services.redactor.text("vnc-Secret-1") != "vnc-Secret-1"


def test_start_takes_a_free_address(life: Any) -> None:
    """A NIC in an isolated network without an address gets the lowest free one and keeps it at a stop."""
    life.change(models.Nic, life.ids["nic"], network_id=life.ids["isolated"])
    assert start(life)["nic"][0]["ipaddress"] == "10.1.1.2"
    view = life.run("stopVirtualMachine", id=life.ids["vm"]).fields
    assert view["nic"][0]["ipaddress"] == "10.1.1.2" and view["nic"][0]["broadcasturi"] is None


def test_start_on_a_given_host(life: Any) -> None:
    """A given host is used."""
    assert start(life, hostid=life.ids["h2"])["hostname"] == "h2"


def test_a_host_that_refuses_is_cleaned_up_and_the_next_one_tried(life: Any) -> None:
    """Answer false: StopCommand to that host, then the next host."""
    life.agents.script(wire.StartCommand, NO)
    assert start(life)["hostname"] == "h2"
    assert [(host, type(c).__name__) for host, c in life.agents.sent] == [
        (life.ids["h1"], "StartCommand"),
        (life.ids["h1"], "StopCommand"),
        (life.ids["h2"], "StartCommand"),
    ]


def test_start_refused_by_all_hosts(life: Any, refused: Any) -> None:
    """When no host takes the VM the recorded text says so, and the VM is stopped with nothing held."""
    life.agents.script(wire.StartCommand, NO, AgentUnavailableError("gone"))
    text = refused(life, CloudRuntimeError, "startVirtualMachine", id=life.ids["vm"])
    vm = life.vm
    assert text == (
        f"Unable to start a VM [{vm.uuid}] due to [Unable to create a deployment for VM instance "
        f'{{"id":{vm.id},"instanceName":"i-2-30-VM","state":"Starting","type":"User","uuid":"{vm.uuid}"}}].'
    )
    assert (vm.state, vm.host_id, life.nic().broadcast_uri, life.usage()) == ("Stopped", None, None, [])


def test_start_that_times_out(life: Any, refused: Any) -> None:
    """A host that does not answer in time ends the start; no other host is tried."""
    life.agents.script(wire.StartCommand, OperationTimedOutError("late"))
    text = refused(life, ServerApiError, "startVirtualMachine", id=life.ids["vm"])
    host = life.ids["h1"]
    assert text == f"Resource [Host:{host}] is unreachable: Host {host}: Unable to start um1"
    assert life.vm.state == "Stopped" and len(life.agents.sent) == 1


def test_start_without_a_host(life: Any, refused: Any) -> None:
    """Without a usable host nothing is sent, and the VM stays stopped."""
    for host in ("h1", "h2"):
        life.change(models.Host, life.ids[host], status="Disconnected")
    text = refused(life, ServerApiError, "startVirtualMachine", id=life.ids["vm"])
    assert text.startswith('Unable to create a deployment for VM instance {"id":') and '"state":"Stopped"' in text
    assert not life.agents.sent and life.vm.state == "Stopped"


@pytest.mark.parametrize(
    ("changes", "given", "by", "kind", "text"),
    [
        ({"state": "Running"}, {}, "admin", WRONG, "The virtual machine {uuid} (um one) is already running"),
        ({}, {"hostid": 999}, "admin", WRONG, "Unable to find the host to deploy the VM, host id=999"),
        ({}, {"podid": 999}, "admin", WRONG, "Unable to find the pod to deploy the VM, pod id=999"),
        ({}, {"clusterid": 999}, "admin", WRONG, "Unable to find the cluster to deploy the VM, cluster id=999"),
        ({}, {"hostid": 1}, "user", DENIED, "Parameter hostid" + ADMIN_PARAMETER),
        ({}, {"podid": 1}, "user", DENIED, "Parameter podid" + ADMIN_PARAMETER),
        ({}, {}, "stranger", DENIED, NO_PERMISSION_TEXT),
        ({}, {"bootintosetup": True}, "admin", WRONG, "bootintosetup makes no sense for KVM"),
        ({}, {"deploymentplanner": "X"}, "admin", WRONG, "Can't find a planner by name X"),
    ],
)  # fmt: skip
def test_start_refusals(
    life: Any, refused: Any, changes: Any, given: Any, by: str, kind: type[Exception], text: str
) -> None:
    """Each check of a start has CloudStack's text."""
    life.change(models.VmInstance, life.ids["vm"], **changes)
    assert refused(life, kind, "startVirtualMachine", by, id=life.ids["vm"], **given) == text.format(uuid=life.vm.uuid)


def test_start_on_a_host_in_the_wrong_state(life: Any, refused: Any) -> None:
    """A given host must be Up and Enabled, and have room."""
    life.change(models.Host, life.ids["h2"], resource_state="Maintenance")
    given = {"id": life.ids["vm"], "hostid": life.ids["h2"]}
    text = refused(life, WRONG, "startVirtualMachine", **given)
    assert text == "Unable to deploy the VM as the host: h2 is not in the right state"
    life.change(models.Host, life.ids["h2"], resource_state="Enabled", ram_bytes=1024)
    text = refused(life, WRONG, "startVirtualMachine", **given)
    assert text == (
        f"Cannot deploy the VM to specified host {life.ids['h2']}; host has cpu capability? true, "
        "host has capacity? false"
    )


def test_start_and_stop_of_a_vm_that_is_gone(life: Any, refused: Any) -> None:
    """A removed VM is not found."""
    life.change(models.VmInstance, life.ids["vm"], removed=life.services.providers.utcnow())
    vm_id = life.ids["vm"]
    for command in ("startVirtualMachine", "stopVirtualMachine", "destroyVirtualMachine"):
        text = refused(life, InvalidParameterValueError, command, id=vm_id)
        assert text == f"unable to find a virtual machine with id {vm_id}"
    text = refused(life, WRONG, "rebootVirtualMachine", id=vm_id)
    assert text == f"Unable to find a virtual machine with id {vm_id}"


def test_stop_asks_for_figures_first(life: Any) -> None:
    """A stop asks for disk and network figures, then sends StopCommand without the VM, and frees what it held."""
    start(life)
    life.agents.sent.clear()
    view = life.run("stopVirtualMachine", id=life.ids["vm"]).fields
    assert life.agents.names() == ["GetVmDiskStatsCommand", "GetVmNetworkStatsCommand", "StopCommand"]
    (command,) = life.agents.of(wire.StopCommand)
    assert as_wire_mapping(command) == {
        "isProxy": False,
        "checkBeforeCleanup": False,
        "forceStop": False,
        "vlanToPersistenceMap": {"162": True},
        "expungeVM": False,
        "volumesToDisconnect": [],
        "vmName": "i-2-30-VM",
        "executeInSequence": False,
        "contextMap": {},
        "wait": 0,
        "bypassHostMaintenance": False,
    }
    assert view["state"] == "Stopped" and view.get("hostid") is None
    assert view["details"]["Message.ReservedCapacityFreed.Flag"] == "false"
    assert life.usage()[2:] == ["VM.STOP", "NETWORK.OFFERING.REMOVE"]


def test_stop_of_a_stopped_vm_sends_nothing(life: Any) -> None:
    """Stopping what does not run succeeds."""
    assert life.run("stopVirtualMachine", id=life.ids["vm"]).fields["state"] == "Stopped"
    assert not life.agents.sent


def test_stop_that_fails_leaves_the_vm_running(life: Any, refused: Any) -> None:
    """Answer false or no link: the VM runs on, and the text names it."""
    for answer in (NO, AgentUnavailableError("gone")):
        life.set_state("Running", "h1")
        life.agents.script(wire.StopCommand, answer)
        text = refused(life, CloudRuntimeError, "stopVirtualMachine", id=life.ids["vm"])
        assert text.startswith('Unable to stop VM instance {"id":')
        assert (life.vm.state, life.vm.host_id) == ("Running", life.ids["h1"])


def test_forced_stop_goes_on_without_the_host(life: Any) -> None:
    """A forced stop says so to the host and ends as stopped even when the host is away."""
    life.set_state("Running", "h1")
    life.agents.script(wire.StopCommand, AgentUnavailableError("gone"))
    assert life.run("stopVirtualMachine", id=life.ids["vm"], forced=True).fields["state"] == "Stopped"
    assert life.agents.of(wire.StopCommand)[0].forceStop is True


def test_stop_refusals(life: Any, refused: Any) -> None:
    """A host that prepares for maintenance, a VM without a host and a state without a stop have their texts."""
    vm_id = life.ids["vm"]
    life.set_state("Running", "h1")
    life.change(models.Host, life.ids["h1"], resource_state="PrepareForMaintenance")
    assert refused(life, CloudRuntimeError, "stopVirtualMachine", id=vm_id) == (
        f"Stop VM operation on the VM id: {vm_id} is not allowed as host is preparing for maintenance mode"
    )
    life.set_state("Running")
    assert refused(life, CloudRuntimeError, "stopVirtualMachine", id=vm_id).startswith("Unable to stop VM instance")
    assert life.run("stopVirtualMachine", id=vm_id, forced=True).fields["state"] == "Stopped"
    life.set_state("Migrating", "h2")
    text = refused(life, CloudRuntimeError, "stopVirtualMachine", id=vm_id)
    assert text.startswith("We cannot stop VM instance") and text.endswith("when it is in state Migrating")


def test_reboot_sends_the_vm_without_disks(life: Any) -> None:
    """RebootCommand carries the VM as recorded: no disks, no rate, no segment map."""
    start(life)
    life.agents.sent.clear()
    assert life.run("rebootVirtualMachine", id=life.ids["vm"]).fields["state"] == "Running"
    assert life.agents.names() == ["GetVmDiskStatsCommand", "GetVmNetworkStatsCommand", "RebootCommand"]
    vm = as_wire_mapping(life.agents.of(wire.RebootCommand)[0])["vm"]
    assert (vm["state"], vm["disks"], vm["networkIdToNetworkNameMap"]) == ("Running", [], {})
    assert "networkRateMbps" not in vm["nics"][0] and "metadataProductName" not in vm


def test_forced_reboot_stops_and_starts(life: Any) -> None:
    """A forced reboot is a stop and a start on the same host."""
    start(life, hostid=life.ids["h2"])
    life.agents.sent.clear()
    assert life.run("rebootVirtualMachine", id=life.ids["vm"], forced=True).fields["hostname"] == "h2"
    assert life.agents.names()[-2:] == ["StopCommand", "StartCommand"]


def test_reboot_refusals(life: Any, refused: Any) -> None:
    """A stopped VM, a wrong answer class, a failure and a timeout have their texts."""
    given = {"id": life.ids["vm"]}
    text = refused(life, WRONG, "rebootVirtualMachine", **given)
    assert text == f"The VM {life.vm.uuid} (um one) is not running, unable to reboot it"
    life.set_state("Running", "h1")
    life.agents.script(
        wire.RebootCommand, wire.UnsupportedAnswer(), wire.RebootAnswer(details="why"), OperationTimedOutError("late")
    )
    texts = [refused(life, CloudRuntimeError, "rebootVirtualMachine", **given) for _ in range(3)]
    assert texts == [
        "Unable to get answer that is of class com.cloud.agent.api.RebootAnswer",
        "why",
        "Failed to reboot due to the operation timed out",
    ]
    text = refused(life, WRONG, "rebootVirtualMachine", bootintosetup=True, **given)
    assert text == "Booting into a hardware setup menu is not implemented on KVM"
    life.change(models.Host, life.ids["h1"], resource_state="PrepareForMaintenance")
    text = refused(life, WRONG, "rebootVirtualMachine", **given)
    assert text.startswith(f"Reboot VM operation on the VM id: {given['id']} is not allowed as host is preparing")


def test_destroy_and_recover(life: Any, refused: Any) -> None:
    """A destroyed VM keeps its root disk, loses its data disks and comes back by recover."""
    start(life)
    view = life.run("destroyVirtualMachine", id=life.ids["vm"]).fields
    assert view["state"] == "Destroyed"
    assert life.volume("ROOT-30").state == "Ready" and life.volume("DATA-30").vm_id is None
    assert "DettachCommand" not in life.agents.names()  # the VM is stopped before
    assert life.usage()[-2:] == ["VM.DESTROY", "VOLUME.DELETE"]
    assert life.run("destroyVirtualMachine", id=life.ids["vm"]).fields["state"] == "Destroyed"
    assert life.run("recoverVirtualMachine", id=life.ids["vm"]).fields["state"] == "Stopped"
    assert life.usage()[-2:] == ["VM.CREATE", "VOLUME.CREATE"]
    text = refused(life, WRONG, "recoverVirtualMachine", id=life.ids["vm"])
    assert text == f"Vm with id {life.vm.uuid} is not in the right state"


def test_destroy_with_expunge_deletes_the_root_disk(life: Any) -> None:
    """Destroy with expunge sends DeleteCommand and answers with the recorded remains."""
    result = life.run("destroyVirtualMachine", id=life.ids["vm"], expunge=True)
    assert result.fields == {"securitygroup": [], "nic": [], "affinitygroup": [], "deleteprotection": False, "tags": []}
    (command,) = life.agents.of(wire.DeleteCommand)
    volume = as_wire_mapping(command)["data"]["org.apache.cloudstack.storage.to.VolumeObjectTO"]
    assert volume["path"] == "um1-disk0.qcow2" and volume["vmName"] == "i-2-30-VM" and "bytesReadRate" not in volume
    root = life.volume("ROOT-30")
    assert root.state == "Expunged" and root.removed is not None
    assert life.vm.removed is not None and life.nic().removed is not None
    assert life.volume("DATA-30").removed is None


def test_destroy_takes_named_data_disks_along(life: Any, refused: Any) -> None:
    """`volumeids` are deleted too; a volume of nobody is refused."""
    life.change(models.Volume, life.ids["DATA-30"], vm_id=None)
    given = {"id": life.ids["vm"], "volumeids": [life.ids["DATA-30"]]}
    text = refused(life, WRONG, "destroyVirtualMachine", **given)
    assert text.startswith('The following supplied volumes are not attached to the VM: Volume {"id":')
    life.change(models.Volume, life.ids["DATA-30"], vm_id=life.ids["vm"])
    life.run("destroyVirtualMachine", expunge=True, **given)
    assert life.volume("DATA-30").removed is not None and len(life.agents.of(wire.DeleteCommand)) == 2
    text = refused(life, WRONG, "destroyVirtualMachine", id=life.ids["vm"], volumeids=[999])
    assert text.startswith("unable to find")


def test_destroy_marks_named_data_disks(life: Any) -> None:
    """Without expunge the named volumes become Destroy."""
    life.run("destroyVirtualMachine", id=life.ids["vm"], volumeids=[life.ids["DATA-30"]])
    assert life.volume("DATA-30").state == "Destroy"


def test_destroy_refusals(life: Any, refused: Any) -> None:
    """Deletion protection, a user's expunge and a strange volume have their texts."""
    vm_id = life.ids["vm"]
    assert refused(life, PermissionDeniedError, "destroyVirtualMachine", "user", id=vm_id, expunge=True) == (
        "Parameter expunge can be passed by Admin only. Or when the allow.user.expunge.recover.vm key is set."
    )
    text = refused(life, WRONG, "destroyVirtualMachine", id=vm_id, volumeids=[999])
    assert text == "Unable to find volume with ID: 999"
    life.run("updateVirtualMachine", id=vm_id, deleteprotection=True)
    text = refused(life, WRONG, "destroyVirtualMachine", id=vm_id)
    assert text == f"Instance [id = {life.vm.uuid}, name = um1] has delete protection enabled and cannot be deleted."


def test_expunge(life: Any, refused: Any) -> None:
    """Only a destroyed VM can be expunged, by an admin; doing it again does no harm."""
    vm_id = life.ids["vm"]
    text = refused(life, CloudRuntimeError, "expungeVirtualMachine", id=vm_id)
    assert text == "Please destroy vm with specified vmId before expunge"
    life.run("destroyVirtualMachine", id=vm_id)
    text = refused(life, PermissionDeniedError, "expungeVirtualMachine", "user", id=vm_id)
    assert text.startswith("Expunging a vm can only be done by an Admin.")
    text = refused(life, PermissionDeniedError, "recoverVirtualMachine", "user", id=vm_id)
    assert text.startswith("Recovering a vm can only be done by an Admin.")
    life.run("expungeVirtualMachine", id=vm_id)
    life.run("expungeVirtualMachine", id=vm_id)
    assert len(life.agents.of(wire.DeleteCommand)) == 1 and life.vm.removed is not None
    text = refused(life, WRONG, "recoverVirtualMachine", id=vm_id)
    assert text == f"Unable to find vm by id {vm_id}"


def test_a_disk_that_cannot_be_deleted_is_left_behind(life: Any) -> None:
    """The VM goes all the same; its root disk stays in Expunging, as upstream."""
    life.agents.script(wire.DeleteCommand, NO)
    life.run("destroyVirtualMachine", id=life.ids["vm"], expunge=True)
    assert life.vm.removed is not None
    assert (life.volume("ROOT-30").state, life.volume("ROOT-30").removed) == ("Expunging", None)


def test_migrate(life: Any) -> None:
    """A move prepares the target, moves from the source and looks whether the VM has arrived."""
    start(life)
    life.agents.sent.clear()
    view = life.run("migrateVirtualMachine", virtualmachineid=life.ids["vm"], hostid=life.ids["h2"]).fields
    assert (view["state"], view["hostname"]) == ("Running", "h2")
    source, target = life.ids["h1"], life.ids["h2"]
    assert [(host, type(c).__name__) for host, c in life.agents.sent[2:]] == [
        (target, "PrepareForMigrationCommand"),
        (source, "MigrateCommand"),
        (target, "CheckVirtualMachineCommand"),
    ]
    (command,) = life.agents.of(wire.MigrateCommand)
    assert (command.destinationIp, command.hostGuid) == ("192.0.2.12", "h2-LibvirtComputingResource")
    assert life.vm.last_host_id == source


def test_migrate_chooses_a_host(life: Any, refused: Any) -> None:
    """Without a host the server takes another one of the cluster, if there is one."""
    start(life)
    assert life.run("migrateVirtualMachine", virtualmachineid=life.ids["vm"]).fields["hostname"] == "h2"
    life.change(models.Host, life.ids["h1"], status="Down")
    text = refused(life, CloudRuntimeError, "migrateVirtualMachine", virtualmachineid=life.ids["vm"])
    assert text == "Unable to find a server to migrate the vm to"


def test_migrate_failures(life: Any, refused: Any) -> None:
    """A target that is not ready and a move that fails leave the VM where it was; one that got lost is stopped."""
    start(life)
    given = {"virtualmachineid": life.ids["vm"], "hostid": life.ids["h2"]}
    host = life.ids["h2"]
    life.agents.script(wire.PrepareForMigrationCommand, NO)
    assert refused(life, ServerApiError, "migrateVirtualMachine", **given) == (
        f"Resource [Host:{host}] is unreachable: Host {host}: Unable to prepare for migration due to no"
    )
    life.agents.script(wire.MigrateCommand, NO, AgentUnavailableError("gone"))
    assert refused(life, CloudRuntimeError, "migrateVirtualMachine", **given) == "no"
    assert refused(life, ServerApiError, "migrateVirtualMachine", **given) == "gone"
    assert (life.vm.state, life.vm.host_id) == ("Running", life.ids["h1"])
    assert [h for h, c in life.agents.sent if isinstance(c, wire.StopCommand)] == [host, host]
    life.agents.script(wire.CheckVirtualMachineCommand, NO)
    text = refused(life, ServerApiError, "migrateVirtualMachine", **given)
    assert text.startswith("Unable to complete migration for VM instance") and life.vm.state == "Stopped"


def test_migrate_refusals(life: Any, refused: Any) -> None:
    """Each check of a move has CloudStack's text."""
    vm_id = life.ids["vm"]

    def text(kind: type[Exception], by: str = "admin", **given: Any) -> str:
        answer: str = refused(life, kind, "migrateVirtualMachine", by, virtualmachineid=vm_id, **given)
        return answer

    wrong = InvalidParameterValueError
    assert text(wrong, hostid=1, storageid=1) == "Only one of hostId and storageId can be specified"
    assert text(wrong, hostid=999) == "Unable to find the host to migrate the VM, host id=999"
    assert text(wrong, autoselect=False).startswith("Please specify a host or storage as destination")
    assert text(wrong, hostid=life.ids["h2"]) == "VM is not Running, unable to migrate the vm with specified id"
    assert text(PermissionDeniedError, "user", hostid=life.ids["h2"]).startswith("No permission to migrate VM")
    life.set_state("Running", "h1")
    assert text(wrong, hostid=life.ids["h1"]).startswith("Cannot migrate VM, VM is already present on this host")
    assert text(CloudRuntimeError, hostid=life.ids["far"]).startswith("Source and destination host are not in same")
    life.change(models.Host, life.ids["h2"], status="Alert")
    assert text(wrong, hostid=life.ids["h2"]) == (
        "Cannot migrate VM, destination host is not in correct state, has status: Alert, state: Enabled"
    )
    life.change(models.StoragePool, life.ids["pool"], scope="HOST")
    assert text(wrong) == "Unsupported operation, VM uses Local storage, cannot migrate"


def test_update(life: Any, refused: Any) -> None:
    """Names, details and the rest are recorded; only the first index of the details counts and replaces them."""
    vm_id = life.ids["vm"]
    view = life.run(
        "updateVirtualMachine",
        id=vm_id,
        displayname="VM 2b",
        name="um9",
        details={"0": {"a": "1"}, "1": {"b": "2"}},
    ).fields
    assert (view["displayname"], view["name"], view["details"]) == ("VM 2b", "um9", {"a": "1"})
    assert life.run("updateVirtualMachine", id=vm_id, cleanupdetails=True).fields["details"] == {}
    assert life.run("updateVirtualMachine", id=vm_id, group="g").fields["group"] == "g"
    wrong = InvalidParameterValueError
    for given, text in (
        ({"haenable": True}, "Can't enable ha for the vm as it's created from the Service offering having HA disabled"),
        ({"details": {"0": {"extraconfig": "x"}}}, "'extraconfig' should not be included in details as key"),
        (
            {"extraconfig": "x"},
            "attempted setting extraconfig but enable.additional.vm.configuration is disabled",
        ),
        (
            {"isdynamicallyscalable": True},
            "Dynamic Scaling cannot be enabled for the VM since its template does not have dynamic scaling enabled",
        ),
        ({"ostypeid": 999}, "Please specify a valid guest OS ID."),
    ):
        assert refused(life, wrong, "updateVirtualMachine", id=vm_id, **given) == text
    assert refused(life, wrong, "updateVirtualMachine", id=vm_id, name="-x").startswith("Invalid name. Vm name can")
    for name, word in (("rootdisksize", "restricted"), ("rootDiskController", "read-only")):
        text = refused(life, wrong, "updateVirtualMachine", "user", id=vm_id, details={"0": {name: "1"}})
        assert text == f"You're not allowed to add or edit the {word} setting: {name}"


@pytest.mark.parametrize("state", list(VmState))
@pytest.mark.parametrize("event", list(VmEvent))
def test_state_table(state: VmState, event: VmEvent) -> None:
    """A transition is in the table, or is refused by name."""
    if (state, event) in TRANSITIONS:
        assert next_state(state, event) is TRANSITIONS[state, event]
    else:
        with pytest.raises(NoTransitionError, match=f"from {state} via {event}"):
            next_state(state, event)


def test_an_imported_vm_is_moved_to_a_host_that_fits(life: Any) -> None:
    """A running VM is moved, a stopped one only recorded; a text says why that cannot be."""
    services = life_services_of(life.services)
    vm = life.ids["vm"]
    life.run("startVirtualMachine", id=vm, hostid=life.ids["h1"])
    move_imported(services, vm)
    assert (life.vm.host_id, life.agents.names().count("MigrateCommand")) == (life.ids["h2"], 1)
    life.agents.script(wire.MigrateCommand, Answer(result=False, details="no"))
    failed = f"VM import failed for Unmanaged VM: {life.vm.instance_name} during VM migration"
    with pytest.raises(ServerApiError) as caught:
        move_imported(services, vm)
    assert (caught.value.text, caught.value.row) == (f"{failed} due to [no].", "5.5-4")
    life.run("stopVirtualMachine", id=vm)
    life.change(models.VmInstance, vm, host_id=life.ids["h2"], last_host_id=life.ids["h2"])
    life.agents.sent.clear()
    move_imported(services, vm)
    assert (life.vm.host_id, life.vm.last_host_id, life.agents.sent) == (life.ids["h1"], life.ids["h1"], [])
    life.change(models.Host, life.ids["h2"], status="Alert")
    with pytest.raises(ServerApiError) as caught:
        move_imported(services, vm)
    assert caught.value.text == f"{failed}, no deployment destination found"
