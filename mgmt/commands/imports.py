"""Imports: importVm, its tasks, and the VMs that a host has and CloudStack does not manage.

Upstream: api/.../command/admin/vm/{ImportVmCmd,ImportUnmanagedInstanceCmd,ListImportVMTasksCmd,
ListUnmanagedInstancesCmd}.java.
"""

from __future__ import annotations

from dataclasses import replace

from mgmt.commands.declaration import Bound, Call, EventSpec, Item, Listing, Result, command
from mgmt.commands.fields import Boolean, ListParams, MapParam, Out, Params, Response, Str, Uuid
from mgmt.commands.responses.user_vm import UserVmResponse
from mgmt.commands.unmanaged_view import UnmanagedInstanceResponse, unmanaged_instance_view
from mgmt.errors import CloudError, InvalidParameterValueError
from mgmt.imports.control import ImportControl, Phase
from mgmt.imports.controlled import log_id_of
from mgmt.imports.dryrun import DryRun
from mgmt.imports.owners import check_account
from mgmt.imports.pipeline import EVENT_TYPE, ImportPipeline
from mgmt.imports.ports import ImportServices
from mgmt.imports.request import ImportRequest
from mgmt.imports.running import extended_view
from mgmt.imports.tasks import list_tasks, task_views
from mgmt.imports.trace import Trace
from mgmt.imports.unmanaged import list_unmanaged
from mgmt.inventory.vm_rows import vm_result
from mgmt.jobs.waiting import Work, begun
from mgmt.quirks import TASK_ID_MISSING

JAVA_PACKAGE = "org.apache.cloudstack.api.command.admin.vm"


class ImportUnmanagedInstanceParams(Params):
    """What importVm inherits from importUnmanagedInstance."""

    name = Str("name of the VM on its hypervisor", required=True)
    displayname = Str("name to show for the imported VM; its name when absent")
    hostname = Str("host name of the guest; taken from the display name when absent")
    account = Str("account that will own the VM; goes with domainid")
    domainid = Uuid("domain of that account", entity="domain")
    projectid = Uuid("project that will own the VM", entity="project")
    clusterid = Uuid("cluster that the VM will belong to", entity="cluster", required=True)
    templateid = Uuid("template that the VM will name", entity="template")
    serviceofferingid = Uuid("compute offering of the VM", entity="serviceoffering", required=True)
    nicnetworklist = MapParam("network of each NIC: nic, network")
    nicipaddresslist = MapParam("IPv4 address of each NIC: nic, ip4Address (an address or `auto`)")
    datadiskofferinglist = MapParam("disk offering of each data disk: disk, diskOffering")
    details = MapParam("values of a custom offering and overrides of VDDK settings, all under index 0")
    migrateallowed = Boolean("whether VM and volumes may be migrated to fit their offerings")
    forced = Boolean("whether to import a NIC whose MAC address is in use, with a new one")
    dryrun = Boolean("whether only to tell what the import would do", extension=True)


class ImportVmParams(ImportUnmanagedInstanceParams):
    """Parameters of importVm; its own are bound before the inherited ones."""

    zoneid = Uuid("zone that the VM will be in", entity="zone", required=True)
    username = Str("user of the remote KVM host or of the vCenter")
    password = Str("that user's password")
    host = Str("name or address of the remote KVM host")
    hypervisor = Str("hypervisor of the source or of the destination, by import source", required=True)
    diskpath = Str("name of the disk image")
    importsource = Str("where the VM comes from: unmanaged, vmware, external, shared or local", required=True)
    networkid = Uuid("network of a VM that is made of a disk image", entity="network")
    hostid = Uuid("host that holds the disk image", entity="host")
    storageid = Uuid("primary pool that holds the disk image", entity="storagepool")
    temppath = Str("directory for temporary files on the remote host")
    existingvcenterid = Uuid("a VMware datacenter that is linked to a zone", entity="vmwaredc")
    hostip = Str("name or address of the ESXi host that has the VM")
    vcenter = Str("name or address of a vCenter that is not linked")
    datacentername = Str("datacenter in that vCenter")
    clustername = Str("VMware cluster that has the VM")
    convertinstancehostid = Uuid("KVM host that converts the VM", entity="host")
    importinstancehostid = Uuid("KVM host that takes the converted disks in", entity="host", since="4.19.2")
    convertinstancepoolid = Uuid("primary pool for the conversion", entity="storagepool")
    forcemstoimportvmfiles = Boolean("whether the management server exports the VM's files itself")
    extraparams = Str("further arguments for virt-v2v", since="4.22")
    forceconverttopool = Boolean("whether virt-v2v writes straight to the given pool", since="4.22")
    osid = Uuid("guest system of the imported VM", entity="ostype", since="4.22.1")
    usevddk = Boolean("whether the conversion host reads the disks with VDDK", since="4.22.1", default=True)


