"""Security groups and their rules.

Upstream: api/.../command/user/securitygroup.
"""

from __future__ import annotations

from mgmt.commands.catalogued import completed, done, job, listed
from mgmt.commands.declaration import Bound, Call, Item, Listing, Precheck, Success, events_of
from mgmt.errors import INTERNAL_ERROR, InvalidParameterValueError, ServerApiError
from mgmt.inventory import security_groups
from mgmt.inventory.owner import finalize_owner
from mgmt.inventory.scope import check_owner_access, resolve_scope
from mgmt.inventory.tags import with_tags
from mgmt.store.models import SecurityGroup

GROUP = "SecurityGroup"
_event = events_of(GROUP)


@done("createSecurityGroup", "securitygroup")
def create_security_group(call: Call, bound: Bound) -> Item:
    """A group; nothing filters traffic here."""
    group = security_groups.create_group(
        call.db,
        call.services.providers,
        finalize_owner(call.db, call.caller, bound),
        bound["name"],
        bound["description"],
    )
    completed(call.db, call, "SG.CREATE", "creating security group", GROUP, group.uuid)
    return Item(security_groups.group_view(group))


@listed("listSecurityGroups", "securitygroup")
def list_security_groups(call: Call, bound: Bound) -> Listing:
    scope = resolve_scope(call.db, call.caller, bound, has_id=bound["id"] is not None)
    found, count = security_groups.find_groups(call.db, scope, bound, bound.paging)
    return Listing(with_tags(call.db, GROUP, [security_groups.group_view(group) for group in found]), count)


@done("deleteSecurityGroup")
def delete_security_group(call: Call, bound: Bound) -> Success:
    """Take a group away, named by its id or by its name and owner."""
    if (bound["id"] is None) == (bound["name"] is None):
        raise InvalidParameterValueError(
            "Either id or name must be specified" if bound["id"] is None else "Either id or name can be specified"
        )
    if bound["id"] is not None:
        group = call.db.get(SecurityGroup, bound["id"])
    else:
        owner = finalize_owner(call.db, call.caller, bound)
        group = call.db.query(SecurityGroup).filter_by(account_id=owner.id, name=bound["name"]).one_or_none()
    if group is None:
        named = f"id {bound['id']}" if bound["id"] is not None else f"name {bound['name']}"
        raise InvalidParameterValueError(f"Unable to find security group by {named}")
    check_owner_access(call.caller, group.account_id, group.account.domain.path)
    security_groups.check_deletable(call.db, group)
    call.db.delete(group)
    completed(call.db, call, "SG.DELETE", "deleting security group", GROUP, group.uuid)
    return Success()


@done("updateSecurityGroup", "securitygroup", since="4.14.0.0")
def update_security_group(call: Call, bound: Bound) -> Item:
    """Rename a group."""
    group = security_groups.rename_group(call.db, call.caller, bound["id"], bound["name"])
    if bound["customid"] is not None:
        group.uuid = bound["customid"]
    completed(call.db, call, "SG.UPDATE", "updating security group", GROUP, group.uuid)
    return Item(security_groups.group_view(group))


def _check_group(kind: str) -> Precheck:
    def check(call: Call, bound: Bound) -> None:
        with call.services.store.session() as session:
            bound["securitygroupid"] = security_groups.ruled_group(session, call.caller, bound, kind).id
        bound["securitygroupname"] = None

    return check


def _authorizing(direction: str, bound: Bound) -> str:
    groups = ", ".join(
        f"{entry.get('group')}/{entry.get('account')}" for entry in (bound["usersecuritygrouplist"] or {}).values()
    )
    given = f"group list(group/account): {groups}" if groups else f"cidr list: {', '.join(bound['cidrlist'] or ())}"
    return f"authorizing {direction} to group: {bound['securitygroupid']} to {given}"


def _authorize(call: Call, bound: Bound, *, ingress: bool) -> Item:
    with call.services.store.session() as session:
        group = security_groups.ruled_group(session, call.caller, bound, "")
        rules = security_groups.add_rules(session, call.services.providers, call.caller, group, bound, ingress=ingress)
        if not rules:
            direction = "ingress" if ingress else "egress"
            raise ServerApiError(INTERNAL_ERROR, f"Failed to authorize security group {direction} rule(s)")
        return Item(security_groups.rules_view(group, rules, ingress=ingress))


@job(
    "authorizeSecurityGroupIngress",
    "securitygroup",
    event=_event("SG.AUTH.INGRESS", "Adding Ingress Rule ", lambda bound: _authorizing("ingress", bound)),
    instance_type=GROUP,
    instance_param="securitygroupid",
    precheck=_check_group("Ingress"),
)
def authorize_ingress(call: Call, bound: Bound) -> Item:
    """Let traffic into a group."""
    return _authorize(call, bound, ingress=True)


@job(
    "authorizeSecurityGroupEgress",
    "securitygroup",
    since="3.0.0",
    event=_event("SG.AUTH.EGRESS", "Adding Egress Rule ", lambda bound: _authorizing("egress", bound)),
    instance_type=GROUP,
    instance_param="securitygroupid",
    precheck=_check_group("Egress"),
)
def authorize_egress(call: Call, bound: Bound) -> Item:
    """Let traffic out of a group."""
    return _authorize(call, bound, ingress=False)


def _revoke(call: Call, bound: Bound, *, ingress: bool) -> Success:
    with call.services.store.session() as session:
        security_groups.remove_rule(session, call.caller, bound["id"], ingress=ingress)
    return Success()


@job(
    "revokeSecurityGroupIngress",
    event=_event(
        "SG.REVOKE.INGRESS", "Revoking Ingress Rule ", lambda bound: f"revoking ingress rule id: {bound['id']}"
    ),
)
def revoke_ingress(call: Call, bound: Bound) -> Success:
    """Take a rule for incoming traffic away."""
    return _revoke(call, bound, ingress=True)


@job(
    "revokeSecurityGroupEgress",
    since="3.0.0",
    event=_event("SG.REVOKE.EGRESS", "Revoking Egress Rule ", lambda bound: f"revoking egress rule id: {bound['id']}"),
)
def revoke_egress(call: Call, bound: Bound) -> Success:
    """Take a rule for outgoing traffic away."""
    return _revoke(call, bound, ingress=False)


COMMANDS = (
    create_security_group,
    list_security_groups,
    delete_security_group,
    update_security_group,
    authorize_ingress,
    authorize_egress,
    revoke_ingress,
    revoke_egress,
)
