"""What the server can do for the caller.

Upstream: server/.../server/ManagementServerImpl.java, listCapabilities.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from mgmt.commands.declaration import ALL_ROLES, Bound, Call, Item, command
from mgmt.commands.fields import Params
from mgmt.commands.responses.capabilities import CapabilitiesResponse
from mgmt.store.models import Zone

# Defaults of settings that belong to features which this world does not have: projects by invitation, statistics,
# shared file systems, extensions, Kubernetes.
_ABSENT_FEATURES: dict[str, Any] = {
    "instancesstatsretentiontime": 720,
    "instancesstatsuseronly": False,
    "instancesdisksstatsretentionenabled": False,
    "instancesdisksstatsretentiontime": 720,
    "sharedfsvmmincpucount": 2,
    "sharedfsvmminramsize": 1024,
}
EXTENSIONS_PATH = "/usr/share/cloudstack-management/extensions"


class ListCapabilitiesParams(Params):
    """listCapabilities takes no parameters."""


@command(
    "listCapabilities",
    params=ListCapabilitiesParams,
    response=CapabilitiesResponse,
    description="Shows what the server can do for the caller.",
    object_name="capability",
    roles=ALL_ROLES,
    java_class="org.apache.cloudstack.api.command.user.config.ListCapabilitiesCmd",
)
def list_capabilities(call: Call, bound: Bound) -> Item:
    settings = call.services.settings
    caller = call.caller
    is_admin = caller.account_type in (1, 2, 3)

    def allowed(name: str) -> bool:
        return settings.get_bool(name, scope="Account", scope_id=caller.account_id)

    has_security_groups = call.db.scalar(
        select(Zone.id).where(Zone.security_groups_enabled.is_(True), Zone.removed.is_(None)).limit(1)
    )
    is_version_shown = settings.get_bool("expose.cloudstack.version.api.list.capabilities")
    fields: dict[str, Any] = {
        "securitygroupsenabled": has_security_groups is not None,
        "dynamicrolesenabled": settings.get_bool("dynamic.apichecker.enabled"),
        "cloudstackversion": call.services.cloudstack_version if is_version_shown else None,
        "userpublictemplateenabled": is_admin or allowed("allow.public.user.templates"),
        "supportELB": "false",
        "projectinviterequired": False,
        "allowusercreateprojects": settings.get_bool("allow.user.create.projects"),
        "customdiskofferingminsize": settings.get_int("custom.diskoffering.size.min"),
        "customdiskofferingmaxsize": settings.get_int("custom.diskoffering.size.max"),
        "regionsecondaryenabled": False,
        "kvmsnapshotenabled": True,
        "allowuserviewdestroyedvm": is_admin or allowed("allow.user.view.destroyed.vm"),
        "allowuserexpungerecovervm": is_admin or allowed("allow.user.expunge.recover.vm"),
        "allowuserexpungerecovervolume": is_admin or allowed("allow.user.expunge.recover.volume"),
        "allowuserviewalldomainaccounts": settings.get_bool(
            "allow.user.view.all.domain.accounts", scope="Domain", scope_id=caller.domain_id
        ),
        "allowuserforcestopvm": is_admin or allowed("allow.user.force.stop.vm"),
        "kubernetesserviceenabled": False,
        "kubernetesclusterexperimentalfeaturesenabled": False,
        "customhypervisordisplayname": "Custom",
        "defaultuipagesize": settings.get_int("default.ui.page.size"),
        **_ABSENT_FEATURES,
        "instanceleaseenabled": settings.get_bool("instance.lease.enabled"),
        "extensionspath": EXTENSIONS_PATH if caller.is_root_admin else None,
        "dynamicscalingenabled": settings.get_bool("enable.dynamic.scale.vm"),
        "additionalconfigenabled": allowed("enable.additional.vm.configuration"),
    }
    return Item(fields)


COMMANDS = (list_capabilities,)
