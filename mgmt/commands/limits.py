"""Limits of accounts and domains."""

from __future__ import annotations

from mgmt.commands.catalogued import completed, done, listed
from mgmt.commands.declaration import Bound, Call, Item, Listing
from mgmt.errors import InvalidParameterValueError
from mgmt.inventory import resource_limits


@listed("listResourceLimits", "resourcelimit")
def list_resource_limits(call: Call, bound: Bound) -> Listing:
    """The limits of the caller, or of the account or domain that is named."""
    wanted = resource_limits.checked_type(bound["resourcetype"], bound["resourcetypename"])
    if bound["tag"]:
        return Listing([], 0)  # no limit here hangs on a tag
    owner = resource_limits.owner_of(call.db, call.caller, bound)
    views = resource_limits.limit_views(owner, wanted)
    start, limit = bound.paging.offset, bound.paging.limit
    return Listing(views[start : None if limit is None else start + limit], len(views))


@done("updateResourceLimit", "resourcelimit")
def update_resource_limit(call: Call, bound: Bound) -> Item:
    """Give an account or a domain a limit."""
    name = resource_limits.checked_type(bound["resourcetype"])
    if name is None:
        raise InvalidParameterValueError("Please specify valid resource type")
    owner = resource_limits.owner_of(call.db, call.caller, bound)
    resource_limits.set_limit(call.caller, owner, name, bound["max"])
    completed(call.db, call, "RESOURCE.LIMIT.UPDATE", "updating resource limits", type(owner).__name__, owner.uuid)
    return Item(resource_limits.limit_view(owner, name))


@listed("updateResourceCount", "resourcecount", is_list=False)
def update_resource_count(call: Call, bound: Bound) -> Listing:
    """Count anew; here counts are always those of the records."""
    wanted = resource_limits.checked_type(bound["resourcetype"])
    owner = resource_limits.owner_of(call.db, call.caller, bound)
    views = resource_limits.count_views(call.db, owner, wanted)
    return Listing(views, len(views))


COMMANDS = (list_resource_limits, update_resource_limit, update_resource_count)
