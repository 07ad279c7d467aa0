"""How an agent gets its connections: to which of its servers, over what, and with which key store."""

from __future__ import annotations

import asyncio
import logging
import ssl

from agent_sim.commands.certificates import has_keystore, keystore_context
from agent_sim.hypervisor import Hypervisor
from agent_sim.providers import acquire
from agent_sim.serverlist import ServerList
from agent_sim.wire import Wire, WireOwner
from mgmt.protocol.link import TlsLink
from mgmt.protocol.memory import MemoryListener

logger = logging.getLogger(__name__)

_CONNECT_LIMIT_S = 10.0  # a server's address may lead nowhere


HANDSHAKES_AT_ONCE = 50
"""How many agents of a fleet shake hands at a time: thousands at once would all be too late, and begin anew."""


class Dialer:
    """Makes the connections of one agent, one at a time; without a key store it trusts as `context` does.

    Each passes `gate`, which those of a fleet share, until its handshake is done or failed.
    """

    def __init__(
        self,
        hypervisor: Hypervisor,
        servers: ServerList,
        port: int,
        *,
        context: ssl.SSLContext,
        memory: MemoryListener | None,
        gate: asyncio.Semaphore,
    ) -> None:
        self.unreachable_until_s = 0.0
        """Until when, by the fleet's clock, no server can be reached."""
        self._hypervisor = hypervisor
        self._servers = servers
        self._port = port
        self._context = context
        self._memory = memory
        self._gate = gate

    async def dial(self, owner: WireOwner, now_s: float) -> bool:
        """Connect to the next server; `owner` is told by the connection itself. False when there is none."""
        host = self._servers.next()
        if now_s < self.unreachable_until_s:
            logger.info("%s: the server cannot be reached", owner.name)
            return False
        files = self._hypervisor.files
        try:
            context = keystore_context(files) if has_keystore(files) else self._context
        except (OSError, ssl.SSLError) as error:
            logger.error("%s: the key store cannot be used: %s", owner.name, error)
            return False
        await acquire(self._gate)
        wire = Wire(owner, TlsLink(False, context), self._gate.release)
        try:
            if self._memory is not None:
                await self._memory.connect(lambda: wire)
            else:
                async with asyncio.timeout(_CONNECT_LIMIT_S):
                    await asyncio.get_running_loop().create_connection(lambda: wire, host, self._port)
        except OSError as error:
            wire.secured_or_lost()
            logger.info("%s: no connection to %s:%d: %s", owner.name, host, self._port, error)
            return False
        except BaseException:
            wire.secured_or_lost()
            raise
        return True
