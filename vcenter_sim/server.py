"""The stand-in as a whole: an inventory file served over HTTPS."""

from __future__ import annotations

import logging
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vcenter_sim import building, certificate, describing, hosts, saving
from vcenter_sim.entries import ExportFaults
from vcenter_sim.exports import Exports
from vcenter_sim.http import SoapServer, answer_in_memory
from vcenter_sim.injection import FaultPort, Injection
from vcenter_sim.inventory import Inventory, Managed
from vcenter_sim.methods import method_table
from vcenter_sim.providers import Clock, Ids, RandomIds, RealClock, utc
from vcenter_sim.saving import SavedInventory
from vcenter_sim.service import Service, Timings, World
from vcenter_sim.sessions import Credentials, Sessions
from vcenter_sim.snapshots import Snapshots
from vcenter_sim.tasks import Scheduler, Tasks
from vcenter_sim.transfers import Streams, TransferModel
from vcenter_sim.types import vim

log = logging.getLogger(__name__)

STOP_TIMEOUT_S = 30.0  # for a machine under load


@dataclass(frozen=True)
class SavedVcenter:
    """What a stand-in held at some time, for `VcenterSim.restore`."""

    inventory: SavedInventory
    credentials: Credentials
    recent_tasks: tuple[Managed, ...]
    export_faults: Mapping[str, ExportFaults]
    lost_files: frozenset[str]


