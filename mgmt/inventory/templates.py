"""Templates and ISOs: the rules of `templatefilter`, the search and the views of `listTemplates` and `listIsos`.

An entry is a template in one zone. Upstream: server/.../api/query/QueryManagerImpl.java (searchForTemplates),
dao/TemplateJoinDaoImpl.java, api/.../ListTemplatesCmd.java; field order of recorded answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, false, or_, select
from sqlalchemy.orm import Session, joinedload

from mgmt.errors import PARAM_ERROR, InvalidParameterValueError, ServerApiError
from mgmt.inventory.listing import Window, equals_ignoring_case, in_window, like_keyword
from mgmt.inventory.scope import (
    DOMAIN_ADMIN,
    NORMAL,
    RESOURCE_DOMAIN_ADMIN,
    ROOT_ADMIN,
    CallerLike,
    Scope,
    check_owner_access,
    is_admin,
    owner_names,
    resolve_scope,
    shown_domain_path,
)
from mgmt.inventory.tags import has_tags
from mgmt.store.models import Account, Cluster, Domain, ImageStore, LaunchPermission, Template, Zone

# The words of templatefilter (VirtualMachineTemplate.TemplateFilter); their case counts.
TEMPLATE_FILTERS = (
    "featured",
    "self",
    "selfexecutable",
    "shared",
    "sharedexecutable",
    "executable",
    "community",
    "all",
)

_READY_ONLY = frozenset({"featured", "selfexecutable", "sharedexecutable", "community"})
_WITHOUT_SYSTEM = frozenset({"featured", "selfexecutable"})
ISO = "ISO"


@dataclass(frozen=True)
class ZonedTemplate:
    """A template in one zone; `stores` are the image stores there that hold its image."""

    template: Template
    zone: Zone
    stores: tuple[ImageStore, ...]


def find_templates(
    session: Session,
    caller: CallerLike,
    params: Mapping[str, Any],
    ids: Sequence[int] | None,
    paging: Window,
    *,
    isos: bool = False,
) -> tuple[list[ZonedTemplate], int]:
    """The page of templates, or of ISOs, that match `params` and that `caller` may see, and the number of all of them.

    `params` are the bound parameters of listTemplates by name, for ISOs with `isofilter` as `templatefilter`. Raises
    ServerApiError for an unknown templatefilter, InvalidParameterValueError for what a caller may not ask for.
    """
    word = params["templatefilter"]
    if word not in TEMPLATE_FILTERS:
        text = f"No enum constant com.cloud.template.VirtualMachineTemplate.TemplateFilter.{word}"
        raise ServerApiError(PARAM_ERROR, text)
    if word == "all" and caller.account_type == NORMAL:
        raise InvalidParameterValueError("Filter all can be specified by admin only")
    has_id = params.get("id") is not None
    scope = resolve_scope(session, caller, {**params, "listall": word == "all"}, has_id=has_id)
    hypervisors = session.scalars(select(Cluster.hypervisor_type).where(Cluster.removed.is_(None)).distinct()).all()
    if not hypervisors:
        return [], 0
    if has_id:
        conditions = _named_template(session, caller, params["id"], isos=isos)
    else:
        kind = Template.format == ISO if isos else Template.format != ISO
        conditions = [kind, *_filters(caller, word, scope, params)]
        conditions += has_tags(Template.uuid, ISO if isos else "Template", params.get("tags"))
    if not has_id:
        conditions.append(or_(Template.hypervisor_type.is_(None), Template.hypervisor_type.in_(hypervisors)))
    if ids is not None:
        conditions.append(Template.id.in_(ids))
    if not params.get("showremoved"):
        conditions += [Template.removed.is_(None), Template.state == "Active"]
    templates = session.scalars(
        select(Template)
        .where(*conditions)
        .order_by(Template.sort_key, Template.id)
        .options(joinedload(Template.account).joinedload(Account.domain), joinedload(Template.guest_os))
    ).all()
    found = _by_zone(session, templates, params.get("zoneid"), once=bool(params.get("showunique")))
    if caller.account_type == ROOT_ADMIN:
        found = _stored(found, params)
    return in_window(found, paging), len(found)


def _named_template(session: Session, caller: CallerLike, template_id: int, *, isos: bool) -> list[ColumnElement[bool]]:
    template = session.get(Template, template_id)
    if template is None:
        raise InvalidParameterValueError("Please specify a valid template ID.")
    if (template.format == ISO) != isos:
        raise InvalidParameterValueError(f"Incorrect format {template.format} of the specified template id")
    check_use(session, caller, template)
    return [Template.id == template_id]


def check_use(session: Session, caller: CallerLike, template: Template) -> None:
    """Raise PermissionDeniedError for a private template that is not the caller's and not shared with him."""
    if not template.is_public and session.get(LaunchPermission, (template.id, caller.account_id)) is None:
        check_owner_access(caller, template.account_id, template.account.domain.path)


