"""Our server in the state that the recorded one was in, for conversations on the agent wire."""

from __future__ import annotations

import copy
import socket
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import select, update

from mgmt.protocol.link import TlsLink, client_context
from mgmt.store.models import (
    Cluster,
    Host,
    HostDetail,
    PhysicalNetwork,
    Pod,
    ServiceOffering,
    StoragePool,
    TrafficType,
    Zone,
)

Act = Callable[[], None]
INTERVAL_S = 10
READY_WAIT_S = 60
SETTINGS = {
    "ping.interval": str(INTERVAL_S),
    "ping.timeout": "2.0",
    "host": "192.0.2.2",
    "host.stats.interval": "0",
    "storage.stats.interval": "0",
    "ready.command.wait": str(READY_WAIT_S),
}
GUID_OF = "{:08d}-0000-4000-8000-0000000000aa-LibvirtComputingResource"
# Names and numbers of the recorded zone, pod and cluster.
PLACES = {
    "dataCenter": ("12", "Sandbox-simulator"),
    "pod": ("12", "POD0"),
    "cluster": (("3", "12"), "K0"),
}


def _request() -> str:
    """The text of a request for a certificate, which recordings leave out."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    request = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode()


class Installation:
    """`clock` moves by hand; `talk` is the module that plays."""

    def __init__(self, world: Any, clock: Any, talk: Any, attach_file: Path) -> None:
        self.world, self.clock, self.talk = world, clock, talk
        self.server = world.server
        self._attach_rows = talk.rows_of(attach_file)
        self._csr = _request()
        self._callers = ThreadPoolExecutor(thread_name_prefix="callers")
        self._calls: list[Future[Any]] = []
        with self.store.session() as session:
            self.zone = session.scalars(select(Zone).where(Zone.removed.is_(None))).first()
            self.pod = session.scalars(select(Pod).where(Pod.removed.is_(None))).first()
            self.pod.gateway, self.pod.netmask = "172.16.15.1", "255.255.255.0"
            self.cluster = session.scalars(select(Cluster).where(Cluster.hypervisor_type == "KVM")).first()
        self.reset()

    @property
    def store(self) -> Any:
        return self.server.services.store

    # -- before a conversation

    def reset(self) -> None:
        """No hosts, no pools, no local storage, the recorded settings."""
        now = self.server.services.providers.utcnow()
        with self.store.session() as session:
            session.execute(update(StoragePool).values(removed=now, status="Removed", uuid=StoragePool.uuid + "-"))
            session.execute(update(Host).values(removed=now, guid=None, status="Removed"))
            session.execute(HostDetail.__table__.delete())
            session.get_one(Zone, self.zone.id).local_storage_enabled = False
        self.labels()
        self.set(**SETTINGS)

    def labels(self, **labels: str) -> None:
        """The KVM labels of the physical network's traffic types, by these."""
        with self.store.session() as session:
            networks = list(session.scalars(select(PhysicalNetwork).where(PhysicalNetwork.zone_id == self.zone.id)))
            session.execute(TrafficType.__table__.delete())
            for traffic, label in labels.items():
                uuid = self.server.services.providers.ids.uuid()
                number = networks[0].id
                session.add(TrafficType(uuid=uuid, physical_network_id=number, traffic_type=traffic, kvm_label=label))

    def set(self, **settings: str) -> None:
        """Change global settings; `_` stands for `.` in their names."""
        with self.store.session() as session:
            for name, value in settings.items():
                self.server.services.settings.set(session, name.replace("_", "."), value)

    def allow_local_storage(self) -> None:
        with self.store.session() as session:
            session.get_one(Zone, self.zone.id).local_storage_enabled = True

    def pool(self, uuid: str, path: str, *, cluster: Any = None, **fields: Any) -> None:
        """A shared pool; of the whole zone without `cluster`."""
        values = {"pool_type": "NetworkFilesystem", "host_address": "10.9.9.1", "port": 2049, **fields}
        with self.store.session() as session:
            session.add(
                StoragePool(
                    uuid=uuid,
                    name=path,
                    scope="ZONE" if cluster is None else "CLUSTER",
                    hypervisor="KVM",
                    zone_id=self.zone.id,
                    pod_id=None if cluster is None else self.pod.id,
                    cluster_id=None if cluster is None else cluster.id,
                    path=path,
                    created=self.server.services.providers.utcnow(),
                    **values,
                )
            )

    def rbd_pool(self) -> None:
        self.pool(
            "d309b272-e1e8-3f2a-854b-1b1cce4f6483",
            "rbdpool",
            pool_type="RBD",
            host_address="10.9.9.2",
            port=0,
            user_info="user:secret",
        )

    def other_cluster(self) -> Any:
        with self.store.session() as session:
            found = session.scalars(select(Cluster).where(Cluster.name == "other-kvm")).first()
            if found is None:
                found = Cluster(
                    uuid=self.server.services.providers.ids.uuid(),
                    name="other-kvm",
                    zone_id=self.zone.id,
                    pod_id=self.pod.id,
                    hypervisor_type="KVM",
                )
                session.add(found)
                session.flush()
            return found

    def connect(self) -> Any:
        """A secured link to the server."""
        sock = socket.create_connection(self.server.agents.address, timeout=self.talk.BOUND_S)
        return self.talk.Stream(sock, TlsLink(False, client_context()))

    def attach(self, name: str, *, cluster: Any = None, has_pool: bool = False, storage: bool = False) -> Any:
        """A link whose host of that name is Up; `storage`: with its local pool."""
        number = int(name[1:]) if name[1:].isdigit() else 90 + int(name[-1])

        def translate(content: Any) -> Any:
            content = copy.deepcopy(content)
            if isinstance(content, list) and "Startup" in next(iter(content[0])):
                if not storage:
                    content = content[:1]
                for fields in [] if name == "kvm2" else [each for element in content for each in element.values()]:
                    fields |= {"name": name, "guid": GUID_OF.format(number)}
                    if "privateIpAddress" in fields:
                        fields["privateIpAddress"] = f"172.16.15.{number}"
                    if "poolInfo" in fields:
                        fields["poolInfo"] |= {"uuid": GUID_OF.format(number)[:36], "host": f"172.16.15.{number}"}
            return self.translate(content, cluster=cluster)

        rows = [(place, name, line) for place, _, line in self._attach_rows[:18]]
        side = self.talk.AgentSide(rows, self.connect, translate, missing=() if has_pool else {5})
        side.run()
        self.until(lambda: self.host(name) is not None and self.host(name).status == "Up")()
        return side.links[name]

    def translate(self, content: Any, *, cluster: Any = None) -> Any:
        """A recorded message with the names and numbers of this world."""
        if isinstance(content, list):
            return [self.translate(item, cluster=cluster) for item in content]
        if not isinstance(content, dict):
            return content
        found = {key: self.translate(value, cluster=cluster) for key, value in content.items()}
        if "csr" in found:
            found["csr"] = self._csr
        if "dataCenter" in found and "guid" in found:
            ours = {"dataCenter": self.zone, "pod": self.pod, "cluster": cluster or self.cluster}
            for key, (numbers, name) in PLACES.items():
                if found.get(key) in (*numbers, name):
                    found[key] = ours[key].name if found[key] == name else str(ours[key].id)
        return found

    # -- what is done between the lines

    def host(self, name: str) -> Any:
        """The newest host of that name."""
        with self.store.session() as session:
            wanted = select(Host).where(Host.name == name, Host.removed.is_(None)).order_by(Host.id.desc())
            return session.scalars(wanted).first()

    def call(self, name: str, /, **parameters: Any) -> Act:
        """Begin an API call, once those before have ended. A parameter that can be called gives its value then."""

        def act() -> None:
            self.join()
            values = {key: str(value() if callable(value) else value) for key, value in parameters.items()}
            self._calls.append(self._callers.submit(self._answer, name, values))

        return act

    def _answer(self, name: str, values: dict[str, str]) -> Any:
        _, _, fields = self.world.answer(name, **values)
        if "jobid" in fields:
            assert self.server.services.jobs.wait(fields["jobid"], self.talk.BOUND_S)
            fields = self.world.answer("queryAsyncJobResult", jobid=fields["jobid"])[2]
        return fields

    def join(self) -> list[Any]:
        """What the calls answered."""
        done = [call.result(self.talk.BOUND_S) for call in self._calls]
        self._calls.clear()
        return done

    def figures(self) -> None:
        """The round of statistics comes."""
        self._callers.submit(self.server.agents.ask_for_figures)  # whose answers may not be in the recording

    def later(self, seconds: float) -> Act:
        """Time passes."""
        return lambda: self.clock.advance(seconds)

    def until(self, condition: Callable[[], bool]) -> Act:
        """Wait for the world to come to that state."""

        def act() -> None:
            end = time.monotonic() + self.talk.BOUND_S
            while not condition():
                assert time.monotonic() < end, "the world did not come to the state of the recording"
                time.sleep(0.005)

        return act

    def until_status(self, name: str, status: str) -> Act:
        return self.until(lambda: self.host(name) is not None and self.host(name).status == status)

    def uuid_of(self, model: Any, name: str) -> str:
        """The uuid of what has that name."""
        with self.store.session() as session:
            return session.scalars(select(model.uuid).where(model.name == name)).first()  # type: ignore[no-any-return]

    def local_pool(self, uuid: str, host_name: str, address: str) -> None:
        """A local pool of an attached host, under the address that it had in the recording."""
        host = self.host(host_name)
        self.pool(uuid, "/var/lib/libvirt/images", pool_type="Filesystem", host_address=address, port=0)
        with self.store.session() as session:
            where = {"scope": "HOST", "host_id": host.id, "cluster_id": self.cluster.id, "pod_id": self.pod.id}
            session.execute(update(StoragePool).where(StoragePool.uuid == uuid).values(**where))

    def change(self, model: Any, found: Any, /, **values: Any) -> Act:
        """Change records in the database."""

        def act() -> None:
            self.join()
            with self.store.session() as session:
                session.execute(update(model).where(found).values(**values))

        return act

    def import_vm(self, command: str = "importVm", /, **parameters: Any) -> Act:
        """Begin an import into the cluster with the offering and the L2 network of the lab."""
        place = {"clusterid": self.cluster.uuid}
        if command == "importVm":
            place |= {"zoneid": self.zone.uuid, "hypervisor": "KVM"}
        offering = self.uuid_of(ServiceOffering, "Custom Instance")
        sizes = {"details[0].cpuNumber": "1", "details[0].cpuSpeed": "500", "details[0].memory": "512"}
        return self.call(command, **place, serviceofferingid=offering, **sizes, **parameters)

    def lost_host(self, address: str, pool_uuid: str) -> None:
        """A host that is away, with the local pool that it had."""
        services = self.server.services
        with self.store.session() as session:
            host = Host(
                uuid=services.providers.ids.uuid(),
                name="lost",
                guid=services.providers.ids.uuid(),
                type="Routing",
                status="Alert",
                hypervisor_type="KVM",
                zone_id=self.zone.id,
                pod_id=self.pod.id,
                cluster_id=self.cluster.id,
                private_ip_address=address,
                created=services.providers.utcnow(),
            )
            session.add(host)
            session.flush()
            session.add(
                StoragePool(
                    uuid=pool_uuid,
                    name="lost-local",
                    pool_type="Filesystem",
                    scope="HOST",
                    hypervisor="KVM",
                    zone_id=self.zone.id,
                    pod_id=self.pod.id,
                    cluster_id=self.cluster.id,
                    host_id=host.id,
                    host_address=address,
                    path="/var/lib/libvirt/images",
                    port=0,
                    created=services.providers.utcnow(),
                )
            )

    def close(self) -> None:
        self._callers.shutdown()
