"""User data: what guests read at their first start, registered by accounts or given with a VM.

Upstream: server/.../server/ManagementServerImpl.java (registerUserData, deleteUserData, listUserDatas),
UserVmManagerImpl.finalizeUserData, UserDataManagerImpl.validateUserData. The texts are from memory.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from mgmt.errors import InvalidParameterValueError
from mgmt.inventory.listing import Window, equals_ignoring_case, like_keyword, page
from mgmt.inventory.scope import CallerLike, Scope, check_owner_access, owner_fields
from mgmt.providers import Providers
from mgmt.store.models import Account, UserData, VmInstance


def checked_content(text: str) -> str:
    """User data in Base64; InvalidParameterValueError for anything else."""
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidParameterValueError("User data is not base64 encoded") from None
    if not content:
        raise InvalidParameterValueError("User data is too short")
    return text


def register(session: Session, providers: Providers, owner: Account, params: Mapping[str, Any]) -> UserData:
    """Record user data of an account; its name is taken once there."""
    name = params["name"]
    named = select(UserData.id).where(UserData.account_id == owner.id, equals_ignoring_case(UserData.name, name))
    if session.scalar(named.limit(1)) is not None:
        raise InvalidParameterValueError(f"A userdata with name {name} already exists for this account.")
    found = UserData(
        uuid=providers.ids.uuid(),
        name=name,
        content=checked_content(params["userdata"]),
        parameters=params["params"],
        account=owner,
        domain_id=owner.domain_id,
    )
    session.add(found)
    session.flush()
    return found


def owned_user_data(session: Session, caller: CallerLike, user_data_id: int) -> UserData:
    """The user data with this number if the caller may use it."""
    found = session.get(UserData, user_data_id)
    if found is None:
        raise InvalidParameterValueError(f"Unable to find userdata with id {user_data_id}")
    check_owner_access(caller, found.account_id, found.account.domain.path)
    return found


def delete(session: Session, found: UserData) -> None:
    """Forget user data that no VM names."""
    users = select(VmInstance.id).where(VmInstance.user_data_id == found.id, VmInstance.removed.is_(None))
    if session.scalar(users.limit(1)) is not None:
        raise InvalidParameterValueError(f"Userdata {found.name} cannot be removed as it is linked to active user VMs")
    session.delete(found)


def set_user_data(
    session: Session, caller: CallerLike, vm: VmInstance, content: str | None, user_data_id: int | None
) -> None:
    """Give a VM user data of its own, or the registered one; never both."""
    if content and user_data_id is not None:
        raise InvalidParameterValueError(
            "Both userdata and userdata ID inputs are not allowed, please provide only one"
        )
    if user_data_id is not None:
        found = owned_user_data(session, caller, user_data_id)
        vm.user_data, vm.user_data_id = found.content, found.id
    else:
        vm.user_data, vm.user_data_id = (checked_content(content) if content else None), None


def find_user_data(
    session: Session, scope: Scope, params: Mapping[str, Any], window: Window
) -> tuple[list[UserData], int]:
    """The page of user data that the bound parameters of listUserData ask for."""
    conditions: list[ColumnElement[bool]] = [scope.clause(UserData.account_id, UserData.domain_id)]
    if params["id"] is not None:
        conditions.append(UserData.id == params["id"])
    if params["name"] is not None:
        conditions.append(equals_ignoring_case(UserData.name, params["name"]))
    if params["keyword"] is not None:
        conditions.append(like_keyword(UserData.name, params["keyword"]))
    return page(session, select(UserData).where(*conditions).order_by(UserData.id), window)


def user_data_view(found: UserData) -> dict[str, Any]:
    """The answer of registered user data."""
    return {
        "id": found.uuid,
        "name": found.name,
        **owner_fields(found.account, found.domain),
        "accountid": found.account.uuid,
        "params": found.parameters,
        "userdata": found.content,
        "hasannotations": False,
    }
