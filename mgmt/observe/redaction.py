"""Keeping secrets out of logs, journal, job records and error texts.

Two nets: values under a secret's name are replaced, and values that were registered as secrets are replaced wherever
they appear in a text.
"""

from __future__ import annotations

import re
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

# Passwords of throw-away set-ups that are also words of error texts, user names or host names.
_ORDINARY_WORDS = frozenset(
    {"pass", "password", "user", "username", "root", "admin", "administrator", "secret", "test", "vcenter", "vmware"}
    | {"cloud", "cloudstack", "true", "false", "null", "none", "host", "name", "virtual", "machine"}
)


class Redactor:
    """Masks secrets in values; thread-safe. Register each secret as soon as it is known."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._forms: frozenset[str] = frozenset()
        self._pattern: re.Pattern[str] | None = None

    def register(self, secret: str | None) -> None:
        """Mask `secret`, also in its URL-encoded forms, wherever it appears from now on.

        A secret that is an ordinary word of CloudStack's texts (`password`), or shorter than four characters, is masked
        by its field's name only: masking it by content would change the texts that clients match on.
        """
        if not secret or len(secret) < 4 or secret.lower() in _ORDINARY_WORDS:
            return
        with self._lock:
            forms = self._forms | {secret, quote(secret, safe=""), quote_plus(secret)}
            if forms != self._forms:
                self._forms = forms
                longest_first = sorted(forms, key=len, reverse=True)
                self._pattern = re.compile("|".join(re.escape(form) for form in longest_first))

    def text(self, text: str) -> str:
        """`text` with every registered secret replaced."""
        pattern = self._pattern
        return pattern.sub(MASK, text) if pattern is not None else text

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
