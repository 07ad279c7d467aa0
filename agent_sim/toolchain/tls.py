"""The certificate that a TLS server shows, unverified: what `openssl s_client` would see."""

from __future__ import annotations

import asyncio
import ssl

from agent_sim.toolchain.vsphere import VcenterUnreachableError, split_address

_CONNECT_TIMEOUT_S = 10.0


async def certificate_der(address: str) -> bytes:
    """The certificate of `host[:port]` (443 by default) in DER form.

    Raises OSError (TimeoutError and SSLError among them) when no TLS link comes about.
    """
    try:
        host, port = split_address(address)
    except VcenterUnreachableError as error:
        raise OSError(str(error)) from None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    async with asyncio.timeout(_CONNECT_TIMEOUT_S):
        _, writer = await asyncio.open_connection(host.strip("[]"), port, ssl=context)
    try:
        certificate: bytes | None = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    finally:
        writer.transport.abort()
    if not certificate:
        raise OSError(f"{address} showed no certificate")
    return certificate
