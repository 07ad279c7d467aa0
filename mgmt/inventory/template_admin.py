"""Changing, copying, sharing and deleting templates and ISOs.

Upstream: server/.../template/TemplateManagerImpl.java. No recording shows their texts. Those of permissions and of
deleting were compared with that source, the others are written from memory of it: clients should not hang on them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from mgmt.errors import PARAM_ERROR, InvalidParameterValueError, PermissionDeniedError, ServerApiError
from mgmt.inventory.lookup import get_live
from mgmt.inventory.scope import (
    ROOT_ADMIN,
    CallerLike,
    check_owner_access,
    find_active_account,
    is_admin,
    java_json,
)
from mgmt.inventory.settings import GlobalSettings
from mgmt.inventory.template_registration import FORMATS, allows_public, template_details, wanted_type
from mgmt.inventory.templates import ISO
from mgmt.providers import Providers
from mgmt.store.models import Account, GuestOs, LaunchPermission, Template, VmInstance, Zone


def template_to_change(session: Session, caller: CallerLike, template_id: int, *, iso: bool, missing: str) -> Template:
    """The template, or with `iso` the ISO, if the caller may change it; InvalidParameterValueError with `missing`."""
    template = get_live(session, Template, template_id)
    if template is None:
        raise InvalidParameterValueError(missing)
    check_owner_access(caller, template.account_id, template.account.domain.path)
    if (template.format == ISO) != iso:
        raise InvalidParameterValueError(f"Please specify a valid {'iso' if iso else 'template'}.")
    return template


def update_template(session: Session, caller: CallerLike, params: Mapping[str, Any]) -> Template:
    """Change what the bound parameters of updateTemplate or updateIso carry."""
    template = get_live(session, Template, params["id"])
    if template is None:
        raise InvalidParameterValueError("Unable to find Template/ISO with specified id")
    check_owner_access(caller, template.account_id, template.account.domain.path)
    if params["isrouting"] is not None and caller.account_type != ROOT_ADMIN:
        raise PermissionDeniedError("Parameter isrouting can only be specified by a Root Admin, permission denied")
    kind = wanted_type(caller, {"templatetype": params.get("templatetype"), "isrouting": params["isrouting"]})
    if params["format"] is not None and params["format"].upper() not in FORMATS:
        raise InvalidParameterValueError(
            f"Image format: {params['format']} is incorrect. Supported formats are [{', '.join(FORMATS)}]"
        )
    if params["ostypeid"] is not None:
        guest_os = session.get(GuestOs, params["ostypeid"])
        if guest_os is None:
            raise InvalidParameterValueError("Please specify a valid guest OS ID.")
        template.guest_os = guest_os
        for vm in session.scalars(select(VmInstance).where(VmInstance.template_id == template.id)):
            vm.guest_os_id = guest_os.id
    for name, attribute in (
        ("name", "name"),
        ("displaytext", "display_text"),
        ("passwordenabled", "password_enabled"),
        ("sshkeyenabled", "ssh_key_enabled"),
        ("bootable", "bootable"),
        ("requireshvm", "requires_hvm"),
        ("isdynamicallyscalable", "dynamically_scalable"),
        ("arch", "arch"),
        ("sortkey", "sort_key"),
        ("templatetag", "template_tag"),
        ("forcks", "for_cks"),
    ):
        if params.get(name) is not None:
            setattr(template, attribute, params[name])
    if params["format"] is not None:
        template.format = params["format"].upper()
    if kind is not None or params["isrouting"] is False:
        template.template_type = kind or "USER"
    if params["cleanupdetails"]:
        template.details = {}
    elif params["details"]:
        template.details = template_details(params["details"])
    session.flush()
    return template


def delete_template(session: Session, providers: Providers, template: Template, zone_id: int | None) -> None:
    """Take a template away, or out of one of its zones where it is in others too."""
    zones = session.scalars(select(Zone.id).where(Zone.removed.is_(None)).order_by(Zone.id)).all()
    kept = [each for each in zones if template.is_in(each) and zone_id not in (None, each)]
    if kept:
        template.zone_id, template.further_zones = kept[0], kept[1:]
        return
    template.removed, template.state = providers.utcnow(), "Inactive"


def check_unused(session: Session, caller: CallerLike, template: Template, zone_id: int | None) -> None:
    """Raise InvalidParameterValueError while VMs were made of the template, or have the ISO in their drives."""
    if template.format == ISO:
        users = select(VmInstance.id).where(VmInstance.iso_id == template.id, VmInstance.removed.is_(None))
        if session.scalar(users.limit(1)) is not None:
            raise InvalidParameterValueError("Unable to delete iso, as it's used by other vms")
        return
    made = select(VmInstance).where(VmInstance.template_id == template.id, VmInstance.removed.is_(None))
    if zone_id is not None:
        made = made.where(VmInstance.zone_id == zone_id)
    vms = session.scalars(made.order_by(VmInstance.id)).all()
    if vms:
        text = (
            f"Unable to delete template [{template_text(template)}] because there are [{len(vms)}] VM instances"
            " using it."
        )
        if caller.account_type == ROOT_ADMIN:
            text += f" Instances list: [{','.join(vm.instance_name for vm in vms)}]."
        raise InvalidParameterValueError(text)


def template_text(template: Template) -> str:
    """A template as Java's `VMTemplateVO.toString` writes it into texts."""
    fields = {"format": template.format, "id": template.id, "name": template.name, "uuid": template.uuid}
    return f"Template {java_json(fields)}"


