"""Wiring: one management server made of its rooms. No logic lives here."""

from __future__ import annotations

import errno
import socket
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import select

from mgmt.agents.manager import AgentManager
from mgmt.api import integration
from mgmt.api.app import create_wsgi
from mgmt.api.dispatch import Dispatcher
from mgmt.api.face import Face
from mgmt.api.inprocess import InProcessServer
from mgmt.api.server import HttpServer
from mgmt.api.switchboard import MountedServer, Switchboard
from mgmt.api.web_ui import WebUi
from mgmt.commands import all_declarations, of_release
from mgmt.commands.catalogue import KnownCommands
from mgmt.commands.life_calls import life_services_of
from mgmt.commands.services import Services
from mgmt.commands.stubs import load_stubs, with_stubs
from mgmt.config import Settings
from mgmt.imports.ports import HostControl
from mgmt.imports.queue import ImportQueue, import_limits
from mgmt.imports.staging import MountedStaging, NoStaging, StagingArea
from mgmt.inventory.limits import release_all
from mgmt.inventory.power_sync import PowerSync
from mgmt.inventory.settings import GlobalSettings
from mgmt.jobs.runner import JobRunner
from mgmt.life.hostlife import host_went_down
from mgmt.life.hostsetup import HostSetup, NoHostSetup
from mgmt.life.maintenance import HostMaintenance
from mgmt.life.pool_maintenance import interrupted
from mgmt.life.pool_mounts import PoolMounts
from mgmt.life.renewal import CertificateRenewal
from mgmt.life.work import VmWork
from mgmt.observe.journal import Journal
from mgmt.observe.redaction import Redactor
from mgmt.profiles import PROFILES
from mgmt.protocol.memory import MemoryListener
from mgmt.providers import Providers
from mgmt.quirks import Quirks
from mgmt.store.database import Store
from mgmt.store.models import StoragePool
from mgmt.store.seeding import Seed, seed
from mgmt.vmware.connector import VcenterConnector

if TYPE_CHECKING:
    from flask import Flask

UNDO_TIMEOUT_S = 30.0  # what is left to do ends at once; more is for machines under load


class PortTakenError(OSError):
    """A port that somebody else listens on; the text names the port and what it was wanted for."""


@dataclass(frozen=True)
class Place:
    """Where a server is that is reached through another one's port."""

    address: tuple[str, int]
    prefix: str


@dataclass
class ManagementServer:
    """One management server: HTTP API, agent edge, jobs and store. Several can live in one process."""

    services: Services
    seed: Seed
    http: HttpServer | InProcessServer
    wsgi: Flask  # the application that `http` answers with, others behind its port apart
    agents: AgentManager
    pool_mounts: PoolMounts
    certificates: CertificateRenewal
    forget_callers: Callable[[], None]  # for when other records are put into the store
    faces: dict[str, Face] = field(default_factory=dict)  # what else answers on its port, such as `/mock`
    integration_http: HttpServer | None = None
    left_since: object = None  # the mark of the surroundings, where they outlive servers

    @property
    def api_url(self) -> str:
        """Where clients send their requests, such as `http://127.0.0.1:8080/client/api`."""
        return f"{self.root_url}/client/api"

    @property
    def root_url(self) -> str:
        """The address of the whole port, or of this server's part of it."""
        host, port = self.http.address
        prefix = self.http.prefix if isinstance(self.http, MountedServer) else ""
        return f"http://{f'[{host}]' if ':' in host else host}:{port}{prefix}"

    def start(self) -> None:
        """Accept agents, run jobs and answer HTTP requests."""
        with self.services.store.session() as session:
            release_all(session)  # what a killed server's imports had claimed of resource limits
            interrupted(session)
            for user_info in session.scalars(select(StoragePool.user_info).where(StoragePool.user_info.is_not(None))):
                self.services.redactor.register(user_info)
                self.services.redactor.register((user_info or "").partition(":")[2])
        self.services.leaks.take_stock(self.left_since)
        self.services.cleanups.load()
        self.agents.start()
        self.services.jobs.start()
        self.services.maintenance.start()
        self.services.downloads.start()
        self.http.start()
        if self.integration_http is not None:
            self.integration_http.start()

    def stop(self) -> None:
        """End everything that `start` began and close the store.

        A running job gets a second to end. One that goes on is left pending, as a killed server leaves it.
        """
        self.http.stop()
        if self.integration_http is not None:
            self.integration_http.stop()
        self.services.server_shutdown.stop(timeout_s=1)
        self.services.maintenance.stop(timeout_s=1)
        self.services.downloads.stop(timeout_s=1)
        self.services.jobs.stop(timeout_s=1)
        self.agents.stop()
        self.services.jobs.join(timeout_s=UNDO_TIMEOUT_S)
        self.services.cleanups.join(timeout_s=UNDO_TIMEOUT_S)
        self.pool_mounts.join(timeout_s=UNDO_TIMEOUT_S)
        self.certificates.join(timeout_s=UNDO_TIMEOUT_S)
        self.services.store.close()


