"""The property collector: traversal, paging, paths, filters and waits."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from pyVmomi import vim, vmodl

from vcenter_sim.server import VcenterSim

Collector = vmodl.query.PropertyCollector

# What CloudStack lists VMs by (vmware-base, BaseMO and DatacenterMO; spec vcenter.md 2.4).
THIN_PATHS = [
    "name",
    "config.template",
    "runtime.powerState",
    "config.guestId",
    "config.guestFullName",
    "runtime.host",
    "config.bootOptions",
    "config.firmware",
]


def datacenter_of(client: Any) -> Any:
    return client.RetrieveContent().searchIndex.FindByInventoryPath("lab-dc")


def thin_spec(datacenter: Any, paths: list[str]) -> Any:
    """The traversal CloudStack sends: Datacenter.vmFolder, then Folder.childEntity recursively by name."""
    recursion = Collector.SelectionSpec(name="visitFolders")
    folders = Collector.TraversalSpec(
        name="visitFolders", type=vim.Folder, path="childEntity", skip=False, selectSet=[recursion]
    )
    start = Collector.TraversalSpec(name="dc2vm", type=vim.Datacenter, path="vmFolder", skip=False, selectSet=[folders])
    return Collector.FilterSpec(
        objectSet=[Collector.ObjectSpec(obj=datacenter, skip=True, selectSet=[start])],
        propSet=[Collector.PropertySpec(type=vim.VirtualMachine, pathSet=paths, all=False)],
    )


def rows(contents: Any) -> dict[str, dict[str, Any]]:
    named = ({prop.name: prop.val for prop in content.propSet} for content in contents)
    return {row["name"]: row for row in named}


def test_cloudstacks_thin_list_has_all_vms_and_paths(lab: VcenterSim, lab_client: Any) -> None:
    """One RetrieveProperties from the datacenter gives every VM of every folder with all 8 paths."""
    content = lab_client.RetrieveContent()
    found = rows(content.propertyCollector.RetrieveProperties([thin_spec(datacenter_of(lab_client), THIN_PATHS)]))
    assert sorted(found) == lab.inventory.vm_names
    assert len(found) >= 14
    assert {"web 01 + cache", "büro-süd-ä1", "web01", "db01", "app01"} <= found.keys()
    for row in found.values():
        assert row.keys() == set(THIN_PATHS)
    assert found["secure-uefi"]["config.firmware"] == "efi"
    assert found["secure-uefi"]["config.bootOptions"].efiSecureBootEnabled is True
    assert found["web01"]["config.bootOptions"].efiSecureBootEnabled is False
    assert found["golden-ubuntu"]["config.template"] is True
    assert {row["runtime.powerState"] for row in found.values()} == {"poweredOn", "poweredOff", "suspended"}


def test_the_datacenter_is_found_by_the_big_recursive_traversal(lab_client: Any) -> None:
    """Folders, datacenters, compute resources, pools and vApps may all stand in one traversal."""
    names = ["folder", "dcVm", "dcHost", "crPool", "crHost", "pool", "poolVm", "vapp"]
    every = [Collector.SelectionSpec(name=name) for name in names]
    rules = [
        ("folder", vim.Folder, "childEntity"),
        ("dcVm", vim.Datacenter, "vmFolder"),
        ("dcHost", vim.Datacenter, "hostFolder"),
        ("crPool", vim.ComputeResource, "resourcePool"),
        ("crHost", vim.ComputeResource, "host"),
        ("pool", vim.ResourcePool, "resourcePool"),
        ("poolVm", vim.ResourcePool, "vm"),
        ("vapp", vim.VirtualApp, "vm"),
    ]
    select = [
        Collector.TraversalSpec(name=name, type=type_, path=path, skip=False, selectSet=every)
        for name, type_, path in rules
    ]
    content = lab_client.RetrieveContent()
    spec = Collector.FilterSpec(
        objectSet=[Collector.ObjectSpec(obj=content.rootFolder, skip=False, selectSet=select)],
        propSet=[
            Collector.PropertySpec(type=vim.Datacenter, pathSet=["name"]),
            Collector.PropertySpec(type=vim.HostSystem, pathSet=["name", "parent"]),
        ],
    )
    found = rows(content.propertyCollector.RetrieveProperties([spec]))
    assert sorted(found) == ["esx1.lab.example", "esx2.lab.example", "esx3.lab.example", "lab-dc"]
    assert isinstance(found["esx1.lab.example"]["parent"], vim.ClusterComputeResource)
    assert type(found["esx3.lab.example"]["parent"]) is vim.ComputeResource


def test_a_traversal_in_circles_ends(lab_client: Any) -> None:
    """Down by childEntity and up by parent: every object is visited once and given once."""
    both = [Collector.SelectionSpec(name="down"), Collector.SelectionSpec(name="up")]
    select = [
        Collector.TraversalSpec(name="down", type=vim.Folder, path="childEntity", skip=False, selectSet=both),
        Collector.TraversalSpec(name="up", type=vim.ManagedEntity, path="parent", skip=False, selectSet=both),
    ]
    start = lab_client.RetrieveContent().searchIndex.FindByInventoryPath("lab-dc/vm/Prod")
    spec = Collector.FilterSpec(
        objectSet=[Collector.ObjectSpec(obj=start, skip=False, selectSet=select)],
        propSet=[Collector.PropertySpec(type=vim.Folder, pathSet=["name"])],
    )
    found = lab_client.RetrieveContent().propertyCollector.RetrieveProperties([spec])
    assert sorted(item.propSet[0].val for item in found) == ["Archive", "Datacenters", "Prod", "Web", "vm"]


def test_pages_follow_by_token_and_are_complete(lab: VcenterSim, lab_client: Any) -> None:
    """maxObjects cuts the answer into pages; the last one has no token."""
    collector = lab_client.RetrieveContent().propertyCollector
    spec = thin_spec(datacenter_of(lab_client), ["name"])
    page = collector.RetrievePropertiesEx([spec], Collector.RetrieveOptions(maxObjects=5))
    sizes, names = [len(page.objects)], [item.propSet[0].val for item in page.objects]
    while page.token:
        page = collector.ContinueRetrievePropertiesEx(page.token)
        sizes.append(len(page.objects))
        names += [item.propSet[0].val for item in page.objects]
    assert sizes == [5, 5, 5, len(lab.inventory.vms) - 15]
    assert sorted(names) == lab.inventory.vm_names


def test_without_a_maximum_there_is_one_page(lab: VcenterSim, lab_client: Any) -> None:
    """RetrievePropertiesEx without maxObjects answers everything and no token."""
    collector = lab_client.RetrieveContent().propertyCollector
    page = collector.RetrievePropertiesEx([thin_spec(datacenter_of(lab_client), ["name"])], Collector.RetrieveOptions())
    assert page.token is None
    assert len(page.objects) == len(lab.inventory.vms)


def test_a_token_works_once_and_can_be_cancelled(lab_client: Any) -> None:
    """A used, cancelled or invented token is an invalid argument, and so is a maximum of 0."""
    collector = lab_client.RetrieveContent().propertyCollector
    spec = thin_spec(datacenter_of(lab_client), ["name"])
    page = collector.RetrievePropertiesEx([spec], Collector.RetrieveOptions(maxObjects=2))
    collector.CancelRetrievePropertiesEx(page.token)
    for token in (page.token, "4711"):
        with pytest.raises(vmodl.fault.InvalidArgument) as caught:
            collector.ContinueRetrievePropertiesEx(token)
        assert caught.value.msg == "A specified parameter was not correct: token"
    with pytest.raises(vmodl.fault.InvalidArgument):
        collector.RetrievePropertiesEx([spec], Collector.RetrieveOptions(maxObjects=0))


def test_nothing_selected_is_no_result(lab_client: Any) -> None:
    """RetrievePropertiesEx answers nothing when no object is selected."""
    spec = thin_spec(datacenter_of(lab_client), ["name"])
    spec.propSet[0].type = vim.Datastore
    collector = lab_client.RetrieveContent().propertyCollector
    assert collector.RetrievePropertiesEx([spec], Collector.RetrieveOptions()) is None
    assert list(collector.RetrieveProperties([spec])) == []


def test_the_full_record_can_be_read(lab: VcenterSim, lab_client: Any, vm_named: Any, read: Any) -> None:
    """All that CloudStack reads for one VM is there and typed."""
    vm = vm_named(lab_client, "app01")
    values = read(
        lab_client, vm, "name", "parent", "config.hardware.device", "config.hardware.numCoresPerSocket", "summary",
        "guest", "runtime", "resourcePool", "datastore", "network", "customValue", "value", "capability",
    )  # fmt: skip
    devices = values["config.hardware.device"]
    disks = [device for device in devices if isinstance(device, vim.vm.device.VirtualDisk)]
    assert [disk.deviceInfo.label for disk in disks] == ["Hard disk 1", "Hard disk 2"]
    assert [disk.capacityInBytes for disk in disks] == [40 * 1024**3, 16 * 1024**3]
    assert [disk.backing.fileName for disk in disks] == ["[vmfs-01] app01/app01.vmdk", "[nas-01] app01/app01_1.vmdk"]
    assert all(disk.diskObjectId.endswith(f"-{disk.key}") for disk in disks)
    controllers = {device.key: device for device in devices}
    assert isinstance(controllers[disks[0].controllerKey], vim.vm.device.ParaVirtualSCSIController)
    assert values["summary"].config.numCpu == 2
    assert values["summary"].config.cpuReservation == 1000
    assert values["summary"].runtime.maxCpuUsage == 2 * 2600
    assert values["guest"].toolsStatus == "toolsOk"
    nic = next(device for device in devices if isinstance(device, vim.vm.device.VirtualEthernetCard))
    assert values["guest"].net[0].macAddress == nic.macAddress
    assert "198.51.100.21" in values["guest"].net[0].ipAddress
    assert values["guest"].ipAddress == "198.51.100.21"
    assert len(values["datastore"]) == 2
    assert values["capability"].changeTrackingSupported is True


def test_datastores_tell_where_they_are(lab_client: Any, read: Any) -> None:
    """A NAS datastore's info names the remote host and path; a VMFS one's does not."""
    search = lab_client.RetrieveContent().searchIndex
    nas = read(lab_client, search.FindByInventoryPath("lab-dc/datastore/nas-01"), "info", "summary")
    assert (nas["info"].nas.remoteHost, nas["info"].nas.remotePath) == ("192.0.2.40", "/export/vms")
    assert nas["summary"].type == "NFS"
    vmfs = read(lab_client, search.FindByInventoryPath("lab-dc/datastore/vmfs-01"), "info", "vm", "host")
    assert isinstance(vmfs["info"], vim.host.VmfsDatastoreInfo)
    assert len(vmfs["host"]) == 3
    assert vmfs["vm"]


def test_hosts_tell_portgroups_product_and_vms(lab_client: Any, read: Any) -> None:
    """A host's config names its portgroups with VLAN and its product; `vm` lists what runs there."""
    host = lab_client.RetrieveContent().searchIndex.FindByDnsName(None, "esx3.lab.example", False)
    values = read(lab_client, host, "config.network", "config.product", "vm", "parent", "datastore", "network")
    assert {group.spec.name: group.spec.vlanId for group in values["config.network"].portgroup} == {
        "VM Network": 0,
        "Backend": 210,
    }
    assert values["config.product"].version == "8.0.2"
    assert len(values["vm"]) == 2


