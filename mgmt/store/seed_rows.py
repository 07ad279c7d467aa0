"""The rows of a seed document, written in the order in which they refer to each other."""

from __future__ import annotations

import ipaddress
import re
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from mgmt.observe.redaction import MASK
from mgmt.providers import Providers
from mgmt.store.default_roles import add_ruled_roles
from mgmt.store.models import (
    Account,
    Base,
    Cluster,
    Configuration,
    DiskOffering,
    Domain,
    GuestOs,
    GuestOsCategory,
    GuestOsMapping,
    Host,
    ImageStore,
    ManagementServer,
    Network,
    NetworkOffering,
    PhysicalNetwork,
    Pod,
    Role,
    ServiceOffering,
    StoragePool,
    Template,
    TrafficType,
    User,
    VmwareDatacenter,
    Zone,
)
from mgmt.store.passwords import hash_password
from mgmt.store.providers_of_networks import add_providers
from mgmt.store.seed_checks import Document
from mgmt.store.seed_schemas import ACCOUNT_TYPES

EMBEDDED = "embedded"  # the `vcenter` of a datacenter that the server's own vCenter serves
KVM_GUID_SUFFIX = "-LibvirtComputingResource"
_NO_LOGIN = "!"  # the hash of a user without a password

_USERS = User.__table__
_SET_PASSWORD = (
    update(_USERS)  # type: ignore[arg-type]  # a table, not a join
    .where(_USERS.c.uuid == bindparam("of_uuid"))
    .values(password_hash=bindparam("hashed"))
)

Entry = dict[str, Any]

_WIDTH = re.compile(r" \((32|64)-bit\)$")
_TRAFFIC_TYPES = ("Guest", "Management", "Public")


# Stands in the rows until `complete_rows` puts the server's own time there.
_NOT_YET = datetime(1970, 1, 1)
_DATED_TABLES = tuple(
    Base.metadata.tables[model.__tablename__]
    for model in (Domain, Account, User, Host, StoragePool, DiskOffering, ServiceOffering, Network, Template)
)


def write_rows(session: Session, document: Document) -> None:
    """Add the rows that follow from the validated `document` alone: the same for every server that is seeded with it.

    `complete_rows` makes a server's own of them.
    """
    _Writer(session, document).write()


@dataclass(frozen=True)
class OwnVcenter:
    """Where a world's own vCenter listens, and what its account's password is."""

    address: str
    password: str = field(repr=False)


def complete_rows(session: Session, providers: Providers, document: Document, vcenter: OwnVcenter | None) -> None:
    """Add what differs from server to server: times, salted passwords, the datacenters with their vCenter's address.

    A datacenter with `vcenter: embedded` is added only with a vCenter. A world that was saved has its own times, and
    no password of a vCenter: its datacenter gets that of the own one.
    """
    now = document["started"] or providers.utcnow().replace(microsecond=0)
    for table in _DATED_TABLES:
        session.execute(update(table), {"created": now})
    for user in (user for account in document["accounts"] for user in account["users"]):
        hashed = user["password_hash"]
        if user["password"]:
            hashed = hash_password(user["password"], providers.random)
        if hashed:
            session.execute(_SET_PASSWORD, {"of_uuid": user["uuid"], "hashed": hashed})
    for entry in document["vmware_datacenters"]:
        host, password = entry["vcenter"], entry["password"]
        if host == EMBEDDED:
            if vcenter is None:
                continue
            host, password = vcenter.address, vcenter.password if password == MASK else password
        zone_uuid = next(zone["uuid"] for zone in document["zones"] if zone["name"] == entry["zone"])
        session.add(
            VmwareDatacenter(
                uuid=entry["uuid"],
                name=entry["name"],
                vcenter_host=host,
                username=entry["username"],
                password=password,
                zone_id=session.scalars(select(Zone.id).where(Zone.uuid == zone_uuid)).one(),
            )
        )


def management_server_id(server_uuid: str) -> int:
    """The number (msid) of the management server with this UUID: 47 bits, as CloudStack makes it of a MAC address."""
    return uuid.UUID(server_uuid).int % 2**47


def _joined(values: list[str]) -> str | None:
    return ",".join(values) or None


