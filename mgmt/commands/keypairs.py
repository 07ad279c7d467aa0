"""SSH key pairs."""

from __future__ import annotations

from mgmt.commands.catalogued import completed, done, listed
from mgmt.commands.declaration import Bound, Call, Item, Listing, Success
from mgmt.errors import InvalidParameterValueError
from mgmt.inventory import keypairs
from mgmt.inventory.owner import finalize_owner
from mgmt.inventory.scope import resolve_scope
from mgmt.store.models import Account


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


COMMANDS = (
    create_ssh_key_pair,
    register_ssh_key_pair,
    list_ssh_key_pairs,
    delete_ssh_key_pair,
)