def test_cluster_and_pool_know_their_parts(lab_client: Any, read: Any) -> None:
    """A cluster sums up its hosts; a named pool has its own VMs."""
    search = lab_client.RetrieveContent().searchIndex
    cluster = search.FindByInventoryPath("lab-dc/host/esx-cluster")
    values = read(lab_client, cluster, "summary", "host", "resourcePool", "datastore", "network", "configurationEx")
    assert values["summary"].numHosts == 2
    assert values["summary"].totalCpu == 2 * 32 * 2600
    pool = search.FindByInventoryPath("lab-dc/host/esx-cluster/Resources/Production")
    assert len(read(lab_client, pool, "vm")["vm"]) == 1


def test_index_paths_select_by_key(lab_client: Any, vm_named: Any, read: Any) -> None:
    """value[<key>] and device[<key>] select one item; a key that is not there is left out."""
    vm = vm_named(lab_client, "managed-elsewhere")
    key = next(field.key for field in lab_client.content.customFieldsManager.field)
    values = read(
        lab_client, vm, f"value[{key}]", "value[0]", "config.hardware.device[2000]",
        "config.hardware.device[2000].backing.fileName", "config.hardware.device[9999].backing.fileName",
        'config.hardware.device["4000"].macAddress', "network[no-such].name",
    )  # fmt: skip
    assert values[f"value[{key}]"].value == "i-2-17-VM"
    assert values["config.hardware.device[2000]"].deviceInfo.label == "Hard disk 1"
    assert values["config.hardware.device[2000].backing.fileName"].endswith("managed-elsewhere.vmdk")
    assert values['config.hardware.device["4000"].macAddress'].startswith("00:50:56:")
    assert "value[0]" not in values
    assert len(values) == 4


