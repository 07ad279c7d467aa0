"""Tags and details of resources."""

from __future__ import annotations

from mgmt.commands.catalogued import job, listed
from mgmt.commands.declaration import Bound, Call, EventSpec, Listing, Success
from mgmt.inventory import tags
from mgmt.inventory.scope import resolve_scope


@job(
    "createTags", since="4.0.0", event=EventSpec("CREATE_TAGS", lambda bound: "creating tags", "creating resource tags")
)
def create_tags(call: Call, bound: Bound) -> Success:
    """Tag resources of one type."""
    with call.services.store.session() as session:
        tags.create_tags(
            session,
            call.services.providers,
            call.caller,
            type_=bound["resourcetype"],
            ids=bound["resourceids"],
            tags=tags.pairs(bound["tags"]),
            customer=bound["customer"],
        )
    return Success()


@job(
    "deleteTags", since="4.0.0", event=EventSpec("DELETE_TAGS", lambda bound: "Deleting tags", "deleting resource tags")
)
def delete_tags(call: Call, bound: Bound) -> Success:
    """Take tags from resources of one type."""
    with call.services.store.session() as session:
        tags.delete_tags(
            session,
            call.caller,
            type_=bound["resourcetype"],
            ids=bound["resourceids"],
            tags=tags.pairs(bound["tags"]),
        )
    return Success()


@listed("listTags", "tag", since="4.0.0")
def list_tags(call: Call, bound: Bound) -> Listing:
    scope = resolve_scope(call.db, call.caller, bound)
    found, count = tags.find_tags(call.db, scope, bound, bound.paging)
    return Listing([tags.tag_view(tag) for tag in found], count)


@job(
    "addResourceDetail",
    event=EventSpec(
        "CREATE_RESOURCE_DETAILS", lambda bound: "adding details to the resource", "creating resource details"
    ),
)
def add_resource_detail(call: Call, bound: Bound) -> Success:
    """Set details of a resource."""
    with call.services.store.session() as session:
        resource = tags.find_resource(
            session, call.caller, tags.resource_type(bound["resourcetype"]), bound["resourceid"]
        )
        tags.add_details(session, resource, tags.pairs(bound["details"]), bound["fordisplay"] is not False)
    return Success()


@job(
    "removeResourceDetail",
    event=EventSpec("DELETE_RESOURCE_DETAILS", lambda bound: "removing resource details", "deleting resource details"),
)
def remove_resource_detail(call: Call, bound: Bound) -> Success:
    """Take a detail, or all, from a resource."""
    with call.services.store.session() as session:
        resource = tags.find_resource(
            session, call.caller, tags.resource_type(bound["resourcetype"]), bound["resourceid"]
        )
        tags.remove_details(session, resource, bound["key"])
    return Success()


@listed("listResourceDetails", "resourcedetail", since="4.2")
def list_resource_details(call: Call, bound: Bound) -> Listing:
    """The details of one resource."""
    type_ = tags.resource_type(bound["resourcetype"])
    if not bound["resourceid"]:
        return Listing([], 0)
    resource = tags.find_resource(call.db, call.caller, type_, bound["resourceid"])
    views = [
        view
        for view in tags.detail_views(call.db, resource)
        if bound["key"] in (None, view["key"])
        and bound["value"] in (None, view["value"])
        and (call.caller.is_root_admin or view["fordisplay"])
    ]
    start, limit = bound.paging.offset, bound.paging.limit
    return Listing(views[start : None if limit is None else start + limit], len(views))


COMMANDS = (
    create_tags,
    delete_tags,
    list_tags,
    add_resource_detail,
    remove_resource_detail,
    list_resource_details,
)
