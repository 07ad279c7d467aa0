"""One simulated KVM host as its agent finds it: files, pools, domains, tools. It outlives the agent process."""

from __future__ import annotations

import copy
import logging
import math
import shutil
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from pathlib import Path

from agent_sim.capabilities import Capabilities, probe, probe_tools
from agent_sim.errors import AgentFailure, domain_not_found
from agent_sim.host import Domain, HostDescription
from agent_sim.injection import FaultPort
from agent_sim.ledger import Ledger
from agent_sim.properties import AgentProperties
from agent_sim.providers import Ids, StreamedIds, Timers
from agent_sim.remote import RemoteHosts
from agent_sim.startup import MeasuredPool
from agent_sim.storage import HostFiles, HostStorage, NfsServers
from agent_sim.toolchain.images import write_qcow2
from agent_sim.toolchain.interface import ProgressListener, Toolchain, ToolRunListener
from agent_sim.toolchain.run import Bench
from agent_sim.toolchain.simulated import SimulatedToolchain
from agent_sim.toolchain.timing import EsxiStreams, TimeModel

logger = logging.getLogger(__name__)

PASSWORD_FILE_PREFIX = "/tmp/v2v.pass.cloud."


@dataclass(frozen=True)
class Surroundings:
    """What all hosts of a fleet share."""

    exports: NfsServers
    remotes: RemoteHosts
    timers: Timers
    executor: Executor
    ids: Ids
    streams: EsxiStreams
    model: TimeModel
    time_scale: float
    on_progress: ProgressListener | None = None
    on_tool_run: ToolRunListener | None = None
    repaired: frozenset[str] = frozenset()
    faults: FaultPort | None = None
    ledger: Ledger = field(default_factory=Ledger)
    hypervisors: dict[str, Hypervisor] = field(default_factory=dict)
    """The fleet's hosts by address: each puts itself here."""


