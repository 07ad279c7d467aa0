"""A server with 500 hosts and 5,000 VMs in its records, for the figures of its lists.

Run by tests/bench/run.py as `crowded.py READY_FILE`: it writes the file once everything is there, and ends by SIGTERM.
The hosts have the details of the lab's first one, and no agents: their records are written after the start.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select

from mgmt.cli.collector import paused_collector
from mgmt.cli.signals import stop_signals
from mgmt.config import Settings
from mgmt.embedded import World
from mgmt.store.models import Host, HostDetail, ManagementServer, Nic, VmInstance, Volume

HOSTS, VMS = 500, 5_000
CREATED = datetime(2026, 1, 1)


@dataclass(frozen=True)
class Load:
    """What a host's agent would report."""

    cpu_utilization: float = 12.5
    average_load: float = 3.25
    used_memory_bytes: float = 64 * 1024.0**3
    network_read_kbs: float = 1234.0
    network_write_kbs: float = 567.0


def fill(world: World) -> None:
    """Put the hosts, VMs, volumes and NICs into the records, beside those of the lab."""
    services = world.server.services
    with services.store.session() as session:
        model = session.scalars(select(Host).where(Host.name == "kvm1")).one()
        details = session.execute(select(HostDetail.name, HostDetail.value).where(HostDetail.host_id == model.id)).all()
        columns = [
            column.name for column in Host.__table__.columns if column.name not in ("id", "uuid", "guid", "name")
        ]
        shared = {name: getattr(model, name) for name in columns}
        shared |= {"status": "Up", "management_server_id": session.scalars(select(ManagementServer.msid)).one()}
        first = model.id + 10  # beside the others: one range, as in any cloud
        hosts = [
            {**shared, "id": first + n, "uuid": _uuid("a", n), "guid": _uuid("b", n), "name": f"big{n:03d}"}
            for n in range(HOSTS)
        ]
        session.execute(insert(Host), hosts)
        session.execute(
            insert(HostDetail),
            [{"host_id": host["id"], "name": name, "value": value} for host in hosts for name, value in details],
        )
        vms, volumes, nics = _machines([host["id"] for host in hosts])
        session.execute(insert(VmInstance), vms)
        session.execute(insert(Volume), volumes)
        session.execute(insert(Nic), nics)
    if isinstance(services.host_loads, dict):
        services.host_loads.update({host["id"]: Load() for host in hosts})


def _machines(host_ids: list[int]) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    owned = {"account_id": 2, "domain_id": 1, "zone_id": 1}
    vms, volumes, nics = [], [], []
    for n in range(VMS):
        number = 10_000 + n
        vms.append(
            {
                **owned, "id": number, "uuid": _uuid("c", n), "name": f"vm{n:04d}", "display_name": f"vm{n:04d}",
                "instance_name": f"i-2-{number}-VM", "state": "Running", "power_state": "PowerOn", "user_id": 2,
                "host_id": host_ids[n % len(host_ids)], "guest_os_id": 99, "service_offering_id": 2, "cpu_number": 2,
                "cpu_speed_mhz": 2000, "memory_mb": 4096, "created": CREATED,
            }
        )  # fmt: skip
        volumes.append(
            {
                **owned, "uuid": _uuid("d", n), "name": f"ROOT-{number}", "volume_type": "ROOT", "pool_id": 1,
                "vm_id": number, "device_id": 0, "size_bytes": 20 * 1024**3, "path": _uuid("d", n), "created": CREATED,
            }
        )  # fmt: skip
        nics.append(
            {
                "uuid": _uuid("e", n), "vm_id": number, "network_id": 2, "device_id": 0, "is_default": True,
                "mac_address": f"02:00:00:00:{n >> 8:02x}:{n & 255:02x}", "created": CREATED,
            }
        )  # fmt: skip
    return vms, volumes, nics


def _uuid(kind: str, number: int) -> str:
    return f"{kind}0000000-0000-4000-8000-{number:012d}"


def main() -> None:
    ready_file = Path(sys.argv[1])
    # The lab's own hosts attach first: one of them is the model of the others.
    with stop_signals() as stopped, World(Settings(port=0, agent_port=0)) as world:
        with paused_collector():
            fill(world)
        world.write_ready_file(ready_file)
        stopped.wait()


if __name__ == "__main__":
    main()