def _filters(caller: CallerLike, word: str, scope: Scope, params: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [_rule_of(word, caller, scope)]
    if params.get("keyword") is not None:
        conditions.append(like_keyword(Template.name, params["keyword"]))
    elif params.get("name") is not None:
        conditions.append(equals_ignoring_case(Template.name, params["name"]))
    if params.get("hypervisor") is not None:
        conditions.append(equals_ignoring_case(Template.hypervisor_type, params["hypervisor"]))
    if params.get("templatetype") is not None:
        conditions.append(equals_ignoring_case(Template.template_type, params["templatetype"]))
    if params.get("oscategoryid") is not None:
        conditions.append(Template.guest_os.has(category_id=params["oscategoryid"]))
    if word in _WITHOUT_SYSTEM:
        conditions.append(Template.template_type != "SYSTEM")
    is_ready = params.get("isready")
    if is_ready is not None:
        conditions.append(Template.is_ready.is_(is_ready))
    elif word in _READY_ONLY or (word == "executable" and _names_an_account(caller, params)):
        conditions.append(Template.is_ready.is_(True))
    for name, flag in (
        ("forcks", Template.for_cks),
        ("bootable", Template.bootable),
        ("ispublic", Template.is_public),
    ):
        if params.get(name) is not None:
            conditions.append(flag.is_(params[name]))
    if params.get("arch"):
        conditions.append(equals_ignoring_case(Template.arch, params["arch"]))
    # No template of this world has a parent, an extension, or serves network appliances.
    if any(params.get(name) for name in ("parenttemplateid", "extensionid", "isvnf")):
        conditions.append(false())
    return conditions


def _names_an_account(caller: CallerLike, params: Mapping[str, Any]) -> bool:
    return is_admin(caller) and params.get("account") is not None and params.get("domainid") is not None


def _rule_of(word: str, caller: CallerLike, scope: Scope) -> ColumnElement[bool]:
    """What the word of templatefilter lets through."""
    own = Template.account_id.in_(scope.account_ids) if scope.account_ids else None
    if word in ("featured", "community"):
        return and_(Template.is_public.is_(True), Template.is_featured.is_(word == "featured"))
    if word in ("self", "selfexecutable"):
        conditions: list[ColumnElement[bool]] = [] if own is None else [own]
        if caller.account_type in (DOMAIN_ADMIN, RESOURCE_DOMAIN_ADMIN):
            conditions.append(_below(caller))
        return and_(*conditions) if conditions else Template.id.is_not(None)
    if word in ("shared", "sharedexecutable"):
        if not scope.account_ids:
            return false()
        return Template.id.in_(
            select(LaunchPermission.template_id).where(LaunchPermission.account_id.in_(scope.account_ids))
        )
    if word == "executable":
        public = Template.is_public.is_(True)
        return public if own is None else or_(public, own)
    if caller.account_type == ROOT_ADMIN:
        return Template.id.is_not(None)
    return or_(Template.is_public.is_(True), _below(caller))


def _below(caller: CallerLike) -> ColumnElement[bool]:
    domains = select(Domain.id).where(Domain.path.startswith(caller.domain_path, autoescape=True))
    return Template.account.has(Account.domain_id.in_(domains))


def _by_zone(
    session: Session, templates: Sequence[Template], zone_id: int | None, *, once: bool
) -> list[ZonedTemplate]:
    """One entry for each zone that a template is in; with `once` only its first."""
    zones = session.scalars(select(Zone).where(Zone.removed.is_(None)).order_by(Zone.id)).all()
    stores = session.scalars(select(ImageStore).where(ImageStore.removed.is_(None)).order_by(ImageStore.id)).all()
    found: list[ZonedTemplate] = []
    for template in templates:
        entries = [
            ZonedTemplate(template, zone, tuple(store for store in stores if store.zone_id in (None, zone.id)))
            for zone in zones
            if template.is_in(zone.id) and zone_id in (None, zone.id)
        ]
        found += entries[:1] if once else entries
    return found


def _stored(entries: list[ZonedTemplate], params: Mapping[str, Any]) -> list[ZonedTemplate]:
    """The templates on the image store or pool asked for; pools hold no templates of their own here."""
    if params.get("storageid") is not None:
        return []
    wanted = params.get("imagestoreid")
    return [entry for entry in entries if wanted is None or any(store.id == wanted for store in entry.stores)]


def image_view(entry: ZonedTemplate, caller: CallerLike, now: datetime) -> dict[str, Any]:
    """A template or an ISO, whichever it is, in a zone as its list shows it."""
    view = iso_view if entry.template.format == ISO else template_view
    return view(entry, caller, now)


def template_view(entry: ZonedTemplate, caller: CallerLike, now: datetime) -> dict[str, Any]:
    """A template in a zone as `listTemplates` shows it; where its image is only a root admin sees."""
    template, zone, owner = entry.template, entry.zone, entry.template.account
    is_insider = is_admin(caller) or owner.id == caller.account_id
    return {
        **_identity(template),
        "passwordenabled": template.password_enabled,
        "format": template.format,
        "isfeatured": template.is_featured,
        "crossZones": template.zone_id is None,
        **_system(template),
        **owner_names(owner),
        "zoneid": zone.uuid,
        "zonename": zone.name,
        "status": _status(template, now) if is_insider else None,
        "size": template.size_bytes,
        "physicalsize": template.size_bytes if template.is_ready else None,
        "templatetype": template.template_type,
        "hypervisor": template.hypervisor_type,
        **_domain(owner),
        "isextractable": template.is_extractable and template.template_type != "SYSTEM",
        "templatetag": template.template_tag,
        "checksum": template.checksum or "",
        "details": template.details,
        "downloaddetails": _download_details(entry, now) if caller.account_type == ROOT_ADMIN else None,
        "arch": template.arch,
        "bits": template.bits,
        "sshkeyenabled": template.ssh_key_enabled,
        "isdynamicallyscalable": template.dynamically_scalable,
        "directdownload": template.direct_download,
        "deployasis": False,
        "forcks": template.for_cks,
        "requireshvm": template.requires_hvm,
        "url": template.url if is_insider else None,
        "tags": [],
        "hasannotations": False,
    }


def iso_view(entry: ZonedTemplate, caller: CallerLike, now: datetime) -> dict[str, Any]:
    """An ISO in a zone as `listIsos` shows it (TemplateJoinDaoImpl.newIsoResponse; order of a recorded answer)."""
    iso, zone, owner = entry.template, entry.zone, entry.template.account
    is_insider = is_admin(caller) or owner.id == caller.account_id
    return {
        **_identity(iso),
        "passwordenabled": iso.password_enabled,
        "format": iso.format,
        "bootable": iso.bootable,
        "isfeatured": iso.is_featured,
        "crossZones": iso.zone_id is None,
        **_system(iso),
        **owner_names(owner),
        "zoneid": zone.uuid,
        "zonename": zone.name,
        "status": ("Successfully Installed" if iso.is_ready else _status(iso, now)) if is_insider else None,
        "size": iso.size_bytes,
        **_domain(owner),
        "isextractable": iso.is_extractable,
        "checksum": iso.checksum,
        "downloaddetails": _download_details(entry, now) if caller.account_type == ROOT_ADMIN else None,
        "arch": iso.arch,
        "bits": iso.bits,
        "isdynamicallyscalable": iso.dynamically_scalable,
        "directdownload": iso.direct_download,
        "url": iso.url if is_insider else None,
        "tags": [],
        "hasannotations": False,
    }


def update_view(template: Template) -> dict[str, Any]:
    """The shorter answer of updateTemplate and updateIso (TemplateJoinDaoImpl.newUpdateResponse)."""
    owner = template.account
    return {
        "id": template.uuid,
        "name": template.name,
        "displaytext": template.display_text,
        "ispublic": template.is_public,
        "created": template.created,
        "format": template.format,
        "bootable": template.bootable,
        **_system(template),
        **owner_names(owner),
        "hypervisor": template.hypervisor_type,
        **_domain(owner),
        "details": template.details or None,
        "isdynamicallyscalable": template.dynamically_scalable,
        "tags": [],
    }


def _identity(template: Template) -> dict[str, Any]:
    return {
        "id": template.uuid,
        "name": template.name,
        "displaytext": template.display_text,
        "ispublic": template.is_public,
        "created": template.created,
        "removed": template.removed,
        "isready": template.is_ready,
    }


def _system(template: Template) -> dict[str, Any]:
    return {"ostypeid": template.guest_os.uuid, "ostypename": template.guest_os.display_name}


def _domain(owner: Account) -> dict[str, Any]:
    return {
        "domain": owner.domain.name,
        "domainpath": shown_domain_path(owner.domain.path),
        "domainid": owner.domain.uuid,
    }


def downloaded_percent(template: Template, now: datetime) -> int:
    """How much of a template's image is there."""
    began, ends = template.download_began, template.download_ends
    if template.is_ready:
        return 100
    if began is None or ends is None or ends <= began:
        return 0
    return max(0, min(100, int(100 * (now - began) / (ends - began))))


def _status(template: Template, now: datetime) -> str | None:
    """TemplateJoinDaoImpl.getTemplateStatus; nothing of an image that was never asked for."""
    if template.is_ready:
        return "Download Complete"
    if template.download_began is None:
        return None
    percent = downloaded_percent(template, now)
    if percent == 100:
        return f"Installing {'ISO' if template.format == ISO else 'Template'}"
    return f"{percent}% Downloaded"


def _download_details(entry: ZonedTemplate, now: datetime) -> list[dict[str, str]]:
    is_ready = entry.template.is_ready
    if not is_ready and entry.template.download_began is None:
        return []
    return [
        {
            "downloadState": "DOWNLOADED" if is_ready else "DOWNLOAD_IN_PROGRESS",
            "datastore": store.name,
            "datastoreRole": "Image",
            "downloadPercent": str(downloaded_percent(entry.template, now)),
            "datastoreId": store.uuid,
        }
        for store in entry.stores
    ]


def zoned(session: Session, template: Template, zone_id: int | None = None) -> list[ZonedTemplate]:
    """A template in each of its zones, or in that one."""
    return _by_zone(session, [template], zone_id, once=False)
