"""Tags and details of resources: whose they are, setting, showing and finding them.

Upstream: server/.../tags/TaggedResourceManagerImpl.java, server/.../metadata/ResourceMetaDataManagerImpl.java.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from mgmt.errors import CloudRuntimeError, InvalidParameterValueError
from mgmt.inventory.listing import Window, equals_ignoring_case, like_keyword, page
from mgmt.inventory.scope import CallerLike, Scope, check_owner_access, owner_fields
from mgmt.providers import Providers
from mgmt.store import models
from mgmt.store.models import Account, ResourceDetail, ResourceTag, VmDetail, VmInstance

# The types that may have tags, with the tables that hold them here; the others are known and have no row.
_TAGGED: Mapping[str, type[models.Entity] | None] = {
    "UserVm": models.VmInstance,
    "Template": models.Template,
    "ISO": models.Template,
    "Volume": models.Volume,
    "Snapshot": models.Snapshot,
    "Network": models.Network,
    "SecurityGroup": models.SecurityGroup,
    "Domain": models.Domain,
    "Zone": models.Zone,
    "User": models.User,
    "Nic": models.Nic,
    "Project": models.Project,
    "PublicIpAddress": models.PublicIp,
    **dict.fromkeys(
        (
            "Backup", "LoadBalancer", "PortForwardingRule", "FirewallRule",
            "Vpc", "NetworkACL", "StaticRoute", "VMSnapshot", "RemoteAccessVpn", "SnapshotPolicy", "GuestOs",
            "LBStickinessPolicy", "LBHealthCheckPolicy", "NetworkACLList", "VpnGateway", "CustomerGateway",
            "VpnConnection", "AutoScaleVmProfile", "AutoScaleVmGroup",
        )
    ),
}  # fmt: skip
_UNTAGGED: Mapping[str, type[models.Entity]] = {
    "Host": models.Host,
    "Storage": models.StoragePool,
    "ServiceOffering": models.ServiceOffering,
    "DiskOffering": models.DiskOffering,
    "NetworkOffering": models.NetworkOffering,
}


@dataclass(frozen=True)
class Resource:
    """What tags and details hang on: its type as the API names it, its ids, and its owner."""

    type: str
    id: int
    uuid: str
    account_id: int
    domain_id: int


def resource_type(text: str) -> str:
    """The type as the API spells it; InvalidParameterValueError for an unknown one."""
    for known in (*_TAGGED, *_UNTAGGED):
        if known.lower() == text.lower():
            return known
    raise InvalidParameterValueError(f"Invalid resource type {text}")


def find_resource(session: Session, caller: CallerLike, type_: str, text: str) -> Resource:
    """The resource of a type with this UUID or internal number, if the caller may touch it."""
    model = _TAGGED.get(type_) or _UNTAGGED.get(type_)
    row: Any = None  # Any: entities share no static columns
    if model is not None:
        found: Any = model
        by = found.id == int(text) if text.isascii() and text.isdigit() else found.uuid == text.lower()
        row = session.scalar(select(found).where(by))
    if row is None or getattr(row, "removed", None) is not None:
        raise InvalidParameterValueError(f"Unable to find resource by id {text} and type {type_}")
    account_id = getattr(row, "account_id", None) or getattr(getattr(row, "vm", None), "account_id", None)
    if account_id is None:
        return Resource(type_, row.id, row.uuid, caller.account_id, _domain_of(row, caller))
    owner = session.get_one(Account, account_id)
    check_owner_access(caller, owner.id, owner.domain.path)
    return Resource(type_, row.id, row.uuid, owner.id, owner.domain_id)


def _domain_of(row: Any, caller: CallerLike) -> int:
    return int(row.id) if isinstance(row, models.Domain) else caller.domain_id


def pairs(given: Mapping[str, Mapping[str, str]] | None) -> dict[str, str | None]:
    """A map parameter in the pair form, or with free keys, as one map in the order of the indexes."""
    merged: dict[str, str | None] = {}
    for _, entry in sorted((given or {}).items(), key=lambda each: int(each[0])):
        if "key" in entry:
            merged[entry["key"]] = entry.get("value")
        else:
            merged |= entry
    return merged


def create_tags(
    session: Session,
    providers: Providers,
    caller: CallerLike,
    *,
    type_: str,
    ids: Sequence[str],
    tags: Mapping[str, str | None],
    customer: str | None,
) -> None:
    """Tag each of the resources; CloudRuntimeError when one has such a tag."""
    type_ = resource_type(type_)
    if type_ in _UNTAGGED:
        raise InvalidParameterValueError(f"The resource type {type_} doesn't support resource tags")
    for resource in [find_resource(session, caller, type_, text) for text in ids]:
        for key, value in tags.items():
            if value is None or not value.strip():
                raise InvalidParameterValueError(f"Value for the key {key} is either null or empty")
            taken = select(ResourceTag.id).where(
                ResourceTag.resource_type == type_,
                ResourceTag.resource_uuid == resource.uuid,
                equals_ignoring_case(ResourceTag.key, key),
            )
            if session.scalar(taken) is not None:
                raise CloudRuntimeError(f"tag {key} already on {type_} with id {resource.uuid}")
            session.add(
                ResourceTag(
                    uuid=providers.ids.uuid(),
                    key=key,
                    value=value,
                    resource_type=type_,
                    resource_uuid=resource.uuid,
                    account_id=resource.account_id,
                    domain_id=resource.domain_id,
                    customer=customer,
                )
            )
            session.flush()


def delete_tags(
    session: Session, caller: CallerLike, *, type_: str, ids: Sequence[str], tags: Mapping[str, str | None]
) -> None:
    """Take these tags, or all without any, from the resources; InvalidParameterValueError when there is none."""
    type_ = resource_type(type_)
    uuids = [find_resource(session, caller, type_, text).uuid for text in ids]
    found = session.scalars(
        select(ResourceTag).where(ResourceTag.resource_type == type_, ResourceTag.resource_uuid.in_(uuids))
    ).all()
    wanted = {key.lower(): value for key, value in tags.items()}
    doomed = [
        tag
        for tag in found
        if not wanted or (tag.key.lower() in wanted and wanted[tag.key.lower()] in (None, "", tag.value))
    ]
    if not doomed:
        raise InvalidParameterValueError("Unable to find any tags which conform to specified delete parameters.")
    for tag in doomed:
        session.delete(tag)


def find_tags(
    session: Session, scope: Scope, params: Mapping[str, Any], window: Window
) -> tuple[list[ResourceTag], int]:
    """The page of tags that the bound parameters of listTags ask for."""
    conditions: list[ColumnElement[bool]] = [scope.clause(ResourceTag.account_id, ResourceTag.domain_id)]
    for name, column in (("key", ResourceTag.key), ("value", ResourceTag.value), ("customer", ResourceTag.customer)):
        if params[name] is not None:
            conditions.append(equals_ignoring_case(column, params[name]))
    if params["resourcetype"] is not None:
        conditions.append(ResourceTag.resource_type == resource_type(params["resourcetype"]))
    if params["resourceid"] is not None:
        conditions.append(equals_ignoring_case(ResourceTag.resource_uuid, params["resourceid"]))
    if params["keyword"] is not None:
        conditions.append(like_keyword(ResourceTag.key, params["keyword"]))
    return page(session, select(ResourceTag).where(*conditions).order_by(ResourceTag.id), window)


def tag_view(tag: ResourceTag) -> dict[str, Any]:
    """A tag as listTags and the resources show it."""
    return {
        "key": tag.key,
        "value": tag.value,
        "resourcetype": tag.resource_type,
        "resourceid": tag.resource_uuid,
        **owner_fields(tag.account, tag.domain),
        "customer": tag.customer,
    }


def with_tags(session: Session, type_: str, views: Sequence[dict[str, Any]]) -> Sequence[dict[str, Any]]:
    """The answers of resources of one type, each with its tags put in."""
    by_uuid: dict[str, list[dict[str, Any]]] = {}
    tags = select(ResourceTag).where(ResourceTag.resource_type == type_).order_by(ResourceTag.id)
    if len(views) == 1:  # of many it is quicker to read all the tags of the type
        tags = tags.where(ResourceTag.resource_uuid == views[0]["id"])
    for tag in session.scalars(tags):
        by_uuid.setdefault(tag.resource_uuid, []).append(tag_view(tag))
    if by_uuid:
        for view in views:
            view["tags"] = by_uuid.get(view["id"], [])
    return views


def has_tags(
    column: InstrumentedAttribute[str], type_: str, given: Mapping[str, Mapping[str, str]] | None
) -> list[ColumnElement[bool]]:
    """The condition that a resource has one of the tags of a list's `tags` parameter; none without that."""
    if not given:
        return []
    either: ColumnElement[bool] | None = None
    for key, value in pairs(given).items():
        one = equals_ignoring_case(ResourceTag.key, key)
        if value is not None:
            one = one & equals_ignoring_case(ResourceTag.value, value)
        either = one if either is None else either | one
    assert either is not None
    return [column.in_(select(ResourceTag.resource_uuid).where(ResourceTag.resource_type == type_, either))]


