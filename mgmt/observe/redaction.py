"""Keeping secrets out of logs, journal, job records and error texts.

Two nets: values under a secret's name are replaced, and values that were registered as secrets are replaced wherever
they appear in a text.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from urllib.parse import quote, quote_plus

MASK = "*****"

_SECRET_NAMES = frozenset(
    {
        "password",
        "currentpassword",
        "vcenterpassword",
        "vncpassword",
        "keystorepassword",
        "privatekey",
        "secretkey",
        "usersecretkey",
        "sessionkey",
        "signature",
        "apikey",
        "userapikey",
        "jsessionid",
        "userinfo",
        "_prvkey",
    }
)


class Redactor:
    """Masks secrets in values; thread-safe. Register each secret as soon as it is known."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._secrets: frozenset[str] = frozenset()

    def register(self, secret: str | None) -> None:
        """Mask `secret`, also in its URL-encoded forms, wherever it appears from now on."""
        if not secret or len(secret) < 4:
            return  # a shorter text would mask half of every sentence; it is still masked by name
        with self._lock:
            self._secrets |= {secret, quote(secret, safe=""), quote_plus(secret)}

    def text(self, text: str) -> str:
        """`text` with every registered secret replaced."""
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, MASK)
        return text

    def value(self, value: object) -> object:
        """A copy of a JSON-like value with secrets masked by name and by content."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {
                key: MASK if str(key).lower() in _SECRET_NAMES and item not in (None, "") else self.value(item)
                for key, item in value.items()
            }
        if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
            return [self.value(item) for item in value]
        return value
