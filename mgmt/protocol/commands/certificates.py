"""How an agent gets its certificate: it makes a key and asks, the server signs."""

from __future__ import annotations

import msgspec

from mgmt.protocol.records import Answer, Command, wire


@wire("org.apache.cloudstack.ca")
class SetupKeyStoreCommand(Command, kw_only=True):
    """Make a key and a request for a certificate. Java needs `handleByAgent` and `accessDetails` spelled out."""

    validityDays: int = 0
    keystorePassword: str | None = None
    handleByAgent: bool = True
    accessDetails: dict[str, str] = msgspec.field(default_factory=dict)
    routerAccessIp: str | None = None


@wire("org.apache.cloudstack.ca")
class SetupKeystoreAnswer(Answer, kw_only=True):
    """`csr` is the request, as PEM text."""

    csr: str | None = None


@wire("org.apache.cloudstack.ca")
class SetupCertificateCommand(Command, kw_only=True):
    """The certificate to use from now on; an empty `privateKey`: that of the request."""

    certificate: str | None = None
    privateKey: str = ""
    caCertificates: str | None = None
    handleByAgent: bool = True
    accessDetails: dict[str, str] = msgspec.field(default_factory=dict)
    routerAccessIp: str | None = None


@wire("org.apache.cloudstack.ca")
class SetupCertificateAnswer(Answer, kw_only=True):
    """The certificate is in use after the agent's restart, some seconds later."""
