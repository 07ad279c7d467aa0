"""The server's certificate authority: its certificate, issuing, provisioning and revoking.

Upstream: api/.../command/admin/ca/, server/.../org/apache/cloudstack/ca/CAManagerImpl.java.
"""

from __future__ import annotations

from mgmt.commands.declaration import ALL_ROLES, Bound, Call, Item, Listing, Success, command, events_of
from mgmt.commands.fields import Boolean, Integer, Out, Params, Response, Str, Uuid
from mgmt.commands.responses.success import SuccessResponse
from mgmt.errors import CloudRuntimeError, InvalidParameterValueError
from mgmt.life.certificates import provision, trust_of

PACKAGE = "org.apache.cloudstack.api.command.admin.ca"
ROOT = "root"
SINCE = "4.11.0"
CSR_LENGTH = 65535

_event = events_of("Certificate")


class CertificateResponse(Response):
    """A certificate as PEM text, with its key when that was made here."""

    catalogue = "CertificateResponse"

    certificate = Out("string", "the certificate")
    privatekey = Out("string", "its private key, unless it was made elsewhere")
    cacertificates = Out("string", "the certificates of the authority")
    jobid = Out("string", "UUID of the job under way for it")
    jobstatus = Out("integer", "state of that job: 0 while it runs")


class CaProviderResponse(Response):
    """A provider of certificates."""

    catalogue = "CAProviderResponse"

    name = Out("string", "name of the provider")
    description = Out("string", "what it is")
    jobid = Out("string", "UUID of the job under way for it")
    jobstatus = Out("integer", "state of that job: 0 while it runs")


class ProviderParams(Params):
    """The provider, of which there is one."""

    provider = Str("provider of certificates: root")


class ListProvidersParams(Params):
    """Parameters of listCAProviders."""

    name = Str("name of the provider")


class IssueParams(ProviderParams):
    """Parameters of issueCertificate."""

    csr = Str("request for the certificate (CSR), PEM", max_length=CSR_LENGTH)
    domain = Str("names to certify, separated by commas")
    ipaddress = Str("addresses to certify, separated by commas")
    duration = Integer("days that it is valid")


class ProvisionParams(ProviderParams):
    """Parameters of provisionCertificate."""

    hostid = Uuid("the host", entity="host", required=True)
    reconnect = Boolean("close the link of the agent afterwards, so that it connects with the new certificate")


class RevokeParams(ProviderParams):
    """Parameters of revokeCertificate."""

    serial = Str("serial number, hexadecimal", required=True)
    cn = Str("common name of the certificate")


def _check_provider(bound: Bound) -> None:
    if (bound["provider"] or ROOT) != ROOT:
        raise CloudRuntimeError(f"CA provider {bound['provider']} not found")


def _words(text: str | None) -> list[str]:
    return [word.strip() for word in (text or "").split(",") if word.strip()]


@command(
    "listCAProviders",
    params=ListProvidersParams,
    response=CaProviderResponse,
    description="Lists the providers of certificates.",
    object_name="caprovider",
    since=SINCE,
    java_class=f"{PACKAGE}.ListCAProvidersCmd",
)
def list_providers(call: Call, bound: Bound) -> Listing:
    if (bound["name"] or ROOT) != ROOT:
        return Listing([], 0)
    return Listing([{"name": ROOT, "description": "CloudStack's Root CA provider plugin"}], 1)


@command(
    "listCaCertificate",
    params=ProviderParams,
    response=CertificateResponse,
    description="Shows the certificate of the server's authority, which agents must trust.",
    object_name="cacertificates",
    since=SINCE,
    roles=ALL_ROLES,
    java_class=f"{PACKAGE}.ListCaCertificateCmd",
)
def list_ca_certificate(call: Call, bound: Bound) -> Item:
    _check_provider(bound)
    return Item({"certificate": trust_of(call.services.agents).authority.certificate_pem})


@command(
    "issueCertificate",
    params=IssueParams,
    response=CertificateResponse,
    description="Issues a certificate for names and addresses, or for a request.",
    object_name="certificates",
    is_async=True,
    since=SINCE,
    java_class=f"{PACKAGE}.IssueCertificateCmd",
    event=_event("CA.CERTIFICATE.ISSUE", "issuing certificate", lambda bound: "issuing certificate for domain(s)"),
)
def issue(call: Call, bound: Bound) -> Item:
    _check_provider(bound)
    names, addresses = _words(bound["domain"]), _words(bound["ipaddress"])
    if not bound["csr"] and not names:
        raise InvalidParameterValueError("Please provide the domains or the CSR, none of them are provided")
    trust = trust_of(call.services.agents)
    try:
        issued = trust.issue(names, addresses, days=bound["duration"], csr_pem=bound["csr"] or None)
    except ValueError as error:
        raise CloudRuntimeError(f"Failed to issue the certificate: {error}") from error
    call.services.redactor.register(issued.key_pem)
    return Item(
        {
            "certificate": issued.certificate_pem,
            "privatekey": issued.key_pem or None,
            "cacertificates": trust.authority.certificate_pem,
        }
    )


@command(
    "provisionCertificate",
    params=ProvisionParams,
    response=SuccessResponse,
    description="Gives the agent of a host a certificate of the server's authority.",
    is_async=True,
    since=SINCE,
    java_class=f"{PACKAGE}.ProvisionCertificateCmd",
    event=_event(
        "CA.CERTIFICATE.PROVISION",
        "provisioning certificate for host",
        lambda bound: f"provisioning certificate for host id={bound['hostid']} using provider={bound['provider']}",
    ),
)
def provision_certificate(call: Call, bound: Bound) -> Success:
    _check_provider(bound)
    services = call.services
    reconnects = True if bound["reconnect"] is None else bool(bound["reconnect"])
    provision(services.store, services.providers, services.agents, bound["hostid"], reconnects=reconnects)
    return Success()


@command(
    "revokeCertificate",
    params=RevokeParams,
    response=SuccessResponse,
    description="Takes a certificate no more, from the next link on.",
    is_async=True,
    since=SINCE,
    java_class=f"{PACKAGE}.RevokeCertificateCmd",
    event=_event(
        "CA.CERTIFICATE.REVOKE",
        "revoking certificate",
        lambda bound: f"revoking certificate with serial id={bound['serial']}, cn={bound['cn']}",
    ),
)
def revoke(call: Call, bound: Bound) -> Success:
    _check_provider(bound)
    try:
        serial = int(bound["serial"], 16)
    except ValueError:
        raise InvalidParameterValueError(f"Certificate serial cannot be read: {bound['serial']}") from None
    trust_of(call.services.agents).revoke(serial, bound["cn"])
    return Success()


COMMANDS = (list_providers, list_ca_certificate, issue, provision_certificate, revoke)
