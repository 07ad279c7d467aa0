"""The server's own certificate authority, whose certificate is also the one that agents are shown.

CloudStack's root CA provider does the same (RootCAProvider.java, CertUtils.java). The authority's key here is an
elliptic-curve one: a 4096-bit RSA key takes seconds to make, and Java agents take both.
"""

from __future__ import annotations

import ipaddress
import logging
import ssl
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mgmt.protocol.link import server_context

logger = logging.getLogger(__name__)

ISSUER = "ca.cloudstack.apache.org"
VALIDITY_DAYS = 30 * 365
CERTIFICATE_FILE = "ca.crt"
KEY_FILE = "ca.key"
_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME: whether expired ones are taken is a setting, see admission


@dataclass(frozen=True)
class Issued:
    """A certificate with its key, both as PEM text; the key is empty when it stays with whoever asked."""

    certificate_pem: str
    key_pem: str
    serial: int


@dataclass(frozen=True)
class Authority:
    """The root CA: its certificate and key as PEM texts."""

    certificate_pem: str
    key_pem: str = field(repr=False)

    def issue(
        self,
        names: Iterable[str],
        addresses: Iterable[str],
        *,
        days: int,
        now: datetime,
        csr_pem: str | None = None,
        key_bits: int = 2048,
    ) -> Issued:
        """A certificate for these names and addresses, and for those that the request (CSR) names.

        Without a request the key is made here. `now` is naive UTC. Raises ValueError for a text that is no request.
        """
        dns_names, ip_addresses = list(names), list(addresses)
        key_pem = ""
        if csr_pem is None:
            private_key = rsa.generate_private_key(public_exponent=65537, key_size=key_bits)
            key_pem = _key_text(private_key)
            public_key: object = private_key.public_key()
        else:
            request = x509.load_pem_x509_csr(csr_pem.encode())
            public_key = request.public_key()
            asked_names, asked_addresses = _alternative_names(request)
            dns_names += asked_names
            ip_addresses += asked_addresses
        assert isinstance(public_key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey)
        authority = x509.load_pem_x509_certificate(self.certificate_pem.encode())
        signer = serialization.load_pem_private_key(self.key_pem.encode(), None)
        assert isinstance(signer, ec.EllipticCurvePrivateKey)
        common_name = (dns_names + ip_addresses or [ISSUER])[0][:64]
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)]))
            .issuer_name(authority.subject)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.SubjectAlternativeName(_general_names(dns_names, ip_addresses)), critical=False)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            .sign(signer, hashes.SHA256())
        )
        return Issued(_pem(certificate), key_pem, certificate.serial_number)


def _alternative_names(request: x509.CertificateSigningRequest) -> tuple[list[str], list[str]]:
    try:
        extension = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return [], []
    addresses = [str(address) for address in extension.get_values_for_type(x509.IPAddress)]
    return list(extension.get_values_for_type(x509.DNSName)), addresses


def _general_names(names: Iterable[str], addresses: Iterable[str]) -> list[x509.GeneralName]:
    """Each name and address once, in order; a name that cannot stand in a certificate raises ValueError."""
    general: dict[str, x509.GeneralName] = {name: x509.DNSName(name) for name in names}
    for address in addresses:
        general[address] = x509.IPAddress(ipaddress.ip_address(address))
    return list(general.values())


def new_authority(now: datetime) -> Authority:
    """A new root CA; `now` is naive UTC."""
    private_key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, ISSUER)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=VALIDITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(private_key, hashes.SHA256())
    )
    return Authority(_pem(certificate), _key_text(private_key))


def authority_in(folder: Path, now: datetime) -> Authority:
    """The root CA kept in `folder`; certificate and key are made there when missing."""
    folder.mkdir(parents=True, exist_ok=True)
    certificate, key = folder / CERTIFICATE_FILE, folder / KEY_FILE
    if not (certificate.is_file() and key.is_file()):
        _write(new_authority(now), certificate, key)
    return Authority(certificate.read_text(), key.read_text())


def _write(authority: Authority, certificate: Path, key: Path) -> None:
    key.touch(mode=0o600)
    key.write_text(authority.key_pem)
    certificate.write_text(authority.certificate_pem)


@dataclass(frozen=True)
class ServerContexts:
    """How links begin: with a client certificate asked for, or demanded (`ca.plugin.root.auth.strictness`)."""

    wants: ssl.SSLContext
    needs: ssl.SSLContext


@lru_cache(maxsize=8)
def contexts_of(authority: Authority) -> ServerContexts:
    """The TLS settings of a server whose certificate is that of the authority itself."""
    with tempfile.TemporaryDirectory(prefix="cloudstack-mock-ca-") as folder:
        certificate, key = Path(folder) / CERTIFICATE_FILE, Path(folder) / KEY_FILE
        _write(authority, certificate, key)
        found = []
        for mode in (ssl.CERT_OPTIONAL, ssl.CERT_REQUIRED):
            context = server_context(certificate, key)
            context.verify_mode = mode
            context.verify_flags |= _NO_CHECK_TIME
            context.load_verify_locations(certificate)
            found.append(context)
        return ServerContexts(*found)


def tls_context(ssl_dir: Path | None, now: datetime) -> ssl.SSLContext:
    """The context of a server with an authority in `ssl_dir`, or in memory only; `now` is naive UTC."""
    return contexts_of(_in_memory(now.date()) if ssl_dir is None else authority_in(ssl_dir, now)).wants


@lru_cache(maxsize=4)
def _in_memory(today: date) -> Authority:
    return new_authority(datetime.combine(today, time.min))


def fault_of(
    certificate_der: bytes | None, peer_address: str, *, now: datetime, revoked: frozenset[int], allows_expired: bool
) -> str | None:
    """Why the certificate that a client showed is no good, in CloudStack's words; None when it is.

    Upstream: RootCACustomTrustManager.java. `now` is naive UTC.
    """
    if certificate_der is None:
        return f"In strict auth mode, certificate(s) are expected from client:{peer_address}"
    certificate = x509.load_der_x509_certificate(certificate_der)
    if certificate.serial_number in revoked:
        return f"Client is using revoked certificate of serial={certificate.serial_number:x}"
    if certificate.not_valid_after_utc.replace(tzinfo=None) < now and not allows_expired:
        return f"Client certificate has expired, serial={certificate.serial_number:x}"
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        owners = {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    except x509.ExtensionNotFound:
        owners = set()
    if peer_address not in owners:
        return f"Certificate ownership verification failed for client: {peer_address}"
    return None


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_text(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def ssh_key_pair() -> tuple[str, str]:
    """A new (public, private) SSH key pair in OpenSSH form: what hosts get for reaching system VMs."""
    key = ed25519.Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    return public.decode(), private.decode()
