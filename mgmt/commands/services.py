"""What a command's handler may use: the services of one server, handed in by `mgmt.app`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mgmt.commands.catalogue import KnownCommands
from mgmt.imports.archive import TraceArchive
from mgmt.imports.cleanup import HostCleanups
from mgmt.imports.leaks import LeakWatch, SavedLeaks
from mgmt.imports.ports import HostControl, NoHostControl
from mgmt.imports.queue import ImportQueue
from mgmt.imports.running import RunningImports
from mgmt.imports.staging import NoStaging, StagingArea
from mgmt.inventory.api_limits import ApiLimits
from mgmt.inventory.hostviews import HostViews
from mgmt.life.downloads import Downloads
from mgmt.life.hostsetup import HostSetup, NoHostSetup
from mgmt.life.servers import ServerShutdown
from mgmt.life.work import VmWork

if TYPE_CHECKING:
    from mgmt.agents.manager import AgentManager
    from mgmt.commands.declaration import Declaration
    from mgmt.faults import FaultEngine
    from mgmt.inventory.hosts import HostStatsLike
    from mgmt.inventory.settings import GlobalSettings
    from mgmt.jobs.runner import JobRunner
    from mgmt.life.maintenance import HostMaintenance
    from mgmt.observe.journal import Journal
    from mgmt.observe.redaction import Redactor
    from mgmt.providers import Providers
    from mgmt.quirks import Quirks
    from mgmt.store.database import Store
    from mgmt.vmware.connector import VcenterConnector


@dataclass(frozen=True)
class SavedServices:
    """What services know beside the records at some time."""

    settings: Mapping[tuple[str, int, str], str | None]
    leaks: SavedLeaks
    cleanups: frozenset[int]


@dataclass
class Services:
    """The services of one server."""

    store: Store
    providers: Providers
    settings: GlobalSettings
    journal: Journal
    redactor: Redactor
    quirks: Quirks
    agents: AgentManager
    vcenters: VcenterConnector
    jobs: JobRunner
    commands: Mapping[str, Declaration]
    management_server_uuid: str
    management_server_name: str
    cloudstack_version: str = "4.22.1.0"
    host_loads: Mapping[int, HostStatsLike] = field(default_factory=dict)
    host_views: HostViews = field(default_factory=HostViews)
    host_setup: HostSetup = field(default_factory=NoHostSetup)
    staging: StagingArea = field(default_factory=NoStaging)
    vm_work: VmWork = field(default_factory=VmWork)
    host_maintenance: HostMaintenance | None = None
    import_traces: TraceArchive = field(default_factory=TraceArchive)
    imports: RunningImports = field(default_factory=RunningImports)
    import_queue: ImportQueue = field(default_factory=lambda: ImportQueue(lambda kind: None))
    has_extensions: bool = False
    known_commands: KnownCommands = field(default_factory=KnownCommands)
    host_control: HostControl = field(default_factory=NoHostControl)
    faults: FaultEngine | None = None
    server_shutdown: ServerShutdown = field(init=False)
    api_limits: ApiLimits = field(init=False)  # those of the start, by the HTTP edge
    leaks: LeakWatch = field(init=False)
    cleanups: HostCleanups = field(init=False)
    downloads: Downloads = field(init=False)

    def __post_init__(self) -> None:
        self.server_shutdown = ServerShutdown(self.jobs, self.providers, self.agents)
        self.api_limits = ApiLimits(self.providers.clock)
        self.leaks = LeakWatch(self.store, self.providers)
        self.downloads = Downloads(self.store, self.providers)
        self.cleanups = HostCleanups(self.store, self.providers, self.agents, self.leaks.done_later)

    def save(self) -> SavedServices:
        """What the services know beside the records, for `restore`."""
        return SavedServices(self.settings.save(), self.leaks.save(), self.cleanups.save())

    def restore(self, saved: SavedServices) -> None:
        """Know that again, and nothing of what was since; the store holds the records of then. For a server at rest."""
        self.settings.restore(saved.settings)
        self.leaks.restore(saved.leaks)
        self.cleanups.restore(saved.cleanups)
        self.server_shutdown.reset()
        self.vcenters.forget()
        self.imports.clear()
        self.import_traces.clear()
        self.vm_work.stopped_for_pool.clear()
        self.vm_work.remounted_pools.clear()
        self.downloads.look()

    @property
    def maintenance(self) -> HostMaintenance:
        """The maintenance of hosts; RuntimeError in a server without agents."""
        if self.host_maintenance is None:
            raise RuntimeError("this server has no hosts")
        return self.host_maintenance
