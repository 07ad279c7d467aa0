"""Security groups and their rules: records of accounts, by which nothing is filtered here.

Upstream: server/.../network/security/SecurityGroupManagerImpl.java, server/.../api/ApiResponseHelper.java
(createSecurityGroupResponseFromSecurityGroupRule).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from mgmt.errors import RESOURCE_IN_USE_ERROR, InvalidParameterValueError, PermissionDeniedError, ServerApiError
from mgmt.inventory.listing import Window, equals_ignoring_case, like_keyword, page
from mgmt.inventory.owner import finalize_owner
from mgmt.inventory.scope import CallerLike, Scope, check_owner_access, find_active_account, owner_fields
from mgmt.providers import Providers
from mgmt.store.models import Account, SecurityGroup, SecurityGroupRule

DEFAULT_GROUP = "default"
ALL, ICMP, TCP, UDP = "all", "icmp", "tcp", "udp"
_PROTOCOLS = (TCP, UDP, ICMP, ALL, "esp", "ah")
MAX_PORT = 65535


def create_group(
    session: Session, providers: Providers, owner: Account, name: str, description: str | None
) -> SecurityGroup:
    """A group without rules; its name is taken once in an account."""
    taken = select(SecurityGroup.id).where(SecurityGroup.account_id == owner.id, SecurityGroup.name == name)
    if session.scalar(taken) is not None:
        raise InvalidParameterValueError(f"Unable to create security group, a group with name {name} already exists.")
    group = SecurityGroup(
        uuid=providers.ids.uuid(),
        name=name,
        description=description,
        account=owner,
        domain_id=owner.domain_id,
        created=providers.utcnow(),
    )
    session.add(group)
    session.flush()
    return group


def find_groups(
    session: Session, scope: Scope, params: Mapping[str, Any], window: Window
) -> tuple[list[SecurityGroup], int]:
    """The page of security groups that the bound parameters of listSecurityGroups ask for."""
    conditions: list[ColumnElement[bool]] = [scope.clause(SecurityGroup.account_id, SecurityGroup.domain_id)]
    if params["id"] is not None:
        conditions.append(SecurityGroup.id == params["id"])
    if params["securitygroupname"] is not None:
        conditions.append(equals_ignoring_case(SecurityGroup.name, params["securitygroupname"]))
    if params["virtualmachineid"] is not None:
        conditions.append(SecurityGroup.id.is_(None))  # no VM is in a group
    if params["keyword"] is not None:
        conditions.append(like_keyword(SecurityGroup.name, params["keyword"]))
    return page(session, select(SecurityGroup).where(*conditions).order_by(SecurityGroup.id), window)


def group_view(group: SecurityGroup) -> dict[str, Any]:
    """A security group's answer."""
    return {
        "id": group.uuid,
        "name": group.name,
        "description": group.description,
        **owner_fields(group.account, group.domain),
        "ingressrule": [rule_view(rule) for rule in group.rules if rule.is_ingress],
        "egressrule": [rule_view(rule) for rule in group.rules if not rule.is_ingress],
        "tags": [],
        "virtualmachinecount": 0,
        "virtualmachineids": [],
    }


def check_deletable(session: Session, group: SecurityGroup) -> None:
    """Raise for the default group, and for one that rules of others allow."""
    if group.name.lower() == DEFAULT_GROUP:
        raise InvalidParameterValueError("The network group default is reserved")
    allowing = select(SecurityGroupRule.id).where(SecurityGroupRule.allowed_group_id == group.id)
    if session.scalar(allowing.limit(1)) is not None:
        raise ServerApiError(
            RESOURCE_IN_USE_ERROR, "Cannot delete group when there are security rules that allow this group"
        )


def rename_group(session: Session, caller: CallerLike, group_id: int, name: str | None) -> SecurityGroup:
    """Give a group another name; `default` stays the name of the default one."""
    group = session.get(SecurityGroup, group_id)
    if group is None:
        raise InvalidParameterValueError(f"Unable to find security group: {group_id}; failed to update security group.")
    if name is None:
        return group
    if not name.strip():
        raise InvalidParameterValueError("Security group name cannot be empty")
    check_owner_access(caller, group.account_id, group.account.domain.path)
    if name != group.name:
        if name.lower() == DEFAULT_GROUP:
            raise InvalidParameterValueError(f"The security group name {DEFAULT_GROUP} is reserved")
        if group.name.lower() == DEFAULT_GROUP:
            raise InvalidParameterValueError("The default security group cannot be renamed")
        group.name = name
    return group