@pytest.mark.parametrize(
    "path",
    [
        "nosuch", "config.nosuch", "config.hardware.device.key", "name.upper", "config..name", "", "snapshot.nosuch",
        "config.__class__", "name[0]", "config.hardware.device[2000].nosuch", "_stub", "config.hardware.device[2000",
    ],
)  # fmt: skip
def test_undeclared_paths_are_invalid_properties(lab_client: Any, vm_named: Any, read: Any, path: str) -> None:
    """A path that the type does not declare raises InvalidProperty naming it, never an attribute access."""
    vm = vm_named(lab_client, "web01")
    with pytest.raises(vmodl.query.InvalidProperty) as caught:
        read(lab_client, vm, path)
    assert caught.value.name == path


def test_unset_properties_are_left_out(lab_client: Any, vm_named: Any, read: Any) -> None:
    """A declared property without value is absent from the answer."""
    vm = vm_named(lab_client, "web01")
    assert set(
        read(lab_client, vm, "snapshot", "parentVApp", "guest.hostName", "name", "snapshot.currentSnapshot")
    ) == {"name"}


def test_all_properties_can_be_asked_for(lab_client: Any, vm_named: Any) -> None:
    """`all` stands for every declared property."""
    vm = vm_named(lab_client, "db01")
    spec = Collector.FilterSpec(
        objectSet=[Collector.ObjectSpec(obj=vm)], propSet=[Collector.PropertySpec(type=vim.ManagedEntity, all=True)]
    )
    found = lab_client.content.propertyCollector.RetrieveProperties([spec])
    assert {"name", "config", "runtime", "summary", "guest"} <= {prop.name for prop in found[0].propSet}


