"""The setting api.allowed.source.cidr.list: from where an account's calls are taken.

Upstream: server/.../api/ApiServer.java (checkCommandAvailable), utils/.../net/NetUtils.java (isIpInCidrList).
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

SETTING = "api.allowed.source.cidr.list"
ANYWHERE = "0.0.0.0/0,::/0"


@lru_cache(maxsize=64)
def _networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    found = []
    for part in text.replace(" ", "").split(","):
        try:
            found.append(ip_network(part, strict=False))
        except ValueError:
            continue  # what is no network lets nobody in
    return tuple(found)


def is_allowed(peer: str | None, networks: str | None) -> bool:
    """Whether a caller at this address is in one of `networks`; a caller without an address is in this process."""
    if networks == ANYWHERE or not peer:
        return True
    try:
        address = ip_address(peer.partition("%")[0])
    except ValueError:
        return False
    return any(address in network for network in _networks(networks or ""))
