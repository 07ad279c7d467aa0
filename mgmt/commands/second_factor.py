"""The second factor of a login, which nobody can switch on here.

Upstream: server/.../user/AccountManagerImpl.java (setupUserTwoFactorAuthentication,
verifyUsingTwoFactorAuthenticationCode). The answer of switching off is as recorded; the texts are from memory.
"""

from __future__ import annotations

from mgmt.commands.catalogued import done
from mgmt.commands.declaration import Bound, Call, Item, Success
from mgmt.errors import CloudRuntimeError, InvalidParameterValueError
from mgmt.inventory.lookup import get_live
from mgmt.inventory.scope import check_owner_access
from mgmt.store.models import User


@done("setupUserTwoFactorAuthentication", "setup2fa", since="4.18.0")
def set_up(call: Call, bound: Bound) -> Item:
    """Switch a second factor on, which no setting allows, or off, which changes nothing."""
    if bound["enable"] is not False:
        raise CloudRuntimeError("2FA is not enabled for this domain or at global level")
    user = get_live(call.db, User, call.caller.user_id if bound["userid"] is None else bound["userid"])
    if user is None:
        raise InvalidParameterValueError("Unable to find user")
    check_owner_access(call.caller, user.account_id, user.account.domain.path)
    return Item({"id": user.uuid, "username": user.username})


@done("validateUserTwoFactorAuthenticationCode", since="4.18.0")
def validate(call: Call, bound: Bound) -> Success:
    """Check a code: nobody has a second factor."""
    raise CloudRuntimeError(f"Two factor authentication is not enabled on the user: {call.caller.username}")


COMMANDS = (set_up, validate)
