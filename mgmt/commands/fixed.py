"""What a release of CloudStack has built in, as far as it is in this world, and the limit of calls."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from mgmt.commands.catalogued import done, listed
from mgmt.commands.declaration import Bound, Call, Item, Listing, Success
from mgmt.errors import PARAM_ERROR, UNSUPPORTED_ACTION_ERROR, ServerApiError
from mgmt.inventory.api_limits import ApiLimits
from mgmt.inventory.groups import AFFINITY_TYPES
from mgmt.inventory.listing import in_window
from mgmt.inventory.network_services import ISOLATED_SERVICES
from mgmt.inventory.tags import resource_type
from mgmt.store.models import StoragePool
from mgmt.store.setting_definitions import all_definitions

PLANNERS = ("FirstFitPlanner", "UserDispersingPlanner", "UserConcentratedPodPlanner", "ImplicitDedicationPlanner")
STORAGE_PROVIDERS = {"primary": ("DefaultPrimary",), "image": ("NFS",), "imagecache": ("NFS",), "object": ()}
TWO_FACTOR_PROVIDERS = {
    "totp": "TOTP user two factor authentication provider Plugin",
    "staticpin": "Static Pin user two factor authentication provider Plugin",
}
KVM_CAPABILITIES_ID = 6  # in hypervisor_capabilities of a fresh database; no recording shows it
# Numbers, names and texts of api/.../usage/UsageTypes.java; a real server told 25, and of those the first two.
USAGE_TYPES = (
    (1, "RUNNING_VM", "Running Vm Usage"),
    (2, "ALLOCATED_VM", "Allocated Vm Usage"),
    (3, "IP_ADDRESS", "IP Address Usage"),
    (4, "NETWORK_BYTES_SENT", "Network Usage (Bytes Sent)"),
    (5, "NETWORK_BYTES_RECEIVED", "Network Usage (Bytes Received)"),
    (6, "VOLUME", "Volume Usage"),
    (7, "TEMPLATE", "Template Usage"),
    (8, "ISO", "ISO Usage"),
    (9, "SNAPSHOT", "Snapshot Usage"),
    (10, "SECURITY_GROUP", "Security Group Usage"),
    (11, "LOAD_BALANCER_POLICY", "Load Balancer Usage"),
    (12, "PORT_FORWARDING_RULE", "Port Forwarding Usage"),
    (13, "NETWORK_OFFERING", "Network Offering Usage"),
    (14, "VPN_USERS", "VPN users usage"),
    (21, "VM_DISK_IO_READ", "VM Disk usage(I/O Read)"),
    (22, "VM_DISK_IO_WRITE", "VM Disk usage(I/O Write)"),
    (23, "VM_DISK_BYTES_READ", "VM Disk usage(Bytes Read)"),
    (24, "VM_DISK_BYTES_WRITE", "VM Disk usage(Bytes Write)"),
    (25, "VM_SNAPSHOT", "VM Snapshot storage usage"),
    (26, "VOLUME_SECONDARY", "Volume on secondary storage usage"),
    (27, "VM_SNAPSHOT_ON_PRIMARY", "VM Snapshot on primary storage usage"),
    (28, "BACKUP", "Backup storage usage"),
    (29, "BUCKET", "Bucket storage usage"),
    (30, "NETWORK", "Network usage"),
    (31, "VPC", "VPC usage"),
)
VM_DETAIL_OPTIONS = {
    "keyboard": ["uk", "us", "jp", "fr"],
    "cpu.corespersocket": [],
    "UEFI": ["LEGACY", "SECURE"],
    "rootdisksize": [],
    "rootDiskController": ["osdefault", "ide", "scsi", "virtio", "virtio-blk"],
    "dataDiskController": ["osdefault", "ide", "scsi", "virtio", "virtio-blk"],
    "nicAdapter": ["e1000", "virtio", "rtl8139", "vmxnet3", "ne2k_pci"],
    "video.hardware": [],
    "video.ram": [],
    "io.policy": ["threads", "native", "io_uring", "storage_specific"],
    "iothreads": ["enabled"],
}


def _named(names: Sequence[str], field: str, bound: Bound) -> Listing:
    """A page of names, as a list command without filters pages them."""
    wanted = [name for name in names if (bound["keyword"] or "").lower() in name.lower()]
    return Listing([{field: name} for name in in_window(wanted, bound.paging)], len(wanted))


@listed("listAffinityGroupTypes", "affinityGroupType")
def list_affinity_group_types(call: Call, bound: Bound) -> Listing:
    return _named(AFFINITY_TYPES, "type", bound)


@listed("listUsageTypes", "usagetype", is_list=False)
def list_usage_types(call: Call, bound: Bound) -> Listing:
    found = [{"id": number, "name": name, "description": text} for number, name, text in USAGE_TYPES]
    return Listing(found, len(found))


@listed("listStorageTags", "storagetag")
def list_storage_tags(call: Call, bound: Bound) -> Listing:
    """The tags of the pools, one for each pool that has it; the pool's number is no UUID in CloudStack either."""
    tagged = select(StoragePool.id, StoragePool.tags).where(StoragePool.removed.is_(None)).order_by(StoragePool.id)
    word = (bound["keyword"] or "").lower()
    found = [
        {"poolid": pool_id, "name": tag}
        for pool_id, text in call.db.execute(tagged)
        for tag in (text or "").split(",")
        if tag and word in tag.lower()
    ]
    return Listing(in_window(found, bound.paging), len(found))