class VcenterSim:
    """A vCenter stand-in that serves one inventory file.

    `username` and `password` replace those of the file. `certificate_dir` keeps the certificate over restarts.
    Raises InventoryError (file, place, reason) for a file that cannot be used. Objects live as long as this one:
    after `stop` a `start` serves the same inventory again, with all sessions gone, as a restarted vCenter would.
    With `listens` False there is no port: see `exchange`. `transfers` says how long downloads take (no time without
    it), `streams` counts who else reads from the ESXi hosts.
    """

    def __init__(
        self,
        inventory_file: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        username: str | None = None,
        password: str | None = None,
        clock: Clock | None = None,
        ids: Ids | None = None,
        certificate_dir: Path | None = None,
        session_idle_timeout_s: float = 1800.0,
        timings: Timings | None = None,
        injector: FaultPort | None = None,
        listens: bool = True,
        transfers: TransferModel | None = None,
        streams: Streams | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._listens = listens
        self._is_running = False
        self._clock = clock or RealClock()
        self._inventory, document = building.load(inventory_file, self._clock, ids or RandomIds())
        self._began = document
        self._credentials = Credentials(username or document.username, password or document.password)
        self._certificate = certificate.obtain(host, utc(self._clock), certificate_dir)
        self._stopped = threading.Event()
        self._scheduler = Scheduler.on(self._clock)
        injection = Injection(injector, self._inventory) if injector is not None else None
        self._tasks = Tasks(self._inventory, self._scheduler, injection)
        self._sessions = Sessions(self._inventory, self._credentials, session_idle_timeout_s)
        timings = timings or Timings()
        self._exports = Exports(
            self._inventory,
            self._scheduler,
            self._tasks,
            prepare_s=timings.lease_s,
            timeout_s=timings.lease_timeout_s,
            injection=injection,
            transfers=transfers,
            streams=streams,
        )
        for datacenter in document.datacenters:
            self._exports.faults |= {vm.name: vm.export_faults for vm in datacenter.vms if vm.export_faults}
            self._exports.lost_files |= {vm.cdrom.iso for vm in datacenter.vms if vm.cdrom and vm.cdrom.lost}
        self._snapshots = Snapshots(self._inventory)
        world = World(
            self._inventory,
            self._sessions,
            self._tasks,
            self._scheduler,
            self._exports,
            self._snapshots,
            timings,
            self._stopped,
        )
        self._service = Service(world, method_table(), injection)
        self._show_service_state()
        self._server: SoapServer | None = None
        self._thread: threading.Thread | None = None

    def _show_service_state(self) -> None:
        """Let clients read tasks and sessions as properties."""
        for managed in self._inventory.of_kind(vim.TaskManager):
            managed.compute(recentTask=self._tasks.recent)
        for managed in self._inventory.of_kind(vim.SessionManager):
            managed.compute(sessionList=lambda: [session.record() for session in self._sessions.logged_in()])

    def start(self) -> None:
        """Listen and serve in daemon threads; raises OSError when the port is taken."""
        if self._is_running:
            raise RuntimeError("the vCenter stand-in runs already")
        server = None
        if self._listens:
            server = SoapServer((self._host, self._port), self._certificate.context, self._service)
        self._stopped.clear()
        self._scheduler.start()
        self._is_running = True
        if server is not None:
            self._server = server
            self._port = server.server_address[1]
            self._thread = threading.Thread(
                target=server.serve_forever, args=(0.05,), name="vcenter-sim-accept", daemon=True
            )
            self._thread.start()
        self._exports.port = self._port
        self._exports.thumbprint = self._certificate.thumbprint_sha1
        hosts.publish_management_address(self._inventory, self._host)
        log.info("vCenter stand-in is at %s:%d", *self.address)

    def exchange(self, request: bytes) -> bytes:
        """The answer to the bytes of HTTP requests, as a client without a socket gets it; b"" for a hang-up.

        Raises ConnectionRefusedError while it does not run.
        """
        if not self._is_running:
            raise ConnectionRefusedError("the vCenter stand-in does not run")
        return answer_in_memory(self._service, request)

    def stop(self) -> None:
        """End all sessions, connections and threads. Does nothing when it does not run."""
        if not self._is_running:
            return
        server, thread = self._server, self._thread
        self._is_running = False
        self._stopped.set()
        self._exports.end_all()
        self._sessions.end_all()
        self._inventory.changed()
        self._scheduler.stop()
        if server is not None and thread is not None:
            server.stop(STOP_TIMEOUT_S)
            thread.join(STOP_TIMEOUT_S)
        self._server = self._thread = None

    def __enter__(self) -> VcenterSim:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port; the port is known once `start` has returned, and stays over restarts."""
        return self._host, self._port

    @property
    def running(self) -> bool:
        """Whether it serves."""
        return self._is_running

    @property
    def username(self) -> str:
        """The account that may log in."""
        return self._credentials.username

    @property
    def password(self) -> str:
        """The account's password."""
        return self._credentials.password

    @property
    def datacenter(self) -> str:
        """The name of the first datacenter."""
        with self._inventory.lock:
            return next(managed.name for managed in self._inventory.of_kind(vim.Datacenter))

    @property
    def thumbprint_sha1(self) -> str:
        """The certificate's SHA-1 thumbprint as VDDK wants it: `AA:BB:..`."""
        return self._certificate.thumbprint_sha1

    @property
    def thumbprint_sha256(self) -> str:
        """The certificate's SHA-256 thumbprint as `AA:BB:..`."""
        return self._certificate.thumbprint_sha256

    @property
    def certificate_pem(self) -> str:
        """The certificate, for clients that verify."""
        return self._certificate.pem

    @property
    def certificate_der(self) -> bytes:
        """The certificate as TLS shows it."""
        return ssl.PEM_cert_to_DER_cert(self._certificate.pem)

    @property
    def inventory(self) -> Inventory:
        """The live objects; hold `inventory.lock` for more than one read."""
        return self._inventory

    @property
    def exports(self) -> Exports:
        """The export leases; `exports.faults[NAME]` makes those of a VM go wrong."""
        return self._exports

    @property
    def snapshots(self) -> Snapshots:
        """The snapshots of VMs, which disks are left out of tracking, and how much guests write."""
        return self._snapshots

    def change_password(self, password: str) -> str:
        """Have the account's password be another from the next login on; gives back the one before."""
        before = self._credentials.password
        self._credentials = Credentials(self._credentials.username, password)
        self._sessions.credentials = self._credentials
        return before

    def save(self) -> SavedVcenter:
        """What it holds now, sessions apart."""
        with self._inventory.lock:
            inventory, tasks = saving.save(self._inventory), self._tasks.kept()
        exports = self._exports
        return SavedVcenter(inventory, self._credentials, tasks, dict(exports.faults), frozenset(exports.lost_files))

    def document(self) -> dict[str, Any]:
        """What it holds now as the content of an inventory file, without the password: see `describing`."""
        exports = self._exports
        return describing.describe(
            self._inventory, self._began, self._credentials.username, exports.faults, exports.lost_files
        )

    def restore(self, saved: SavedVcenter) -> SavedVcenter:
        """Hold that again, with all sessions gone; gives back what to use in place of `saved` from now on."""
        self._sessions.end_all()
        self._credentials = self._sessions.credentials = saved.credentials
        with self._inventory.lock:
            self._tasks.keep_only(saved.recent_tasks)
            inventory = saving.restore(self._inventory, saved.inventory)
        self._exports.faults = dict(saved.export_faults)
        self._exports.lost_files = set(saved.lost_files)
        return replace(saved, inventory=inventory)

    def end_sessions(self) -> None:
        """End all sessions, as vCenter does when they idle out: the next call is answered NotAuthenticated."""
        self._sessions.end_all()
