"""The event list and the types of events."""

from __future__ import annotations

from mgmt.commands.catalogued import listed
from mgmt.commands.declaration import ALL_ROLES, Bound, Call, Listing, command
from mgmt.commands.fields import Boolean, Date, Integer, Str, Uuid
from mgmt.commands.owned import ProjectListParams
from mgmt.commands.responses.event import EventResponse
from mgmt.inventory.event_search import find_events
from mgmt.inventory.event_types import event_types
from mgmt.inventory.events import event_views


class ListEventsParams(ProjectListParams):
    """Parameters of listEvents."""

    id = Uuid("show this event", entity="event")
    duration = Integer("kept for old clients; it filters nothing")
    enddate = Date("show events up to this time: yyyy-MM-dd or yyyy-MM-dd HH:mm:ss", end_of_day=True)
    entrytime = Integer("kept for old clients; it filters nothing")
    level = Str("show events of this level: INFO, WARN or ERROR")
    startdate = Date("show events from this time on: yyyy-MM-dd or yyyy-MM-dd HH:mm:ss")
    type = Str("show events of this type, such as VM.IMPORT")
    startid = Uuid("show this event and those that it started", entity="event")
    resourceid = Str("show events of the resource with this UUID; goes with resourcetype", since="4.17.0")
    resourcetype = Str("show events of resources of this type, such as VirtualMachine", since="4.17.0")
    archived = Boolean("show archived events instead of the others", since="4.19.0")
    state = Str("show events in this state", since="4.21.0")


@command(
    "listEvents",
    params=ListEventsParams,
    response=EventResponse,
    description="Lists events, the newest first.",
    object_name="event",
    is_list=True,
    roles=ALL_ROLES,
    java_class="org.apache.cloudstack.api.command.user.event.ListEventsCmd",
)
def list_events(call: Call, bound: Bound) -> Listing:
    events, count = find_events(call.db, call.caller, bound, bound.paging)
    return Listing(event_views(call.db, events), count)


@listed("listEventTypes", "eventtype", is_list=False)
def list_event_types(call: Call, bound: Bound) -> Listing:
    """The types of events, all of them."""
    return Listing([{"name": name} for name in event_types()], len(event_types()))


COMMANDS = (list_events, list_event_types)