@listed("listDeploymentPlanners", "deploymentPlanner")
def list_deployment_planners(call: Call, bound: Bound) -> Listing:
    return _named(PLANNERS, "name", bound)


@listed("listStorageProviders", "dataStoreProvider")
def list_storage_providers(call: Call, bound: Bound) -> Listing:
    """The providers of one kind of storage."""
    kind = bound["type"].lower()
    if kind not in STORAGE_PROVIDERS:
        raise ServerApiError(PARAM_ERROR, f"Data store provider type: {bound['type']} is not supported")
    names = STORAGE_PROVIDERS[kind]
    return Listing([{"name": name, "type": kind.upper()} for name in names], len(names))


@listed("listUserTwoFactorAuthenticatorProviders", "providers", is_list=False, since="4.18.0")
def list_two_factor_providers(call: Call, bound: Bound) -> Listing:
    found = [
        {"name": name, "description": text}
        for name, text in TWO_FACTOR_PROVIDERS.items()
        if bound["name"] in (None, "", name)
    ]
    return Listing(found, len(found))


@listed("listSupportedNetworkServices", "networkservice", since="3.0.0")
def list_supported_network_services(call: Call, bound: Bound) -> Listing:
    """The services of isolated networks, which a virtual router has."""
    found = [
        {
            "name": service["name"],
            "provider": [{"name": "VirtualRouter", "canenableindividualservice": True}],
            "capability": [
                {"name": each["name"], "canchooseservicecapability": each["canchooseservicecapability"]}
                for each in service["capability"]
            ],
        }
        for service in ISOLATED_SERVICES
        if (bound["service"] or service["name"]).lower() == service["name"].lower()
        and (bound["provider"] or "VirtualRouter").lower() == "virtualrouter"
    ]
    return Listing(found, len(found))


@listed("listHypervisorCapabilities", "hypervisorCapabilities", since="3.0.0")
def list_hypervisor_capabilities(call: Call, bound: Bound) -> Listing:
    """What KVM hosts can, the one kind of hypervisor here."""
    if (bound["hypervisor"] or "KVM").lower() != "kvm" or bound["id"] not in (None, KVM_CAPABILITIES_ID):
        return Listing([], 0)
    capabilities = {
        "id": str(KVM_CAPABILITIES_ID),
        "hypervisorversion": "default",
        "hypervisor": "KVM",
        "maxguestslimit": 50,
        "securitygroupenabled": True,
        "maxdatavolumeslimit": 64,
        "storagemotionenabled": True,
        "vmsnapshotenabled": False,
    }
    return Listing(in_window([capabilities], bound.paging), 1)


@listed("listConfigurationGroups", "configurationgroup", since="4.18.0")
def list_configuration_groups(call: Call, bound: Bound) -> Listing:
    """The groups of the settings, each with its subgroups."""
    groups: dict[str, list[str]] = {}
    for definition in all_definitions().values():
        subgroups = groups.setdefault(definition.group, [])
        if definition.subgroup not in subgroups:
            subgroups.append(definition.subgroup)
    found = [
        {
            "name": name,
            "subgroup": [
                {"name": each, "precedence": place} for place, each in enumerate(sorted(groups[name]), start=1)
            ],
            "description": f"{name} configuration",
            "precedence": place,
        }
        for place, name in enumerate(sorted(groups), start=1)
        if (bound["group"] or name).lower() == name.lower()
    ]
    start, limit = bound.paging.offset, bound.paging.limit
    return Listing(found[start : None if limit is None else start + limit], len(found))


@done("listDetailOptions", "detailoptions", since="4.13")
def list_detail_options(call: Call, bound: Bound) -> Item:
    """The details that instances and templates may have, with the values to choose from."""
    known = resource_type(bound["resourcetype"])
    return Item({"details": VM_DETAIL_OPTIONS if known in ("UserVm", "Template") else {}})


@done("getApiLimit", "apilimit")
def get_api_limit(call: Call, bound: Bound) -> Item:
    """The calls that are left to the caller's account."""
    limits = _api_limits(call)
    calls = limits.of_account(call.caller.account_id)
    return Item(
        {
            "accountid": call.caller.account_uuid,
            "account": call.caller.account_name,
            "apiIssued": calls.issued,
            "apiAllowed": calls.allowed,
            "expireAfter": calls.expires_ms,
        }
    )


@done("resetApiLimit")
def reset_api_limit(call: Call, bound: Bound) -> Success:
    """Give one account, or all of them, their calls anew."""
    _api_limits(call).reset(bound["account"])
    return Success()


def _api_limits(call: Call) -> ApiLimits:
    if not call.services.api_limits.is_enabled:
        raise ServerApiError(UNSUPPORTED_ACTION_ERROR, "This api is only available when api.throttling.enabled = true.")
    return call.services.api_limits


COMMANDS = (
    get_api_limit,
    reset_api_limit,
    list_affinity_group_types,
    list_usage_types,
    list_storage_tags,
    list_deployment_planners,
    list_storage_providers,
    list_two_factor_providers,
    list_supported_network_services,
    list_hypervisor_capabilities,
    list_configuration_groups,
    list_detail_options,
)
