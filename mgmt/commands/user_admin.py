"""Making, changing and deleting users, and their keys."""

from __future__ import annotations

from collections.abc import Callable

from mgmt.commands.catalogued import completed, done, job
from mgmt.commands.declaration import Bound, Call, Item, Success, events_of
from mgmt.errors import PARAM_ERROR, InvalidParameterValueError, ServerApiError
from mgmt.inventory import user_admin
from mgmt.inventory.accounts import find_user_with_keys, user_view
from mgmt.inventory.scope import check_owner_access, find_active_account
from mgmt.store.models import Account, User

USER = "User"
_event = events_of(USER)


@done("createUser", "user")
def create_user(call: Call, bound: Bound) -> Item:
    """A user of an account that exists."""
    domain_id = call.caller.domain_id if bound["domainid"] is None else bound["domainid"]
    account = find_active_account(call.db, bound["account"], domain_id)
    if account is None or account.type == 5:
        raise InvalidParameterValueError(
            f"Unable to find account {bound['account']} in domain id={domain_id} to create user"
        )
    check_owner_access(call.caller, account.id, account.domain.path)
    user = user_admin.add_user(call.db, call.services.providers, account, bound)
    completed(call.db, call, "USER.CREATE", "creating User", USER, user.uuid)
    return Item(user_view(user, call.caller, in_list=False))


@done("getUser", "user")
def get_user(call: Call, bound: Bound) -> Item:
    """The user with an API key."""
    return Item(
        user_view(user_admin.user_of_key(call.db, call.caller, bound["userapikey"]), call.caller, in_list=False)
    )


@done("updateUser", "user")
def update_user(call: Call, bound: Bound) -> Item:
    """Change names, password, keys or API key access of a user."""
    for name in ("password", "currentpassword", "usersecretkey"):
        if bound[name]:
            call.services.redactor.register(bound[name])
    user = _live(call, bound)
    user_admin.update_user(call.db, call.services.providers, call.caller, user, bound)
    completed(call.db, call, "USER.UPDATE", "updating User", USER, user.uuid)
    return Item(user_view(user, call.caller, in_list=False))


def _live(call: Call, bound: Bound) -> User:
    return user_admin.live_user(call.db, call.caller, bound["id"])


def _stated(state: str, event: str, gerund: str) -> Callable[[Call, Bound], Item]:
    def handle(call: Call, bound: Bound) -> Item:
        user = _live(call, bound)
        user_admin.set_state(user, state)
        completed(call.db, call, event, gerund, USER, user.uuid)
        return Item(user_view(user, call.caller, in_list=False))

    return handle


enable_user = done("enableUser", "user")(_stated(user_admin.ENABLED, "USER.ENABLE", "enabling User"))
lock_user = done("lockUser", "user")(_stated(user_admin.LOCKED, "USER.LOCK", "locking User"))


def _check(call: Call, bound: Bound) -> None:
    with call.services.store.session() as session:
        user_admin.live_user(session, call.caller, bound["id"])


@job(
    "disableUser",
    "user",
    event=_event("USER.DISABLE", "disabling User", lambda bound: f"disabling user: {bound.instance_uuid}"),
    instance_type=USER,
    instance_param="id",
    precheck=_check,
)
def disable_user(call: Call, bound: Bound) -> Item:
    """Let a user in no more."""
    with call.services.store.session() as session:
        user = user_admin.live_user(session, call.caller, bound["id"])
        user_admin.set_state(user, user_admin.DISABLED)
        return Item(user_view(user, call.caller, in_list=False))


@done("deleteUser")
def delete_user(call: Call, bound: Bound) -> Success:
    """Take a user away."""
    user = _live(call, bound)
    user_admin.delete_user(call.db, call.services.providers, call.caller, user)
    completed(call.db, call, "USER.DELETE", "deleting User", USER, user.uuid)
    return Success()


@done("moveUser", since="4.11")
def move_user(call: Call, bound: Bound) -> Success:
    """Give a user to another account of its domain."""
    user = _live(call, bound)
    if bound["accountid"] is not None:
        target = call.db.get(Account, bound["accountid"])
    elif bound["account"]:
        target = find_active_account(call.db, bound["account"], user.account.domain_id)
    else:
        raise ServerApiError(PARAM_ERROR, "Please provide either account id or account name")
    if target is None or target.removed is not None:
        raise InvalidParameterValueError("Unable to find the account to move the user to")
    check_owner_access(call.caller, target.id, target.domain.path)
    user_admin.move_user(call.db, user, target)
    completed(call.db, call, "USER.MOVE", "moving User to a new account", USER, user.uuid)
    return Success()


@done("registerUserKeys", "userkeys")
def register_user_keys(call: Call, bound: Bound) -> Item:
    """New keys for a user; the old ones are gone at once."""
    user = find_user_with_keys(call.db, call.caller, bound["id"])
    source = call.services.providers.random
    user.api_key, user.secret_key = user_admin.new_key(source), user_admin.new_key(source)
    call.services.redactor.register(user.secret_key)
    completed(call.db, call, "REGISTER.USER.KEY", "register for the developer API keys", USER, user.uuid)
    return Item({"apikey": user.api_key, "secretkey": user.secret_key})


COMMANDS = (
    create_user,
    get_user,
    update_user,
    enable_user,
    lock_user,
    disable_user,
    delete_user,
    move_user,
    register_user_keys,
)