# Details -----------------------------------------------------------------------------------------------------------


def add_details(session: Session, resource: Resource, details: Mapping[str, str | None], display: bool) -> None:
    """Set details of a resource; those that it has already get the new value."""
    if resource.type == "UserVm":
        vm = session.get_one(VmInstance, resource.id)
        for name, value in details.items():
            known = next((each for each in vm.details if each.name == name), None)
            if known is None:
                vm.details.append(VmDetail(name=name, value=value or "", display=display))
            else:
                known.value, known.display = value or "", display
        return
    known_details = {each.name: each for each in _details(session, resource)}
    for name, value in details.items():
        if name in known_details:
            known_details[name].value, known_details[name].display = value, display
        else:
            session.add(
                ResourceDetail(
                    resource_type=resource.type, resource_uuid=resource.uuid, name=name, value=value, display=display
                )
            )


def remove_details(session: Session, resource: Resource, name: str | None) -> None:
    """Take a detail, or all of them, from a resource."""
    if resource.type == "UserVm":
        vm = session.get_one(VmInstance, resource.id)
        vm.details = [each for each in vm.details if name is not None and each.name != name]
        return
    for each in _details(session, resource):
        if name in (None, each.name):
            session.delete(each)


def _details(session: Session, resource: Resource) -> Sequence[ResourceDetail]:
    found = select(ResourceDetail).where(
        ResourceDetail.resource_type == resource.type, ResourceDetail.resource_uuid == resource.uuid
    )
    return session.scalars(found.order_by(ResourceDetail.id)).all()


def detail_views(session: Session, resource: Resource) -> list[dict[str, Any]]:
    """The details of a resource as listResourceDetails shows them."""
    rows: Iterable[Any] = _details(session, resource)
    if resource.type == "UserVm":
        rows = session.get_one(VmInstance, resource.id).details
    return [
        {
            "resourceid": resource.uuid,
            "resourcetype": resource.type,
            "key": each.name,
            "value": each.value,
            "fordisplay": each.display,
        }
        for each in rows
    ]
