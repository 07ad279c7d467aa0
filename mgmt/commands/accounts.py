"""The account list."""

from __future__ import annotations

from mgmt.commands.declaration import ALL_ROLES, Bound, Call, Listing, command
from mgmt.commands.fields import Boolean, Integer, ListOf, Str, Uuid
from mgmt.commands.owned import DOMAIN_DETAILS, DomainListParams, checked_details
from mgmt.commands.responses.account import AccountResponse
from mgmt.inventory.accounts import account_views, find_accounts


class ListAccountsParams(DomainListParams):
    """Parameters of listAccounts."""

    accounttype = Integer("show accounts of this type: 0 user, 1 root admin, 2 domain admin, 3 resource domain admin")
    id = Uuid("show this account", entity="account")
    iscleanuprequired = Boolean("show accounts whose removal is unfinished")
    name = Str("show the account with this name")
    state = Str("show accounts in this state: enabled, disabled or locked")
    details = ListOf("which parts of the accounts to show: all, resource, min", Str("a level of detail"))
    showicon = Boolean("show icons too")
    tag = Str("show limits with this tag", since="4.20.0")
    apikeyaccess = Str("show accounts whose API keys are Inherit, Enabled or Disabled", since="4.20.1.0")


@command(
    "listAccounts",
    params=ListAccountsParams,
    response=AccountResponse,
    description="Lists accounts with their users, limits and use.",
    object_name="account",
    is_list=True,
    roles=ALL_ROLES,
    java_class="org.apache.cloudstack.api.command.user.account.ListAccountsCmd",
)
def list_accounts(call: Call, bound: Bound) -> Listing:
    details = checked_details(bound["details"], DOMAIN_DETAILS)
    accounts, count = find_accounts(call.db, call.caller, bound, bound.paging)
    return Listing(account_views(call.db, accounts, call.caller, details), count)


COMMANDS = (list_accounts,)
