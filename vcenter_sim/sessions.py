"""Sessions: who a cookie stands for, what hangs on it, and when it ends."""

from __future__ import annotations

import hmac
import threading
from dataclasses import dataclass, field
from datetime import datetime

from vcenter_sim import faults
from vcenter_sim.collector import Selection
from vcenter_sim.inventory import Inventory, Managed
from vcenter_sim.providers import utc
from vcenter_sim.types import DataObject, vim
from vcenter_sim.updates import UpdateFeed

COOKIE_NAME = "vmware_soap_session"
MAX_SESSIONS = 2000  # the oldest is ended for a new one beyond this


@dataclass(frozen=True)
class Credentials:
    """The one account of the stand-in."""

    username: str
    password: str = field(repr=False)

    def match(self, username: str, password: str) -> bool:
        """Whether they are the account's; the user name is compared ignoring case, as single sign-on does."""
        same_name = hmac.compare_digest(username.lower().encode(), self.username.lower().encode())
        same_password = hmac.compare_digest(password.encode(), self.password.encode())
        return same_name and same_password


@dataclass
class Session:
    """What one cookie stands for. `username` is None until Login."""

    key: str
    last_active_s: float
    peer: str
    user_agent: str
    cookie: str = field(repr=False)
    username: str | None = None
    login_time: datetime | None = None
    last_active: datetime | None = None
    calls: int = 0
    feeds: dict[str, UpdateFeed] = field(default_factory=dict)
    pages: dict[str, Selection] = field(default_factory=dict)
    objects: list[Managed] = field(default_factory=list)
    page_numbers: int = 0

    def feed(self, collector: Managed) -> UpdateFeed:
        """The filters this session has on that property collector."""
        return self.feeds.setdefault(collector.moid, UpdateFeed())

    def record(self) -> DataObject:
        """The session as `SessionManager` shows it; only for one that is logged in."""
        return vim.UserSession(
            key=self.key,
            userName=self.username,
            fullName=self.username,
            loginTime=self.login_time,
            lastActiveTime=self.last_active,
            locale="en",
            messageLocale="en",
            extensionSession=False,
            ipAddress=self.peer,
            userAgent=self.user_agent,
            callCount=self.calls,
        )


class Sessions:
    """All sessions by cookie value."""

    def __init__(self, inventory: Inventory, credentials: Credentials, idle_timeout_s: float) -> None:
        self._inventory = inventory
        self.credentials = credentials
        self._by_cookie: dict[str, Session] = {}
        self._lock = threading.Lock()
        self.idle_timeout_s = idle_timeout_s

    def find(self, cookie: str | None) -> Session | None:
        """The live session of a cookie value, its idle time starting anew; None when there is none."""
        self._end_idle()
        with self._lock:
            session = self._by_cookie.get(cookie) if cookie else None
            if session is not None:
                session.last_active_s = self._inventory.clock.monotonic()
                session.last_active = utc(self._inventory.clock)
                session.calls += 1
            return session

    def open(self, peer: str, user_agent: str) -> tuple[str, Session]:
        """A new session that nobody has logged in to, and its cookie value."""
        cookie = self._inventory.ids.uuid().replace("-", "")
        session = Session(self._inventory.ids.uuid(), self._inventory.clock.monotonic(), peer, user_agent, cookie)
        with self._lock:
            surplus = list(self._by_cookie)[: max(0, len(self._by_cookie) + 1 - MAX_SESSIONS)]
            self._by_cookie[cookie] = session
        for old in surplus:
            self._end(old)
        return cookie, session

    def log_in(self, session: Session, username: str, password: str) -> None:
        """Authenticate the session; raises InvalidLogin."""
        if not self.credentials.match(username, password):
            raise faults.invalid_login()
        session.username = self.credentials.username
        session.login_time = session.last_active = utc(self._inventory.clock)

    def end(self, session: Session) -> None:
        """End a session and all that hangs on it."""
        for cookie in [cookie for cookie, known in list(self._by_cookie.items()) if known is session]:
            self._end(cookie)

    def end_all(self) -> None:
        """End every session: what a restart of vCenter does, and what a test of session loss calls."""
        for cookie in list(self._by_cookie):
            self._end(cookie)

    def logged_in(self) -> list[Session]:
        """The sessions with a user, oldest first."""
        return [session for session in list(self._by_cookie.values()) if session.username is not None]

    def alive(self, session: Session) -> bool:
        """Whether the session has not ended."""
        return session in list(self._by_cookie.values())

    def _end_idle(self) -> None:
        limit = self._inventory.clock.monotonic() - self.idle_timeout_s
        for cookie in [cookie for cookie, session in list(self._by_cookie.items()) if session.last_active_s < limit]:
            self._end(cookie)

    def _end(self, cookie: str) -> None:
        with self._lock:
            session = self._by_cookie.pop(cookie, None)
        if session is None:
            return
        with self._inventory.lock:
            for managed in session.objects:
                if self._inventory.exists(managed):
                    self._inventory.remove(managed)
            session.objects.clear()
            session.feeds.clear()
            self._inventory.session_ended()
