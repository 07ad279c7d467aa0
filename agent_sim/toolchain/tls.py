"""The certificate that a TLS server shows, unverified: what `openssl s_client` would see."""

from __future__ import annotations

import asyncio

from agent_sim.toolchain.vsphere import VcenterUnreachableError, split_address
from mgmt.protocol import inprocess
from mgmt.protocol.https import unverified_context

_CONNECT_TIMEOUT_S = 60.0


async def certificate_der(address: str) -> bytes:
    """The certificate of `host[:port]` (443 by default) in DER form.

    Raises VcenterUnreachableError when no TLS link comes about. Unlike a look-up in a worker thread this can be
    cancelled at any time, so it goes first.
    """
    host, port = split_address(address)
    peer = inprocess.find(host.strip("[]"), port)
    if peer is not None:
        return peer.certificate_der
    try:
        async with asyncio.timeout(_CONNECT_TIMEOUT_S):
            _, writer = await asyncio.open_connection(host.strip("[]"), port, ssl=unverified_context())
    except OSError as error:
        raise VcenterUnreachableError(f"Failed to connect to {host} port {port}: {error or 'timed out'}") from None
    try:
        certificate: bytes | None = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    finally:
        writer.transport.abort()
    if not certificate:
        raise VcenterUnreachableError(f"{address} showed no certificate")
    return certificate
