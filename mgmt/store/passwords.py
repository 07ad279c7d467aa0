"""Password hashes: PBKDF2 with a salt of its own for each password, as one text."""

from __future__ import annotations

import hashlib
import hmac
import random

# A server for tests: few enough rounds that neither a login nor a start is felt.
_ROUNDS = 1_000
_SALT_BYTES = 16
_SCHEME = "pbkdf2_sha256"


def hash_password(password: str, source: random.Random) -> str:
    """`password` as a hash text with a fresh salt drawn from `source`."""
    salt = source.randbytes(_SALT_BYTES)
    return f"{_SCHEME}${_ROUNDS}${salt.hex()}${_digest(password, salt, _ROUNDS).hex()}"


def verify_password(password: str, password_hash: str) -> bool:
    """True when `password_hash` was made of `password`; False for any other text, a malformed hash too."""
    try:
        scheme, rounds, salt, digest = password_hash.split("$")
        expected = bytes.fromhex(digest)
        actual = _digest(password, bytes.fromhex(salt), int(rounds))
    except (ValueError, OverflowError):
        return False
    return scheme == _SCHEME and hmac.compare_digest(actual, expected)


def _digest(password: str, salt: bytes, rounds: int) -> bytes:
    # HMAC fills a short key up with zeros: without a hash of its own, a password would pass with zeros behind it too
    return hashlib.pbkdf2_hmac("sha256", hashlib.sha256(password.encode()).digest(), salt, rounds)
