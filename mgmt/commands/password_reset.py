"""The reset of a forgotten password, which is switched off, as in a new installation.

Upstream: server/.../api/auth/Default{Forgot,Reset}PasswordAPIAuthenticatorCmd.java; texts as there, no recording shows
them. The edge calls these handlers before any other check, as it does for `login`.
"""

from __future__ import annotations

from uuid import UUID

from mgmt.commands.catalogued import done
from mgmt.commands.declaration import Bound, Call, Success
from mgmt.commands.session import domain_by_path, refused
from mgmt.errors import ACCOUNT_ERROR, PARAM_ERROR, ServerApiError

LOGIN, LOGOUT = "login", "logout"
FORGOT_PASSWORD, RESET_PASSWORD = "forgotPassword", "resetPassword"
SWITCHED_OFF = "user.password.reset.enabled is false. Password reset for the user is not allowed."


def plain_refusal(command: str, raw: Bound | dict[str, str]) -> ServerApiError | None:
    """What an authentication command answers as a bare text when a parameter that it needs is missing or wrong."""
    if command == RESET_PASSWORD and not _is_uuid(str(raw.get("token", ""))):
        return ServerApiError(PARAM_ERROR, "Invalid token")
    if command != LOGOUT and "username" not in raw:
        return ServerApiError(ACCOUNT_ERROR, "null")
    return None


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def _refuse(call: Call, bound: Bound) -> Success:
    if "domain" not in bound:
        raise refused("Unable to find the domain from the path null")
    domain_by_path(call.db, str(bound["domain"]))
    raise refused(SWITCHED_OFF)


@done(FORGOT_PASSWORD, since="4.20.0.0")
def forgot_password(call: Call, bound: Bound) -> Success:
    """Send a token for a new password: refused, as the setting for it is off."""
    return _refuse(call, bound)


@done(RESET_PASSWORD, since="4.20.0.0")
def reset_password(call: Call, bound: Bound) -> Success:
    """Set a new password by such a token: refused too."""
    return _refuse(call, bound)


COMMANDS = (forgot_password, reset_password)
