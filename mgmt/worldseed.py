"""A live world as the YAML text of a seed: another world that is started with it lists the same.

It holds the sections that the world began with, the rows that have changed since, the hosts with their files and VMs,
and the vCenter's inventory. Users have the hashes of their passwords, and their keys. The passwords of vCenters are not
in it: a datacenter of the world's own vCenter is given that one's password at the next start, any other needs
`updateVmwareDc`. Armed failures, logins, the journal and the vCenter's snapshots and tasks are not in it either.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from sqlalchemy import select

from mgmt import snapshots
from mgmt.observe.redaction import MASK
from mgmt.starting import write_private
from mgmt.store import seed_records
from mgmt.store.models import User
from mgmt.store.seed_checks import Document, root_admin
from mgmt.store.seeding import Dumper

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from mgmt.embedded import World

HEAD = """\
# A world of cloudstack-mock as it was at {saved} of its clock: cloudstack-mock serve --seed FILE
# Keep it to yourself: it holds the keys of its users and the hashes of their passwords.
# The passwords of vCenters are NOT in it ({mask}): the world's own vCenter and its datacenter are given one at the
# start; the datacenter of any other vCenter has none until updateVmwareDc gives it one.
"""


def text_of(world: World) -> str:
    """The world as it is now; jobs are waited for. Raises SnapshotError when they do not end."""
    snapshots.come_to_rest(world)
    with world.clock.held():
        document = _document(world)
    head = HEAD.format(saved=document["saved"], mask=MASK)
    return head + yaml.dump(document, Dumper=Dumper, allow_unicode=True, width=120)


def write(world: World, file: Path) -> None:
    """Write the text to a file that its owner alone may read; raises OSError."""
    write_private(file, text_of(world))


def _document(world: World) -> dict[str, Any]:
    seed, store = world.server.seed, world.server.services.store
    with store.session() as session:
        document = dict(seed.document) | {
            "saved": world.providers.utcnow().replace(microsecond=0),
            "started": seed_records.started(session),
            "accounts": _accounts(session, seed.document),
            "vmware_datacenters": [entry | {"password": MASK} for entry in seed.document["vmware_datacenters"]],
            "records": {},
            "gone": {},
        }
        if root_admin(document) is None:
            raise snapshots.SnapshotError("no root admin of the seed has keys now: registerUserKeys gives some")
        address = "{}:{}".format(*world.vcenter.address) if world.vcenter is not None else None
        records, gone = seed_records.difference(session, document, address)
    agents = world.fleet.document(world.variables()) if world.fleet is not None else _path(seed.agents_file)
    vcenter = world.vcenter.document() if world.vcenter is not None else _path(seed.vcenter_file)
    plain: dict[str, Any] = _plain(document | {"agents": agents, "vcenter": vcenter})
    return plain | {"records": records, "gone": gone}


def _accounts(session: Session, document: Document) -> list[Mapping[str, Any]]:
    """The accounts of the sections, with those of their users that are there, and what they log in with now."""
    rows = {row.uuid: row for row in session.scalars(select(User).where(User.removed.is_(None)))}
    return [
        account
        | {
            "users": [
                user
                | {
                    "password": None,
                    "password_hash": rows[user["uuid"]].password_hash,
                    "api_key": rows[user["uuid"]].api_key,
                    "secret_key": rows[user["uuid"]].secret_key,
                }
                for user in account["users"]
                if user["uuid"] in rows
            ]
        }
        for account in document["accounts"]
    ]


def _path(file: Path | None) -> str | None:
    return None if file is None else str(file)


def _plain(value: Any) -> Any:
    """Sections as they are read: without what is absent, and times as texts."""
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items() if each is not None}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value.isoformat() if isinstance(value, datetime) else value
