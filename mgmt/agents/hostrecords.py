"""What the agent edge writes about a host that it knows: state, ready details, pings.

Each function works in the session it is given. Upstream: AgentManagerImpl.java, HostDaoImpl.java.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from mgmt.agents.details import put_details
from mgmt.agents.states import Event, NoTransitionError, Status, next_status
from mgmt.store.models import Host

VDDK_SUPPORT = "host.vddk.support"
VDDK_FACTS = ("vddk.lib.dir", "host.vddk.lib.dir", "host.vddk.version")
VDDK_NAMES = (VDDK_SUPPORT, *VDDK_FACTS)
PUT_ONLY = ("host.uefi.enable", "host.virtv2v.version", "host.ovftool.version", "host.instance.conversion")
_WITHOUT_LINK = frozenset({Status.DISCONNECTED, Status.ALERT, Status.DOWN})

# Plain statements, built once: hundreds of hosts come and go at a time.
_HOSTS = Host.__table__
_STATUS = select(_HOSTS.c.status).where(_HOSTS.c.id == bindparam("of_host"))
_UPDATE = update(_HOSTS).where(_HOSTS.c.id == bindparam("of_host"))  # type: ignore[arg-type]  # a table
_LINKED = select(_HOSTS.c.id, _HOSTS.c.status).where(
    _HOSTS.c.management_server_id == bindparam("node"),
    _HOSTS.c.status.in_((Status.UP.value, Status.CONNECTING.value)),
)


def move(session: Session, host_id: int, event: Event, now: datetime) -> tuple[Status, Status]:
    """Move a host by the table of states; returns (before, after). Raises NoTransitionError."""
    connection = session.connection()
    found = connection.execute(_STATUS, {"of_host": host_id}).scalar()
    if found is None:
        raise NoTransitionError(f"there is no host {host_id}")
    before = Status(found)
    after = next_status(before, event)
    values: dict[str, object] = {"of_host": host_id, "status": after.value}
    if after in _WITHOUT_LINK and before not in _WITHOUT_LINK:
        values["disconnected"] = now
    connection.execute(_UPDATE, values)
    return before, after


def save_ready_details(session: Session, host_id: int, details: Mapping[str, str] | None) -> None:
    """Store what a ReadyAnswer says about the host.

    UEFI, virt-v2v, ovftool and conversion values are written when they are there and never removed. The VDDK facts
    are what the last answer says: written when not blank, removed when blank or absent; an answer without
    `host.vddk.support` comes from an agent that knows nothing of VDDK (any more). An answer without details changes
    nothing. Other keys are dropped.
    """
    if details is None:
        return
    wanted = {name: details[name] for name in PUT_ONLY if details.get(name, "").strip()}
    vddk_names = VDDK_NAMES if details.get(VDDK_SUPPORT, "").strip() else ()
    wanted.update({name: details[name] for name in vddk_names if details.get(name, "").strip()})
    gone = [name for name in VDDK_NAMES if name not in wanted]
    put_details(session.connection(), host_id, wanted, gone=gone)


def save_pings(session: Session, pings: Mapping[int, datetime]) -> None:
    """Store when hosts were last heard of."""
    if pings:
        session.connection().execute(_UPDATE, [{"of_host": host_id, "last_ping": at} for host_id, at in pings.items()])


def resource_states(session: Session, host_ids: Iterable[int]) -> dict[int, str]:
    """The resource state (`Enabled`, `Disabled`, `Maintenance`, ...) of each host."""
    rows = session.execute(select(Host.id, Host.resource_state).where(Host.id.in_(host_ids)))
    return {host_id: resource_state for host_id, resource_state in rows}  # noqa: C416 - rows are no pairs for dict()


def release_all(session: Session, node_id: int, now: datetime) -> list[tuple[int, Status, Status]]:
    """A management server begins or ends: its hosts that count as linked are no more; returns what moved."""
    connection = session.connection()
    moved = []
    for host_id, status in connection.execute(_LINKED, {"node": node_id}).all():
        before = Status(status)
        moved.append((host_id, before, next_status(before, Event.MANAGEMENT_SERVER_DOWN)))
    if moved:
        rows = [{"of_host": host_id, "status": after.value, "disconnected": now} for host_id, _, after in moved]
        connection.execute(_UPDATE, rows)
    return moved


def waited_too_long(session: Session, now: datetime, alert_wait_s: int) -> list[int]:
    """Hosts that have been Disconnected for longer than `alert_wait_s` seconds."""
    return list(
        session.scalars(
            select(Host.id).where(
                Host.status == Status.DISCONNECTED.value,
                Host.removed.is_(None),
                Host.resource_state == "Enabled",
                Host.disconnected < now - timedelta(seconds=alert_wait_s),
            )
        )
    )


def is_any_waited_for(session: Session) -> bool:
    """Whether there are hosts that `waited_too_long` may find one day."""
    waiting = select(Host.id).where(
        Host.status == Status.DISCONNECTED.value, Host.removed.is_(None), Host.resource_state == "Enabled"
    )
    return session.scalar(waiting.limit(1)) is not None


def describe(session: Session, host_id: int) -> tuple[str, str] | None:
    """(uuid, status) of a host, or None if there is no such host."""
    host = session.get(Host, host_id)
    return None if host is None or host.removed is not None else (host.uuid, host.status)
