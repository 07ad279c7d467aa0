"""Login sessions: kept in memory, ended by idleness, logout, a wrong session key or another login.

Upstream: server/.../api/ApiServlet.java and utils/.../HttpUtils.java (where a session key is looked for).
"""

from __future__ import annotations

import base64
import threading
from dataclasses import dataclass

from mgmt.providers import Providers

DEFAULT_IDLE_TIMEOUT_S = 1800
NODE_SUFFIX = ".node0"
NODE_PREFIX = "node0"

COOKIE_AND_PARAMETER = "CookieAndParameter"
COOKIE_OR_PARAMETER = "CookieOrParameter"
PARAMETER_ONLY = "ParameterOnly"


@dataclass
class LoginSession:
    """One login. `session_id` is the `JSESSIONID` value without its node suffix."""

    session_id: str
    session_key: str
    user_id: int
    last_used: float

    @property
    def cookie_value(self) -> str:
        return self.session_id + NODE_SUFFIX


class SessionTable:
    """The sessions of one server; thread-safe. A session dies after `idle_timeout_s` seconds without a request."""

    def __init__(self, providers: Providers, idle_timeout_s: float = DEFAULT_IDLE_TIMEOUT_S) -> None:
        self._providers = providers
        self.idle_timeout_s = idle_timeout_s
        self._lock = threading.Lock()
        self._sessions: dict[str, LoginSession] = {}

    def new_session_id(self) -> str:
        """A fresh, unguessable session id that no login belongs to yet."""
        return NODE_PREFIX + self._providers.random.randbytes(16).hex()

    def open(self, session_id: str, user_id: int) -> LoginSession:
        """Begin a login of `user_id` under `session_id`, with a new session key; idle ones are swept out."""
        now = self._providers.clock.monotonic()
        key = base64.urlsafe_b64encode(self._providers.random.randbytes(20)).rstrip(b"=").decode("ascii")
        session = LoginSession(session_id, key, user_id, now)
        with self._lock:
            for stale in [each for each in self._sessions.values() if self._is_idle(each, now)]:
                del self._sessions[stale.session_id]
            self._sessions[session_id] = session
        return session

    def clear(self) -> None:
        """End all logins."""
        with self._lock:
            self._sessions.clear()

    def find(self, cookie_value: str | None) -> LoginSession | None:
        """The live session of a `JSESSIONID` cookie, with or without node suffix; counts as its use."""
        if not cookie_value:
            return None
        session_id = cookie_value.removesuffix(NODE_SUFFIX)
        now = self._providers.clock.monotonic()
        with self._lock:
            session = self._sessions.get(session_id)
            if session is None:
                return None
            if self._is_idle(session, now):
                del self._sessions[session_id]
                return None
            session.last_used = now
            return session

    def drop(self, session: LoginSession) -> None:
        """End the session; one that has ended already stays so."""
        with self._lock:
            self._sessions.pop(session.session_id, None)

    def __len__(self) -> int:
        return len(self._sessions)

    def _is_idle(self, session: LoginSession, now: float) -> bool:
        return now - session.last_used > self.idle_timeout_s


def session_key_is_right(session: LoginSession, cookie: str | None, parameter: str | None, locations: str) -> bool:
    """Whether a request proves that it knows the session's key.

    `locations` is setting `api.sessionkey.check.locations`; an unknown word counts as its default.
    """
    if locations == COOKIE_OR_PARAMETER:
        return session.session_key in (cookie, parameter)
    if locations == PARAMETER_ONLY:
        return parameter == session.session_key
    return cookie == session.session_key and parameter == session.session_key