def create_server(
    settings: Settings,
    providers: Providers | None = None,
    *,
    vcenter_address: str | None = None,
    vcenter_password: str | None = None,
    staging: StagingArea | None = None,
    host_setup: HostSetup | None = None,
    host_control: HostControl | None = None,
    memory: MemoryListener | None = None,
    switchboard: Switchboard | None = None,
    place: Place | None = None,
) -> ManagementServer:
    """A management server that holds its ports but does not answer yet.

    `vcenter_address` (`host:port`) is where the seed's own vCenter listens, when there is one, and `vcenter_password`
    what datacenters without a password of their own log in with; `staging` is where the
    server reaches NFS storage, by default what the setting `nfs_root` says; `host_control` is what it can do with hosts
    beside the agent wire, by default nothing. With `memory` there are no ports: agents of this process connect there,
    and `http` is an InProcessServer. `switchboard` is what leads to servers behind this one's port; a server with a
    `place` is behind another one's. Raises PortTakenError, mgmt.commands.stubs.StubError,
    mgmt.store.seeding.SeedError and mgmt.store.database.StoreError.
    """
    providers = providers or Providers()
    redactor = Redactor()
    journal = Journal(providers.clock, redactor)
    store = Store(settings.database, providers, encryption_key=settings.encryption_key)
    redactor.register(settings.encryption_key)
    if staging is None:
        staging = MountedStaging(settings.nfs_root) if settings.nfs_root is not None else NoStaging()
    try:
        store.claim()
        server = _wire(
            settings,
            providers,
            redactor,
            journal,
            store,
            partial(seed, vcenter_address=vcenter_address, vcenter_password=vcenter_password),
            staging,
            host_setup,
            memory,
            switchboard or Switchboard(),
            place,
        )
    except BaseException:
        store.close()
        raise
    if host_control is not None:
        server.services.host_control = host_control
    return server