class GetImportTraceParams(Params):
    """Parameters of getImportTrace."""

    jobid = Str("UUID of the import's job", required=True)


class ImportDecisionResponse(Response):
    """A decision of an import."""

    table = Out("string", "the table of rules; `check` for a single rule")
    row = Out("string", "the row that fired, see docs/import-rules.md")
    passed_over = Out("list", "the rows above it, which did not hold")
    facts = Out("map", "what the rule saw")
    verdict = Out("string", "what it gave, or why it refused")


class ListImportVmTasksParams(ListParams):
    """Parameters of listImportVmTasks."""

    zoneid = Uuid("zone of the imports", entity="zone", required=True)
    accountid = Uuid("account that the imports are for", entity="account")
    vcenter = Str("vCenter that the VMs come from")
    convertinstancehostid = Uuid("host that converts the VMs", entity="host")
    tasksfilter = Str("which tasks to show: all, running, completed or failed")


class ListUnmanagedInstancesParams(ListParams):
    """Parameters of listUnmanagedInstances."""

    clusterid = Uuid("cluster whose hosts are asked", entity="cluster", required=True)
    name = Str("exact name of the one VM to show")


class ImportVmTaskResponse(Response):
    """The progress of an import."""

    catalogue = "ImportVMTaskResponse"

    id = Out("string", "UUID of the task; declared, but not filled by CloudStack")
    zoneid = Out("string", "UUID of the zone")
    zonename = Out("string", "name of the zone")
    account = Out("string", "account that the import is for")
    accountid = Out("string", "UUID of that account")
    virtualmachineid = Out("string", "UUID of the imported VM")
    displayname = Out("string", "display name of the imported VM")
    state = Out("string", "Running, Completed or Failed")
    vcenter = Out("string", "vCenter that the VM comes from")
    datacentername = Out("string", "datacenter that the VM comes from")
    sourcevmname = Out("string", "name of the VM in vCenter")
    step = Out("string", "step under way, with its place among all")
    stepduration = Out("string", "how long the step has taken so far")
    duration = Out("string", "how long the import took")
    description = Out("string", "what is being done, or why it failed")
    convertinstancehostid = Out("string", "UUID of the host that converts")
    convertinstancehostname = Out("string", "name of the host that converts")
    created = Out("date", "when the import began")
    lastupdated = Out("date", "when the task last changed")
    jobid = Out("string", "UUID of the job under way for it")
    jobstatus = Out("integer", "state of that job: 0 while it runs")


def import_services(call: Call) -> ImportServices:
    """What an import works with, of the server's services."""
    services = call.services
    return ImportServices(
        store=services.store,
        providers=services.providers,
        settings=services.settings,
        journal=services.journal,
        redactor=services.redactor,
        quirks=services.quirks,
        agents=services.agents,
        vcenters=services.vcenters,
        staging=services.staging,
        cleanups=services.cleanups,
        host_control=services.host_control,
        import_queue=services.import_queue,
        faults=services.faults,
    )


def _request(bound: Bound) -> ImportRequest:
    request = ImportRequest.from_bound(bound)
    # a release without the parameter has no VDDK either
    return request if bound["usevddk"] is not None else replace(request, usevddk=False)


def check_owner(call: Call, bound: Bound) -> None:
    """Refuse a wrong account on the call, before a job exists."""
    with call.services.store.session() as session:
        check_account(session, bound["account"], bound["domainid"], bound["projectid"])


@command(
    "importVm",
    params=ImportVmParams,
    response=UserVmResponse,
    description="Imports a VM from a vCenter or another source into a KVM cluster",
    object_name="virtualmachine",
    is_async=True,
    since="4.19.0",
    java_class=f"{JAVA_PACKAGE}.ImportVmCmd",
    event=EventSpec(
        type=EVENT_TYPE,
        scheduled=lambda bound: ImportRequest.from_bound(bound).event_description,
        gerund="importing VM",
        resource_type="VirtualMachine",
    ),
    precheck=check_owner,
)
def import_vm(call: Call, bound: Bound) -> Result | Work[Result]:
    """Run the import and show the new VM; a dry run shows an `importplan` instead."""
    return begun(_import(call, bound))


