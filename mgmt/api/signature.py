"""Request signatures as the server checks them: HMAC-SHA1 over the sorted, encoded and lower-cased parameters.

Upstream: server/.../api/ApiServer.java (verifyRequest, signRequest). Names are sorted as received and by code point,
before anything is lower-cased; values are encoded the way `java.net.URLEncoder` does it, with `%20` for a blank.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote

_EXPIRES_FORMATS = ("%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M:%S.%f%z")
_EXPIRES = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{6})?(Z|[+-]\d{2}:?\d{2})", re.ASCII)


def string_to_sign(parameters: Mapping[str, str]) -> str:
    """The text that both sides sign: every parameter but `signature` (in any case)."""
    return "&".join(
        f"{name}={_encode(parameters[name])}" for name in sorted(parameters) if name.lower() != "signature"
    ).lower()


def _encode(value: str) -> str:
    if value.isalnum() and value.isascii():
        return value
    return quote(value, safe="*").replace("~", "%7E")


def sign(parameters: Mapping[str, str], secret_key: str) -> str:
    """The signature (standard Base64) of `parameters` under `secret_key`."""
    digest = hmac.digest(secret_key.encode(), string_to_sign(parameters).encode(), "sha1")
    return base64.b64encode(digest).decode("ascii")


def is_right(parameters: Mapping[str, str], secret_key: str, signature: str) -> bool:
    """True when `signature` is the one of `parameters`, compared in constant time and forgiving nothing."""
    return hmac.compare_digest(sign(parameters, secret_key).encode(), signature.encode())


def expires_at(text: str) -> float | None:
    """`expires` of signature version 3 as seconds since the epoch, None when CloudStack could not read it.

    Accepted are whole seconds and six decimals, with `Z` or a numeric offset.
    """
    if not _EXPIRES.fullmatch(text):
        return None
    layout = _EXPIRES_FORMATS[1 if "." in text else 0]
    try:
        return datetime.strptime(text, layout).astimezone(UTC).timestamp()
    except (ValueError, OverflowError):
        return None
