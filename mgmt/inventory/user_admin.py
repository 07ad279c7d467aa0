"""Users: making, changing, disabling and deleting them, and what wrong passwords lead to.

Upstream: server/.../user/AccountManagerImpl.java (createUser, updateUser, disableUser, enableUser, lockUser,
deleteUser, updateLoginAttemptsWhenIncorrectLoginAttemptsEnabled).
"""

from __future__ import annotations

import base64
import random
from collections.abc import Mapping
from typing import Any
from zoneinfo import available_timezones

from sqlalchemy import select
from sqlalchemy.orm import Session

from mgmt.errors import (
    PARAM_ERROR,
    CloudRuntimeError,
    InvalidParameterValueError,
    PermissionDeniedError,
    ServerApiError,
)
from mgmt.inventory.accounts import SYSTEM
from mgmt.inventory.listing import equals_ignoring_case
from mgmt.inventory.passwords import hash_password, verify_password
from mgmt.inventory.scope import ROOT_ADMIN, CallerLike, check_owner_access, domain_text
from mgmt.providers import Providers
from mgmt.store.models import Account, Domain, User

KEY_BYTES = 64
ENABLED, DISABLED, LOCKED = "enabled", "disabled", "locked"


def new_key(source: random.Random) -> str:
    """A new API or secret key: 86 characters of URL-safe Base64."""
    return base64.urlsafe_b64encode(source.randbytes(KEY_BYTES)).rstrip(b"=").decode("ascii")


def refuse_taken_username(session: Session, username: str, domain: Domain) -> None:
    """Raise InvalidParameterValueError when a user of the domain has that name."""
    taken = (
        select(User.id)
        .join(User.account)
        .where(
            equals_ignoring_case(User.username, username),
            User.removed.is_(None),
            Account.domain_id == domain.id,
            Account.removed.is_(None),
        )
    )
    if session.scalar(taken.limit(1)) is not None:
        raise InvalidParameterValueError(f"The user {username} already exists in domain {domain_text(domain)}")


def add_user(session: Session, providers: Providers, account: Account, params: Mapping[str, Any]) -> User:
    """Record a user of `account` from the bound parameters of createUser or createAccount."""
    refuse_empty_password(params["password"])
    refuse_taken_username(session, params["username"], account.domain)
    user = User(
        uuid=providers.ids.uuid(),
        username=params["username"],
        password_hash=hash_password(params["password"], providers.random),
        account=account,
        firstname=params["firstname"],
        lastname=params["lastname"],
        email=params["email"],
        timezone=checked_timezone(params["timezone"]),
        created=providers.utcnow().replace(microsecond=0),
    )
    session.add(user)
    session.flush()
    return user


def refuse_empty_password(password: str | None) -> None:
    """Raise ServerApiError for a password without a character."""
    if not (password or "").strip():
        raise ServerApiError(PARAM_ERROR, "Empty passwords are not allowed")


def checked_timezone(text: str | None) -> str | None:
    """A time zone that is known; InvalidParameterValueError for another."""
    if text and text not in available_timezones():
        raise InvalidParameterValueError(f"Unable to set timezone to {text}")
    return text or None


def live_user(session: Session, caller: CallerLike, user_id: int, missing: str = "Unable to find user by id") -> User:
    """The user with this number if it is there and within the caller's reach."""
    user = session.get(User, user_id)
    if user is None or user.removed is not None:
        raise InvalidParameterValueError(missing)
    if user.username == SYSTEM and user.is_default:
        raise PermissionDeniedError(f"user id : {user.id} is system account, update is not allowed")
    check_owner_access(caller, user.account_id, user.account.domain.path)
    return user


def user_of_key(session: Session, caller: CallerLike, api_key: str) -> User:
    """The user with an API key (getUser)."""
    user = session.scalar(select(User).where(User.api_key == api_key, User.removed.is_(None)))
    if user is None or user.api_key != api_key:
        raise InvalidParameterValueError("User with specified API key does not exist")
    check_owner_access(caller, user.account_id, user.account.domain.path)
    return user


