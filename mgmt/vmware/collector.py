"""The property collector: many properties of many objects in one call, and waiting for tasks.

Attribute access on pyvmomi objects costs a round trip each (an undocumented `Fetch`), and `pyVim.task.WaitForTask`
fails on task names it does not know; neither is used.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from mgmt.vmware.errors import VcenterError, VcenterTaskError
from mgmt.vmware.known import rebound
from mgmt.vmware.link import VcenterLink, fault_text
from mgmt.vmware.sdk import moref, type_name, vim, vmodl

PAGE_SIZE = 200
MAX_WAIT_S = 60

_collector = vmodl.query.PropertyCollector


@dataclass(frozen=True)
class Found:
    """An object and those of the asked properties that it has."""

    reference: Any  # a pyvmomi managed object
    values: dict[str, Any]  # property values are vim25 data objects, numbers, texts, ...

    def get(self, path: str, default: Any = None) -> Any:
        """The value at `path`; `default` when vCenter left it out."""
        value = self.values.get(path)
        return default if value is None else value


def step(kind: Any, path: str, *onward: Any, name: str | None = None) -> Any:
    """A traversal from objects of type `kind` along property `path`, and `onward` from what is there."""
    return _collector.TraversalSpec(name=name, type=kind, path=path, skip=False, selectSet=list(onward))


def again(name: str) -> Any:
    """The traversal called `name` once more: how a recursion is written."""
    return _collector.SelectionSpec(name=name)


def below(folder_path: str, *onward: Any) -> Any:
    """From a datacenter through `vmFolder` or `hostFolder` into all folders, and `onward` from their children."""
    folders = step(vim.Folder, "childEntity", again("folders"), *onward, name="folders")
    return step(vim.Datacenter, folder_path, folders)


def start_at(reference: Any, *traversals: Any, skip: bool = False) -> Any:
    """The object to start from; with `skip` only what `traversals` reach is wanted."""
    return _collector.ObjectSpec(obj=reference, skip=skip, selectSet=list(traversals))


def filter_of(starts: list[Any], paths_by_kind: Mapping[Any, Sequence[str]]) -> Any:
    """A filter that reads, of all objects that `starts` lead to, the paths wanted of their type."""
    wanted = [
        _collector.PropertySpec(type=kind, all=False, pathSet=list(paths)) for kind, paths in paths_by_kind.items()
    ]
    return _collector.FilterSpec(propSet=wanted, objectSet=starts)


class Collector:
    """Reads properties over one link."""

    def __init__(self, link: VcenterLink, page_size: int = PAGE_SIZE, max_wait_s: int = MAX_WAIT_S) -> None:
        self._link = link
        self._pc = link.content.propertyCollector
        self._page_size = page_size
        self._max_wait_s = max_wait_s

    def read(self, references: Iterable[Any], kind: Any, paths: Sequence[str]) -> list[Found]:
        """`paths` of the given objects of type `kind`."""
        wanted = list(references)
        if not wanted:
            return []
        key = ("read", tuple((type(one), moref(one)) for one in wanted), kind, tuple(paths))
        return self.retrieve(key, lambda: [filter_of([start_at(one) for one in wanted], {kind: paths})])

    def walk(self, start: Any, kind: Any, paths: Sequence[str], way: Callable[[], Any]) -> list[Found]:
        """`paths` of the objects of type `kind` that `way()` leads to from `start`, in vCenter's order.

        `way` is a function of a module, which always gives the same traversal.
        """
        key = ("walk", type(start), moref(start), kind, tuple(paths), way)
        return self.retrieve(key, lambda: [filter_of([start_at(start, way(), skip=True)], {kind: paths})])

    def retrieve(self, key: Hashable, filters: Callable[[], list[Any]]) -> list[Found]:
        """What several filters select, in one call; `key` tells all that `filters` gives."""
        return list(self._pages((key, self._page_size), filters))

    def _pages(self, key: Hashable, filters: Callable[[], list[Any]]) -> Iterator[Found]:
        stub = self._link.stub

        def arguments() -> list[Any]:
            return [filters(), _collector.RetrieveOptions(maxObjects=self._page_size)]

        page = self._link.call(stub.ask, self._pc, "RetrievePropertiesEx", key, arguments)
        while page is not None:
            for content in page.objects or ():
                values = {prop.name: rebound(prop.val, stub) for prop in content.propSet or ()}
                yield Found(rebound(content.obj, stub), values)
            if not page.token:
                return
            page = self._link.call(self._pc.ContinueRetrievePropertiesEx, page.token)

    def wait_for_task(self, task: Any) -> None:
        """Return when `task` has succeeded; raises VcenterTaskError with the fault's message when it fails.

        There is no bound: a clone takes as long as it takes, and each poll is bounded by the link's time-out. A
        cancellation cancels the task.
        """
        states = (vim.TaskInfo.State.success, vim.TaskInfo.State.error)
        with self._link.cancellation.ending_with(lambda: self._link.call(task.CancelTask)):
            seen = self.wait_until(
                task, vim.Task, ["info.state", "info.error"], lambda seen: seen.get("info.state") in states
            )
        if seen["info.state"] == vim.TaskInfo.State.success:
            return
        fault = seen.get("info.error")
        if fault is None:
            raise VcenterTaskError("The task failed without a reason", "MethodFault")
        raise VcenterTaskError(fault_text(fault), type_name(fault))

    def wait_until(
        self, reference: Any, kind: Any, paths: Sequence[str], done: Callable[[dict[str, Any]], bool]
    ) -> dict[str, Any]:
        """`paths` of the object, once `done` says yes to them. Only polls are bounded, by the link's time-out."""
        spec = filter_of([start_at(reference)], {kind: paths})
        property_filter = self._link.call(self._pc.CreateFilter, spec, False)
        try:
            return self._follow(reference, done)
        finally:
            with suppress(VcenterError):  # it ends with the session at the latest
                property_filter.Destroy()

    def _follow(self, reference: Any, done: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        version = ""
        seen: dict[str, Any] = {}
        while True:
            options = _collector.WaitOptions(maxWaitSeconds=self._max_wait_s)
            with self._link.waiting():
                update = self._link.call(self._pc.WaitForUpdatesEx, version, options)
            if update is None:
                continue  # nothing new within the wait
            version = update.version
            for filter_set in update.filterSet or ():
                for changed in filter_set.objectSet or ():
                    if changed.obj == reference:
                        seen.update({change.name: change.val for change in changed.changeSet or ()})
            if done(seen):
                return seen
