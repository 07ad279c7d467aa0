"""A request to the API and its answer, apart from how they come and go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class ApiRequest:
    """A decoded request: `parameters` as sent (see `mgmt.api.parameters.parse`), cookies by name."""

    method: str
    parameters: Mapping[str, str]
    cookies: Mapping[str, str] = field(default_factory=dict)
    is_internal: bool = False  # came to the integration port: nobody asks who calls
    peer: str | None = None  # the address of the caller, None in this process
    script_name: str = ""  # what the paths of this server begin with, beside others on one port


@dataclass
class ApiAnswer:
    """What goes back: HTTP status, body, and headers beside length and security ones."""

    status: int
    content_type: str
    body: bytes
    headers: list[tuple[str, str]] = field(default_factory=list)
    is_bare: bool = False  # without the security headers: a failure that upstream swallows
