"""The default roles that have rules of their own: those that read only, and those that support.

Upstream: engine/schema/.../upgrade/dao/Upgrade41400to41500.java, and later schema upgrades (quota, second factor) that
put theirs before the last rule. What read-only users may list and get are the rules that users had at 4.15, as a server
of today shows them. What the four roles of `fixtures/catalog/roles.json` may is kept there, they have no rules here.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection

from sqlalchemy import insert
from sqlalchemy.orm import Session

from mgmt.store.models import Role, RolePermission

_ALLOW, _DENY = "ALLOW", "DENY"
_QUOTA = ("quotaTariffList", "quotaSummary", "quotaStatement", "quotaBalance")
_SECOND_FACTOR = ("setupUserTwoFactorAuthentication", "validateUserTwoFactorAuthenticationCode")
_ALWAYS = ("cloudianIsEnabled", "queryAsyncJobResult", "quotaIsEnabled", *_QUOTA, *_SECOND_FACTOR)
_RUNNING = (
    "startVirtualMachine", "stopVirtualMachine", "rebootVirtualMachine", "startKubernetesCluster",
    "stopKubernetesCluster", "createVolume", "attachVolume", "detachVolume", "uploadVolume", "attachIso", "detachIso",
    "registerTemplate", "registerIso",
)  # fmt: skip
_OF_ADMINS = (
    "prepareHostForMaintenance", "cancelHostMaintenance", "enableStorageMaintenance", "cancelStorageMaintenance",
    "createServiceOffering", "createDiskOffering", "createNetworkOffering", "createVPCOffering",
)  # fmt: skip
_WORDS = """
    listAccounts listAffinityGroupTypes listAffinityGroups listApis listAsyncJobs listAutoScalePolicies
    listAutoScaleVmGroups listAutoScaleVmProfiles listCapabilities listConditions listCounters listDiskOfferings
    listEgressFirewallRules listEventTypes listEvents listFirewallRules listGlobalLoadBalancerRules listHypervisors
    listInstanceGroups listIpForwardingRules listIsoPermissions listIsos listLBHealthCheckPolicies
    listLBStickinessPolicies listLdapConfigurations listLoadBalancerRuleInstances listLoadBalancerRules
    listLoadBalancers listNetworkACLLists listNetworkACLs listNetworkOfferings listNetworks listNics
    listOsCategories listOsTypes listPortForwardingRules listPrivateGateways listProjectAccounts
    listProjectInvitations listProjects listPublicIpAddresses listRegions listRemoteAccessVpns listResourceDetails
    listResourceLimits listSSHKeyPairs listSecurityGroups listServiceOfferings listSnapshotPolicies listSnapshots
    listSslCerts listStaticRoutes listTags listTemplatePermissions listTemplates listUsers listVMSnapshot
    listVPCOfferings listVPCs listVirtualMachines listVolumes listVpnConnections listVpnCustomerGateways
    listVpnGateways listVpnUsers listZones getApiLimit getCloudIdentifier getSolidFireAccountId
    getSolidFireVolumeSize getVMPassword getVirtualMachineUserData
"""
_READ_BY_USERS = (*_WORDS.split(), "listUserTwoFactorAuthenticatorProviders")

Rules = tuple[tuple[str, str], ...]


def _allowed(*names: str) -> Rules:
    return tuple((name, _ALLOW) for name in names)


_REST: Rules = (("*", _DENY),)
_READING: Rules = (("list*", _ALLOW), ("getUploadParamsFor*", _DENY), ("get*", _ALLOW), *_allowed(*_ALWAYS))

# Name: type, description, rules in their order.
RULED_ROLES: dict[str, tuple[str, str, Rules]] = {
    "Read-Only Admin - Default": ("Admin", "Default read-only admin role", (*_READING, *_REST)),
    "Read-Only User - Default": (
        "User",
        "Default read-only user role",
        (*_allowed(*_READ_BY_USERS, *_ALWAYS), *_REST),
    ),
    "Support Admin - Default": (
        "Admin",
        "Default support admin role",
        # upstream copies what the read-only admin is allowed, not what it is denied
        (*(rule for rule in _READING if rule[1] == _ALLOW), *_allowed(*_OF_ADMINS, *_RUNNING), *_REST),
    ),
    "Support User - Default": (
        "User",
        "Default support user role",
        (*_allowed(*_READ_BY_USERS, *_ALWAYS, *_RUNNING, "getUploadParamsFor*"), *_REST),
    ),
}


def add_ruled_roles(session: Session, base: uuid.UUID, taken: Collection[str]) -> None:
    """Write those of the roles whose names are not `taken`; their UUIDs follow from `base`."""
    for name, (type_, description, rules) in RULED_ROLES.items():
        if name in taken:
            continue
        role = Role(uuid=str(uuid.uuid5(base, name)), name=name, role_type=type_, description=description)
        session.add(role)
        session.flush()
        rows = [
            {
                "uuid": str(uuid.uuid5(uuid.UUID(role.uuid), rule)),
                "role_id": role.id,
                "rule": rule,
                "permission": permission,
                "sort_order": order,
            }
            for order, (rule, permission) in enumerate(rules)
        ]
        session.execute(insert(RolePermission), rows)
