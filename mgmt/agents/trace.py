"""Journal and log entries of the agent edge."""

from __future__ import annotations

import logging
from functools import partial

from mgmt.agents.states import Event, Status
from mgmt.observe.journal import Journal
from mgmt.protocol.records import Command, as_wire_mapping, simple_name

logger = logging.getLogger(__name__)

NO_SEQUENCE = -1


class Trace:
    """Writes what crosses the agent wire (kind `agent`) and what hosts become (kind `host`)."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def message(
        self,
        record: Command,
        *,
        is_sent: bool,
        host_id: int | None,
        host_name: str,
        sequence: int = NO_SEQUENCE,
        correlation_id: str | None = None,
    ) -> None:
        """One command or answer; `host_name` is the peer's address while no host is known."""
        self._journal.record(
            "agent",
            simple_name(record),
            correlation_id=correlation_id,
            direction="sent" if is_sent else "received",
            host=host_name,
            host_id=host_id,
            sequence=sequence,
            content=partial(as_wire_mapping, record),
        )

    def move(
        self, host_id: int, name: str | None, before: Status | None, after: Status, event: Event, reason: str
    ) -> None:
        """A host's change of state; `before` is None for a new host."""
        logger.info("host %s: %s -> %s (%s: %s)", name or host_id, before, after, event, reason)
        self._journal.record(
            "host",
            after.value,
            host=name,
            host_id=host_id,
            before=None if before is None else before.value,
            after=after.value,
            event=event.value,
            reason=reason,
        )
