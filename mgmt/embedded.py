"""A whole world in one process: the management server, its simulated KVM hosts and its vCenter stand-in.

Everything still speaks over real sockets; the rooms only share the process.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mgmt import snapshots
from mgmt.api.switchboard import Switchboard
from mgmt.app import ManagementServer, Place, bracketed, create_server, port_taken, reachable
from mgmt.config import ConfigError, Settings
from mgmt.faults import ArmedFault, FaultFileError, FaultRefusedError, fault_of_line
from mgmt.fleetports import FleetControl, FleetSetup, FleetStaging
from mgmt.protocol import inprocess
from mgmt.protocol.memory import MemoryListener
from mgmt.providers import Providers
from mgmt.snapshots import Snapshot, SnapshotError
from mgmt.starting import StartError, owner_of, write_ready_file
from mgmt.store.seeding import read_seed
from mgmt.surroundings import EmbeddedSurroundings
from mgmt.workfolders import WorkFolder
from mgmt.worldclock import WorldClock, clock_of
from mgmt.worldfaults import engine_of
from mgmt.worlds import Worlds

if TYPE_CHECKING:
    from agent_sim.fleet import Fleet, ProgressEvent, ToolRun
    from agent_sim.toolchain.timing import EsxiStreams
    from mgmt.admin import AdminFace
    from vcenter_sim.server import VcenterSim

ATTACH_TIMEOUT_S = 60.0
KEPT_LINES = 100  # of what a program printed, in the journal


class World:
    """A server with the embedded parts that its settings ask for.

    Use as a context manager, or call `start()` and `stop()`. `on_progress` gets each step of a simulated conversion.
    A `resettable` world keeps what it is after the start, for `reset`. One that is `in_memory` opens no ports: its
    hosts and its vCenter are reached without sockets, by the same bytes, and `server.http.call` takes requests.
    `worlds` are others behind its port; one of them is made with `beside`.
    """

    def __init__(
        self,
        settings: Settings,
        providers: Providers | None = None,
        *,
        on_progress: Callable[[ProgressEvent], None] | None = None,
        resettable: bool = False,
        in_memory: bool = False,
        beside: Worlds | None = None,
    ) -> None:
        _refuse_equal_ports(settings)
        self.settings = settings
        self.providers = providers or Providers(clock=clock_of(settings))
        self.clock = WorldClock(self.providers.clock, lambda: self.server.services.jobs)
        self.faults = engine_of(self)
        self.vcenter: VcenterSim | None = None
        self.fleet: Fleet | None = None
        self._on_progress = on_progress
        self._own_work_dir: WorkFolder | None = None
        self._server: ManagementServer | None = None
        self._first_mark: object = None
        self._is_resettable = resettable or (settings.admin and settings.database.startswith("sqlite"))
        self._admin = self._admin_face() if settings.admin else None
        self._at_start: Snapshot | None = None
        self.in_memory = in_memory
        self._memory = MemoryListener((settings.host, settings.agent_port)) if in_memory else None
        self._reachable = ExitStack()
        self._streams: EsxiStreams | None = None
        self._switchboard = Switchboard()
        self.place: Place | None = None  # of a world behind another one's port
        self.worlds = beside if beside is not None else Worlds(self, self._switchboard)

    def _admin_face(self) -> AdminFace:
        from mgmt.admin import AdminFace
        from mgmt.admin.access import is_loopback

        host, token = self.settings.host, self.settings.admin_token
        if token is None and not is_loopback(host):
            raise ConfigError("settings", "admin", "true", f"admin_token too: host = {host!r} is no loopback address")
        return AdminFace(self, token)

    @property
    def server(self) -> ManagementServer:
        """The management server of a started world."""
        if self._server is None:
            raise RuntimeError("the world is not started")
        return self._server

    def __enter__(self) -> World:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def start(self) -> None:
        """Return once everything answers and all embedded hosts are Up; nothing is left running on failure."""
        try:
            with self.clock.held():
                self._start()
            self.clock.start()
            if self._is_resettable:
                self._at_start = self.snapshot()
            for line in self.settings.world:
                name, _, seed = line.partition("=")
                self.worlds.create(name, seed=seed)
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        files = read_seed(self.settings.seed)
        if self.settings.vcenter == "embedded":
            with files.file_of("vcenter") as inventory_file:
                if inventory_file is not None:
                    self._start_vcenter(inventory_file)
        with files.file_of("agents") as described:
            hosts_file = described if self.settings.agents == "embedded" else None
            self._server = self._create_server(self.settings, has_hosts=hosts_file is not None)
            self._server.start()
            if hosts_file is not None:
                self._start_agents(hosts_file)
        self._first_mark = self._server.services.leaks.surroundings.mark()
        for line in self.settings.fault:
            try:
                name, choices = fault_of_line(line)
                self.faults.arm(name, **choices)
            except (FaultRefusedError, FaultFileError) as error:
                raise StartError(f"fault {line!r}: {error}") from error

    def _create_server(self, settings: Settings, *, has_hosts: bool) -> ManagementServer:
        """A server with everything of this world in its hands, the first one and each that follows it."""
        server = create_server(
            settings,
            self.providers,
            vcenter_address=self._vcenter_address(),
            vcenter_password=self.vcenter.password if self.vcenter is not None else None,
            staging=FleetStaging(self) if has_hosts else None,
            host_setup=FleetSetup(self) if has_hosts else None,
            host_control=FleetControl(self) if has_hosts else None,
            memory=self._memory,
            switchboard=self._switchboard,
            place=self.place,
        )
        server.services.faults = self.faults
        server.services.leaks.surroundings = self._surroundings()
        if self._admin is not None:
            server.faces[self._admin.prefix] = self._admin
        return server

    def fault(self, name: str, /, **choices: Any) -> ArmedFault:
        """Arm a fault of the catalogue (docs/faults.md); see `FaultEngine.arm` for the keywords.

        Raises FaultRefusedError for an unknown name, with the nearest ones, and for what cannot be had together.
        """
        return self.faults.arm(name, **choices)

    # The simulators are imported when they are wanted: a server without them starts in half the time.

    def _start_vcenter(self, inventory_file: Path) -> None:
        from agent_sim.toolchain.timing import EsxiStreams
        from vcenter_sim.document import InventoryError
        from vcenter_sim.server import VcenterSim
        from vcenter_sim.transfers import TransferModel

        self._streams = EsxiStreams()
        try:
            self.vcenter = VcenterSim(
                inventory_file,
                host=self.settings.host if self._memory is None else inprocess.new_address(),
                port=self.settings.vcenter_port if self._memory is None else inprocess.PORT,
                clock=self.clock.virtual,
                ids=self.providers.stream("vCenter").ids,
                injector=self.faults,
                listens=self._memory is None,
                transfers=TransferModel(time_scale=self.settings.time_scale),
                streams=self._streams,
            )
            self.vcenter.start()
            if self._memory is not None:
                peer = inprocess.InProcessPeer(self.vcenter.exchange, self.vcenter.certificate_der)
                self._reachable.enter_context(inprocess.reachable(self.vcenter.address[0], peer))
        except InventoryError as error:
            raise StartError(str(error)) from error
        except OSError as error:
            raise port_taken(
                error, self.settings.host, self.settings.vcenter_port, "vcenter-port", "the vCenter"
            ) from error

    def _start_agents(self, hosts_file: Path) -> None:
        from agent_sim.fleet import Fleet, load_fleet
        from agent_sim.host import HostFileError

        # Hosts outlive servers: whoever is told of something is looked up when it happens.

        def record_tool_run(run: ToolRun) -> None:
            journal = self.server.services.journal
            journal.record(
                "tool",
                run.argv[0],
                correlation_id=journal.correlation_of(run.log_id),
                host=run.host,
                argv=list(run.argv),
                exit_status=run.exit_status,
                shell_splice=run.shell_splice,
                output=run.output[-KEPT_LINES:],
                password_file_mode=None if run.password_file_mode is None else f"{run.password_file_mode:04o}",
            )

        try:
            described = load_fleet(hosts_file, self.variables())
        except HostFileError as error:
            raise StartError(str(error)) from error

        def follow(event: ProgressEvent) -> None:
            self.server.services.imports.reported(
                event.log_id, event.tool, event.disk_index, event.disk_count, event.bytes_done, event.bytes_total
            )
            if self._on_progress is not None:
                self._on_progress(event)

        self.fleet = Fleet(
            described.hosts,
            files=described.files,
            connect=self.server.agents.address,
            work_dir=self._work_dir(),
            time_scale=self.settings.time_scale,
            clock=self.clock.virtual,
            ids=self.providers.ids,
            on_pings_passed=lambda guid, states, last_s: self.server.agents.pings_passed(guid, states, last_s),
            on_progress=follow,
            on_tool_run=record_tool_run,
            repaired=self.server.services.quirks.absent,
            faults=self.faults,
            memory=self._memory,
            streams=self._streams,
        )
        self.fleet.start()
        expected = [host.full_guid for host in described.hosts if not host.spare]
        if not self.server.agents.wait_for_hosts_up(expected, timeout_s=ATTACH_TIMEOUT_S):
            raise StartError(f"not all of the {len(expected)} embedded hosts came Up: see the log")

    def variables(self) -> dict[str, str]:
        """What the hosts file may refer to as `${name}`."""
        return {"vcenter.thumbprint": self.vcenter.thumbprint_sha1} if self.vcenter is not None else {}

    def restart_server(self) -> None:
        """Stop the management server alone and start another on the same database, with the same ports.

        Hosts and vCenter live on, and the hosts connect again. Raises StartError for a memory database, and when a
        host that runs does not come Up.
        """
        old = self.server
        if self.settings.database == "sqlite://":
            raise StartError("a server with a database in memory cannot be restarted: set `database`")
        changed = replace(self.settings, port=old.http.address[1], agent_port=old.agents.address[1])
        old.stop()
        self._server = self._create_server(changed, has_hosts=self.fleet is not None)
        self._server.left_since = self._first_mark
        self._server.start()
        if self.place is not None:
            self.worlds.show(self)
        if self.fleet is None:
            return
        from agent_sim.agent import Phase

        alive = [member.hypervisor.host.full_guid for member in self.fleet.agents if member.phase is not Phase.STOPPED]
        if not self._server.agents.wait_for_hosts_up(alive, timeout_s=ATTACH_TIMEOUT_S):
            raise StartError("not all embedded hosts connected to the restarted server")

    def snapshot(self) -> Snapshot:
        """The world as it is now, for `restore`: records, hosts with their files, vCenter, armed faults.

        Jobs are waited for. Raises SnapshotError when they do not end, StoreError with a database that is none of
        SQLite's.
        """
        return snapshots.take(self)

    def restore(self, snapshot: Snapshot) -> None:
        """Be as at the snapshot; see `mgmt.snapshots`. Running imports are cancelled, other jobs are waited for.

        The journal begins anew, and logins end. Raises SnapshotError, after which the world is of no more use.
        """
        if snapshot.world is not self:
            raise SnapshotError("the snapshot is one of another world")
        snapshots.restore(snapshot)

    def reset(self) -> None:
        """Be as after the start: see `restore`. Raises SnapshotError for a world that was not made `resettable`."""
        if self._at_start is None:
            raise SnapshotError("the world does not know its start: make it with resettable=True")
        self.restore(self._at_start)

    def saved_as_seed(self) -> str:
        """The world as it is now as the YAML text of a seed: see `mgmt.worldseed`. Jobs are waited for.

        Raises SnapshotError when they do not end.
        """
        from mgmt import worldseed

        return worldseed.text_of(self)

    def save_as_seed(self, file: Path) -> None:
        """Write `saved_as_seed` to a file that only its owner may read: it holds keys."""
        from mgmt import worldseed

        worldseed.write(self, file)

    def _surroundings(self) -> EmbeddedSurroundings:
        return EmbeddedSurroundings(lambda: self.fleet, lambda: self.vcenter)

    def stop(self) -> None:
        """End everything; safe to call twice and after a failed start."""
        if self.place is None:
            self.worlds.close()
        self.clock.close()
        if self._server is not None:
            self._server.stop()
        if self.fleet is not None:
            self.fleet.stop()
        if self.vcenter is not None:
            self.vcenter.stop()
        self._reachable.close()
        self.fleet = self._server = self.vcenter = None
        if self._own_work_dir is not None:
            self._own_work_dir.remove()
            self._own_work_dir = None

    def ready(self) -> dict[str, object]:
        """What a script needs to use this world: the content of the ready file. It holds secrets."""
        server = self.server
        admin = server.seed.admin
        host, port = server.agents.address
        return {
            **({} if self._admin is None else {"admin": server.root_url + self._admin.prefix}),
            "pid": os.getpid(),
            "api": server.api_url,
            "console": None,
            "api_key": admin.api_key,
            "secret_key": admin.secret_key,
            "username": admin.username,
            "password": admin.password,
            "agent_endpoint": f"{bracketed(reachable(host))}:{port}",
            "vcenter": self._vcenter_ready(),
            "zone_id": server.seed.zone_uuid,
            "cluster_id": server.seed.cluster_uuid,
            **self.worlds.ready_of(self),
        }

    def write_ready_file(self, path: Path) -> None:
        """Write `ready()` to `path`: see `mgmt.starting.write_ready_file`."""
        write_ready_file(path, self.ready())

    def remove_ready_file(self, path: Path) -> None:
        """Remove the ready file, if it is still this process's."""
        if owner_of(path) == os.getpid():
            path.unlink(missing_ok=True)

    def _vcenter_address(self) -> str | None:
        if self.vcenter is None:
            return None
        host, port = self.vcenter.address
        return f"{reachable(host)}:{port}"

    def _vcenter_ready(self) -> dict[str, object] | None:
        if self.vcenter is None:
            return None
        host, port = self.vcenter.address
        return {
            "host": reachable(host),
            "port": port,
            "username": self.vcenter.username,
            "password": self.vcenter.password,
            "datacenter": self.vcenter.datacenter,
        }

    def _work_dir(self) -> Path:
        if self.settings.work_dir is not None:
            try:
                self.settings.work_dir.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StartError(
                    f"work_dir = '{self.settings.work_dir}' cannot be used: expected a folder ({error.strerror})"
                ) from error
            return self.settings.work_dir
        self._own_work_dir = WorkFolder()
        files = self._own_work_dir.path / "files"  # beside the folder's lock, which no snapshot may take or give back
        files.mkdir()
        return files


def _refuse_equal_ports(settings: Settings) -> None:
    wanted = {"port": settings.port, "agent_port": settings.agent_port}
    if settings.vcenter == "embedded":
        wanted["vcenter_port"] = settings.vcenter_port
    seen: dict[int, str] = {}
    for name, port in wanted.items():
        if port in seen:
            raise ConfigError("settings", name, port, f"another port than that of {seen[port]}")
        if port:
            seen[port] = name
