"""Who may use the admin endpoints: callers of this machine, or whoever has the token when there is one."""

from __future__ import annotations

import hmac
import ipaddress

from mgmt.api.face import FaceRequest


def is_loopback(host: str) -> bool:
    """Whether that address or name is one of this machine's own only."""
    name = host.strip("[]")
    if name.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def refusal(request: FaceRequest, token: str | None) -> tuple[int, str] | None:
    """Status and reason for a caller that may not; None for one that may.

    Without a token the caller must be on this machine, ask for this machine, and be no web page: a browser would
    otherwise carry out what any page tells it.
    """
    if token is not None:
        scheme, _, given = (request.authorization or "").partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode()):
            return None
        return 401, "the admin endpoints want the header 'Authorization: Bearer TOKEN' with the server's admin_token"
    if request.peer is not None and not is_loopback(request.peer):
        return 403, "without an admin_token the admin endpoints answer callers of this machine only"
    if request.peer is not None and not is_loopback(_name_of(request.host)):
        return 403, f"without an admin_token the admin endpoints are asked at a loopback address, not at {request.host}"
    if request.origin is not None:
        return 403, "without an admin_token the admin endpoints do not answer web pages"
    return None


def _name_of(host: str) -> str:
    if host.startswith("["):
        return host.partition("]")[0]
    return host.partition(":")[0]
