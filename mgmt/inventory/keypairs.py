"""SSH key pairs: records of accounts.

Upstream: server/.../server/ManagementServerImpl.java (createSSHKeyPair, registerSSHKeyPair, deleteSSHKeyPair),
utils/.../ssh/SSHKeysHelper.java.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from mgmt.errors import InvalidParameterValueError
from mgmt.inventory.listing import Window, equals_ignoring_case, like_keyword, page
from mgmt.inventory.scope import Scope, owner_names
from mgmt.providers import Providers
from mgmt.store.models import Account, SshKeyPair

KEY_BITS = 2048
_TYPES = ("ssh-rsa", "ssh-dss", "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521")


def create_key_pair(session: Session, providers: Providers, owner: Account, name: str) -> tuple[SshKeyPair, str]:
    """A new pair and its private key, which is told once and kept nowhere."""
    _refuse_taken(session, owner, name)
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    ).decode("ascii")
    public = (
        key.public_key()
        .public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        .decode("ascii")
    )
    return _add(session, providers, owner, name, public), private


def register_key_pair(session: Session, providers: Providers, owner: Account, name: str, public_key: str) -> SshKeyPair:
    """A pair whose private key is the user's own; InvalidParameterValueError for what is no public key."""
    key = _public_key(public_key)
    _refuse_taken(session, owner, name)
    fingerprint = _fingerprint(key)
    taken = select(SshKeyPair.name).where(SshKeyPair.account_id == owner.id, SshKeyPair.fingerprint == fingerprint)
    if session.scalar(taken.limit(1)) is not None:
        raise InvalidParameterValueError(f"A key pair with key '{public_key}' already exists for this account.")
    return _add(session, providers, owner, name, key)


def _public_key(text: str) -> str:
    """The key as it is kept: type and Base64, without a comment; also one that is in Base64 as a whole."""
    candidates = [text]
    with contextlib.suppress(binascii.Error, ValueError):
        candidates.append(base64.b64decode(text, validate=True).decode("ascii"))
    for candidate in candidates:
        words = candidate.split()
        if len(words) >= 2 and words[0] in _TYPES:
            try:
                base64.b64decode(words[1], validate=True)
            except (binascii.Error, ValueError):
                continue
            return f"{words[0]} {words[1]}"
    raise InvalidParameterValueError("Public key is invalid")


def _fingerprint(public_key: str) -> str:
    digest = hashlib.md5(base64.b64decode(public_key.split()[1]), usedforsecurity=False).hexdigest()
    return ":".join(digest[start : start + 2] for start in range(0, len(digest), 2))


def _refuse_taken(session: Session, owner: Account, name: str) -> None:
    if find_key_pair(session, owner, name) is not None:
        raise InvalidParameterValueError(f"A key pair with name '{name}' already exists.")


def find_key_pair(session: Session, owner: Account, name: str) -> SshKeyPair | None:
    """The key pair of an account with that name."""
    return session.scalar(
        select(SshKeyPair).where(SshKeyPair.account_id == owner.id, equals_ignoring_case(SshKeyPair.name, name))
    )


def _add(session: Session, providers: Providers, owner: Account, name: str, public_key: str) -> SshKeyPair:
    pair = SshKeyPair(
        uuid=providers.ids.uuid(),
        name=name,
        fingerprint=_fingerprint(public_key),
        public_key=public_key,
        account=owner,
        domain_id=owner.domain_id,
    )
    session.add(pair)
    session.flush()
    return pair


def find_key_pairs(
    session: Session, scope: Scope, params: Mapping[str, Any], window: Window
) -> tuple[list[SshKeyPair], int]:
    """The page of key pairs that the bound parameters of listSSHKeyPairs ask for."""
    conditions: list[ColumnElement[bool]] = [scope.clause(SshKeyPair.account_id, SshKeyPair.domain_id)]
    if params["id"] is not None:
        conditions.append(SshKeyPair.id == params["id"])
    for name, column in (("name", SshKeyPair.name), ("fingerprint", SshKeyPair.fingerprint)):
        if params[name] is not None:
            conditions.append(equals_ignoring_case(column, params[name]))
    if params["keyword"] is not None:
        conditions.append(like_keyword(SshKeyPair.name, params["keyword"]))
    return page(session, select(SshKeyPair).where(*conditions).order_by(SshKeyPair.id), window)


def key_pair_view(pair: SshKeyPair) -> dict[str, Any]:
    """A key pair's answer."""
    return {
        "id": pair.uuid,
        "name": pair.name,
        **owner_names(pair.account),
        "domainid": pair.domain.uuid,
        "domain": pair.domain.name,
        "fingerprint": pair.fingerprint,
        "hasannotations": False,
    }
