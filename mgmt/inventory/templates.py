"""Templates: the rules of `templatefilter`, the search and the view of `listTemplates`.

An entry is a template in one zone. Upstream: server/.../api/query/QueryManagerImpl.java (searchForTemplates),
dao/TemplateJoinDaoImpl.java, api/.../ListTemplatesCmd.java; field order of recorded answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
    resolve_scope,
    shown_domain_path,
)
from mgmt.inventory.tags import has_tags
from mgmt.inventory.vms import TEMPLATE_ARCH
from mgmt.store.models import Account, Cluster, Domain, ImageStore, Template, Zone

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


@dataclass(frozen=True)
class ZonedTemplate:
    """A template in one zone; `stores` are the image stores there that hold its image."""

    template: Template
    zone: Zone
    stores: tuple[ImageStore, ...]


def find_templates(
    session: Session, caller: CallerLike, params: Mapping[str, Any], ids: Sequence[int] | None, paging: Window
) -> tuple[list[ZonedTemplate], int]:
    """The page of templates that match `params` and that `caller` may see, and the number of all of them.

    `params` are the bound parameters of listTemplates by name. Raises ServerApiError for an unknown templatefilter,
    InvalidParameterValueError for what a caller may not ask for.
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
    conditions = _named_template(session, caller, params["id"]) if has_id else _filters(caller, word, scope, params)
    if not has_id:
        conditions.append(or_(Template.hypervisor_type.is_(None), Template.hypervisor_type.in_(hypervisors)))
    if ids is not None:
        conditions.append(Template.id.in_(ids))
    if not params.get("showremoved"):
        conditions += [Template.removed.is_(None), Template.state == "Active"]
    templates = session.scalars(
        select(Template)
        .where(*conditions)
        .order_by(Template.id)
        .options(joinedload(Template.account).joinedload(Account.domain), joinedload(Template.guest_os))
    ).all()
    found = _by_zone(session, templates, params.get("zoneid"), once=bool(params.get("showunique")))
    if caller.account_type == ROOT_ADMIN:
        found = _stored(found, params)
    return in_window(found, paging), len(found)


def _named_template(session: Session, caller: CallerLike, template_id: int) -> list[ColumnElement[bool]]:
    template = session.get(Template, template_id)
    if template is None:
        raise InvalidParameterValueError("Please specify a valid template ID.")
    if template.format == "ISO":
        raise InvalidParameterValueError("Incorrect format ISO of the specified template id")
    if not template.is_public:
        check_owner_access(caller, template.account_id, template.account.domain.path)
    return [Template.id == template_id]


def _filters(caller: CallerLike, word: str, scope: Scope, params: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [Template.format != "ISO", _rule_of(word, caller, scope)]
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
    conditions += has_tags(Template.uuid, "Template", params.get("tags"))
    # No template of this world has a parent, an extension, or serves Kubernetes or network appliances.
    if any(params.get(name) for name in ("parenttemplateid", "extensionid", "forcks", "isvnf")):
        conditions.append(false())
    if (params.get("arch") or TEMPLATE_ARCH) != TEMPLATE_ARCH:
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
        return false()  # nobody can share a template with single accounts here
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
            if template.zone_id in (None, zone.id) and zone_id in (None, zone.id)
        ]
        found += entries[:1] if once else entries
    return found


def _stored(entries: list[ZonedTemplate], params: Mapping[str, Any]) -> list[ZonedTemplate]:
    """The templates on the image store or pool asked for; pools hold no templates of their own here."""
    if params.get("storageid") is not None:
        return []
    wanted = params.get("imagestoreid")
    return [entry for entry in entries if wanted is None or any(store.id == wanted for store in entry.stores)]


def template_view(entry: ZonedTemplate, caller: CallerLike) -> dict[str, Any]:
    """A template in a zone as `listTemplates` shows it; where its image is only a root admin sees."""
    template, zone, owner = entry.template, entry.zone, entry.template.account
    is_insider = is_admin(caller) or owner.id == caller.account_id
    size = template.size_bytes
    return {
        "id": template.uuid,
        "name": template.name,
        "displaytext": template.display_text,
        "ispublic": template.is_public,
        "created": template.created,
        "removed": template.removed,
        "isready": template.is_ready,
        "passwordenabled": template.password_enabled,
        "format": template.format,
        "isfeatured": template.is_featured,
        "crossZones": template.zone_id is None,
        "ostypeid": template.guest_os.uuid,
        "ostypename": template.guest_os.display_name,
        "account": owner.name,
        "zoneid": zone.uuid,
        "zonename": zone.name,
        "status": "Download Complete" if is_insider and template.is_ready else None,
        "size": size,
        "physicalsize": size if template.is_ready else None,
        "templatetype": template.template_type,
        "hypervisor": template.hypervisor_type,
        "domain": owner.domain.name,
        "domainpath": shown_domain_path(owner.domain.path),
        "domainid": owner.domain.uuid,
        "isextractable": template.is_extractable,
        "checksum": "",
        "details": {},
        "downloaddetails": _download_details(entry) if caller.account_type == ROOT_ADMIN else None,
        "arch": TEMPLATE_ARCH,
        "bits": template.bits,
        "sshkeyenabled": False,
        "isdynamicallyscalable": False,
        "directdownload": False,
        "deployasis": False,
        "forcks": False,
        "requireshvm": template.requires_hvm,
        "tags": [],
        "hasannotations": False,
    }


def _download_details(entry: ZonedTemplate) -> list[dict[str, str]]:
    if not entry.template.is_ready:
        return []
    return [
        {
            "downloadState": "DOWNLOADED",
            "datastore": store.name,
            "datastoreRole": "Image",
            "downloadPercent": "100",
            "datastoreId": store.uuid,
        }
        for store in entry.stores
    ]