# Rules ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Traffic:
    """What a rule is about: a protocol with ports, or with type and code of ICMP."""

    protocol: str
    start: int
    end: int


def ruled_group(session: Session, caller: CallerLike, params: Mapping[str, Any], kind: str) -> SecurityGroup:
    """The group that a rule is for, by `securitygroupid` or by its name and owner."""
    group_id, name = params["securitygroupid"], params["securitygroupname"]
    if group_id is not None and name is not None:
        raise InvalidParameterValueError("securityGroupId and securityGroupName parameters are mutually exclusive")
    if group_id is None and name is None:
        raise InvalidParameterValueError(
            f"Either securityGroupId or securityGroupName is required by authorizeSecurityGroup{kind} command"
        )
    if name is not None:
        owner = finalize_owner(session, caller, params)
        group = _named(session, owner.id, name)
        if group is None:
            raise InvalidParameterValueError(f"Unable to find security group {name} for account id={owner.id}")
    else:
        group = session.get(SecurityGroup, group_id)
        if group is None:
            raise InvalidParameterValueError(f"Unable to find security group by id {group_id}")
    return group


def _named(session: Session, account_id: int, name: str) -> SecurityGroup | None:
    named = equals_ignoring_case(SecurityGroup.name, name)
    return session.scalar(select(SecurityGroup).where(SecurityGroup.account_id == account_id, named).limit(1))


def add_rules(
    session: Session,
    providers: Providers,
    caller: CallerLike,
    group: SecurityGroup,
    params: Mapping[str, Any],
    *,
    ingress: bool,
) -> list[SecurityGroupRule]:
    """Let traffic from (or to) networks and other groups through; rules that are there already are not made again.

    Raises InvalidParameterValueError and PermissionDeniedError with CloudStack's texts.
    """
    cidrs, groups = params["cidrlist"], params["usersecuritygrouplist"]
    if not cidrs and not groups:
        raise InvalidParameterValueError("At least one cidr or at least one security group needs to be specified")
    check_owner_access(caller, group.account_id, group.account.domain.path)
    for cidr in cidrs or ():
        _check_cidr(cidr)
    traffic = _traffic(params)
    allowed = _allowed_groups(session, group, traffic, groups or {})
    known = {
        (rule.protocol, rule.start, rule.end, rule.cidr, rule.allowed_group_id)
        for rule in group.rules
        if rule.is_ingress == ingress
    }
    new = []
    wanted: list[tuple[str | None, SecurityGroup | None]] = [(None, each) for each in allowed]
    wanted += [(cidr, None) for cidr in cidrs or ()]
    for cidr, other in wanted:
        key = (traffic.protocol, traffic.start, traffic.end, cidr, None if other is None else other.id)
        if key in known:
            continue
        known.add(key)
        rule = SecurityGroupRule(
            uuid=providers.ids.uuid(),
            is_ingress=ingress,
            protocol=traffic.protocol,
            start=traffic.start,
            end=traffic.end,
            cidr=cidr,
            allowed_group=other,
        )
        group.rules.append(rule)
        new.append(rule)
    session.flush()
    return new


def _check_cidr(text: str) -> None:
    try:
        if "/" not in text:
            raise ValueError(text)
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise InvalidParameterValueError(f"Invalid cidr {text}") from None


def _traffic(params: Mapping[str, Any]) -> Traffic:
    """The protocol with its ports, checked as upstream does."""
    protocol = (params["protocol"] or ALL).strip().lower()
    kind, code = params["icmptype"], params["icmpcode"]
    if protocol.isdigit():
        if int(protocol) == 1:
            protocol, kind, code = ICMP, -1, -1
        elif int(protocol) > 255:
            raise InvalidParameterValueError(f"Invalid protocol number: {protocol}")
    elif protocol not in _PROTOCOLS:
        raise InvalidParameterValueError(f"Invalid protocol {protocol}")
    if protocol == ICMP:
        return _icmp(kind, code)
    if protocol in (TCP, UDP):
        return Traffic(protocol, *_ports(params["startport"], params["endport"]))
    if protocol == ALL and (params["startport"] is not None or params["endport"] is not None):
        raise InvalidParameterValueError("Cannot specify startPort or endPort without specifying protocol")
    return Traffic(protocol, 0, 0)


