"""The login session of one HTTP call: what `login` and `logout` do with it, and the cookies that follow from it."""

from __future__ import annotations

from collections.abc import Mapping

from mgmt.api.sessions import NODE_SUFFIX, LoginSession, SessionTable

SESSION_COOKIE = "JSESSIONID"
KEY_COOKIE = "sessionkey"
EPOCH_EXPIRES = ("Expires", "Thu, 01 Jan 1970 00:00:00 GMT")

_SAME_SITE = {
    "Lax": ";SameSite=Lax",
    "Strict": ";SameSite=Strict",
    "NoneAndSecure": ";SameSite=None;Secure",
    "Null": "",
}


class CallSession:
    """Implements `mgmt.commands.declaration.WebSession`; `headers` gathers what goes onto the answer."""

    def __init__(
        self,
        table: SessionTable,
        cookies: Mapping[str, str],
        same_site: str,
        *,
        is_secure: bool = False,
        peer: str | None = None,
        script_name: str = "",
    ) -> None:
        self.peer = peer
        self._table = table
        self._is_secure = is_secure
        self._path = f"{script_name}/client"
        self._cookies = cookies
        self._same_site = _SAME_SITE.get(same_site, _SAME_SITE["Lax"])
        self._new_id: str | None = None
        self.current: LoginSession | None = table.find(cookies.get(SESSION_COOKIE))
        self.headers: list[tuple[str, str]] = []

    @property
    def exists(self) -> bool:
        return self.current is not None

    @property
    def user_id(self) -> int | None:
        return None if self.current is None else self.current.user_id

    @property
    def idle_timeout_s(self) -> int:
        return int(self._table.idle_timeout_s)

    def restart(self) -> None:
        """End the session that the request carries and hand out a new session id: every login call does it first.

        With the setting enable.secure.session.cookie its cookie is written by CloudStack itself, and not by the
        container, which alone adds the node.
        """
        self.drop()
        self._new_id = self._table.new_session_id()
        self._set_session_cookie(self._new_id if self._is_secure else self._new_id + NODE_SUFFIX)

    def begin(self, user_id: int) -> str:
        if self._new_id is None:
            self.restart()
        assert self._new_id is not None
        self.current = self._table.open(self._new_id, user_id)
        self._set_key_cookie(self.current.session_key)
        return self.current.session_key

    def end(self) -> None:
        if self.current is None:
            return
        self._set_key_cookie(self.current.session_key)
        self.drop()
        for position, name in enumerate(self._cookies):
            self.headers.append(("Set-Cookie", f"{name}=; Expires=Thu, 01-Jan-1970 00:00:00 GMT; Max-Age=0"))
            if position == 0:
                self.headers.append(EPOCH_EXPIRES)

    def drop(self) -> None:
        """End the session without a word to the client."""
        if self.current is not None:
            self._table.drop(self.current)
            self.current = None

    def refresh_cookie(self) -> None:
        """Set the full session cookie again when the client sent it without its node suffix."""
        if self.current is not None and self._cookies.get(SESSION_COOKIE) != self.current.cookie_value:
            self._set_session_cookie(self.current.cookie_value)

    def _set_session_cookie(self, value: str) -> None:
        attributes = f";Secure;HttpOnly;Path={self._path}" if NODE_SUFFIX not in value else f"; Path={self._path}"
        self.headers.append(("Set-Cookie", f"{SESSION_COOKIE}={value}{attributes}"))
        self.headers.append(EPOCH_EXPIRES)

    def _set_key_cookie(self, key: str) -> None:
        self.headers.append(("Set-Cookie", f"{KEY_COOKIE}={key};HttpOnly{self._same_site}"))
