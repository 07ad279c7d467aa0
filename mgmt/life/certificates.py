"""Giving the agent of a host a certificate of the server's authority.

Upstream: CAManagerImpl.java (provisionCertificate, issueCertificate, revokeCertificate).
"""

from __future__ import annotations

import logging
import string
from datetime import datetime, timedelta

from mgmt.agents.manager import AgentManager
from mgmt.agents.trust import Trust
from mgmt.errors import CloudRuntimeError, ServerStoppingError
from mgmt.inventory.lookup import get_live
from mgmt.protocol.commands import SetupCertificateCommand, SetupKeystoreAnswer, SetupKeyStoreCommand
from mgmt.providers import Providers
from mgmt.store.database import Store
from mgmt.store.models import Host

logger = logging.getLogger(__name__)

AGENT_WAIT_S = 60
PASSWORD_LENGTH = 16


def trust_of(agents: AgentManager) -> Trust:
    """The authority of a server that runs; raises ServerStoppingError before its start."""
    if agents.trust is None:
        raise ServerStoppingError("the agent manager does not run")
    return agents.trust


def provision(store: Store, providers: Providers, agents: AgentManager, host_id: int, *, reconnects: bool) -> datetime:
    """Have a host's agent make a key, and give it a certificate; then close its link if `reconnects`.

    The answer is when the certificate ends, naive UTC.
    Raises CloudRuntimeError when the agent cannot, AgentUnavailableError and OperationTimedOutError.
    """
    trust = trust_of(agents)
    with store.session() as session:
        host = get_live(session, Host, host_id)
        if host is None:
            raise CloudRuntimeError(f"Unable to find host with id {host_id}")
        name, address = host.name, host.private_ip_address
    alphabet = string.ascii_letters + string.digits
    password = "".join(providers.random.choice(alphabet) for _ in range(PASSWORD_LENGTH))
    asked = agents.send(
        host_id, SetupKeyStoreCommand(validityDays=trust.validity_days, keystorePassword=password, wait=AGENT_WAIT_S)
    )
    if not asked.result or not isinstance(asked, SetupKeystoreAnswer) or not asked.csr:
        raise CloudRuntimeError(f"Failed to setup keystore and generate CSR on host {name}: {asked.details or ''}")
    try:
        issued = trust.issue([name], [address] if address else [], days=None, csr_pem=asked.csr)
    except ValueError as error:
        raise CloudRuntimeError(f"The certificate request of host {name} cannot be used: {error}") from error
    taken = agents.send(
        host_id,
        SetupCertificateCommand(
            certificate=issued.certificate_pem,
            caCertificates=trust.authority.certificate_pem,
            wait=AGENT_WAIT_S,
        ),
    )
    if not taken.result:
        raise CloudRuntimeError(f"Failed to import the certificate on host {name}: {taken.details or ''}")
    if reconnects:
        agents.disconnect(host_id, "provisionCertificate")
    return providers.utcnow() + timedelta(days=trust.validity_days)
