"""The property collector: one-time reads, pages of them, filters and waiting for updates. And pyvmomi's `Fetch`."""

from __future__ import annotations

from typing import Any

from vcenter_sim import collector, faults, paths
from vcenter_sim.collector import Selection
from vcenter_sim.inventory import Managed
from vcenter_sim.providers import new_event, wait_for
from vcenter_sim.service import Context
from vcenter_sim.types import DataObject, Reference, vmodl
from vcenter_sim.updates import Filter

_Collector = vmodl.query.PropertyCollector


def fetch(context: Context) -> Any:
    """One property of the receiver: what attribute access in pyvmomi sends."""
    return _own_view(context, context.this, context.arguments["prop"])


def _own_view(context: Context, managed: Managed, path: str) -> Any:
    """The value as the caller sees it: `currentSession` is each caller's own."""
    if managed.moid == "SessionManager" and path == "currentSession":
        return context.session.record() if context.session.username is not None else None
    return paths.read(managed, path)


def _content(context: Context, managed: Managed, asked: tuple[str, ...]) -> DataObject:
    content = collector.content_of(managed, asked)
    if managed.moid == "SessionManager" and "currentSession" in asked:
        value = _own_view(context, managed, "currentSession")
        content.propSet = [*content.propSet, vmodl.DynamicProperty(name="currentSession", val=value)]
    return content


def retrieve_properties(context: Context) -> list[DataObject]:
    """All selected objects at once."""
    selection = collector.select(context.inventory, context.arguments["specSet"])
    return [_content(context, managed, asked) for managed, asked in selection.entries]


def retrieve_properties_ex(context: Context) -> DataObject | None:
    """The first page of the selected objects; None when nothing is selected."""
    selection = collector.select(context.inventory, context.arguments["specSet"])
    maximum = context.arguments["options"].maxObjects
    if maximum is not None and maximum <= 0:
        raise faults.invalid_argument("options.maxObjects")
    return _page(context, selection, maximum)


def _page(context: Context, selection: Selection, maximum: int | None) -> DataObject | None:
    """The next objects of a selection, with a token when more are left. Objects that went meanwhile are left out."""
    if not selection.entries:
        return None
    size = maximum or len(selection.entries)
    now, later = selection.entries[:size], selection.entries[size:]
    result = _Collector.RetrieveResult(
        objects=[_content(context, managed, asked) for managed, asked in now if context.inventory.exists(managed)]
    )
    if later:
        context.session.page_numbers += 1
        result.token = str(context.session.page_numbers)
        context.session.pages[result.token] = Selection(later, page_size=size)
    return result


def continue_retrieve_properties_ex(context: Context) -> DataObject:
    """The page a token stands for; raises InvalidArgument for a token that stands for none."""
    selection = _take_page(context)
    return _page(context, selection, selection.page_size)


def cancel_retrieve_properties_ex(context: Context) -> None:
    """Forget the pages that are left; raises InvalidArgument for a token that stands for none."""
    _take_page(context)


def _take_page(context: Context) -> Selection:
    selection = context.session.pages.pop(context.arguments["token"], None)
    if selection is None:
        raise faults.invalid_argument("token")
    return selection


def create_filter(context: Context) -> Reference:
    """A filter on the receiver, for the caller's session; raises as a read of the same spec would."""
    spec = context.arguments["spec"]
    collector.select(context.inventory, [spec])
    moid = f"session[{context.session.key}]{context.inventory.ids.uuid()}"
    managed = context.inventory.add(
        _Collector.Filter, moid, spec=spec, partialUpdates=context.arguments["partialUpdates"]
    )
    context.session.objects.append(managed)
    context.session.feed(context.this).add(Filter(managed.ref, spec))
    return managed.ref


def destroy_property_filter(context: Context) -> None:
    """Take a filter away."""
    for feed in context.session.feeds.values():
        feed.filters.pop(context.this.moid, None)
    context.inventory.remove(context.this)


def create_property_collector(context: Context) -> Reference:
    """A collector of the caller's own, so that its waits do not mix with others."""
    moid = f"session[{context.session.key}]{context.inventory.ids.uuid()}"
    managed = context.inventory.add(_Collector, moid)
    context.session.objects.append(managed)
    return managed.ref


def destroy_property_collector(context: Context) -> None:
    """Take a collector of the caller's own away, with its filters."""
    if context.this not in context.session.objects:
        raise faults.invalid_argument("_this")
    feed = context.session.feeds.pop(context.this.moid, None)
    for moid in feed.filters if feed is not None else ():
        managed = context.inventory.get(moid)
        if managed is not None:
            context.inventory.remove(managed)
    context.inventory.remove(context.this)


def check_for_updates(context: Context) -> DataObject | None:
    """What changed since a version, without waiting; None when nothing did."""
    return _wait(context, 0)


def wait_for_updates(context: Context) -> DataObject | None:
    """What changed since a version, however long that takes."""
    return _wait(context, None)


def wait_for_updates_ex(context: Context) -> DataObject | None:
    """What changed since a version; None when nothing did within `maxWaitSeconds`."""
    options = context.arguments["options"]
    limit_s = options.maxWaitSeconds if options is not None else None
    if limit_s is not None and limit_s < 0:
        raise faults.invalid_argument("options.maxWaitSeconds")
    return _wait(context, limit_s)


def _wait(context: Context, limit_s: float | None) -> DataObject | None:
    inventory, clock = context.inventory, context.inventory.clock
    feed = context.session.feed(context.this)
    deadline_s = None if limit_s is None else clock.monotonic() + limit_s
    changed = new_event(clock)
    inventory.subscribe(changed)
    feed.waiting += 1
    try:
        while True:
            changed.clear()
            with inventory.lock:
                if not context.world.sessions.alive(context.session):
                    raise faults.not_authenticated(context.this.ref)
                if feed.cancelled or context.world.stopped.is_set():
                    feed.cancelled = False
                    raise faults.request_canceled()
                updates = feed.updates(inventory, context.arguments["version"])
            if updates is not None:
                return updates
            left_s = None if deadline_s is None else deadline_s - clock.monotonic()
            if left_s is not None and left_s <= 0:
                return None
            wait_for(clock, changed, left_s, on_behalf_of=context.session.cookie)
    finally:
        feed.waiting -= 1
        inventory.unsubscribe(changed)


def cancel_wait_for_updates(context: Context) -> None:
    """End the wait that is under way on the receiver with RequestCanceled."""
    feed = context.session.feed(context.this)
    if feed.waiting:
        feed.cancelled = True
        context.inventory.changed()


WAITING = frozenset({"WaitForUpdates", "WaitForUpdatesEx", "CheckForUpdates"})
METHODS = {
    "Fetch": fetch,
    "RetrieveProperties": retrieve_properties,
    "RetrievePropertiesEx": retrieve_properties_ex,
    "ContinueRetrievePropertiesEx": continue_retrieve_properties_ex,
    "CancelRetrievePropertiesEx": cancel_retrieve_properties_ex,
    "CreateFilter": create_filter,
    "DestroyPropertyFilter": destroy_property_filter,
    "CreatePropertyCollector": create_property_collector,
    "DestroyPropertyCollector": destroy_property_collector,
    "CheckForUpdates": check_for_updates,
    "WaitForUpdates": wait_for_updates,
    "WaitForUpdatesEx": wait_for_updates_ex,
    "CancelWaitForUpdates": cancel_wait_for_updates,
}