def _wire(
    settings: Settings,
    providers: Providers,
    redactor: Redactor,
    journal: Journal,
    store: Store,
    seeded: Callable[[Store, str], Seed],
    staging: StagingArea,
    host_setup: HostSetup | None,
    memory: MemoryListener | None,
    switchboard: Switchboard,
    place: Place | None,
) -> ManagementServer:
    profile = PROFILES[settings.profile]
    declarations = all_declarations()
    if settings.stubs is not None:
        declarations = with_stubs(declarations, load_stubs(settings.stubs, declarations))
    world = seeded(store, settings.seed)
    for secret in world.secrets:
        redactor.register(secret)
    global_settings = GlobalSettings(store, extensions=settings.extensions)
    import_queue = ImportQueue(import_limits(global_settings))
    global_settings.on_change.append(import_queue.refresh)
    if memory is None and place is None:
        _require_free(settings.host, settings.port, "port", "the HTTP API")
    if memory is None:
        _require_free(settings.host, settings.agent_port, "agent-port", "agents")
    agents = AgentManager(
        store,
        providers,
        global_settings,
        journal,
        node_id=uuid.UUID(world.management_server_uuid).int % 2**47,
        management_server_uuid=world.management_server_uuid,
        host=settings.host,
        port=settings.agent_port,
        stores_vddk_facts=profile.has_vddk,
        memory=memory,
    )
    global_settings.on_change.append(agents.settings_changed)
    jobs = JobRunner(
        store,
        providers,
        journal,
        redactor,
        expire_minutes=lambda: global_settings.get_int("job.expire.minutes") or 0,
    )
    services = Services(
        store=store,
        providers=providers,
        settings=global_settings,
        journal=journal,
        redactor=redactor,
        quirks=Quirks(settings.fix, profile),
        agents=agents,
        vcenters=VcenterConnector(providers, global_settings, journal, redactor),
        jobs=jobs,
        commands=of_release(declarations, profile, extensions=settings.extensions),
        known_commands=KnownCommands(profile),
        management_server_uuid=world.management_server_uuid,
        management_server_name=world.management_server_name,
        staging=staging,
        host_loads=agents.host_loads,
        host_setup=host_setup or NoHostSetup(),
        import_queue=import_queue,
        has_extensions=settings.extensions,
        vm_work=VmWork(providers.clock),
        cloudstack_version=profile.version,
    )
    life = life_services_of(services)
    services.host_maintenance = HostMaintenance(life)
    agents.on_host_down = partial(host_went_down, life)
    power = PowerSync(store, providers, global_settings, journal, services.vm_work.is_pending)
    agents.on_power_report = power.report
    pool_mounts = PoolMounts(life)

    def host_up(host_id: int) -> None:
        services.cleanups.host_up(host_id)
        pool_mounts.host_up(host_id)

    agents.on_host_up = host_up
    certificates = CertificateRenewal(store, providers, global_settings, agents)
    agents.on_certificates_ending = certificates.ending
    ui = None if settings.ui_dir is None else WebUi(settings.ui_dir)
    wsgi = create_wsgi(services, session_timeout_s=settings.session_timeout * 60, ui=ui, origins=settings.cors_origin)
    http = _http(wsgi, settings, switchboard, place, in_memory=memory is not None)
    integration_http = _integration_server(services, wsgi.extensions["dispatcher"], settings.host)
    forget_callers = wsgi.extensions["dispatcher"].forget
    return ManagementServer(
        services=services,
        seed=world,
        http=http,
        wsgi=wsgi,
        agents=agents,
        forget_callers=forget_callers,
        faces=wsgi.extensions["faces"],
        pool_mounts=pool_mounts,
        certificates=certificates,
        integration_http=integration_http,
    )


def _http(
    wsgi: Flask, settings: Settings, switchboard: Switchboard, place: Place | None, *, in_memory: bool
) -> HttpServer | InProcessServer:
    if place is not None:
        return MountedServer(wsgi, place.address, place.prefix)
    app = switchboard.around(wsgi)
    return InProcessServer(app) if in_memory else HttpServer(app, settings.host, settings.port)


def _integration_server(services: Services, dispatcher: Dispatcher, host: str) -> HttpServer | None:
    """The integration port, where the setting asks for one; raises PortTakenError."""
    port = services.settings.get_int(integration.SETTING) or 0
    if port <= 0:
        return None
    _require_free(host, port, f"setting {integration.SETTING}", "the integration API")
    app = integration.create_integration_wsgi(
        dispatcher, lambda: services.settings.get_text("json.content.type") or integration.DEFAULT_JSON
    )
    return HttpServer(app, host, port, threads=2, keeps_alive=False)


def _require_free(host: str, port: int, option: str, purpose: str) -> None:
    if port == 0:
        return
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise port_taken(error, host, port, option, purpose) from error


def port_taken(error: OSError, host: str, port: int, option: str, purpose: str) -> PortTakenError:
    """The error to raise when listening on `port` failed with `error`; `--option` is what chooses the port."""
    if error.errno not in (errno.EADDRINUSE, errno.EACCES):
        return PortTakenError(
            error.errno,
            f"cannot listen on {host} for {purpose} ({error.strerror}): --host must be an address of this machine",
        )
    return PortTakenError(
        error.errno,
        f"port {port} on {host}, wanted for {purpose}, cannot be used ({error.strerror}): "
        f"choose another with --{option}, or 0 to let the system choose",
    )
