"""The background task that renews agents' certificates before they end, on the world's clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509

from agent_sim.commands.certificates import keystore_file

HOUR_S = 3600


@pytest.fixture(scope="module")
def lab(make_lab: Callable[..., Any]) -> Any:
    """A world whose clock moves by hand."""
    return make_lab(vcenter="none", clock="manual", time_scale=1.0)


def serial_of(lab: Any, name: str) -> int:
    text = keystore_file(lab.world.fleet.agent(name).hypervisor.files, "cloud.crt").read_bytes()
    return x509.load_pem_x509_certificate(text).serial_number


def configure(lab: Any, **settings: object) -> None:
    for name, value in settings.items():
        lab.client.call("updateConfiguration", name=f"ca.framework.{name.replace('_', '.')}", value=str(value))


def secure(lab: Any, name: str) -> int:
    """Give the agent a certificate and let it come back with it; its serial number."""
    lab.client.run("provisionCertificate", {"hostid": lab.host(name)["id"], "reconnect": "false"})
    lab.world.clock.advance(seconds=60)
    assert (lab.host(name)["state"], lab.host(name)["details"]["secured"]) == ("Up", "true")
    return serial_of(lab, name)


def alerts(lab: Any) -> list[str]:
    found = lab.client.call("listAlerts", type=31).get("alert", [])
    return [alert["description"].partition(",")[0].rpartition(" host ")[0] for alert in found]


def test_a_certificate_is_renewed_before_it_ends(lab: Any) -> None:
    """Within the alert period the task provisions another one, with events; the agent restarts and stays Up."""
    configure(lab, cert_validity_period=10, cert_expiry_alert_period=3, background_task_delay=HOUR_S)
    first = secure(lab, "kvm1")
    lab.world.clock.advance(days=6)
    assert serial_of(lab, "kvm1") == first
    lab.world.clock.advance(days=1, hours=2)
    second = serial_of(lab, "kvm1")
    assert second != first
    lab.world.clock.advance(minutes=2)
    assert lab.host("kvm1")["state"] == "Up"
    events = lab.client.call("listEvents", type="CA.CERTIFICATE.PROVISION", resourcetype="Host", listall="true")[
        "event"
    ]
    texts = {event["description"].partition(".")[0] for event in events}
    assert "Successfully completed provisioning certificate for host" in texts
    lab.world.clock.advance(days=2)
    assert serial_of(lab, "kvm1") == second
    assert alerts(lab) == []


def test_without_automatic_renewal_there_is_an_alert_a_day(lab: Any) -> None:
    """`ca.framework.cert.automatic.renewal` false: the certificate stays, and an alert of the type 31 says so daily."""
    configure(lab, cert_validity_period=10, cert_expiry_alert_period=3, background_task_delay=HOUR_S)
    first = secure(lab, "kvm2")
    configure(lab, cert_automatic_renewal="false")
    lab.world.clock.advance(days=7, hours=2)
    lab.world.clock.advance(hours=3)
    mine = [text for text in alerts(lab) if text == "Certificate expiring soon for"]
    assert serial_of(lab, "kvm2") == first
    known = len(mine)
    assert known >= 1
    lab.world.clock.advance(days=1)
    assert len(alerts(lab)) > known
    configure(lab, cert_automatic_renewal="true")
