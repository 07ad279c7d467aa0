"""Registering templates and ISOs: what is checked before their images are asked for.

Upstream: server/.../template/TemplateManagerImpl.java, TemplateAdapterBase.java and HypervisorTemplateAdapter.java,
api/.../user/template/RegisterTemplateCmd.java, utils/.../UriUtils.java. No recording shows their
texts. Those of RegisterTemplateCmd and of public templates were compared with that source, the others are written from
memory of it: clients should not hang on their wording.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import select
from sqlalchemy.orm import Session

from mgmt.errors import (
    PARAM_ERROR,
    CloudRuntimeError,
    InvalidParameterValueError,
    PermissionDeniedError,
    ServerApiError,
)
from mgmt.inventory.limits import TEMPLATE, release, reserve
from mgmt.inventory.lookup import get_live
from mgmt.inventory.owner import finalize_owner
from mgmt.inventory.scope import (
    ROOT_ADMIN,
    CallerLike,
    is_admin,
)
from mgmt.inventory.settings import GlobalSettings
from mgmt.inventory.tags import pairs
from mgmt.inventory.templates import ISO
from mgmt.providers import Providers
from mgmt.store.models import Account, GuestOs, ImageStore, Template, Zone

FORMATS = (
    "QCOW2", "RAW", "VHD", "ISO", "OVA", "VHDX", "BAREMETAL", "VMDK", "VDI", "TAR", "DIR", "LXC", "EXTERNAL",
)  # fmt: skip
HYPERVISORS = ("XenServer", "KVM", "VMware", "Hyperv", "VirtualBox", "Parralels", "BareMetal", "Simulator", "Ovm",
               "Ovm3", "LXC", "Custom", "External", "Any")  # fmt: skip
_COMPRESSED = ("", ".zip", ".bz2", ".gz", ".xz")
_SUFFIXES: Mapping[str, tuple[str, ...]] = {"qcow2": ("qcow2",), "raw": ("img", "raw"), "tar": ("tar", "tgz")}
_ANY = -1  # all zones
PUBLIC_SETTING = "allow.public.user.templates"
NO_GUEST_OS = "None"


def register_template(
    session: Session, providers: Providers, settings: GlobalSettings, caller: CallerLike, params: Mapping[str, Any]
) -> Template:
    """Record a template, whose image is yet to come, from the bound parameters of registerTemplate.

    Raises InvalidParameterValueError, PermissionDeniedError, ServerApiError and ResourceAllocationError.
    """
    for name in ("templatetag", "isrouting"):
        if params[name] is not None and caller.account_type != ROOT_ADMIN:
            raise PermissionDeniedError(f"Parameter {name} can only be specified by a Root Admin, permission denied")
    zones = _wanted_zones(params)
    if params["ostypeid"] is None:
        raise ServerApiError(PARAM_ERROR, "Please provide a guest OS type")
    hypervisor = next((each for each in HYPERVISORS if each.lower() == params["hypervisor"].lower()), None)
    if hypervisor is None:
        raise InvalidParameterValueError(
            f"Hypervisor Type: {params['hypervisor']} is invalid. Supported Hypervisor types are:"
            f" {', '.join(HYPERVISORS)}"
        )
    image_format = _checked_format(params["format"])
    _check_url(params["url"], image_format)
    template = _register(session, providers, settings, caller, params, zones, image_format)
    template.hypervisor_type = hypervisor
    template.template_type = wanted_type(caller, params) or "USER"
    template.details = template_details(params["details"])
    template.requires_hvm = params["requireshvm"] is not False
    template.bits = params["bits"] or 64
    template.ssh_key_enabled = bool(params["sshkeyenabled"])
    template.template_tag = params["templatetag"]
    template.for_cks = bool(params["forcks"])
    session.flush()
    return template


def register_iso(
    session: Session, providers: Providers, settings: GlobalSettings, caller: CallerLike, params: Mapping[str, Any]
) -> Template:
    """Record an ISO, whose image is yet to come, from the bound parameters of registerIso; raises as above."""
    zones = None if params["zoneid"] == _ANY else [params["zoneid"]]
    none = session.scalar(select(GuestOs.id).where(GuestOs.display_name == NO_GUEST_OS))
    is_bootable = params["bootable"] is not False
    if is_bootable and params["ostypeid"] in (None, none):
        raise InvalidParameterValueError("Please pass a valid GuestOS Id")
    _check_url(params["url"], ISO)
    given = params if is_bootable or none is None else {**params, "ostypeid": none}
    iso = _register(session, providers, settings, caller, given, zones, ISO)
    iso.bootable = is_bootable
    session.flush()
    return iso


def _wanted_zones(params: Mapping[str, Any]) -> list[int] | None:
    """The numbers of the zones, None for all of them (RegisterTemplateCmd.validateParameters)."""
    one, several = params["zoneid"], params["zoneids"]
    if one is not None and several:
        raise ServerApiError(PARAM_ERROR, "Both zoneid and zoneids cannot be specified at the same time")
    if one is None and not several:
        raise ServerApiError(PARAM_ERROR, "Either zoneid or zoneids is required. Both cannot be null.")
    if several and len(several) > 1 and _ANY in several:
        raise ServerApiError(PARAM_ERROR, "Parameter zoneids cannot combine all zones (-1) option with other zones")
    wanted = list(dict.fromkeys(several or [one]))
    return None if wanted == [_ANY] else wanted


def _checked_format(text: str) -> str:
    if text.upper() not in FORMATS:
        raise ServerApiError(
            PARAM_ERROR, f"Image format: {text} is incorrect. Supported formats are [{', '.join(FORMATS)}]"
        )
    return text.upper()


def _check_url(url: str, image_format: str) -> None:
    """The checks of UriUtils.validateUrl and checkFormat, but that names are not resolved here."""
    if "file://" in url.lower():
        raise InvalidParameterValueError("File:// type urls are currently unsupported")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ServerApiError(PARAM_ERROR, f"Invalid URL: {url}") from None
    if parts.scheme.lower() not in ("http", "https"):
        raise ServerApiError(PARAM_ERROR, f"Unsupported scheme for url: {url}")
    if port not in (None, 80, 8080, 443):
        raise ServerApiError(PARAM_ERROR, "Only ports 80, 8080 and 443 are allowed")
    host = parts.hostname or ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        is_illegal = host in ("", "localhost")
    else:
        is_illegal = address.is_unspecified or address.is_link_local or address.is_loopback or address.is_multicast
    if is_illegal:
        raise ServerApiError(PARAM_ERROR, "Illegal host specified in URL.")
    kind = image_format.lower()
    endings = tuple(f".{suffix}{packed}" for suffix in _SUFFIXES.get(kind, (kind,)) for packed in _COMPRESSED)
    if kind not in ("external", "dir", "baremetal") and not parts.path.lower().endswith(endings):
        raise ServerApiError(
            PARAM_ERROR, f"Please specify a valid URL. URL:{parts.path} is an invalid for the format {kind}"
        )


def _register(
    session: Session,
    providers: Providers,
    settings: GlobalSettings,
    caller: CallerLike,
    params: Mapping[str, Any],
    zones: Sequence[int] | None,
    image_format: str,
) -> Template:
    owner = finalize_owner(session, caller, params)
    owner_is_root = owner.type == ROOT_ADMIN
    if zones is None and not owner_is_root:
        raise InvalidParameterValueError(
            "Template registered for 'All zones' can only be owned a Root Admin account. Please select specific"
            " zone(s)."
        )
    is_public = bool(params["ispublic"])
    if is_public and not owner_is_root and not allows_public(settings, owner):
        raise InvalidParameterValueError("Only private templates/ISO can be created.")
    guest_os = session.get(GuestOs, params["ostypeid"])
    if guest_os is None:
        raise InvalidParameterValueError("Please specify a valid guest OS ID.")
    _check_zones(session, caller, zones)
    _refuse_reserved_names(session, params)
    claims = reserve(session, owner.id, {TEMPLATE: 1})
    template = Template(
        uuid=providers.ids.uuid(),
        name=params["name"],
        display_text=params["displaytext"] or params["name"],
        format=image_format,
        guest_os=guest_os,
        account=owner,
        zone_id=None if zones is None else zones[0],
        further_zones=list(zones[1:]) if zones else [],
        is_public=is_public,
        is_featured=bool(params["isfeatured"]) and owner_is_root,
        is_extractable=bool(params["isextractable"]),
        is_ready=False,
        password_enabled=bool(params["passwordenabled"]),
        dynamically_scalable=bool(params["isdynamicallyscalable"]),
        direct_download=bool(params["directdownload"]),
        arch=params["arch"] or "x86_64",
        url=params["url"],
        checksum=params["checksum"],
        created=providers.utcnow(),
    )
    session.add(template)
    session.flush()
    release(session, claims)  # the record counts from now on
    return template


def allows_public(settings: GlobalSettings, owner: Account) -> bool:
    """Whether an account may make its templates public."""
    return settings.get_bool(PUBLIC_SETTING, scope="Account", scope_id=owner.id)


def _check_zones(session: Session, caller: CallerLike, zones: Collection[int] | None) -> None:
    for zone_id in zones or ():
        zone = get_live(session, Zone, zone_id)
        if zone is None:
            raise ServerApiError(PARAM_ERROR, "Please specify a valid zone.")
        if zone.allocation_state == "Disabled" and caller.account_type != ROOT_ADMIN:
            raise PermissionDeniedError(f"Cannot perform this operation, Zone {zone.name} is currently disabled")
        stores = select(ImageStore.id).where(ImageStore.removed.is_(None), ImageStore.zone_id == zone_id)
        if session.scalar(stores.limit(1)) is None:
            raise CloudRuntimeError("Unable to find image store to download the template [null].")


def _refuse_reserved_names(session: Session, params: Mapping[str, Any]) -> None:
    taken = select(Template).where(Template.template_type == "SYSTEM", Template.removed.is_(None))
    names = {text.lower() for text in (params["name"], params["displaytext"]) if text}
    for system in session.scalars(taken):
        if {system.name.lower(), system.display_text.lower()} & names:
            raise ServerApiError(PARAM_ERROR, "Cannot use reserved names for templates")


def wanted_type(caller: CallerLike, params: Mapping[str, Any]) -> str | None:
    """The type that `templatetype` or `isrouting` ask for (TemplateManagerImpl.validateTemplateType)."""
    text = params["templatetype"]
    if params["isrouting"]:
        return "ROUTING"
    if text is None:
        return None
    if text.upper() not in ("SYSTEM", "BUILTIN", "PERHOST", "USER", "VNF", "ROUTING", "DATADISK", "ISODISK"):
        raise InvalidParameterValueError(f"Please specify a valid templatetype: [{text}]")
    if text.upper() not in ("USER", "VNF") and not is_admin(caller):
        raise InvalidParameterValueError(f"Users can not register Template with template type {text.upper()}.")
    return str(text.upper())


def template_details(given: Mapping[str, Mapping[str, str]] | None) -> dict[str, str]:
    """The settings of a template that a request carries."""
    return {name: value or "" for name, value in pairs(given).items()}