def update_user(
    session: Session, providers: Providers, caller: CallerLike, user: User, params: Mapping[str, Any]
) -> User:
    """Change what the bound parameters of updateUser carry; a user who is no admin must know his password."""
    for name, shown in (("firstname", "Firstname"), ("lastname", "Lastname"), ("email", "Email")):
        if params[name] is not None:
            if not params[name].strip():
                raise InvalidParameterValueError(f"{shown} is empty")
            setattr(user, name, params[name])
    if params["username"] is not None and params["username"] != user.username:
        if not params["username"].strip():
            raise InvalidParameterValueError("Username cannot be empty")
        if params["username"].lower() != user.username.lower():
            refuse_taken_username(session, params["username"], user.account.domain)
        user.username = params["username"]
    if params["timezone"] is not None:
        user.timezone = checked_timezone(params["timezone"])
    _set_keys(session, user, params["userapikey"], params["usersecretkey"])
    if params["password"] is not None:
        _set_password(providers, caller, user, params["password"], params["currentpassword"])
    if params["apikeyaccess"] is not None:
        user.api_key_access = key_access(caller, params["apikeyaccess"])
    return user


def _set_keys(session: Session, user: User, api_key: str | None, secret_key: str | None) -> None:
    if (api_key is None) != (secret_key is None):
        raise InvalidParameterValueError("Please provide a userApiKey/userSecretKey pair")
    if api_key is None:
        return
    other = session.scalar(select(User).where(User.api_key == api_key, User.id != user.id))
    if other is not None:
        raise InvalidParameterValueError(f"The API key [{api_key}] exists in the system. Please provide a unique key.")
    user.api_key, user.secret_key = api_key, secret_key


def _set_password(providers: Providers, caller: CallerLike, user: User, new: str, current: str | None) -> None:
    if not new.strip():
        raise InvalidParameterValueError("Password cannot be empty or blank.")
    if not caller_is_admin_of(caller, user):
        if not current:
            raise InvalidParameterValueError("To set a new password the current password must be provided.")
        if not verify_password(current, user.password_hash):
            raise InvalidParameterValueError("Current password is incorrect.")
    user.password_hash = hash_password(new, providers.random)


def caller_is_admin_of(caller: CallerLike, user: User) -> bool:
    """True for an admin who need not know the password of `user`."""
    if caller.account_type == ROOT_ADMIN:
        return True
    return caller.account_type != 0 and caller.account_id != user.account_id


def key_access(caller: CallerLike, word: str) -> bool | None:
    """What the word of `apikeyaccess` means; only a root admin may say it."""
    if caller.account_type != ROOT_ADMIN:
        raise PermissionDeniedError("Only Root Admins can change the API key access")
    known = {"enabled": True, "disabled": False, "inherit": None}
    if word.lower() not in known:
        raise ServerApiError(PARAM_ERROR, "ApiKeyAccess value can only be Enabled/Disabled/Inherit")
    return known[word.lower()]


def set_state(user: User, state: str) -> None:
    """Enable, disable or lock a user; a disabled one cannot be locked. Counting of wrong passwords begins anew."""
    if state == LOCKED and user.state == DISABLED:
        raise CloudRuntimeError(f"Unable to lock user with id {user.id}")
    user.state = state
    user.login_attempts = 0


def delete_user(session: Session, providers: Providers, caller: CallerLike, user: User) -> None:
    """Take a user away; neither oneself nor a default one."""
    if user.is_default:
        raise InvalidParameterValueError("The user is default and can't be removed")
    if user.id == getattr(caller, "user_id", None):
        raise InvalidParameterValueError("The caller is requesting to delete itself. You are not allowed to do that.")
    remove_user(providers, user)


def remove_user(providers: Providers, user: User) -> None:
    """Mark a user removed; its keys are free and its sessions end with it."""
    user.removed = providers.utcnow()
    user.api_key = user.secret_key = None


def move_user(session: Session, user: User, target: Account) -> None:
    """Give a user to another account of its domain; its keys do not go with it."""
    if user.account_id == target.id:
        raise InvalidParameterValueError(
            f"User {user.username} is already part of account {target.name}; cannot move a user to its own account"
        )
    if user.account.domain_id != target.domain_id:
        raise InvalidParameterValueError("User can't be moved between accounts of different domains")
    user.account = target
    user.api_key = user.secret_key = None


def note_wrong_password(session: Session, user: User, allowed: int) -> None:
    """Count a wrong password; the last one that is allowed disables the user. Root admins are never disabled so."""
    if user.state != ENABLED or user.account.type == ROOT_ADMIN or allowed <= 0:
        return
    user.login_attempts += 1
    if user.login_attempts >= allowed:
        user.login_attempts = allowed
        user.state = DISABLED
