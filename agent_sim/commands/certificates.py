"""The agent's certificate: its key and request, and the files that it then connects with.

A real agent keeps them in a Java key store, `cloud.jks`, made by scripts from the PEM files beside it; here the PEM
files are all. Upstream: agent/.../Agent.java (setupAgentKeystore, setupAgentCertificate), scripts/util/keystore-*.
"""

from __future__ import annotations

import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from agent_sim.commands.base import HandlerTable
from agent_sim.hypervisor import Hypervisor
from agent_sim.storage import HostFiles
from mgmt.protocol.commands import (
    Answer,
    SetupCertificateAnswer,
    SetupCertificateCommand,
    SetupKeystoreAnswer,
    SetupKeyStoreCommand,
)
from mgmt.protocol.link import client_context

AGENT_FOLDER = "/etc/cloudstack/agent"
KEY_BITS = 2048
_PACKAGE = "org.apache.cloudstack.ca"


def keystore_file(files: HostFiles, name: str) -> Path:
    """The real path of `cloud.key`, `cloud.csr`, `cloud.crt` or `cloud.ca.crt`."""
    return files.real(f"{AGENT_FOLDER}/{name}")


def has_keystore(files: HostFiles) -> bool:
    """Whether the agent has a certificate to connect with."""
    return keystore_file(files, "cloud.crt").is_file()


def keystore_context(files: HostFiles) -> ssl.SSLContext:
    """TLS as an agent with a key store does it: it shows its certificate, and the server's must be of its authority."""
    context = client_context()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(keystore_file(files, "cloud.ca.crt"))
    context.load_cert_chain(keystore_file(files, "cloud.crt"), keystore_file(files, "cloud.key"))
    return context


async def setup_keystore(hypervisor: Hypervisor, command: SetupKeyStoreCommand) -> Answer:
    """Make a key and a request; the pass phrase goes to agent.properties unless there is one."""
    csr = await hypervisor.bench.blocking(lambda: _request(hypervisor))
    described = hypervisor.described
    if described.properties.text("keystore.passphrase") is None:
        edited = described.properties.edited({"keystore.passphrase": command.keystorePassword})
        hypervisor.edit_properties(edited)
    return SetupKeystoreAnswer(result=True, csr=csr)


def _request(hypervisor: Hypervisor) -> str:
    host = hypervisor.host
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    names = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "cloudstack")]
    names += [x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "cloudstack")]
    names += [x509.NameAttribute(NameOID.COMMON_NAME, host.name)]
    addresses = dict.fromkeys((host.ip, *hypervisor.link_addresses))
    csr = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name(names))
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.DNSName(host.name), *(x509.IPAddress(ipaddress.ip_address(text)) for text in addresses)]
            ),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    text = csr.public_bytes(serialization.Encoding.PEM).decode()
    text = text.replace("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST")  # as keytool writes it
    key_text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    _write(hypervisor.files, {"cloud.new.key": key_text, "cloud.csr": text})
    return text


async def setup_certificate(hypervisor: Hypervisor, command: SetupCertificateCommand) -> Answer:
    """Put the certificate where the agent's next start finds it; without a key that of the request is used."""
    if not command.certificate or not command.caCertificates:
        return SetupCertificateAnswer(result=False, details="Failed to setup certificate: there is none")
    key_text = command.privateKey
    if not key_text:
        made = keystore_file(hypervisor.files, "cloud.new.key")
        if not made.is_file():
            return SetupCertificateAnswer(result=False, details="Failed to setup certificate: there is no key")
        key_text = made.read_text()
    names = {"cloud.key": key_text, "cloud.ca.crt": command.caCertificates, "cloud.crt": command.certificate}
    await hypervisor.bench.blocking(lambda: _write(hypervisor.files, names))
    return SetupCertificateAnswer(result=True)


def _write(files: HostFiles, texts: dict[str, str]) -> None:
    for name, text in texts.items():
        path = keystore_file(files, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".key"):
            path.touch(mode=0o600)
        path.write_text(text)


HANDLERS: HandlerTable = {
    f"{_PACKAGE}.SetupKeyStoreCommand": setup_keystore,
    f"{_PACKAGE}.SetupCertificateCommand": setup_certificate,
}