def test_attribute_access_works(lab_client: Any, vm_named: Any) -> None:
    """pyvmomi's `vm.name` sends the undocumented Fetch: it is answered, for lists and references too."""
    vm = vm_named(lab_client, "store-4disk")
    assert vm.name == "store-4disk"
    assert len(vm.network) == 3
    assert vm.runtime.host.parent.name == "esx-cluster"
    assert vm.config.hardware.numCPU == 4
    assert vm.snapshot is None
    with pytest.raises(vmodl.query.InvalidProperty):
        vm._stub.InvokeAccessor(vm, type("P", (), {"name": "nosuch", "type": str, "version": "vim.version.version1",
                                                   "flags": 0}))  # fmt: skip


def test_a_missing_start_object_is_not_found(lab_client: Any, read: Any) -> None:
    """A reference that names nothing raises ManagedObjectNotFound with vCenter's text, unless the spec tolerates it."""
    ghost = vim.VirtualMachine("vm-99999", lab_client._stub)
    with pytest.raises(vmodl.fault.ManagedObjectNotFound) as caught:
        read(lab_client, ghost, "name")
    assert caught.value.obj == ghost
    assert (
        caught.value.msg
        == "The object 'vim.VirtualMachine:vm-99999' has already been deleted or has not been completely created"
    )
    spec = Collector.FilterSpec(
        objectSet=[Collector.ObjectSpec(obj=ghost)],
        propSet=[Collector.PropertySpec(type=vim.VirtualMachine, pathSet=["name"])],
        reportMissingObjectsInResults=True,
    )
    assert list(lab_client.content.propertyCollector.RetrieveProperties([spec])) == []


def test_a_reference_of_the_wrong_type_is_not_found(lab_client: Any) -> None:
    """The moid of a folder does not name a VM."""
    with pytest.raises(vmodl.fault.ManagedObjectNotFound):
        _ = vim.VirtualMachine("group-d1", lab_client._stub).name