def begin_import(call: Call, request: ImportRequest, trace: Trace) -> ImportControl:
    """Let the import be seen, cancelled and explained by its job; returns what it is told by."""
    control = ImportControl(
        request.name,
        call.job_uuid or "",
        log_id=log_id_of(call.correlation_id),
        order=call.received_s,
        clock=call.services.providers.clock,
    )
    if call.job_uuid is not None:
        call.services.import_traces.keep(call.job_uuid, trace)
        call.services.imports.begin(control)
    return control


def looked(dry_run: DryRun, control: ImportControl) -> Item:
    """The plan of an import that is not run."""
    try:
        control.commit()
        return Item(dry_run.run(), object_name="importplan")
    finally:
        control.end(Phase.COMPLETED)


def _import(call: Call, bound: Bound) -> Work[Result]:
    services, request, trace = import_services(call), _request(bound), Trace()
    control = begin_import(call, request, trace)
    if bound["dryrun"]:
        return looked(DryRun(services, request, call.caller, trace), control)
    pipeline = ImportPipeline(services, request, call.caller, trace, control)
    with call.services.leaks.watching(call.job_uuid or "", request.name) as watched:
        try:
            vm_id = watched.vm_id = yield from pipeline.work()
        except CloudError as error:
            trace.ended(error)
            raise
        finally:
            trace.forget_secrets()
            watched.not_undone = pipeline.undo.not_undone
    with call.services.store.session() as session:
        return Item(vm_result(session, vm_id, call.caller))


@command(
    "listImportVmTasks",
    params=ListImportVmTasksParams,
    response=ImportVmTaskResponse,
    description="Lists the imports from vCenters in a zone with their progress",
    object_name="importvmtask",
    is_list=True,
    since="4.22",
    java_class=f"{JAVA_PACKAGE}.ListImportVMTasksCmd",
)
def list_import_vm_tasks(call: Call, bound: Bound) -> Listing:
    """Show a page of the zone's import tasks, newest first."""
    tasks, count = list_tasks(
        call.db,
        bound.paging,
        zone_id=bound["zoneid"],
        account_id=bound["accountid"],
        vcenter=bound["vcenter"],
        convert_host_id=bound["convertinstancehostid"],
        tasks_filter=bound["tasksfilter"],
    )
    is_extended = call.services.has_extensions
    show_id = is_extended or not call.services.quirks.is_faithful(TASK_ID_MISSING)
    views = task_views(call.db, tasks, call.services.providers.utcnow(), show_id=show_id)
    if is_extended:
        for view in views:
            view |= extended_view(call.services.imports.find(view["id"]), call.services.import_queue)
    return Listing(views, count)


@command(
    "listUnmanagedInstances",
    params=ListUnmanagedInstancesParams,
    response=UnmanagedInstanceResponse,
    description="Lists the VMs that run on a cluster's hosts and are not managed by CloudStack",
    object_name="unmanagedinstance",
    is_list=True,
    since="4.14.0",
    java_class=f"{JAVA_PACKAGE}.ListUnmanagedInstancesCmd",
)
def list_unmanaged_instances(call: Call, bound: Bound) -> Listing:
    """Ask the cluster's hosts; CloudStack does not page this list."""
    found = list_unmanaged(
        call.db, call.services.agents, bound["clusterid"], name=bound["name"], keyword=bound["keyword"]
    )
    views = [unmanaged_instance_view(item.instance, cluster=item.cluster, host=item.host) for item in found]
    return Listing(views, len(views))


@command(
    "getImportTrace",
    params=GetImportTraceParams,
    response=ImportDecisionResponse,
    description="Shows which rules decided an import, and what they saw",
    object_name="decision",
    extension=True,
)
def get_import_trace(call: Call, bound: Bound) -> Listing:
    """The decisions of an import that runs or ended since the server's start, in their order."""
    trace = call.services.import_traces.find(bound["jobid"])
    if trace is None:
        raise InvalidParameterValueError(f"No trace of an import with job ID: {bound['jobid']} is kept")
    decisions = [decision.as_fields() for decision in trace.decisions]
    return Listing(decisions, len(decisions))


COMMANDS = (import_vm, get_import_trace, list_import_vm_tasks, list_unmanaged_instances)
