"""Who may connect: the root CA of one server, what it has revoked, and the check of a link's certificate.

Upstream: CAManagerImpl.java, RootCAProvider.java, CrlDaoImpl.java.
"""

from __future__ import annotations

import logging
import ssl
import threading
from collections.abc import Iterable
from datetime import datetime

from cryptography import x509
from sqlalchemy import select

from mgmt.agents.certificates import Authority, Issued, contexts_of, fault_of, new_authority
from mgmt.agents.ports import AgentSettings
from mgmt.providers import Providers
from mgmt.store.database import Store
from mgmt.store.models import RevokedCertificate, RootCa

logger = logging.getLogger(__name__)


class Trust:
    """The authority of a server, kept in its database; safe from any thread."""

    def __init__(
        self, store: Store, providers: Providers, settings: AgentSettings, authority: Authority | None = None
    ) -> None:
        self._store = store
        self._providers = providers
        self._settings = settings
        self._lock = threading.Lock()
        self.authority = authority or self._kept()
        self._contexts = contexts_of(self.authority)
        with store.session() as session:
            self._revoked = frozenset(int(serial, 16) for serial in session.scalars(select(RevokedCertificate.serial)))

    def _kept(self) -> Authority:
        with self._store.session() as session:
            kept = session.scalar(select(RootCa))
            if kept is not None:
                return Authority(kept.certificate, kept.private_key)
            made = new_authority(self._providers.utcnow())
            session.add(RootCa(certificate=made.certificate_pem, private_key=made.key_pem))
            return made

    @property
    def is_strict(self) -> bool:
        """Whether agents must show a certificate; looked at for each link."""
        return (self._settings.get_text("ca.plugin.root.auth.strictness") or "").lower() == "true"

    @property
    def validity_days(self) -> int:
        """How long issued certificates are valid by default."""
        return self._settings.get_int("ca.framework.cert.validity.period")

    def context(self) -> ssl.SSLContext:
        """The TLS settings of the next link."""
        return self._contexts.needs if self.is_strict else self._contexts.wants

    def refusal(self, certificate_der: bytes | None, peer_address: str) -> str | None:
        """Why a link whose handshake is done must be closed; None when it may go on."""
        is_strict = self.is_strict
        if certificate_der is None and not is_strict:
            return None
        allows_expired = (self._settings.get_text("ca.plugin.root.allow.expired.cert") or "").lower() == "true"
        fault = fault_of(
            certificate_der,
            peer_address,
            now=self._providers.utcnow(),
            revoked=self._revoked,
            allows_expired=allows_expired,
        )
        if fault is not None and not is_strict:
            logger.warning("the agent at %s goes on although: %s", peer_address, fault)
            return None
        return fault

    def issue(
        self, names: Iterable[str], addresses: Iterable[str], *, days: int | None, csr_pem: str | None = None
    ) -> Issued:
        """A certificate of this authority; raises ValueError for a text that is no request, or for odd names."""
        return self.authority.issue(
            names,
            addresses,
            days=days or self.validity_days,
            now=self._providers.utcnow(),
            csr_pem=csr_pem,
            key_bits=self._settings.get_int("ca.framework.cert.keysize"),
        )

    def revoke(self, serial: int, common_name: str | None) -> None:
        """Take a certificate of that serial number no more, from the next link on."""
        with self._lock, self._store.session() as session:
            if serial not in self._revoked:
                now = self._providers.utcnow()
                session.add(RevokedCertificate(serial=f"{serial:x}", cn=common_name or "", revoked=now))
                self._revoked |= {serial}


def end_of(certificate_der: bytes) -> datetime:
    """When a certificate ends, naive UTC."""
    return x509.load_der_x509_certificate(certificate_der).not_valid_after_utc.replace(tzinfo=None)