def test_an_unknown_selection_name_is_an_invalid_argument(lab_client: Any) -> None:
    """A SelectionSpec must name a traversal of the same spec."""
    spec = thin_spec(datacenter_of(lab_client), ["name"])
    spec.objectSet[0].selectSet[0].selectSet = [Collector.SelectionSpec(name="nowhere")]
    with pytest.raises(vmodl.fault.InvalidArgument):
        lab_client.content.propertyCollector.RetrieveProperties([spec])


def state_filter(collector: Any, task: Any) -> Any:
    """What CloudStack waits for a task with: info.state and info.error."""
    spec = Collector.FilterSpec(
        objectSet=[Collector.ObjectSpec(obj=task)],
        propSet=[Collector.PropertySpec(type=vim.Task, pathSet=["info.state", "info.error"])],
    )
    return collector.CreateFilter(spec, True)


@pytest.mark.parametrize("older", [False, True])
def test_a_task_can_be_awaited_by_filter(vcenter: VcenterSim, client: Any, vm_named: Any, older: bool) -> None:
    """CreateFilter and WaitForUpdates(Ex) see the task's states up to its end."""
    collector = client.RetrieveContent().propertyCollector
    filter_ = state_filter(collector, vm_named(client, "web01").PowerOnVM_Task())
    version, states = "", []
    while not states or states[-1] not in ("success", "error"):
        if older:
            update = collector.WaitForUpdates(version)
        else:
            update = collector.WaitForUpdatesEx(version, Collector.WaitOptions(maxWaitSeconds=5))
        version = update.version
        assert not update.truncated
        for change in update.filterSet[0].objectSet[0].changeSet:
            if change.name == "info.state":
                states.append(change.val)
    filter_.DestroyPropertyFilter()
    assert states[-1] == "success"
    assert list(client.content.propertyCollector.filter) == []


def test_updates_enter_modify_and_leave(vcenter: VcenterSim, client: Any, vm_named: Any, finish: Any) -> None:
    """A filter tells everything first, then only changed paths, then that an object went."""
    collector = client.RetrieveContent().propertyCollector.CreatePropertyCollector()
    vm = vm_named(client, "web01")
    spec = Collector.FilterSpec(
        objectSet=[Collector.ObjectSpec(obj=vm)],
        propSet=[
            Collector.PropertySpec(type=vim.VirtualMachine, pathSet=["name", "runtime.powerState", "guest.ipAddress"])
        ],
    )
    collector.CreateFilter(spec, False)
    first = collector.CheckForUpdates("")
    entered = first.filterSet[0].objectSet[0]
    assert entered.kind == "enter"
    assert {change.name for change in entered.changeSet} == {"name", "runtime.powerState"}
    assert collector.CheckForUpdates(first.version) is None
    finish(vm.PowerOnVM_Task())
    second = collector.CheckForUpdates(first.version)
    modified = second.filterSet[0].objectSet[0]
    assert (modified.kind, [(change.name, change.val) for change in modified.changeSet]) == (
        "modify",
        [("runtime.powerState", "poweredOn")],
    )
    with pytest.raises(vmodl.query.InvalidCollectorVersion):
        collector.CheckForUpdates(first.version)
    finish(vm.PowerOffVM_Task())
    finish(vm.Destroy_Task())
    assert collector.CheckForUpdates(second.version).filterSet[0].objectSet[0].kind == "leave"
    collector.DestroyPropertyCollector()
    with pytest.raises(vmodl.fault.ManagedObjectNotFound):
        collector.CheckForUpdates("")


def test_a_value_that_goes_is_told_without_value(vcenter: VcenterSim, client: Any, vm_named: Any, finish: Any) -> None:
    """A path that becomes unset is assigned nothing."""
    collector = client.RetrieveContent().propertyCollector
    vm = vm_named(client, "web02")
    spec = Collector.FilterSpec(
        objectSet=[Collector.ObjectSpec(obj=vm)],
        propSet=[Collector.PropertySpec(type=vim.VirtualMachine, pathSet=["guest.ipAddress"])],
    )
    collector.CreateFilter(spec, False)
    version = collector.CheckForUpdates("").version
    finish(vm.PowerOffVM_Task())
    change = collector.CheckForUpdates(version).filterSet[0].objectSet[0].changeSet[0]
    assert (change.name, change.op, change.val) == ("guest.ipAddress", "assign", None)


