"""The server's authority: issuing, provisioning, strictness and revoking, over real TLS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509

from agent_sim.commands.certificates import has_keystore, keystore_file
from cloudstack_mock import ApiCallError


@pytest.fixture(scope="module")
def world(make_lab: Callable[..., Any]) -> Any:
    """One world for the tests of this module, each of which has hosts of its own."""
    return make_lab(vcenter="none", clock="automatic", time_scale=1.0)


def is_up(world: Any, name: str) -> bool:
    return bool(world.host(name)["state"] == "Up")


def files_of(world: Any, name: str) -> Any:
    return world.world.fleet.agent(name).hypervisor.files


def serial_of(world: Any, name: str) -> int:
    text = keystore_file(files_of(world, name), "cloud.crt").read_bytes()
    return x509.load_pem_x509_certificate(text).serial_number


def strictness(world: Any, value: str) -> None:
    world.client.call("updateConfiguration", name="ca.plugin.root.auth.strictness", value=value)


def test_the_providers_and_the_authority(world: Any) -> None:
    """There is one provider, root; its certificate is the one that agents are shown."""
    assert world.client.call("listCAProviders")["caprovider"] == [
        {"name": "root", "description": "CloudStack's Root CA provider plugin"}
    ]
    shown = world.client.call("listCaCertificate")["cacertificates"]["certificate"]
    assert x509.load_pem_x509_certificate(shown.encode()).subject.rfc4514_string() == "CN=ca.cloudstack.apache.org"
    with pytest.raises(ApiCallError, match="CA provider other not found"):
        world.client.call("listCaCertificate", provider="other")


def test_a_certificate_for_names_and_addresses(world: Any) -> None:
    """issueCertificate gives a certificate with its key for what was asked, signed by the authority."""
    issued = world.client.run(
        "issueCertificate", {"domain": "kvm9.example,kvm9", "ipaddress": "192.0.2.99", "duration": 7}
    )["certificates"]
    certificate = x509.load_pem_x509_certificate(issued["certificate"].encode())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["kvm9.example", "kvm9"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.99"]
    assert (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days == 8
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(issued["cacertificates"].encode()))
    assert "PRIVATE KEY" in issued["privatekey"]


@pytest.mark.parametrize(
    ("command", "parameters", "text"),
    [
        ("issueCertificate", {}, "Please provide the domains or the CSR, none of them are provided"),
        ("issueCertificate", {"csr": "nonsense"}, "Failed to issue the certificate"),
        ("revokeCertificate", {"serial": "no number"}, "Certificate serial cannot be read: no number"),
    ],
)
def test_what_cannot_be_done(world: Any, command: str, parameters: dict[str, str], text: str) -> None:
    """Odd requests fail with their reason."""
    with pytest.raises(ApiCallError, match=text):
        world.client.run(command, parameters)


def test_an_agent_gets_a_certificate_and_restarts_with_it(world: Any, wait_until: Callable[..., Any]) -> None:
    """provisionCertificate sends both commands as recorded; seconds later the agent comes back by itself, secured."""
    host = world.host("kvm1")
    world.client.run("provisionCertificate", {"hostid": host["id"], "reconnect": "false"})
    told = [entry for entry in world.journal("agent") if entry.fields["host"] == "kvm1"]
    sent = [entry for entry in told if entry.name.startswith(("SetupKey", "SetupCert"))]
    assert [entry.name for entry in sent] == [
        "SetupKeyStoreCommand",
        "SetupKeystoreAnswer",
        "SetupCertificateCommand",
        "SetupCertificateAnswer",
    ]
    asked, given = sent[0].fields["content"], sent[2].fields["content"]
    assert (asked["validityDays"], asked["handleByAgent"], asked["accessDetails"], asked["wait"]) == (365, True, {}, 60)
    assert asked["keystorePassword"] == "*****"
    assert (given["privateKey"], given["handleByAgent"]) == ("", True)
    wait_until(lambda: world.host("kvm1")["details"]["secured"] == "true", "the agent restarts")
    wait_until(lambda: is_up(world, "kvm1"), "the host is Up again")
    reasons = [entry.fields["reason"] for entry in world.journal("host") if entry.fields["host"] == "kvm1"]
    assert "the agent was stopped: Restarting due to new X509 certificates" in reasons
    assert world.host("kvm1")["id"] == host["id"]


def test_strictness_asks_for_a_certificate(world: Any, wait_until: Callable[..., Any]) -> None:
    """Strict: a secured agent connects, one without certificate does not, and a revoked certificate is refused."""
    world.client.run("provisionCertificate", {"hostid": world.host("kvm3")["id"], "reconnect": "false"})
    wait_until(lambda: world.host("kvm3")["details"]["secured"] == "true" and is_up(world, "kvm3"), "it restarts")
    assert has_keystore(files_of(world, "kvm3"))
    assert not has_keystore(files_of(world, "kvm2"))
    strictness(world, "true")
    try:
        for name in ("kvm3", "kvm2"):
            world.client.run("reconnectHost", {"id": world.host(name)["id"]})
        wait_until(lambda: is_up(world, "kvm3"), "the secured agent is Up")
        assert not is_up(world, "kvm2")
        world.client.run("revokeCertificate", {"serial": f"{serial_of(world, 'kvm3'):x}", "cn": "kvm3"})
        world.client.run("reconnectHost", {"id": world.host("kvm3")["id"]})
        world.world.fleet.drop_link("kvm3")
        wait_until(lambda: not is_up(world, "kvm3"), "the revoked certificate is refused")
    finally:
        strictness(world, "false")
    for name in ("kvm3", "kvm2"):
        wait_until(lambda name=name: is_up(world, name), f"{name} is Up again")
