"""Secrets at rest: texts that stand encrypted in the database and are plain in the program.

Each store has one key: a passphrase that the operator gives, a key file beside an SQLite database, or a key in memory
for a database in memory. Fernet (AES-128 in CBC mode with an HMAC) of `cryptography` does the work.
"""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from sqlalchemy import Engine, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

_ATTRIBUTE = "secret_box"
_SALT = b"cloudstack-mock encryption key"
_SCRYPT = {"n": 2**14, "r": 8, "p": 1}


class SecretError(Exception):
    """A text that was not encrypted with this key, or a key that cannot be used; the text holds neither."""


class SecretBox:
    """Encrypts and decrypts with one key."""

    def __init__(self, key: bytes) -> None:
        try:
            self._fernet = Fernet(key)
        except ValueError:
            raise SecretError("it holds no key") from None

    @classmethod
    def from_passphrase(cls, passphrase: str) -> SecretBox:
        """The box whose key is derived from a passphrase."""
        derived = hashlib.scrypt(passphrase.encode(), salt=_SALT, dklen=32, **_SCRYPT)
        return cls(base64.urlsafe_b64encode(derived))

    @classmethod
    def in_memory(cls) -> SecretBox:
        """A box with a new key that nobody else has."""
        return cls(Fernet.generate_key())

    @classmethod
    def from_file(cls, path: Path) -> SecretBox:
        """The box with the key in `path`; a missing file is made with a new key, readable by its owner only.

        Raises OSError and SecretError.
        """
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return cls(path.read_bytes().strip())
        key = Fernet.generate_key()
        with os.fdopen(descriptor, "wb") as file:
            file.write(key + b"\n")
        return cls(key)

    def seal(self, text: str) -> str:
        """The text encrypted; the same text gives another result each time."""
        return self._fernet.encrypt(text.encode()).decode("ascii")

    def open(self, sealed: str) -> str:
        """What was sealed; raises SecretError when it was not sealed with this key."""
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except InvalidToken:
            raise SecretError("it was encrypted with another key, or not at all") from None


def install(engine: Engine, box: SecretBox) -> None:
    """Have `EncryptedText` columns of this engine use `box`."""
    setattr(engine.dialect, _ATTRIBUTE, box)


class EncryptedText(TypeDecorator[str]):
    """A text column that is encrypted in the database. Values cannot be searched for."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """The value as it is stored."""
        return None if value is None else _box(dialect).seal(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> str | None:
        """The value as it is used; raises SecretError when another key encrypted it."""
        return None if value is None else _box(dialect).open(value)


def _box(dialect: Dialect) -> SecretBox:
    box = getattr(dialect, _ATTRIBUTE, None)
    if not isinstance(box, SecretBox):
        raise SecretError("this engine has no key: open databases with mgmt.store.database.Store")
    return box
