"""Who calls, and may he: the caller of a session, of a signature, of the integration port.

Upstream: server/.../api/ApiServer.java (verifyRequest, checkCommandAvailable), ApiServlet.java.
"""

from __future__ import annotations

from sqlalchemy import select

from mgmt.api import errors, origin, posting
from mgmt.api.credentials import CredentialCache, Credentials
from mgmt.api.exchange import ApiRequest
from mgmt.api.sessions import COOKIE_AND_PARAMETER, session_key_is_right
from mgmt.api.signature import expires_at, is_right
from mgmt.api.web_session import KEY_COOKIE, CallSession
from mgmt.commands.access import may_call
from mgmt.commands.catalogue import AbsentCommand
from mgmt.commands.declaration import Caller, Declaration
from mgmt.commands.services import Services
from mgmt.errors import UNSUPPORTED_ACTION_ERROR, ServerApiError
from mgmt.inventory.accounts import SYSTEM
from mgmt.inventory.api_limits import ApiLimits
from mgmt.store.models import User

_SIGNING_PARAMETERS = frozenset({"signature", "apikey", "signatureversion", "expires"})


class Callers:
    """Tells the callers of one server; thread-safe."""

    def __init__(self, services: Services, *, enforces_post: bool) -> None:
        self._services = services
        self._enforces_post = enforces_post
        self._credentials = CredentialCache(services.store, services.providers.clock)
        self._api_limits = services.api_limits = ApiLimits.of(services.settings, services.providers.clock)

    def forget(self) -> None:
        """Know nobody any more: the records behind them were exchanged."""
        self._credentials.clear()
        self._api_limits.reset()

    def system(self) -> Caller:
        """The system user, who calls by the integration port."""
        with self._services.store.session() as session:
            system = select(User.id).where(User.username == SYSTEM, User.is_default.is_(True)).order_by(User.id)
            user_id = session.scalars(system.limit(1)).one()
        credentials = self._credentials.by_user(user_id)
        assert credentials is not None, "every world has the system user"
        return credentials.caller

    def in_session(self, request: ApiRequest, web: CallSession) -> Credentials:
        """Whose session it is; ends it and raises ServerApiError without the right key or an enabled user."""
        session = web.current
        assert session is not None
        parameter = request.parameters.get(KEY_COOKIE)
        locations = self._services.settings.get_text("api.sessionkey.check.locations") or COOKIE_AND_PARAMETER
        if not session_key_is_right(session, request.cookies.get(KEY_COOKIE), parameter, locations):
            web.drop()
            raise errors.unauthorized(errors.UNVERIFIED_SESSION)
        credentials = self._credentials.by_user(session.user_id)
        if credentials is None or not credentials.is_enabled:
            web.drop()
            raise errors.unauthorized(errors.UNVERIFIED_SESSION)
        return credentials

    def signing(self, request: ApiRequest, command: str | None) -> Caller:
        """The caller of a signed request. Every refusal but the role's is the same plain 401."""
        refused = errors.unauthorized(errors.UNVERIFIED_REQUEST)
        parameters = request.parameters
        if command is None or self.known(command) is None:
            raise refused
        special = {name.lower(): value for name, value in parameters.items() if name.lower() in _SIGNING_PARAMETERS}
        signature, api_key = special.get("signature"), special.get("apikey")
        if signature is None or api_key is None:
            raise refused
        if special.get("signatureversion") == "3":
            expires, now = expires_at(special.get("expires", "")), self._services.providers.clock.now()
            if expires is None or expires < now or (self._enforces_post and expires > now + posting.MAX_AHEAD_S):
                raise refused
        elif self._enforces_post:
            raise refused
        credentials = self._credentials.by_api_key(api_key)
        if credentials is None or not credentials.is_enabled or not self._may_use_keys(credentials):
            raise refused
        if not self.is_from_allowed(request, credentials):
            raise refused
        # A denied command is told even with a wrong signature; the user id in the text is a random one (a defect).
        self.check_role(command, credentials, shown_user_uuid=None)
        if not credentials.secret_key or not is_right(parameters, credentials.secret_key, signature):
            raise refused
        return credentials.caller

    def is_from_allowed(self, request: ApiRequest, credentials: Credentials) -> bool:
        """Whether the caller's account may call from the address that the request came from."""
        account_id = credentials.caller.account_id
        networks = self._services.settings.get_text(origin.SETTING, scope="Account", scope_id=account_id)
        return origin.is_allowed(request.peer, networks)

    def _may_use_keys(self, credentials: Credentials) -> bool:
        access = credentials.key_access
        if access is None:
            domain_id = credentials.caller.domain_id
            return self._services.settings.get_bool("api.key.access", scope="Domain", scope_id=domain_id)
        return access

    def check_role(self, command: str, credentials: Credentials, *, shown_user_uuid: str | None) -> None:
        """Raise ServerApiError for a command that the role denies or nobody knows, and for a call over the limit."""
        known = self.known(command)
        if not may_call(credentials.caller, credentials.rules, command, () if known is None else known.roles):
            shown = shown_user_uuid or self._services.providers.ids.uuid()
            raise ServerApiError(
                UNSUPPORTED_ACTION_ERROR,
                f"The API [{command}] does not exist or is not available for the account for user id [{shown}].",
            )
        if not credentials.caller.is_root_admin:
            self._api_limits.count(credentials.caller.account_id)

    def known(self, command: str) -> Declaration | AbsentCommand | None:
        """The command that a real server of this release would know, whether it is simulated or not."""
        return self._services.commands.get(command) or self._services.known_commands.absent(command)
