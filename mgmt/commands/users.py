"""Users and their keys."""

from __future__ import annotations

from mgmt.commands.declaration import ALL_ROLES, Bound, Call, Item, Listing, command
from mgmt.commands.fields import Boolean, Integer, Params, Str, Uuid
from mgmt.commands.owned import AccountListParams
from mgmt.commands.responses.account import RegisterResponse, UserResponse
from mgmt.inventory.accounts import find_user_with_keys, find_users, user_view
from mgmt.store.models import User


class ListUsersParams(AccountListParams):
    """Parameters of listUsers."""

    accounttype = Integer("show users of accounts of this type: 0 user, 1 root admin, 2 domain admin")
    id = Uuid("show this user", entity="user")
    state = Str("show users in this state: enabled, disabled or locked")
    username = Str("show the user with this login name")
    showicon = Boolean("show icons too")
    apikeyaccess = Str("show users whose API keys are Inherit, Enabled or Disabled", since="4.20.1.0")
    usersource = Str("show users known from here: native, ldap, saml2 ...", since="4.21.0.0")


class GetUserKeysParams(Params):
    """Parameters of getUserKeys."""

    id = Uuid("the user whose keys to show", entity="user", required=True)


@command(
    "listUsers",
    params=ListUsersParams,
    response=UserResponse,
    description="Lists users; a user without rights over others sees himself.",
    object_name="user",
    is_list=True,
    roles=ALL_ROLES,
    java_class="org.apache.cloudstack.api.command.admin.user.ListUsersCmd",
)
def list_users(call: Call, bound: Bound) -> Listing:
    users, count = find_users(call.db, call.caller, call.caller.user_id, bound, bound.paging)
    return Listing([user_view(user, call.caller, in_list=True) for user in users], count)


@command(
    "getUserKeys",
    params=GetUserKeysParams,
    response=RegisterResponse,
    description="Shows the API key and the secret key of a user.",
    object_name="userkeys",
    since="4.10.0",
    roles=ALL_ROLES,
    java_class="org.apache.cloudstack.api.command.admin.user.GetUserKeysCmd",
)
def get_user_keys(call: Call, bound: Bound) -> Item:
    user = find_user_with_keys(call.db, call.caller, bound["id"])
    call.services.redactor.register(user.secret_key)
    return Item({"apikey": user.api_key, "secretkey": user.secret_key, "apikeyaccess": key_access(call, user)})


def key_access(call: Call, user: User) -> bool:
    """Whether a user may sign with his keys: what he, his account or the setting of his domain says."""
    for said in (user.api_key_access, user.account.api_key_access):
        if said is not None:
            return said
    domain_id = user.account.domain_id
    return call.services.settings.get_bool("api.key.access", scope="Domain", scope_id=domain_id)


COMMANDS = (list_users, get_user_keys)
