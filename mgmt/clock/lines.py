"""What is on its way between two ends of a connection within one process counts as work in hand."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from mgmt.clock.holds import Hold

Address = tuple[Any, ...]  # what sockets call an address: host, port, and more with IPv6


class Line:
    """One end of a connection. While the other end is in this process too, bytes hold the clock until they arrived."""

    def __init__(self, lines: Lines, connection: _Connection) -> None:
        self._lines = lines
        self._connection = connection
        self.sent_bytes = 0
        self.arrived_bytes = 0
        self.is_closing = False
        self.is_closed = False

    def sent(self, size_bytes: int) -> None:
        """Bytes were given to the socket."""
        self.sent_bytes += size_bytes
        self._lines.look(self._connection)

    def arrived(self, size_bytes: int) -> None:
        """Bytes came and everything that they set off is in hand or on the clock."""
        self.arrived_bytes += size_bytes
        self._lines.look(self._connection)

    def closing(self) -> None:
        """This end closes the connection: until the other has noticed, that is on its way."""
        self.is_closing = True
        self._lines.look(self._connection)

    def close(self) -> None:
        """This end has closed, and dealt with it."""
        self.is_closing = self.is_closed = True
        self._lines.look(self._connection)


class _Connection:
    def __init__(self, key: frozenset[Address]) -> None:
        self.key = key
        self.ends: list[Line] = []
        self.hold: Hold | None = None

    @property
    def is_under_way(self) -> bool:
        if len(self.ends) < 2:  # the other end is elsewhere, or has not accepted yet
            return False
        one, other = self.ends
        if one.is_closing or other.is_closing:
            return not (one.is_closed and other.is_closed)
        return one.sent_bytes > other.arrived_bytes or other.sent_bytes > one.arrived_bytes


class Lines:
    """The connections of one clock. `new_hold` makes work in hand."""

    def __init__(self, new_hold: Callable[[str], Hold]) -> None:
        self._new_hold = new_hold
        self._lock = threading.Lock()
        self._connections: dict[frozenset[Address], _Connection] = {}

    def open(self, local: Address, remote: Address) -> Line:
        """The end at `local` of the connection to `remote`."""
        key = frozenset((local, remote))
        with self._lock:
            connection = self._connections.get(key)
            if connection is None or len(connection.ends) > 1:
                connection = self._connections[key] = _Connection(key)
            line = Line(self, connection)
            connection.ends.append(line)
        self.look(connection)
        return line

    def look(self, connection: _Connection) -> None:
        """Hold the clock while something is on its way between two ends; forget what both have closed."""
        with self._lock:
            if all(end.is_closed for end in connection.ends) and self._connections.get(connection.key) is connection:
                del self._connections[connection.key]
            hold = connection.hold
            if connection.is_under_way:
                if hold is None:
                    connection.hold = self._new_hold("bytes on their way between server and host")
                return
            connection.hold = None
        if hold is not None:
            hold.end()
