"""The template of an imported VM (import-vm 2.2).

Upstream: UnmanagedVMsManagerImpl.getTemplateForImportInstance, createDefaultDummyVmImportTemplate.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlalchemy import Row, Select, bindparam, select
from sqlalchemy.orm import Session

from mgmt.errors import InvalidParameterValueError
from mgmt.providers import Providers
from mgmt.quirks import DUMMY_TEMPLATE_ROWS, Quirks
from mgmt.store.models import Account, GuestOs, Template
from mgmt.store.models.base import Base
from mgmt.store.rows import add_row, live_row, run, table_of

KVM_DUMMY = "kvm-default-vm-import-dummy-template"
VMWARE_DUMMY = "system-default-vm-import-dummy-template.iso"


def find_template(
    session: Session, providers: Providers, template_id: int | None, hypervisor_type: str, quirks: Quirks
) -> Row[Any]:
    """The row of the template with number `template_id`, or without one the dummy that stands for "no template"."""
    if template_id is None:
        return _dummy(session, providers, hypervisor_type, quirks)
    template = live_row(session, Template, template_id)
    if template is None:
        raise InvalidParameterValueError(f"Template ID: {template_id} cannot be found", row="11")
    return template


def _dummy(session: Session, providers: Providers, hypervisor_type: str, quirks: Quirks) -> Row[Any]:
    name = KVM_DUMMY if hypervisor_type == "KVM" else VMWARE_DUMMY
    named = {"name": name}
    if (
        not quirks.is_faithful(DUMMY_TEMPLATE_ROWS)
        and (found := run(session, _first_named(), named).first()) is not None
    ):
        return found
    # Upstream looks for the VMware name, finds nothing, makes the row under this name and takes any row of the name:
    # each import without a template leaves one more removed row behind.
    owner = run(session, _first_id(Account)).scalar()
    guest_os = run(session, _first_id(GuestOs)).scalar()
    if owner is None or guest_os is None:
        raise InvalidParameterValueError(
            f"Default VM import template with unique name: {name} for hypervisor: {hypervisor_type} cannot be created. "
            "Please use templateid parameter for import",
            row="11",
        )
    now = providers.utcnow()
    values = {
        "uuid": providers.ids.uuid(),
        "name": name,
        "display_text": "VM Import Default Template",
        "format": "ISO",
        "template_type": "SYSTEM",
        "hypervisor_type": None,
        "guest_os_id": guest_os,
        "account_id": owner,
        "is_public": False,
        "is_ready": True,
        "state": "Inactive",
        "created": now,
        "removed": now,
    }
    add_row(session, Template, values)
    return run(session, _first_named(), named).one()


@cache
def _first_named() -> Select[Any]:
    template = table_of(Template)
    return select(template).where(template.c.name == bindparam("name")).order_by(template.c.id).limit(1)


@cache
def _first_id(model: type[Base]) -> Select[tuple[int]]:
    number = table_of(model).c.id
    return select(number).order_by(number).limit(1)


# What stands in docs/import-rules.md: when each row holds, and what it gives where it refuses nothing.
RULES: Mapping[str, str] = {
    "11": "templateid names no template, or the default one cannot be made",
}
