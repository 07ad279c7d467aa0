"""The state of a fleet, kept and taken back: hosts, their pools and domains, and every file below the work folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from agent_sim.agent import Phase
from agent_sim.host import Domain, HostDescription
from agent_sim.ledger import Holding, Ledger
from agent_sim.startup import Identity
from agent_sim.storage import NfsServers, SavedExports, SavedStorage

if TYPE_CHECKING:
    from agent_sim.hypervisor import Hypervisor
    from agent_sim.member import Member


@dataclass(frozen=True)
class SavedFile:
    """A file with its content, a link with its target, or a folder."""

    stamp: tuple[int, int, int]
    mode: int
    target: str | None = None
    content: bytes | None = None


SavedTree = Mapping[str, SavedFile]


def save_tree(root: Path) -> SavedTree:
    """Everything below `root`, by its path from there. Images of the simulated tools are headers, a few bytes each."""
    saved = {}
    for path, entry in _walk(str(root)):
        found = entry.stat(follow_symlinks=False)
        target = str(Path(path).readlink()) if entry.is_symlink() else None
        is_file = target is None and entry.is_file(follow_symlinks=False)
        content = Path(path).read_bytes() if is_file else None
        saved[path] = SavedFile(_stamp(found), found.st_mode & 0o7777, target, content)
    return saved


def restore_tree(root: Path, saved: SavedTree) -> SavedTree:
    """Let exactly that be below `root`; gives back the same with the stamps of the files that were written anew."""
    left = dict(saved)
    for path, entry in list(_walk(str(root))):
        wanted = left.get(path)
        if wanted is not None and _is_that(path, entry, wanted):
            del left[path]
        elif entry.is_dir(follow_symlinks=False):
            shutil.rmtree(path, ignore_errors=True)
        else:
            Path(path).unlink(missing_ok=True)
    if not left:
        return saved
    for path in sorted(left):
        _make(Path(path), left[path])
        left[path] = replace(left[path], stamp=_stamp(os.lstat(path)))
    return {**saved, **left}


def _walk(folder: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    with os.scandir(folder) as entries:
        found = list(entries)
    for entry in found:
        yield entry.path, entry
        if entry.is_dir(follow_symlinks=False) and Path(entry.path).is_dir():  # it may have been removed by now
            yield from _walk(entry.path)


def _stamp(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_mtime_ns, found.st_size, found.st_ino


def _is_that(path: str, entry: os.DirEntry[str], wanted: SavedFile) -> bool:
    if entry.is_symlink():
        return wanted.target is not None and str(Path(path).readlink()) == wanted.target
    if entry.is_dir(follow_symlinks=False):
        return wanted.target is None and wanted.content is None
    return wanted.content is not None and _stamp(entry.stat(follow_symlinks=False)) == wanted.stamp


def _make(path: Path, wanted: SavedFile) -> None:
    if wanted.target is not None:
        path.symlink_to(wanted.target)
    elif wanted.content is None:
        path.mkdir(mode=wanted.mode, exist_ok=True)
    else:
        path.write_bytes(wanted.content)
        path.chmod(wanted.mode)


@dataclass(frozen=True)
class SavedMember:
    """One host with its agent."""

    host: HostDescription
    described: HostDescription
    domains: Mapping[str, Domain]
    is_powered: bool
    repaired: frozenset[str]
    storage: SavedStorage
    identity: Identity
    phase: Phase
    is_frozen: bool
    link: object

    @property
    def runs(self) -> bool:
        """Whether the agent's process runs."""
        return self.phase is not Phase.STOPPED


@dataclass(frozen=True)
class SavedFleet:
    """What a fleet was at some time, for `Fleet.restore`."""

    members: Mapping[str, SavedMember]
    files: SavedTree
    made: Mapping[Path, Holding]
    exports: SavedExports


def save_member(member: Member) -> SavedMember:
    """The host and its agent as they are now; in the fleet's loop."""
    hypervisor = member.hypervisor
    return SavedMember(
        host=hypervisor.host,
        described=hypervisor.described,
        domains=dict(hypervisor.domains),
        is_powered=hypervisor.is_powered,
        repaired=hypervisor.repaired,
        storage=hypervisor.storage.save(),
        identity=replace(member.identity),
        phase=member.phase,
        is_frozen=member.is_frozen,
        link=member.link,
    )


def restore_host(hypervisor: Hypervisor, saved: SavedMember) -> None:
    """Let the host be that again; its files are put back after it."""
    if hypervisor.host is not saved.host or hypervisor.described != saved.described:
        hypervisor.change_host(saved.described)
        hypervisor.host = hypervisor.bench.host = saved.host
    hypervisor.domains = dict(saved.domains)
    hypervisor.is_powered = saved.is_powered
    hypervisor.repaired = saved.repaired
    hypervisor.storage.restore(saved.storage)


class Keeping:
    """Saves and restores a fleet of `members`; the coroutines are for the fleet's loop."""

    def __init__(self, members: Mapping[str, Member], work_dir: Path, ledger: Ledger, exports: NfsServers) -> None:
        self._members = members
        self._work_dir = work_dir
        self._ledger = ledger
        self._exports = exports

    async def save(self) -> SavedFleet:
        """See `Fleet.save`."""
        members = {name: save_member(member) for name, member in self._members.items()}
        return SavedFleet(members, save_tree(self._work_dir), self._ledger.save(), self._exports.save())

    async def stop_changed(self, saved: SavedFleet, is_linked: Callable[[str], bool]) -> list[str]:
        """See `Fleet.stop_changed`."""
        changed = []
        for name, was in saved.members.items():
            member = self._members[name]
            guid = member.hypervisor.host.full_guid
            is_same = (member.phase, member.link, member.identity) == (was.phase, was.link, was.identity)
            if not is_same or member.is_frozen or is_linked(guid) is not was.runs:
                changed.append(name)
                await member.end_in_order()
        return changed

    async def restore(self, saved: SavedFleet, changed: Collection[str]) -> SavedFleet:
        """See `Fleet.restore`."""
        for name, was in saved.members.items():
            restore_host(self._members[name].hypervisor, was)
        self._exports.restore(saved.exports)
        files = restore_tree(self._work_dir, saved.files)
        self._ledger.restore(saved.made)
        for name in changed:
            self._members[name].reset(replace(saved.members[name].identity))
            if saved.members[name].runs:
                self._members[name].start()
        return replace(saved, files=files)

    async def links(self, saved: SavedFleet) -> SavedFleet:
        """See `Fleet.links`."""
        members = {
            name: replace(was, link=self._members[name].link, identity=replace(self._members[name].identity))
            for name, was in saved.members.items()
        }
        return replace(saved, members=members)
