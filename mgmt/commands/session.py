"""login and logout.

Upstream: server/.../api/auth/DefaultLoginAPIAuthenticatorCmd.java, DefaultLogoutAPIAuthenticatorCmd.java and
ApiServer.loginUser. The edge calls these handlers before any other check, with the raw parameters by lower-case name.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mgmt.commands.declaration import ALL_ROLES, Bound, Call, Fields, command
from mgmt.commands.fields import Long, Out, Params, Response, Str
from mgmt.errors import ACCOUNT_ERROR, PARAM_ERROR, UNAUTHORIZED, ServerApiError
from mgmt.inventory.events import Originator, record_event
from mgmt.inventory.lookup import find_internal_id
from mgmt.inventory.passwords import verify_password
from mgmt.inventory.scope import domain_text
from mgmt.inventory.user_admin import note_wrong_password
from mgmt.store.models import Account, Domain, User

ROOT_PATH = "/"
ROOT_ADMIN = 1
NO_PEER = "127.0.0.1"  # a caller in this process
ISSUER = "CloudStack"
_INTERNAL_ID = re.compile(r"\d{1,18}", re.ASCII)


class LoginParams(Params):
    username = Str("name of the user", required=True)
    password = Str("the user's password in clear text", required=True)
    domain = Str("path of the user's domain, such as /D1; the ROOT domain when absent")
    domainId = Long("id of the user's domain; wins over domain")


class LoginResponse(Response):
    catalogue = "LoginCmdResponse"

    username = Out("string", "name of the user")
    userid = Out("string", "id of the user")
    domainid = Out("string", "id of the user's domain")
    timeout = Out("integer", "seconds without a request after which the session ends")
    account = Out("string", "name of the account that the user belongs to")
    firstname = Out("string", "first name of the user")
    lastname = Out("string", "last name of the user")
    type = Out("string", "type of the account: 0 user, 1 root admin, 2 domain admin")
    timezone = Out("string", "time zone of the user")
    timezoneoffset = Out("string", "hours that the user's time zone is ahead of UTC")
    registered = Out("string", "whether the user has confirmed a registration")
    sessionkey = Out("string", "key that goes with every request of the session")
    is2faenabled = Out("string", "whether a second factor is asked for")
    is2faverified = Out("string", "whether the second factor has been verified")
    providerfor2fa = Out("string", "provider of the second factor")
    issuerfor2fa = Out("string", "issuer of the second factor")
    managementserverid = Out("string", "id of the management server that keeps the session")


class LogoutResponse(Response):
    catalogue = "LogoutCmdResponse"

    description = Out("string", "what came of the logout")


@command(
    "login",
    params=LoginParams,
    response=LoginResponse,
    description="Begins a session of a user; its cookies and session key go with later requests",
    roles=ALL_ROLES,
    java_class="com.cloud.api.auth.DefaultLoginAPIAuthenticatorCmd",
)
def login(call: Call, bound: Bound) -> Fields:
    """Check the credentials and begin a session."""
    domain = _find_domain(call.db, bound)
    user = _find_user(call.db, str(bound["username"]), domain)
    if user is None or not verify_password(str(bound.get("password") or ""), user.password_hash):
        if user is not None:
            note_wrong_password(call.db, user, call.services.settings.get_int("incorrect.login.attempts.allowed"))
            call.db.commit()  # the refusal must not take the count back
        raise refused(
            f"Failed to authenticate user {bound['username']} in domain {domain.id}; please provide valid credentials"
        )
    if user.state != "enabled" or user.account.state != "enabled" or user.account.role.state != "enabled":
        raise refused(
            f"User {_user_account_text(user)}. (or their account) in domain {domain_text(domain)} is disabled/locked. "
            "Please contact the administrator."
        )
    user.login_attempts = 0
    assert call.web is not None, "login comes over HTTP only"
    _tell(call, user, "USER.LOGIN", f"user has logged in from IP Address /{call.web.peer or NO_PEER}")
    return Fields(_login_fields(call, user, call.web.begin(user.id)))


def _tell(call: Call, user: User, type_: str, text: str) -> None:
    record_event(
        call.db,
        call.services.providers,
        type=type_,
        level="INFO",
        state="Completed",
        description=text,
        caller=Originator(user.id, user.account_id, user.account.domain_id),
        resource_type="User",
        resource_uuid=user.uuid,
    )


def _login_fields(call: Call, user: User, session_key: str) -> dict[str, Any]:
    assert call.web is not None
    is_root_admin = user.account.type == ROOT_ADMIN
    return {
        "username": user.username,
        "userid": user.uuid,
        "domainid": user.account.domain.uuid,
        "timeout": call.web.idle_timeout_s,
        "account": user.account.name,
        "firstname": user.firstname,
        "lastname": user.lastname,
        "type": str(user.account.type),
        "timezone": user.timezone,
        "timezoneoffset": _offset_hours(user.timezone, call.services.providers.clock.now()),
        "registered": "false",
        "sessionkey": session_key,
        "is2faenabled": "false",
        "is2faverified": "true",
        "providerfor2fa": None,
        "issuerfor2fa": ISSUER,
        "managementserverid": call.services.management_server_uuid if is_root_admin else None,
    }


def _find_domain(session: Session, bound: Bound) -> Domain:
    domain_id = bound.get("domainid")
    if domain_id is not None:
        return _domain_by_id(session, str(domain_id))
    return domain_by_path(session, str(bound.get("domain") or ROOT_PATH))


def domain_by_path(session: Session, path: str) -> Domain:
    """The domain that a login names by its path; raises ServerApiError."""
    path = path if path.startswith("/") else "/" + path
    path = path if path.endswith("/") else path + "/"
    domain = session.scalar(
        select(Domain).where(func.lower(Domain.path) == path.lower(), Domain.removed.is_(None)).limit(1)
    )
    if domain is None:
        raise refused(f"Unable to find the domain from the path {path}")
    return domain


def _domain_by_id(session: Session, text: str) -> Domain:
    internal_id = int(text) if _INTERNAL_ID.fullmatch(text) else find_internal_id(session, "domain", text)
    domain = None if internal_id is None else session.get(Domain, internal_id)
    if domain is None or domain.removed is not None:
        raise ServerApiError(UNAUTHORIZED, "Invalid domain id entered, please enter a valid one", cserrorcode=None)
    return domain


def _find_user(session: Session, username: str, domain: Domain) -> User | None:
    return session.scalar(
        select(User)
        .join(User.account)
        .where(
            func.lower(User.username) == username.lower(),
            User.removed.is_(None),
            Account.domain_id == domain.id,
            Account.removed.is_(None),
        )
        .limit(1)
    )


def refused(text: str) -> ServerApiError:
    """What a login is refused with."""
    # a failed login has neither cserrorcode nor X-Description
    return ServerApiError(ACCOUNT_ERROR, text, cserrorcode=None)


def _user_account_text(user: User) -> str:
    return f'UserAccount {{"accountName":"{user.account.name}","id":{user.id},"username":"{user.username}"}}'


def _offset_hours(timezone: str | None, now: float) -> str | None:
    if timezone is None:
        return None
    try:
        offset = datetime.fromtimestamp(now, UTC).astimezone(ZoneInfo(timezone)).utcoffset()
    except (ZoneInfoNotFoundError, ValueError):
        return "0.0"  # Java's TimeZone.getTimeZone reads an unknown name as GMT
    return str((offset.total_seconds() if offset else 0.0) / 3600)


class LogoutParams(Params):
    """logout has no parameter."""


@command(
    "logout",
    params=LogoutParams,
    response=LogoutResponse,
    description="Ends the session of a user",
    roles=ALL_ROLES,
    java_class="com.cloud.api.auth.DefaultLogoutAPIAuthenticatorCmd",
)
def logout(call: Call, bound: Bound) -> Fields:
    """End the session that the request's cookie names; needs no session key."""
    if call.web is None or not call.web.exists:
        raise ServerApiError(PARAM_ERROR, "Session not found for the logout process.")
    user = None if call.web.user_id is None else call.db.get(User, call.web.user_id)
    if user is not None:
        _tell(call, user, "USER.LOGOUT", "user has logged out")
    call.web.end()
    return Fields({"description": "success"})


COMMANDS = (login, logout)