def _icmp(kind: int | None, code: int | None) -> Traffic:
    if kind is None or code is None:
        shown = ["null" if each is None else each for each in (kind, code)]
        raise InvalidParameterValueError(
            f"Invalid ICMP type/code specified, icmpType = {shown[0]}, icmpCode = {shown[1]}"
        )
    if kind == -1 and code != -1:
        raise InvalidParameterValueError("Invalid icmp code")
    if kind != -1 and code == -1:
        raise InvalidParameterValueError("Invalid icmp code: need non-negative icmp code ")
    if not (-1 <= kind <= 255 and -1 <= code <= 255):
        raise InvalidParameterValueError("Invalid icmp type/code ")
    return Traffic(ICMP, kind, code)


def _ports(start: int | None, end: int | None) -> tuple[int, int]:
    if start is None or end is None:
        shown = ["null" if each is None else each for each in (start, end)]
        raise InvalidParameterValueError(f"Invalid port range specified, startPort = {shown[0]}, endPort = {shown[1]}")
    if start == 0 and end == 0:
        end = MAX_PORT
    if start > end:
        raise InvalidParameterValueError(f"Invalid port range {start}:{end}")
    if max(start, end) > MAX_PORT or min(start, end) < -1:
        raise InvalidParameterValueError(f"Invalid port numbers {start}:{end}")
    if start < 0:
        raise InvalidParameterValueError(f"Invalid port range {start}:{end}")
    return start, end


def _allowed_groups(
    session: Session, group: SecurityGroup, traffic: Traffic, given: Mapping[str, Mapping[str, str]]
) -> list[SecurityGroup]:
    """The groups whose members may send (or be sent to), named by their accounts in the domain of the ruled one."""
    domain_id = group.account.domain_id
    found = []
    for entry in given.values():
        name, account_name = entry.get("group"), entry.get("account")
        if name is None or account_name is None:
            raise InvalidParameterValueError(
                "Invalid user group specified, fields 'group' and 'account' cannot be null, please specify groups in"
                " the form:  userGroupList[0].group=XXX&userGroupList[0].account=YYY"
            )
        account = find_active_account(session, account_name, domain_id)
        if account is None:
            raise InvalidParameterValueError(
                f"Nonexistent account: {account_name} when trying to authorize security group rule  for"
                f" {group.id}:{traffic.protocol}:{traffic.start}:{traffic.end}"
            )
        other = _named(session, account.id, name)
        if other is None:
            raise InvalidParameterValueError(
                f"Nonexistent group {name} for account {account_name}/{domain_id} is given, unable to authorize"
                " security group rule."
            )
        if other.domain_id != domain_id:
            raise PermissionDeniedError(
                f"Can't add security group id={other.domain_id} as it belongs to different domain"
            )
        found.append(other)
    return found


def remove_rule(session: Session, caller: CallerLike, rule_id: int, *, ingress: bool) -> None:
    """Take a rule away; it must be one for traffic in the direction of the command."""
    rule = session.get(SecurityGroupRule, rule_id)
    if rule is None:
        raise InvalidParameterValueError(f"Unable to find security rule with id {rule_id}")
    if rule.is_ingress != ingress:
        raise InvalidParameterValueError(f"Mismatch in rule type for security rule with id {rule_id}")
    check_owner_access(caller, rule.group.account_id, rule.group.account.domain.path)
    rule.group.rules.remove(rule)


def rule_view(rule: SecurityGroupRule) -> dict[str, Any]:
    """A rule as its group's answer shows it."""
    names = ("icmptype", "icmpcode") if rule.protocol == ICMP else ("startport", "endport")
    other = rule.allowed_group
    return {
        "ruleid": rule.uuid,
        "protocol": rule.protocol,
        names[0]: rule.start,
        names[1]: rule.end,
        "cidr": rule.cidr,
        "securitygroupname": None if other is None else other.name,
        "account": None if other is None else other.account.name,
        "tags": [],
    }


def rules_view(group: SecurityGroup, rules: Sequence[SecurityGroupRule], *, ingress: bool) -> dict[str, Any]:
    """The answer to new rules: their group with these rules alone."""
    return {
        "id": group.uuid,
        "name": group.name,
        "description": group.description,
        **owner_fields(group.account, group.domain),
        "ingressrule": [rule_view(rule) for rule in rules] if ingress else [],
        "egressrule": [] if ingress else [rule_view(rule) for rule in rules],
        "tags": [],
        "virtualmachineids": [],
    }