class Hypervisor:
    """A host's state and its tools."""

    def __init__(self, host: HostDescription, root: Path, surroundings: Surroundings) -> None:
        self.host = host
        self.files = HostFiles(root)
        ids = surroundings.ids
        self.ids = ids.stream(host.name) if isinstance(ids, StreamedIds) else ids
        self.repaired = surroundings.repaired
        self.remotes = surroundings.remotes
        self.neighbours = surroundings.hypervisors
        self.neighbours[host.ip] = self
        self.is_killed = False
        """The agent's process was ended so that nothing tidies up after it."""
        self._surroundings = surroundings
        self._provision()
        self.storage = HostStorage(host, self.files, surroundings.exports, surroundings.faults)
        self.domains: dict[str, Domain] = {}
        for domain in host.domains:
            there = replace(domain, persistent=not domain.transient, transient=False)
            if domain.state == "shut off":
                self.domains[domain.name] = there
            else:
                self.run_domain(there, domain.state)
        self.bench = Bench(
            host=host,
            files=self.files,
            storage=self.storage,
            timers=surroundings.timers,
            executor=surroundings.executor,
            streams=surroundings.streams,
            model=surroundings.model,
            time_scale=surroundings.time_scale,
            on_progress=surroundings.on_progress,
            on_tool_run=surroundings.on_tool_run,
            faults=surroundings.faults,
            ledger=surroundings.ledger,
        )
        self.toolchain: Toolchain = SimulatedToolchain(self.bench)
        self._capabilities: Capabilities | None = None  # until somebody asks, or the agent starts
        self.is_powered = True
        self.link_addresses: set[str] = set()
        """The addresses that the host's links have had at this end."""
        self._properties_file = host.properties
        self._heart_stopped_s: float | None = -math.inf  # None: it beats

    @property
    def capabilities(self) -> Capabilities:
        """What the agent found on the host."""
        if self._capabilities is None:
            self._capabilities = probe(self.host, self.files)
        return self._capabilities

    def heartbeat_age_s(self) -> float:
        """How old the heartbeat is that the agent writes to its NFS pools; a host without power has none."""
        if not self.is_powered:
            return math.inf
        return 0.0 if self._heart_stopped_s is None else self._surroundings.timers.now_s() - self._heart_stopped_s

    def agent_ended(self) -> None:
        """The agent's process is gone: its heartbeat stops."""
        if self._heart_stopped_s is None:
            self._heart_stopped_s = self._surroundings.timers.now_s()

    def remove_vddk(self, path: str) -> None:
        """Delete a VDDK tree; the agent misses it at its next start."""
        shutil.rmtree(self.files.real(path), ignore_errors=True)
        left = tuple(library for library in self.host.vddk_libraries if library.path != path)
        self.change_host(replace(self.described, vddk_libraries=left))

    @property
    def described(self) -> HostDescription:
        """The host as it is now, with agent.properties as the file says, which a running agent has read before."""
        return replace(self.host, properties=self._properties_file)

    def change_host(self, host: HostDescription) -> None:
        """Put other tools, libraries or properties on the host.

        Tools are there at once and seen at the next ready command, VDDK and properties at the agent's next start.
        """
        self._properties_file = host.properties
        self._set_host(replace(host, properties=self.host.properties))

    def edit_properties(self, properties: AgentProperties) -> None:
        """Write agent.properties anew; the agent reads it at its next start."""
        self.change_host(replace(self.host, properties=properties))

    def _set_host(self, host: HostDescription) -> None:
        self._capabilities = self.capabilities  # which are those of before
        self.host = host
        self.bench.host = host
        self._provision()

    def as_if(self, host: HostDescription, findings: Mapping[str, object]) -> Hypervisor:
        """The same host with other tools and other findings of its agent, for as long as one command sees it so."""
        other = copy.copy(self)
        other.host = host
        other.bench = replace(self.bench, host=host)
        other.toolchain = SimulatedToolchain(other.bench)
        other._capabilities = replace(self.capabilities, **dict(findings))  # type: ignore[arg-type]
        return other

    def probe_tools(self) -> Capabilities:
        """Look at the tools again, as each ready command and each check of the conversion does."""
        self._capabilities = probe_tools(self.capabilities, self.host)
        return self.capabilities

    def start_agent(self) -> None:
        """What a starting agent does before it connects: probe, and clean what a killed one left behind."""
        self._heart_stopped_s = None
        self.is_killed = False
        if self.host.properties != self._properties_file:
            self._set_host(self.described)
        self.storage.forget_references()
        self._capabilities = probe(self.host, self.files)
        for left in self.password_files():
            logger.warning("removing the password file %s that a killed agent left on %s", left.name, self.host.name)
            left.unlink(missing_ok=True)

    async def measure_local_pools(self) -> list[MeasuredPool]:
        """The local pools with what is free now."""
        return [
            MeasuredPool(pool.uuid, pool.path, pool.capacity_bytes, await self.bench.room(pool))
            for pool in self.storage.local_pools
        ]

    def password_files(self) -> list[Path]:
        """Password files of conversions that are there now."""
        folder = self.files.real(PASSWORD_FILE_PREFIX).parent
        prefix = self.files.real(PASSWORD_FILE_PREFIX).name
        return sorted(path for path in folder.iterdir() if path.name.startswith(prefix)) if folder.is_dir() else []

    def run_domain(self, domain: Domain, state: str = "running") -> None:
        """Put the domain on the host, active, with the first VNC display that is free."""
        taken = {other.vnc_display for other in self.domains.values() if other.state != "shut off"}
        display = next(number for number in range(len(taken) + 1) if number not in taken)
        self.domains[domain.name] = replace(domain, state=state, vnc_display=display)

    def set_domain_state(self, name: str, state: str) -> None:
        """Change a domain's state: `running`, `paused` or `shut off`."""
        self.domains[name] = replace(self.domains[name], state=state)

    def start_domain(self, domain: str | Domain) -> None:
        """What `virsh start NAME` or `virsh create` does; raises AgentFailure with libvirt's text."""
        known = self.domains.get(domain if isinstance(domain, str) else domain.name)
        if known is not None and known.state != "shut off":
            raise AgentFailure(f"Requested operation is not valid: domain '{known.name}' is already active")
        if isinstance(domain, Domain):
            self.run_domain(domain)
        elif known is not None:
            self.run_domain(known)
        else:
            raise AgentFailure(domain_not_found(domain))

    def end_domain(self, name: str) -> None:
        """The domain stops: a persistent one stays, shut off, a transient one is gone.

        Raises AgentFailure for one that is not active.
        """
        domain = self.domains.get(name)
        if domain is None:
            raise AgentFailure(domain_not_found(name))
        if domain.state == "shut off":
            raise AgentFailure("Requested operation is not valid: domain is not running")
        if domain.persistent:
            self.set_domain_state(name, "shut off")
        else:
            del self.domains[name]

    def _provision(self) -> None:
        libraries = [f"{library.path}/{name}" for library in self.host.vddk_libraries for name in library.files]
        folders = [path.rpartition("/")[0] for path in libraries] + [pool.path for pool in self.host.local_pools]
        self.files.make_directories(["/tmp", "/mnt", self.host.properties.mount_path, *folders])
        for library_file in libraries:
            self.files.real(library_file).touch()
        for domain in self.host.domains:
            for disk in domain.disks:
                if disk.path.startswith(f"{self.host.properties.mount_path.rstrip('/')}/"):
                    continue  # on a pool that CloudStack will mount there
                path = self.files.real(disk.path)
                if not path.exists():
                    path.parent.mkdir(parents=True, exist_ok=True)
                    write_qcow2(path, disk.capacity_bytes, allocated_bytes=disk.capacity_bytes // 4)
