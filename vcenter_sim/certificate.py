"""The stand-in's own TLS certificate: made once, and kept in a folder when one is given."""

from __future__ import annotations

import hashlib
import ipaddress
import os
import ssl
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_CERTIFICATE = "vcenter.crt"
_KEY = "vcenter.key"


@dataclass(frozen=True)
class Certificate:
    """A server context ready to use, the certificate as PEM and its thumbprints as `AA:BB:..`."""

    context: ssl.SSLContext
    pem: str
    thumbprint_sha1: str
    thumbprint_sha256: str


def obtain(host: str, now: datetime, folder: Path | None = None) -> Certificate:
    """The certificate kept in `folder`, made there when it is missing; without a folder a new one each time."""
    if folder is None:
        with tempfile.TemporaryDirectory(prefix="vcenter-sim-") as scratch:
            return _load(_make(host, now, Path(scratch)))
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / _CERTIFICATE).is_file() or not (folder / _KEY).is_file():
        _make(host, now, folder)
    return _load(folder)


def _make(host: str, now: datetime, folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "vCenter stand-in"),
            x509.NameAttribute(NameOID.COMMON_NAME, host),
        ]
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now.astimezone(UTC) - timedelta(days=1))
        .not_valid_after(now.astimezone(UTC) + timedelta(days=3650))
        .add_extension(x509.SubjectAlternativeName(_alternative_names(host)), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    descriptor = os.open(folder / _KEY, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(private)
    (folder / _CERTIFICATE).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return folder


def _alternative_names(host: str) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    try:
        address: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        address = x509.DNSName(host)
    return names if address in names else [*names, address]


def _load(folder: Path) -> Certificate:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(folder / _CERTIFICATE, folder / _KEY)
    pem = (folder / _CERTIFICATE).read_text()
    der = ssl.PEM_cert_to_DER_cert(pem)
    return Certificate(context, pem, _colons(hashlib.sha1(der)), _colons(hashlib.sha256(der)))


def _colons(digest: hashlib._Hash) -> str:
    return ":".join(f"{byte:02X}" for byte in digest.digest())
