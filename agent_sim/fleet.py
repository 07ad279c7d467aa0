"""Many simulated agents in one thread, one event loop and one timer heap."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from agent_sim.agent import Phase
from agent_sim.deadline import PingsPassed
from agent_sim.describing import document_of, write_files
from agent_sim.dialing import HANDSHAKES_AT_ONCE
from agent_sim.execution import Ending
from agent_sim.fleetthread import FleetError, FleetThread
from agent_sim.host import RESOURCE_NAME, Domain, HostDescription, NfsExport, VddkLibrary, generated_hosts
from agent_sim.hostfile import load_fleet, load_hosts
from agent_sim.hypervisor import Hypervisor, Surroundings
from agent_sim.injection import FaultPort
from agent_sim.ledger import MOUNT, Holding, Ledger
from agent_sim.member import DomainEnd, Member, Misfortune
from agent_sim.providers import Clock, Ids, RandomIds, RealClock, Timers
from agent_sim.remote import RemoteHosts
from agent_sim.saving import Keeping, SavedFleet, save_tree
from agent_sim.storage import NfsServers
from agent_sim.toolchain.interface import ProgressEvent, ProgressListener, ToolRun, ToolRunListener
from agent_sim.toolchain.timing import EsxiStreams, TimeModel
from mgmt.protocol.link import client_context
from mgmt.protocol.memory import MemoryListener

__all__ = ["Fleet", "FleetError", "ProgressEvent", "ToolRun", "generated_hosts", "load_fleet", "load_hosts"]

T = TypeVar("T")

_STOP_LIMIT_S = 30.0  # for a machine under load
_STOP_EACH_S = 0.005
_TURNS_TO_WAKE = 3
_WORKER_THREADS = 16


class Fleet:
    """Simulated KVM hosts whose agents connect to `connect`.

    Everything they keep is below `work_dir`: `hosts/<name>` is the root of a host's file system, `exports/<server>`
    holds the NFS exports. `time_scale` divides what conversions and copies take and the pauses between connection
    attempts; `math.inf` means no waiting. `repaired` names defects of CloudStack's agent that these do not have
    (`agent_sim.defects`). Listeners are called from the fleet's thread and must not block. On a clock that moves from
    timer to timer, `on_pings_passed` says whether a host's pings may be left out on the way (`agent_sim.member`).
    With `memory` they connect to a server of this process without a socket.
    `files` are there from the start in an empty `work_dir`, by their paths below it.
    `start_after_s` says for the place of each host in the list how many seconds later its agent starts; `streams`
    counts who reads from the ESXi hosts, others included.
    """

    def __init__(
        self,
        hosts: Sequence[HostDescription],
        connect: tuple[str, int],
        work_dir: Path,
        *,
        time_scale: float = 1.0,
        clock: Clock | None = None,
        ids: Ids | None = None,
        model: TimeModel | None = None,
        on_progress: ProgressListener | None = None,
        on_tool_run: ToolRunListener | None = None,
        repaired: Iterable[str] = (),
        on_pings_passed: PingsPassed | None = None,
        faults: FaultPort | None = None,
        memory: MemoryListener | None = None,
        start_after_s: Callable[[int], float] | None = None,
        streams: EsxiStreams | None = None,
        files: Mapping[str, bytes] | None = None,
    ) -> None:
        if not time_scale > 0:
            raise ValueError(f"time_scale: expected a number above 0, got {time_scale}")
        self.work_dir = work_dir
        self._hosts = tuple(hosts)
        self._connect = connect
        self._memory = memory
        self._time_scale = time_scale
        self._clock: Clock = clock or RealClock()
        self._ids: Ids = ids or RandomIds()
        self._model = model or TimeModel()
        self._streams = streams or EsxiStreams()
        self._on_progress = on_progress
        self._on_tool_run = on_tool_run
        self._repaired = frozenset(repaired)
        self._exports = NfsServers(work_dir / "exports")
        self._on_pings_passed = on_pings_passed
        self._faults = faults
        self._start_after_s = start_after_s
        self._files = files or {}
        self._thread = FleetThread(self._main)
        self._members: dict[str, Member] = {}
        self._changed = threading.Condition()
        self._ledger = Ledger()
        self._keeping = Keeping(self._members, work_dir, self._ledger, self._exports)

    def __enter__(self) -> Fleet:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the thread and let all agents connect; returns once they are on their way."""
        self._thread.start()

    def stop(self) -> None:
        """Stop all agents (each tells the server), tools included; sockets, tasks and threads are gone then.

        A fleet of thousands takes some seconds more.
        """
        self._thread.stop(_STOP_LIMIT_S + len(self._hosts) * _STOP_EACH_S)

    def kill(self, name: str) -> None:
        """End the agent's process at once: its socket is reset, a running tool dies with it, nothing is said."""
        self._call(self._member(name).kill())

    def revive(self, name: str, host: HostDescription | None = None) -> None:
        """Start a killed or refused agent again, on a changed host if one is given; it keeps its identity."""
        self._call(self._member(name).revive(host))

    def power_off(self, name: str) -> None:
        """Cut the host's power: agent, tools and VMs are gone, its neighbours miss its heartbeat. `revive` ends it."""
        self._call(self._member(name).power_off())

    def install_vddk(self, name: str, library: VddkLibrary) -> None:
        """Put a VDDK tree on the host, in place of one at the same path; the agent sees it at its next start."""
        self.remove_vddk(name, library.path)
        self._change(name, lambda host: replace(host, vddk_libraries=(*host.vddk_libraries, library)))

    def remove_vddk(self, name: str, path: str) -> None:
        """Delete the VDDK tree at `path`, whether there is one or not; the agent misses it at its next start."""
        self._call(self._member(name).remove_vddk(path))

    def change_tools(self, name: str, **versions: Any) -> None:
        """Install, upgrade or remove (None) tools by their names in `agent_sim.host.Tools`, such as `virt_v2v`.

        The agent sees them at its next ready command, but nbdkit and its plug-in at its next start.
        """
        self._change(name, lambda host: replace(host, tools=replace(host.tools, **versions)))

    def edit_properties(self, name: str, changes: Mapping[str, str | None]) -> None:
        """Edit agent.properties, None removes a key; the agent reads it at its next start."""
        self._change(name, lambda host: replace(host, properties=host.properties.edited(changes)))

    def restart_agent(self, name: str) -> None:
        """Restart the agent's process in order, as `systemctl restart cloudstack-agent` does; returns at once."""
        self._call(self._member(name).restart())

    def add_export(self, export: NfsExport) -> None:
        """Let an NFS server export another directory; no effect on one that is mounted already."""
        self._call(self._declare(export))

    async def _declare(self, export: NfsExport) -> None:
        self._exports.declare([export])

    def set_up(self, address: str, properties: Mapping[str, str]) -> str | None:
        """What the server does over SSH when a host is added: write agent.properties and restart the agent.

        The host's full guid; None when no host with power has that address.
        """
        for member in self.agents:
            hypervisor = member.hypervisor
            if hypervisor.host.ip == address and hypervisor.is_powered:
                self.edit_properties(member.name, properties)
                self.restart_agent(member.name)
                return hypervisor.host.full_guid
        return None

    def drop_link(self, name: str) -> None:
        """Cut the agent's connection only: the process and its tools live on, and it connects again."""
        self._call(self._member(name).drop_link())

    def freeze(self, name: str) -> None:
        """Stop the agent's process (SIGSTOP): its link stays open, but it says nothing any more."""
        self._call(self._member(name).freeze())

    def thaw(self, name: str) -> None:
        """Let a frozen agent go on (SIGCONT)."""
        self._call(self._member(name).thaw())

    def strike(self, name: str, what: Misfortune, for_s: float = 0.0) -> None:
        """Let something happen to an agent, without waiting for it: from any thread, the hosts' own included."""
        self._thread.soon(self._member(name).strike, what, for_s)

    def set_repaired(self, defect: str, *, is_repaired: bool) -> None:
        """Have all hosts be without a defect of CloudStack's agent from now on, or with it."""
        for member in self._members.values():
            hypervisor = member.hypervisor
            rest = hypervisor.repaired - {defect}
            hypervisor.repaired = rest | {defect} if is_repaired else rest

    def start_domain(self, name: str, domain: str | Domain) -> None:
        """Start a VM on host `name` behind the server's back: a defined one by its name, or a new transient one.

        Raises AgentFailure with libvirt's text when it is active already or not defined.
        """
        self._call(self._member(name).start_domain(domain))

    def end_domain(self, name: str, domain: str, how: DomainEnd = "shutdown") -> None:
        """End a VM on host `name` behind the server's back: its guest shuts down or crashes, or somebody destroys it.

        The server learns it from the next ping; at once where agent.properties has `libvirt.events.enabled=true`,
        but for `destroy`. Raises AgentFailure with libvirt's text when the VM is not active.
        """
        self._call(self._member(name).end_domain(domain, how))

    def end_command(self, guid: str, log_id: str, command: str) -> Ending:
        """End what the host with that guid does for a command, which CloudStack's agents cannot be told to.

        `log_id` is `logid` of the command's context, `command` the name of its class. The tool is killed, what it
        wrote is removed, and the agent answers with a failure; what has not begun never will. `goes on` when no such
        agent runs.
        """
        member = self._find(guid)

        async def end() -> Ending:
            ending: Ending = "goes on" if member is None else member.end_command(log_id, command)
            for _ in range(_TURNS_TO_WAKE):  # the ended work is in hand again before the caller's ends
                await asyncio.sleep(0)
            return ending

        return self._call(end())

    def agent(self, name: str) -> Member:
        """The agent of host `name`; raises FleetError for an unknown name."""
        return self._member(name)

    @property
    def agents(self) -> list[Member]:
        """All agents in the order of the hosts."""
        return list(self._members.values())

    def wait_for(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """True once `condition` holds, looked at whenever an agent's phase changes; False after `timeout_s`."""
        with self._changed:
            return self._changed.wait_for(condition, timeout_s)

    def wait_until_ready(self, timeout_s: float) -> bool:
        """True once every agent has been told by the server that it is welcome; spare hosts do not count."""
        wanted = [member for member in self._members.values() if not member.hypervisor.host.spare]
        left = list(reversed(wanted))

        def are_ready() -> bool:  # asked at each change, of which a large fleet has many
            while left and left[-1].is_ready:
                left.pop()
            return not left and all(member.is_ready for member in wanted)

        return self.wait_for(are_ready, timeout_s)

    def export_directory(self, server: str, path: str) -> Path:
        """The real directory of an NFS export."""
        return self._exports.directory(server, path)

    def has_host(self, guid: str) -> bool:
        """Whether a host with that guid is in the fleet."""
        return self._find(guid) is not None

    # -- many at once

    def census(self) -> Counter[str]:
        """How many agents are `ready` (welcome), `connecting`, `waiting` to connect again, `stopped` or `refused`."""
        return Counter(member.standing for member in list(self._members.values()))

    def storm(self, names: Collection[str], offline_s: float) -> None:
        """Cut the links of these agents at once; for `offline_s` seconds they cannot reach the server."""
        self._call(self._cut(names, offline_s))

    async def _cut(self, names: Collection[str], offline_s: float) -> None:
        for name in names:
            self._member(name).strike("loses its link", offline_s)

    # -- what is there

    def holdings(self) -> list[Holding]:
        """What the hosts' programs made and nobody settled, which programs run, and what is mounted for conversions."""
        mounts = [
            Holding(MOUNT, member.name, pool.target)
            for member in self.agents
            for pool in member.hypervisor.storage.temporary_mounts()
        ]
        return self._ledger.holdings() + mounts

    def settle(self, file_names: Collection[str]) -> None:
        """Files with these names belong to volumes: `holdings` shows them no more."""
        self._ledger.settle(file_names)

    # -- kept and taken back

    def save(self) -> SavedFleet:
        """What all hosts are and have now; for a fleet at rest."""
        return self._call(self._keeping.save())

    def document(self, variables: Mapping[str, str]) -> dict[str, Any]:
        """All hosts as they are now, for `load_fleet`: see `agent_sim.describing`."""

        async def describe() -> dict[str, Any]:
            files = save_tree(self.work_dir)
            return document_of(self._members.values(), self._exports.save(), files, self.work_dir, variables)

        return self._call(describe())

    def stop_changed(self, saved: SavedFleet, is_linked: Callable[[str], bool]) -> list[str]:
        """Stop the agents that are not as they were at `saved`; gives back their hosts' names.

        `is_linked` tells by the guid whether the server knows the host's link.
        """
        return self._call(self._keeping.stop_changed(saved, is_linked))

    def restore(self, saved: SavedFleet, changed: Collection[str]) -> SavedFleet:
        """Be what was saved; of the agents `changed`, which are stopped, those start that ran.

        Gives back what to use in place of `saved` from now on.
        """
        return self._call(self._keeping.restore(saved, changed))

    def links(self, saved: SavedFleet) -> SavedFleet:
        """`saved` with the links that the agents have now, for a fleet that was restored and has connected."""
        return self._call(self._keeping.links(saved))

    # -- inside

    def _change(self, name: str, change: Callable[[HostDescription], HostDescription]) -> None:
        self._call(self._member(name).change(change))

    def _find(self, guid: str) -> Member | None:
        wanted = guid.removesuffix(f"-{RESOURCE_NAME}")
        return next((item for item in self._members.values() if item.hypervisor.host.guid == wanted), None)

    def _member(self, name: str) -> Member:
        try:
            return self._members[name]
        except KeyError:
            raise FleetError(f"no agent named {name!r}: there are {', '.join(self._members) or 'none'}") from None

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return self._thread.call(work)

    async def _main(self, started: Callable[[], None], ended: asyncio.Event) -> None:
        timers = Timers.for_clock(self._clock)
        executor = ThreadPoolExecutor(_WORKER_THREADS, thread_name_prefix="agent-tool")
        starts = []
        try:
            self._members.update(self._make_members(timers, executor))
            for place, member in enumerate(self._members.values()):
                if member.hypervisor.host.spare:
                    continue
                if self._start_after_s is None:
                    member.start()
                else:
                    starts.append(timers.call_at(timers.now_s() + self._start_after_s(place), member.start))
            started()
            await ended.wait()
        finally:
            for start in starts:  # or an agent would begin while the others are being stopped
                start.cancel()
            await asyncio.gather(*(member.close() for member in self._members.values()))
            timers.close()
            executor.shutdown(wait=True, cancel_futures=True)

    def _make_members(self, timers: Timers, executor: ThreadPoolExecutor) -> dict[str, Member]:
        write_files(self.work_dir, self._files)
        exports = self._exports
        remotes = RemoteHosts(self.work_dir / "remote")
        for host in self._hosts:
            exports.declare(host.nfs_exports)
            remotes.declare(host.remote_hosts)
        surroundings = Surroundings(
            exports=exports,
            remotes=remotes,
            timers=timers,
            executor=executor,
            ids=self._ids,
            streams=self._streams,
            model=self._model,
            time_scale=self._time_scale,
            on_progress=self._on_progress,
            on_tool_run=self._on_tool_run,
            repaired=self._repaired,
            faults=self._faults,
            ledger=self._ledger,
        )
        context = client_context()
        gate = asyncio.Semaphore(HANDSHAKES_AT_ONCE)
        members = {}
        for host in self._hosts:
            hypervisor = Hypervisor(host, self.work_dir / "hosts" / host.name, surroundings)
            members[host.name] = Member(
                hypervisor,
                self._connect,
                clock=self._clock,
                timers=timers,
                context=context,
                pause_scale=self._time_scale,
                on_change=self._notify,
                on_pings_passed=self._on_pings_passed,
                memory=self._memory,
                gate=gate,
            )
        return members

    def _notify(self, phase: Phase) -> None:
        with self._changed:
            self._changed.notify_all()
