"""Making, changing and deleting accounts and domains."""

from __future__ import annotations

from mgmt.commands.catalogued import DoneEvent, done, job
from mgmt.commands.declaration import Bound, Call, Item, Success, events_of
from mgmt.commands.life_calls import life_services
from mgmt.errors import InvalidParameterValueError
from mgmt.inventory import account_admin, domain_admin
from mgmt.inventory.accounts import account_views
from mgmt.inventory.domains import domain_views, live_domain
from mgmt.inventory.user_admin import DISABLED, ENABLED, LOCKED
from mgmt.life.owners import delete_owner
from mgmt.store.models import Account, Domain

ACCOUNT, DOMAIN = "Account", "Domain"
_account_event = events_of(ACCOUNT)
_domain_event = events_of(DOMAIN)


def _item(call: Call, account: Account) -> Item:
    return Item(account_views(call.db, [account], call.caller)[0])


@done("createAccount", "account", event=DoneEvent(ACCOUNT, "ACCOUNT.CREATE", "creating Account"))
def create_account(call: Call, bound: Bound) -> Item:
    """An account with its first user."""
    return _item(call, account_admin.create_account(call.db, call.services.providers, call.caller, bound))


@done("updateAccount", "account", event=DoneEvent(ACCOUNT, "ACCOUNT.UPDATE", "updating account"))
def update_account(call: Call, bound: Bound) -> Item:
    """Change name, role, network domain or details of an account."""
    account = account_admin.find_account(call.db, call.caller, bound, "update")
    account_admin.update_account(call.db, call.caller, account, bound)
    return _item(call, account)


@done("enableAccount", "account", event=DoneEvent(ACCOUNT, "ACCOUNT.ENABLE", "enabling account"))
def enable_account(call: Call, bound: Bound) -> Item:
    """Let the users of an account in again."""
    account = account_admin.find_account(call.db, call.caller, bound, "enable")
    account_admin.set_account_state(account, ENABLED)
    return _item(call, account)


@done("lockAccount", "account", event=DoneEvent(ACCOUNT, "ACCOUNT.LOCK", "locking account"))
def lock_account(call: Call, bound: Bound) -> Item:
    """Let the users of an account in no more; what they have goes on."""
    account = account_admin.find_account(call.db, call.caller, bound, "lock")
    account_admin.set_account_state(account, LOCKED)
    return _item(call, account)


def _check_account(call: Call, bound: Bound) -> None:
    with call.services.store.session() as session:
        account_admin.find_account(session, call.caller, bound, "disable")


@job(
    "disableAccount",
    "account",
    event=_account_event(
        "ACCOUNT.DISABLE", "disabling account", lambda bound: f"disabling account: {bound.instance_uuid}"
    ),
    instance_type=ACCOUNT,
    instance_param="id",
    precheck=_check_account,
)
def disable_account(call: Call, bound: Bound) -> Item:
    """Disable or, with `lock`, lock an account."""
    with call.services.store.session() as session:
        account = account_admin.find_account(session, call.caller, bound, "disable")
        account_admin.set_account_state(account, LOCKED if bound["lock"] else DISABLED)
        return Item(account_views(session, [account], call.caller)[0])


def _check_deletable(call: Call, bound: Bound) -> None:
    with call.services.store.session() as session:
        account = account_admin.find_account(session, call.caller, bound, "delete")
        account_admin.check_deletable(session, call.caller, account)


@job(
    "deleteAccount",
    event=_account_event(
        "ACCOUNT.DELETE", "deleting account", lambda bound: f"deleting account: {bound.instance_uuid}"
    ),
    instance_type=ACCOUNT,
    instance_param="id",
    precheck=_check_deletable,
)
def delete_account(call: Call, bound: Bound) -> Success:
    """Delete an account with its VMs, volumes, networks, templates and users."""
    delete_owner(life_services(call), call.caller, bound["id"])
    return Success()


@done("createDomain", "domain", event=DoneEvent(DOMAIN, "DOMAIN.CREATE", "creating Domain"))
def create_domain(call: Call, bound: Bound) -> Item:
    """A domain below another one."""
    domain = domain_admin.create_domain(
        call.db,
        call.services.providers,
        call.caller,
        name=bound["name"],
        parent_id=bound["parentdomainid"],
        network_domain=bound["networkdomain"],
        custom_uuid=bound["domainid"],
    )
    return Item(domain_views(call.db, [domain], with_resources=False, in_list=False)[0])


@done("updateDomain", "domain", event=DoneEvent(DOMAIN, "DOMAIN.UPDATE", "updating Domain"))
def update_domain(call: Call, bound: Bound) -> Item:
    """Rename a domain or change its network domain."""
    domain = domain_admin.update_domain(
        call.db, call.caller, bound["id"], name=bound["name"], network_domain=bound["networkdomain"]
    )
    return Item(domain_views(call.db, [domain], with_resources=False, in_list=False)[0])


def _check_domain(call: Call, bound: Bound) -> None:
    with call.services.store.session() as session:
        domain = live_domain(session, bound["id"], f"Failed to delete domain {bound['id']}, domain not found")
        domain_admin.check_deletable(session, call.caller, domain, cleanup=True)


@job(
    "deleteDomain",
    event=_domain_event("DOMAIN.DELETE", "deleting Domain", lambda bound: f"deleting domain: {bound.instance_uuid}"),
    instance_type=DOMAIN,
    instance_param="id",
    precheck=_check_domain,
)
def delete_domain(call: Call, bound: Bound) -> Success:
    """Delete a domain; with `cleanup` everything in it and below."""
    with call.services.store.session() as session:
        domain = live_domain(session, bound["id"], f"Failed to delete domain {bound['id']}, domain not found")
        domain_admin.check_deletable(session, call.caller, domain, cleanup=bool(bound["cleanup"]))
        doomed = [*(each.id for each in domain_admin.below(session, domain)), domain.id]
        accounts = domain_admin.accounts_of(session, doomed)
        if call.caller.account_id in accounts:
            raise InvalidParameterValueError("The domain holds the account of the caller")
    for account_id in accounts:
        delete_owner(life_services(call), call.caller, account_id)
    with call.services.store.session() as session:
        for domain_id in doomed:
            session.get_one(Domain, domain_id).removed = call.services.providers.utcnow()
    return Success()


COMMANDS = (
    create_account,
    update_account,
    enable_account,
    lock_account,
    disable_account,
    delete_account,
    create_domain,
    update_domain,
    delete_domain,
)