def check_extractable(
    session: Session, caller: CallerLike, template_id: int, zone_id: int | None, kind: str
) -> Template:
    """The template, or ISO, whose image may be fetched; `kind` is TEMPLATE or ISO."""
    template = get_live(session, Template, template_id)
    if template is None:
        raise InvalidParameterValueError(f"Unable to find {kind} with id {template_id}")
    if (template.format == ISO) != (kind == "ISO"):
        shown = "ISO" if kind == "ISO" else "Template"
        raise InvalidParameterValueError(f"Unsupported format, could not extract the {shown}")
    if zone_id is not None and get_live(session, Zone, zone_id) is None:
        raise ServerApiError(PARAM_ERROR, "Please specify a valid zone.")
    if caller.account_type != ROOT_ADMIN and not template.is_extractable:
        raise InvalidParameterValueError(
            f"Unable to extract Template {template_text(template)} as it's not extractable"
        )
    check_owner_access(caller, template.account_id, template.account.domain.path)
    if not template.is_ready:
        raise InvalidParameterValueError(f"The {kind} has not been downloaded ")
    return template


def copy_template(session: Session, caller: CallerLike, params: Mapping[str, Any]) -> Template:
    """Have other zones hold a template too; what they have already stays as it is."""
    template = get_live(session, Template, params["id"])
    if template is None:
        raise InvalidParameterValueError("Unable to find Template with id")
    wanted = list(dict.fromkeys([*(params["destzoneids"] or []), *filter(None, [params["destzoneid"]])]))
    source = params["sourcezoneid"]
    if source is not None and source in wanted:
        raise InvalidParameterValueError("Please specify different source and destination zones.")
    if source is not None and get_live(session, Zone, source) is None:
        raise InvalidParameterValueError("Please specify a valid source zone.")
    if not wanted or any(get_live(session, Zone, zone_id) is None for zone_id in wanted):
        raise InvalidParameterValueError("Please specify a valid destination zone.")
    check_owner_access(caller, template.account_id, template.account.domain.path)
    if not template.is_ready:
        raise InvalidParameterValueError(f"There is no Template {template_text(template)} ready on image store.")
    template.further_zones = [*template.further_zones, *(each for each in wanted if not template.is_in(each))]
    session.flush()
    return template


