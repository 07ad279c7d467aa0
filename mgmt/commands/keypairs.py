"""SSH key pairs and security groups."""

from __future__ import annotations

from mgmt.commands.catalogued import completed, done, listed
from mgmt.commands.declaration import Bound, Call, Item, Listing, Success
from mgmt.errors import InvalidParameterValueError
from mgmt.inventory import keypairs
from mgmt.inventory.owner import finalize_owner
from mgmt.inventory.scope import check_owner_access, resolve_scope
from mgmt.inventory.tags import with_tags
from mgmt.store.models import Account, SecurityGroup

GROUP = "SecurityGroup"


def _owner(call: Call, bound: Bound) -> Account:
    return finalize_owner(call.db, call.caller, bound)


@done("createSSHKeyPair", "keypair")
def create_ssh_key_pair(call: Call, bound: Bound) -> Item:
    """A new pair; the answer alone has the private key."""
    pair, private = keypairs.create_key_pair(call.db, call.services.providers, _owner(call, bound), bound["name"])
    call.services.redactor.register(private)
    completed(call.db, call, "REGISTER.SSH.KEYPAIR", "creating SSH key pair", "SSHKeyPair", pair.uuid)
    return Item({**keypairs.key_pair_view(pair), "privatekey": private})


@done("registerSSHKeyPair", "keypair")
def register_ssh_key_pair(call: Call, bound: Bound) -> Item:
    """A pair whose private key is not told."""
    pair = keypairs.register_key_pair(
        call.db, call.services.providers, _owner(call, bound), bound["name"], bound["publickey"]
    )
    completed(call.db, call, "REGISTER.SSH.KEYPAIR", "registering ssh keypair", "SSHKeyPair", pair.uuid)
    return Item(keypairs.key_pair_view(pair))


@listed("listSSHKeyPairs", "sshkeypair")
def list_ssh_key_pairs(call: Call, bound: Bound) -> Listing:
    scope = resolve_scope(call.db, call.caller, bound, has_id=bound["id"] is not None)
    found, count = keypairs.find_key_pairs(call.db, scope, bound, bound.paging)
    return Listing([keypairs.key_pair_view(pair) for pair in found], count)


@done("deleteSSHKeyPair")
def delete_ssh_key_pair(call: Call, bound: Bound) -> Success:
    """Forget a key pair."""
    owner = _owner(call, bound)
    pair = keypairs.find_key_pair(call.db, owner, bound["name"])
    if pair is None:
        raise InvalidParameterValueError(
            f"A key pair with name '{bound['name']}' does not exist for account {owner.name} in specified domain id"
        )
    call.db.delete(pair)
    completed(call.db, call, "DELETE.SSH.KEYPAIR", "deleting ssh keypair", "SSHKeyPair", pair.uuid)
    return Success()


@done("createSecurityGroup", "securitygroup")
def create_security_group(call: Call, bound: Bound) -> Item:
    """A group; nothing filters traffic here."""
    group = keypairs.create_group(
        call.db, call.services.providers, _owner(call, bound), bound["name"], bound["description"]
    )
    completed(call.db, call, "SG.CREATE", "creating security group", GROUP, group.uuid)
    return Item(keypairs.group_view(group))


@listed("listSecurityGroups", "securitygroup")
def list_security_groups(call: Call, bound: Bound) -> Listing:
    scope = resolve_scope(call.db, call.caller, bound, has_id=bound["id"] is not None)
    found, count = keypairs.find_groups(call.db, scope, bound, bound.paging)
    return Listing(with_tags(call.db, GROUP, [keypairs.group_view(group) for group in found]), count)


@done("deleteSecurityGroup")
def delete_security_group(call: Call, bound: Bound) -> Success:
    """Take a group away, named by its id or by its name and owner."""
    if (bound["id"] is None) == (bound["name"] is None):
        raise InvalidParameterValueError(
            "Either id or name must be specified" if bound["id"] is None else "Either id or name can be specified"
        )
    if bound["id"] is not None:
        group = call.db.get(SecurityGroup, bound["id"])
    else:
        owner = _owner(call, bound)
        group = call.db.query(SecurityGroup).filter_by(account_id=owner.id, name=bound["name"]).one_or_none()
    if group is None:
        named = f"id {bound['id']}" if bound["id"] is not None else f"name {bound['name']}"
        raise InvalidParameterValueError(f"Unable to find security group by {named}")
    check_owner_access(call.caller, group.account_id, group.account.domain.path)
    if group.name.lower() == keypairs.DEFAULT_GROUP:
        raise InvalidParameterValueError("The network group default is reserved")
    call.db.delete(group)
    completed(call.db, call, "SG.DELETE", "deleting security group", GROUP, group.uuid)
    return Success()


COMMANDS = (
    create_ssh_key_pair,
    register_ssh_key_pair,
    list_ssh_key_pairs,
    delete_ssh_key_pair,
    create_security_group,
    list_security_groups,
    delete_security_group,
)
