"""Renewing agents' certificates before they end, or telling the administrators of it.

Upstream: CAManagerImpl.CABackgroundTask, whose texts are these; the events are those of ActionEventInterceptor around
provisionCertificate.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from datetime import datetime, timedelta

from mgmt.agents.alerts import CERTIFICATE, record_alert
from mgmt.agents.manager import AgentManager
from mgmt.agents.renewal import Ending
from mgmt.clock import Hold, hold, working
from mgmt.errors import CloudError, ServerStoppingError
from mgmt.inventory.events import Originator, record_event
from mgmt.inventory.lookup import get_live
from mgmt.inventory.settings import GlobalSettings
from mgmt.life.certificates import provision
from mgmt.providers import Providers
from mgmt.store.database import Store
from mgmt.store.models import Host, User

logger = logging.getLogger(__name__)

EVENT = "CA.CERTIFICATE.PROVISION"
RENEWAL_SETTING = "ca.framework.cert.automatic.renewal"
ALERT_AGAIN_AFTER = timedelta(days=1)


class CertificateRenewal:
    """The work on certificates that end soon, one round at a time in a thread of its own."""

    def __init__(self, store: Store, providers: Providers, settings: GlobalSettings, agents: AgentManager) -> None:
        self._store = store
        self._providers = providers
        self._settings = settings
        self._agents = agents
        self._thread: threading.Thread | None = None
        self._told: dict[int, datetime] = {}

    def ending(self, found: Sequence[Ending]) -> None:
        """Deal with certificates that end soon; returns at once. A round that is under way is not disturbed."""
        if self._thread is not None and self._thread.is_alive():
            return
        taken = hold(self._providers.clock, "renewal of certificates")
        self._thread = threading.Thread(target=self._work, args=(found, taken), name="certificates", daemon=True)
        self._thread.start()

    def join(self, timeout_s: float) -> None:
        """Wait for what is under way; after the agents have stopped it ends at once."""
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _work(self, found: Sequence[Ending], taken: Hold | None) -> None:
        with working(self._providers.clock, "renewal of certificates", taken):
            is_automatic = (self._settings.get_text(RENEWAL_SETTING) or "").lower() == "true"
            for each in found:
                try:
                    if is_automatic:
                        self._renew(each)
                    else:
                        self._tell(each)
                except ServerStoppingError:
                    return
                except Exception:
                    logger.exception("the certificate of host %d could not be dealt with", each.host_id)

    def _renew(self, ending: Ending) -> None:
        start_id = self._event(ending.host_id, "Started", "INFO", "provisioning certificate for host")
        try:
            ends = provision(self._store, self._providers, self._agents, ending.host_id, reconnects=False)
        except CloudError as error:
            logger.warning("the certificate of host %d was not renewed: %s", ending.host_id, error.text)
            text = "Error while provisioning certificate for host"
            self._event(ending.host_id, "Completed", "ERROR", text, start_id)
            self._alert(ending.host_id, "Certificate auto-renewal failed for")
            return
        text = "Successfully completed provisioning certificate for host"
        self._event(ending.host_id, "Completed", "INFO", text, start_id)
        ending.renewed(ends)

    def _tell(self, ending: Ending) -> None:
        now, last = self._providers.utcnow(), self._told.get(ending.host_id)
        if last is None or now - last >= ALERT_AGAIN_AFTER:
            self._told[ending.host_id] = now
            self._alert(ending.host_id, "Certificate expiring soon for")

    def _alert(self, host_id: int, begin: str) -> None:
        with self._store.session() as session:
            host = get_live(session, Host, host_id)
            if host is not None:
                place = f"ip={host.private_ip_address}, zone id={host.zone_id}"
                subject = f"{begin} host id={host.id}, uuid={host.uuid}, name={host.name}, {place}"
                record_alert(session, self._providers, CERTIFICATE, subject, zone_id=host.zone_id)

    def _event(self, host_id: int, state: str, level: str, text: str, start_id: int | None = None) -> int:
        with self._store.session() as session:
            host = session.get_one(Host, host_id)
            user = session.query(User).order_by(User.id).limit(1).one()
            return record_event(
                session,
                self._providers,
                type=EVENT,
                level=level,
                state=state,
                description=f"{text}. Host ID: {host.uuid}",
                caller=Originator(user.id, user.account_id, user.account.domain_id),
                resource_type="Host",
                resource_uuid=host.uuid,
                start_id=start_id,
            )
