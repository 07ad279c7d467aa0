"""Deleting an account, or a project, with what it owns.

Upstream: server/.../user/AccountManagerImpl.cleanupAccount, server/.../projects/ProjectManagerImpl.deleteProject.
"""

from __future__ import annotations

from mgmt.errors import CloudRuntimeError
from mgmt.inventory import account_admin
from mgmt.inventory.scope import CallerLike
from mgmt.inventory.user_admin import DISABLED
from mgmt.life.destroy import destroy_vm
from mgmt.life.disks import expunge_volume
from mgmt.life.ports import LifeServices
from mgmt.store.models import Account


def delete_owner(services: LifeServices, caller: CallerLike, account_id: int) -> None:
    """Remove an account's VMs and volumes, then what else it owns, its users and itself; a project's account likewise.

    Raises CloudRuntimeError when a volume cannot be removed; the account stays, disabled.
    """
    with services.store.session() as session:
        vms = account_admin.owned_vms(session, account_id)
        account = session.get_one(Account, account_id)
        name = account.name
        account.state = DISABLED
    for vm_id in vms:
        destroy_vm(services, caller, vm_id, expunge=True)
    with services.store.session() as session:
        volumes = account_admin.owned_volumes(session, account_id)
    failures = [failure for volume_id in volumes if (failure := expunge_volume(services, volume_id)) is not None]
    if failures:
        raise CloudRuntimeError(f"Failed to delete account {name}: {failures[0]}")
    with services.store.session() as session:
        account_admin.remove_account(session, services.providers, session.get_one(Account, account_id))