# Permissions -------------------------------------------------------------------------------------------------------


def permission_names(
    session: Session, caller: CallerLike, template_id: int, *, iso: bool
) -> tuple[Template, list[str]]:
    """A template and the names of the accounts that may use it although it is private, its owner's too."""
    kind = "iso" if iso else "template"
    template = get_live(session, Template, template_id)
    if template is None:
        raise InvalidParameterValueError(f"unable to find {kind} with id {template_id}")
    _check_kind(template, iso=iso)
    if not template.is_public:
        check_owner_access(caller, template.account_id, template.account.domain.path)
    granted = (
        select(Account.name)
        .join(LaunchPermission, LaunchPermission.account_id == Account.id)
        .where(LaunchPermission.template_id == template.id)
        .order_by(Account.id)
    )
    owner = [] if template.is_public else [template.account.name]
    return template, [*session.scalars(granted), *owner]


def _check_kind(template: Template, *, iso: bool) -> None:
    if (template.format == ISO) != iso:
        raise InvalidParameterValueError(f"Please provide a valid {'iso' if iso else 'template'}")


def update_permissions(
    session: Session, settings: GlobalSettings, caller: CallerLike, params: Mapping[str, Any], *, iso: bool
) -> None:
    """Change who may use a template: everybody, or single accounts of its owner's domain."""
    kind = "iso" if iso else "template"
    template = session.get(Template, params["id"])
    if template is None:
        raise InvalidParameterValueError(f"unable to find  with id {params['id']}")
    _check_kind(template, iso=iso)
    check_owner_access(caller, template.account_id, template.account.domain.path)
    if template.removed is not None:
        raise InvalidParameterValueError(
            f"unable to update permissions for {kind} with id {template.id} as it is removed "
        )
    if params["ispublic"] and not is_admin(caller) and not allows_public(settings, template.account):
        raise InvalidParameterValueError(f"Only private {kind}s can be created.")
    operation, names = (params["op"] or "").lower(), params["accounts"]
    if names is not None and operation not in ("add", "remove", "reset"):
        raise InvalidParameterValueError(
            "Invalid operation on accounts, the operation must be either 'add' or 'remove' in order to modify launch"
            f" permissions.  Given operation is: '{params['op'] or 'null'}'"
        )
    for name, attribute in (
        ("ispublic", "is_public"),
        ("isfeatured", "is_featured"),
        ("isextractable", "is_extractable"),
    ):
        if params[name] is not None:
            setattr(template, attribute, params[name])
    if operation in ("add", "remove") and names is None:
        raise InvalidParameterValueError(f"Operation {params['op']} requires accounts or projectIds to be passed in")
    if operation == "add":
        _grant(session, caller, template, names)
    elif operation == "remove":
        ids = [account.id for name in names if (account := _in_owner_domain(session, template, name))]
        session.execute(
            delete(LaunchPermission).where(
                LaunchPermission.template_id == template.id, LaunchPermission.account_id.in_(ids)
            )
        )
    elif operation == "reset":
        template.is_public = template.is_featured = False
        session.execute(delete(LaunchPermission).where(LaunchPermission.template_id == template.id))


def _in_owner_domain(session: Session, template: Template, name: str) -> Account | None:
    return find_active_account(session, name, template.account.domain_id)


def _grant(session: Session, caller: CallerLike, template: Template, names: Sequence[str]) -> None:
    for name in names:
        account = _in_owner_domain(session, template, name)
        if account is None:
            raise InvalidParameterValueError(
                f"Unable to grant a launch permission to account {name} in domain id={template.account.domain.uuid},"
                " account not found.  No permissions updated, please verify the account names and retry."
            )
        if account.id != caller.account_id and session.get(LaunchPermission, (template.id, account.id)) is None:
            session.add(LaunchPermission(template_id=template.id, account_id=account.id))
            session.flush()
