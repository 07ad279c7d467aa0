"""What one end of a connection sends, gathered for a turn of its event loop: each piece costs the system as much."""

from __future__ import annotations

import asyncio


class Outbox:
    """Sends what a turn of the loop has said in one piece, over `transport` once there is one."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self._pieces: list[bytes] = []

    @property
    def is_open(self) -> bool:
        """Whether anything can still be sent."""
        return self.transport is not None and not self.transport.is_closing()

    def add(self, piece: bytes) -> None:
        """Send this at the end of the turn, or at the next `flush`."""
        if not self._pieces:
            asyncio.get_running_loop().call_soon(self.flush)
        self._pieces.append(piece)

    def flush(self) -> None:
        """Send what is there now."""
        pieces, self._pieces = self._pieces, []
        if pieces and self.transport is not None and self.is_open:
            self.transport.write(pieces[0] if len(pieces) == 1 else b"".join(pieces))