def test_waiting_ends_after_the_time_asked_for(lab_client: Any, vm_named: Any) -> None:
    """WaitForUpdatesEx answers nothing after maxWaitSeconds, at once for 0, and refuses a negative time."""
    collector = lab_client.RetrieveContent().propertyCollector.CreatePropertyCollector()
    spec = Collector.FilterSpec(
        objectSet=[Collector.ObjectSpec(obj=vm_named(lab_client, "web01"))],
        propSet=[Collector.PropertySpec(type=vim.VirtualMachine, pathSet=["name"])],
    )
    collector.CreateFilter(spec, False)
    version = collector.WaitForUpdatesEx("", None).version
    assert collector.WaitForUpdatesEx(version, Collector.WaitOptions(maxWaitSeconds=0)) is None
    started = time.monotonic()
    assert collector.WaitForUpdatesEx(version, Collector.WaitOptions(maxWaitSeconds=1)) is None
    assert time.monotonic() - started > 0.9
    with pytest.raises(vmodl.fault.InvalidArgument):
        collector.WaitForUpdatesEx(version, Collector.WaitOptions(maxWaitSeconds=-1))
    collector.DestroyPropertyCollector()


@pytest.mark.parametrize(
    ("ending", "fault"),
    [
        ("cancel", vmodl.fault.RequestCanceled),
        ("sessions", vim.fault.NotAuthenticated),
        ("stop", vmodl.fault.RequestCanceled),
    ],
)
def test_a_wait_without_limit_can_be_ended(
    vcenter: VcenterSim, client: Any, vm_named: Any, finish: Any, ending: str, fault: type[Exception]
) -> None:
    """CancelWaitForUpdates, the end of the session and the server's stop each end a wait."""
    collector = client.RetrieveContent().propertyCollector
    task = vm_named(client, "web01").PowerOnVM_Task()
    filter_ = state_filter(collector, task)
    finish(task)
    version = ""
    while (update := collector.WaitForUpdatesEx(version, Collector.WaitOptions(maxWaitSeconds=0))) is not None:
        version = update.version
    caught: list[BaseException] = []

    def wait() -> None:
        try:
            collector.WaitForUpdates(version)
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    feed = next(feed for session in vcenter._sessions.logged_in() for feed in session.feeds.values() if feed.filters)
    deadline = time.monotonic() + 60
    while not feed.waiting and time.monotonic() < deadline:
        thread.join(0.01)
    assert feed.waiting
    if ending == "cancel":
        collector.CancelWaitForUpdates()
    elif ending == "sessions":
        vcenter.end_sessions()
    else:
        vcenter.stop()
    thread.join(60)
    assert not thread.is_alive()
    if ending != "stop":
        assert isinstance(caught[0], fault)
    else:
        assert caught  # the fault, or a closed connection when that was quicker
    del filter_


def test_only_own_collectors_can_be_destroyed(lab_client: Any) -> None:
    """The well-known collector stays, and cancelling where nothing waits does nothing."""
    collector = lab_client.RetrieveContent().propertyCollector
    collector.CancelWaitForUpdates()
    with pytest.raises(vmodl.fault.InvalidArgument):
        collector.DestroyPropertyCollector()


def test_a_filter_with_a_bad_path_is_refused(lab_client: Any, vm_named: Any) -> None:
    """CreateFilter raises what a read of the spec would raise."""
    spec = Collector.FilterSpec(
        objectSet=[Collector.ObjectSpec(obj=vm_named(lab_client, "web01"))],
        propSet=[Collector.PropertySpec(type=vim.VirtualMachine, pathSet=["nosuch"])],
    )
    with pytest.raises(vmodl.query.InvalidProperty):
        lab_client.content.propertyCollector.CreateFilter(spec, True)


def test_current_session_can_be_read_by_the_collector(lab: VcenterSim, lab_client: Any, read: Any) -> None:
    """currentSession is each caller's own, also through the property collector."""
    manager = lab_client.RetrieveContent().sessionManager
    assert read(lab_client, manager, "currentSession", "defaultLocale")["currentSession"].userName == lab.username
