"""The door to vCenters: credentials in, a session out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from mgmt.observe.journal import Journal
from mgmt.observe.redaction import Redactor
from mgmt.providers import Providers

if TYPE_CHECKING:
    from mgmt.vmware.known import KnownExchanges
    from mgmt.vmware.session import VcenterSession

TIMEOUT_SETTING = "vmware.vcenter.session.timeout"
DEFAULT_TIMEOUT_S = 1200
VERSION_LIFETIME_S = 300.0


@dataclass(frozen=True)
class VcenterCredentials:
    """Which datacenter of which vCenter, and as whom. `host` is `name[:port]`; the password is not in the repr."""

    host: str
    datacenter: str
    username: str
    password: str = field(repr=False)


class SettingSource(Protocol):
    """The global settings, as far as this room needs them."""

    def get_int(self, name: str) -> int | None:
        """The number that setting `name` holds."""
        ...


class VcenterConnector:
    """Opens sessions with vCenters; one per server, usable from many threads."""

    def __init__(self, providers: Providers, settings: SettingSource, journal: Journal, redactor: Redactor) -> None:
        self._providers = providers
        self._settings = settings
        self._journal = journal
        self._redactor = redactor
        self._versions: dict[str, tuple[float, str]] = {}  # when it was chosen, and pyvmomi's name of it

    @cached_property
    def _known(self) -> KnownExchanges:
        from mgmt.vmware.known import KnownExchanges

        return KnownExchanges()

    @contextmanager
    def connect(self, credentials: VcenterCredentials) -> Iterator[VcenterSession]:
        """A logged-in session for the block; logged out at its end.

        Raises VcenterUnreachableError or VcenterLoginError. The datacenter is looked up at the first use.
        """
        self._redactor.register(credentials.password)
        # Here, so that a server that has not met a vCenter yet starts without pyvmomi's type tables.
        from mgmt.vmware.collector import MAX_WAIT_S
        from mgmt.vmware.link import open_link
        from mgmt.vmware.session import VcenterSession

        timeout_s = self._settings.get_int(TIMEOUT_SETTING) or DEFAULT_TIMEOUT_S
        link = open_link(
            credentials.host,
            credentials.username,
            credentials.password,
            journal=self._journal,
            clock=self._providers.clock,
            timeout_s=timeout_s,
            version=self._known_version(credentials.host),
            known=self._known,
        )
        self._versions.setdefault(credentials.host, (self._providers.clock.monotonic(), link.version))
        try:
            # A long poll must end before the exchange's time-out does.
            max_wait_s = max(1, min(MAX_WAIT_S, timeout_s // 2))
            yield VcenterSession(link, credentials.host, credentials.datacenter, max_wait_s=max_wait_s)
        finally:
            link.close()

    def forget(self) -> None:
        """Know no vCenter, as after the start."""
        self._versions.clear()

    def _known_version(self, vcenter: str) -> str | None:
        """The API version chosen for the vCenter lately: its file of versions need not be read for each session."""
        known = self._versions.get(vcenter)
        if known is None:
            return None
        chosen_s, version = known
        if self._providers.clock.monotonic() - chosen_s > VERSION_LIFETIME_S:
            self._versions.pop(vcenter, None)
            return None
        return version