class _Writer:
    def __init__(self, session: Session, document: Document) -> None:
        self._session = session
        self._document = document
        self._rows: dict[tuple[type[Base], str], Any] = {}

    def write(self) -> None:
        document = self._document
        server = document["management_server"]
        self._session.add(
            ManagementServer(
                uuid=server["uuid"],
                msid=management_server_id(server["uuid"]),
                name=server["name"],
                version=server["version"],
                service_ip=server["service_ip"],
            )
        )
        for name, value in document["settings"].items():
            self._session.add(Configuration(name=name, value=value))
        self._write_owners()
        self._write_operating_systems()
        self._write_places()
        self._write_storage()
        self._write_offerings()
        self._write_networks()
        self._write_templates()

    def _add(self, name: str, row: Any) -> None:
        self._session.add(row)
        self._rows[type(row), name] = row

    def _id(self, model: type[Base], name: str) -> int:
        """The row's number, which it gets when it is written: rows that nothing refers to yet are written together."""
        row = self._rows[model, name]
        if row in self._session.new:
            self._session.flush()
        number: int = row.id
        return number

    def _id_or_none(self, model: type[Base], name: str | None) -> int | None:
        return None if name is None else self._id(model, name)

    def _write_owners(self) -> None:
        paths: dict[str, str] = {}
        for entry in self._document["domains"]:
            parent = entry["parent"]
            path = "/" if parent is None else f"{paths[parent]}{entry['name']}/"
            paths[entry["name"]] = path
            self._add(
                entry["name"],
                Domain(
                    uuid=entry["uuid"],
                    name=entry["name"],
                    path=path,
                    level=path.count("/") - 1,
                    parent_id=self._id_or_none(Domain, parent),
                ),
            )
        for entry in self._document["roles"]:
            role = Role(
                uuid=entry["uuid"], name=entry["name"], role_type=entry["type"], description=entry["description"]
            )
            self._add(entry["name"], role)
        roles = self._document["roles"]
        add_ruled_roles(self._session, uuid.UUID(roles[0]["uuid"]), {entry["name"] for entry in roles})
        for entry in self._document["accounts"]:
            self._write_account(entry)

    def _write_account(self, entry: Entry) -> None:
        account = Account(
            uuid=entry["uuid"],
            name=entry["name"],
            type=ACCOUNT_TYPES[entry["type"]],
            role_id=self._id(Role, entry["role"]),
            domain_id=self._id(Domain, entry["domain"]),
            is_default=entry["is_default"],
            limits=entry["limits"],
            created=_NOT_YET,
        )
        self._add(entry["name"], account)
        for user in entry["users"]:
            self._session.add(
                User(
                    uuid=user["uuid"],
                    username=user["username"],
                    password_hash=_NO_LOGIN,
                    account_id=self._id(Account, account.name),
                    firstname=user["firstname"],
                    lastname=user["lastname"],
                    email=user["email"],
                    timezone=user["timezone"],
                    api_key=user["api_key"],
                    secret_key=user["secret_key"],
                    is_default=user["is_default"],
                    created=_NOT_YET,
                )
            )

    def _write_operating_systems(self) -> None:
        for entry in self._document["os_categories"]:
            self._add(entry["name"], GuestOsCategory(uuid=entry["uuid"], name=entry["name"]))
        types = [
            (category["name"], entry) for category in self._document["os_categories"] for entry in category["types"]
        ]
        # those with a number of their own first, so that none of the others takes it
        for category, entry in sorted(types, key=lambda each: each[1]["id"] is None):
            row = GuestOs(
                id=entry["id"],
                uuid=entry["uuid"],
                display_name=entry["name"],
                category_id=self._id(GuestOsCategory, category),
            )
            self._add(entry["name"], row)
            self._session.add(
                GuestOsMapping(
                    uuid=str(uuid.uuid5(uuid.UUID(entry["uuid"]), "KVM")),
                    guest_os_id=self._id(GuestOs, entry["name"]),
                    guest_os_name=_WIDTH.sub("", entry["name"]),  # as KVM's mappings are recorded
                )
            )

    def _write_places(self) -> None:
        for entry in self._document["zones"]:
            self._add(entry["name"], Zone(**entry))
        for entry in self._document["pods"]:
            zone_id = self._id(Zone, entry["zone"])
            columns = {key: value for key, value in entry.items() if key != "zone"}
            self._add(entry["name"], Pod(**columns, zone_id=zone_id))
        for entry in self._document["clusters"]:
            pod = self._session.get_one(Pod, self._id(Pod, entry["pod"]))
            row = Cluster(
                uuid=entry["uuid"],
                name=entry["name"],
                zone_id=pod.zone_id,
                pod_id=pod.id,
                hypervisor_type=entry["hypervisor"],
                allocation_state=entry["allocation_state"],
                arch=entry["arch"],
            )
            self._add(entry["name"], row)
        for entry in self._document["hosts"]:
            cluster = self._session.get_one(Cluster, self._id(Cluster, entry["cluster"]))
            host = Host(
                uuid=entry["uuid"],
                name=entry["name"],
                guid=entry["guid"] + KVM_GUID_SUFFIX,
                resource_state=entry["resource_state"],
                hypervisor_type=cluster.hypervisor_type,
                arch=cluster.arch,
                zone_id=cluster.zone_id,
                pod_id=cluster.pod_id,
                cluster_id=cluster.id,
                private_ip_address=entry["private_ip"],
                host_tags=_joined(entry["tags"]),
                created=_NOT_YET,
            )
            self._add(entry["name"], host)

    def _write_storage(self) -> None:
        for entry in self._document["storage_pools"]:
            if entry["cluster"] is not None:
                cluster = self._session.get_one(Cluster, self._id(Cluster, entry["cluster"]))
                place = {"zone_id": cluster.zone_id, "pod_id": cluster.pod_id, "cluster_id": cluster.id}
                hypervisor = cluster.hypervisor_type
            else:
                place = {"zone_id": self._id(Zone, entry["zone"])}
                hypervisor = "KVM"
            pool = StoragePool(
                uuid=entry["uuid"],
                name=entry["name"],
                pool_type=entry["type"],
                scope=entry["scope"],
                hypervisor=hypervisor,
                host_address=entry["server"],
                path=entry["path"],
                port=entry["port"],
                user_info=entry["user_info"],
                capacity_bytes=entry["capacity_bytes"],
                used_bytes=entry["used_bytes"],
                tags=_joined(entry["tags"]),
                created=_NOT_YET,
                **place,
            )
            self._add(entry["name"], pool)
        for entry in self._document["image_stores"]:
            columns = {key: value for key, value in entry.items() if key != "zone"}
            scope = "ZONE" if entry["zone"] else "REGION"
            self._add(entry["name"], ImageStore(**columns, zone_id=self._id_or_none(Zone, entry["zone"]), scope=scope))

    def _write_offerings(self) -> None:
        for entry in self._document["disk_offerings"]:
            offering = DiskOffering(
                uuid=entry["uuid"],
                name=entry["name"],
                display_text=entry["display_text"] or entry["name"],
                disk_size_bytes=entry["disk_size_bytes"],
                customized=entry["customized"],
                tags=_joined(entry["tags"]),
                created=_NOT_YET,
            )
            self._add(entry["name"], offering)
        for entry in self._document["service_offerings"]:
            text = entry["display_text"] or entry["name"]
            disk_offering = DiskOffering(
                uuid=entry["disk_offering_uuid"],
                name=entry["name"],
                display_text=text,
                compute_only=True,
                tags=_joined(entry["storage_tags"]),
                created=_NOT_YET,
            )
            service_offering = ServiceOffering(
                uuid=entry["uuid"],
                name=entry["name"],
                display_text=text,
                disk_offering=disk_offering,
                cpu_number=entry["cpu_number"],
                cpu_speed_mhz=entry["cpu_speed_mhz"],
                memory_mb=entry["memory_mb"],
                host_tag=_joined(entry["host_tags"]),
                details=entry["details"],
                created=_NOT_YET,
            )
            self._add(entry["name"], service_offering)

    def _write_networks(self) -> None:
        for entry in self._document["network_offerings"]:
            offering = NetworkOffering(
                uuid=entry["uuid"],
                name=entry["name"],
                display_text=entry["display_text"] or entry["name"],
                guest_type=entry["guest_type"],
            )
            self._add(entry["name"], offering)
        for entry in self._document["physical_networks"]:
            zone_id = self._id(Zone, entry["zone"])
            physical = PhysicalNetwork(uuid=entry["uuid"], name=entry["name"], zone_id=zone_id)
            self._add(entry["name"], physical)
            number = self._id(PhysicalNetwork, entry["name"])
            add_providers(self._session, physical, enabled=True)
            for kind in _TRAFFIC_TYPES:
                traffic_uuid = str(uuid.uuid5(uuid.UUID(physical.uuid), kind))
                self._session.add(TrafficType(uuid=traffic_uuid, physical_network_id=number, traffic_type=kind))
        for entry in self._document["networks"]:
            self._write_network(entry)

    def _write_network(self, entry: Entry) -> None:
        offering = self._session.get_one(NetworkOffering, self._id(NetworkOffering, entry["offering"]))
        physical = self._session.get_one(PhysicalNetwork, self._id(PhysicalNetwork, entry["physical_network"]))
        zone = self._session.get_one(Zone, physical.zone_id)
        account = self._session.get_one(Account, self._id(Account, entry["account"]))
        network = Network(
            uuid=entry["uuid"],
            name=entry["name"],
            display_text=entry["display_text"] or entry["name"],
            guest_type=offering.guest_type,
            state=entry["state"],
            zone_id=zone.id,
            physical_network_id=physical.id,
            network_offering_id=offering.id,
            domain_id=account.domain_id,
            account_id=account.id,
            acl_type=entry["acl_type"],
            vlan=entry["vlan"],
            cidr=entry["cidr"],
            gateway=entry["gateway"],
            netmask=str(ipaddress.ip_network(entry["cidr"]).netmask) if entry["cidr"] else None,
            start_ip=entry["start_ip"],
            end_ip=entry["end_ip"],
            network_domain=entry["network_domain"],
            dns1=zone.dns1,
            created=_NOT_YET,
        )
        self._add(entry["name"], network)

    def _write_templates(self) -> None:
        for entry in self._document["templates"]:
            template = Template(
                uuid=entry["uuid"],
                name=entry["name"],
                display_text=entry["display_text"] or entry["name"],
                format=entry["format"],
                template_type=entry["type"],
                hypervisor_type=entry["hypervisor"],
                guest_os_id=self._id(GuestOs, entry["os_type"]),
                account_id=self._id(Account, entry["account"]),
                zone_id=self._id_or_none(Zone, entry["zone"]),
                size_bytes=entry["size_bytes"],
                is_public=entry["is_public"],
                is_featured=entry["is_featured"],
                is_extractable=entry["is_extractable"],
                password_enabled=entry["password_enabled"],
                created=_NOT_YET,
            )
            self._add(entry["name"], template)
