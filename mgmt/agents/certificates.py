"""The server's own certificate authority, whose certificate is also the one that agents are shown.

CloudStack's root CA provider does the same (RootCAProvider.java). The key here is an elliptic-curve one: a 4096-bit RSA
key takes seconds to make, and Java agents take both.
"""

from __future__ import annotations

import ssl
import tempfile
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID

from mgmt.protocol.link import server_context

ISSUER = "ca.cloudstack.apache.org"
VALIDITY_DAYS = 30 * 365
CERTIFICATE_FILE = "ca.crt"
KEY_FILE = "ca.key"


def tls_context(ssl_dir: Path | None, now: datetime) -> ssl.SSLContext:
    """The server's TLS context; key and certificate are kept in `ssl_dir` and made there when missing.

    Without `ssl_dir` they live in memory only and end with the process, whose servers share them. `now` is naive UTC.
    """
    if ssl_dir is None:
        return _context_in_memory(now.date())
    ssl_dir.mkdir(parents=True, exist_ok=True)
    return _context_in(ssl_dir, now)


@lru_cache(maxsize=4)
def _context_in_memory(today: date) -> ssl.SSLContext:
    with tempfile.TemporaryDirectory(prefix="cloudstack-mock-ca-") as folder:
        return _context_in(Path(folder), datetime.combine(today, time.min))


def _context_in(folder: Path, now: datetime) -> ssl.SSLContext:
    certificate, key = folder / CERTIFICATE_FILE, folder / KEY_FILE
    if not (certificate.is_file() and key.is_file()):
        _make(certificate, key, now)
    return server_context(certificate, key)


def _make(certificate: Path, key: Path, now: datetime) -> None:
    private_key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, ISSUER)])
    authority = (
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
    key.touch(mode=0o600)
    key.write_bytes(
        private_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    certificate.write_bytes(authority.public_bytes(serialization.Encoding.PEM))


def ssh_key_pair() -> tuple[str, str]:
    """A new (public, private) SSH key pair in OpenSSH form: what hosts get for reaching system VMs."""
    key = ed25519.Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    return public.decode(), private.decode()
