"""Registering, making, changing, copying, sharing and deleting templates and ISOs; the ISO in a VM's drive."""

from __future__ import annotations

from sqlalchemy import event, select

from mgmt.commands.catalogued import DoneEvent, done, job
from mgmt.commands.declaration import Bound, Call, EventSpec, Item, Listing, Success, events_of
from mgmt.commands.life_calls import created, created_record, life_services, refuse_unknown, vm_item
from mgmt.errors import InvalidParameterValueError
from mgmt.inventory import template_admin, template_making, template_registration, usage
from mgmt.inventory.lookup import get_live
from mgmt.inventory.templates import check_use, image_view, template_view, update_view, zoned
from mgmt.life.downloads import begin_download
from mgmt.life.isos import attach_iso, detach_iso
from mgmt.store.models import ImageStore, Template, Zone

TEMPLATE, ISO, VM = "Template", "Iso", "VirtualMachine"


def _shown(call: Call, template: Template) -> Listing:
    now = call.services.providers.utcnow()
    found = [image_view(entry, call.caller, now) for entry in zoned(call.db, template)]
    return Listing(found, len(found))


def _download(call: Call, template: Template) -> None:
    """Have the image come as soon as the record is there for good."""
    begin_download(template, call.services.providers.utcnow())
    downloads = call.services.downloads
    event.listen(call.db, "after_commit", lambda session: downloads.look(), once=True)


@done("registerTemplate", "template", event=DoneEvent(TEMPLATE, "TEMPLATE.CREATE", "creating template"))
def register_template(call: Call, bound: Bound) -> Listing:
    """A template, ready once its image has come."""
    services = call.services
    template = template_registration.register_template(
        call.db, services.providers, services.settings, call.caller, bound
    )
    _download(call, template)
    return _shown(call, template)


@done("registerIso", "iso", event=DoneEvent(ISO, "ISO.CREATE", "creating iso"))
def register_iso(call: Call, bound: Bound) -> Listing:
    """An ISO, ready once its image has come."""
    services = call.services
    iso = template_registration.register_iso(call.db, services.providers, services.settings, call.caller, bound)
    _download(call, iso)
    return _shown(call, iso)


def _allocate(call: Call, bound: Bound) -> str:
    refuse_unknown(bound, "virtualmachineid", "url")  # of bare metal
    services = call.services
    template = template_making.allocate_template(call.db, services.providers, services.settings, call.caller, bound)
    created(call, "TEMPLATE.CREATE", "creating template", TEMPLATE, template.uuid)
    return template.uuid


@job(
    "createTemplate",
    "template",
    create=_allocate,
    instance_type=TEMPLATE,
    event=events_of(TEMPLATE)(
        "TEMPLATE.CREATE", "creating template", lambda bound: f"creating template: {bound['name']}"
    ),
    admin_java_class="org.apache.cloudstack.api.command.admin.template.CreateTemplateCmdByAdmin",
)
def create_template(call: Call, bound: Bound) -> Item:
    """Make the template that `_allocate` recorded ready, and show it."""
    providers = call.services.providers
    with call.services.store.session() as session:
        template = created_record(session, Template, bound)
        template_making.finish_template(session, providers, template)
        return Item(image_view(zoned(session, template)[0], call.caller, providers.utcnow()))


@done("updateTemplate", "template", event=DoneEvent(TEMPLATE, "TEMPLATE.UPDATE", "Updating Template"))
def update_template(call: Call, bound: Bound) -> Item:
    """Change a template."""
    return Item(update_view(template_admin.update_template(call.db, call.caller, bound)))


@done("updateIso", "iso", event=DoneEvent(ISO, "ISO.UPDATE", "Updating ISO"))
def update_iso(call: Call, bound: Bound) -> Item:
    """Change an ISO."""
    return Item(update_view(template_admin.update_template(call.db, call.caller, bound)))


def _delete(call: Call, bound: Bound, *, iso: bool) -> Success:
    providers = call.services.providers
    missing = f"unable to find {'iso' if iso else 'template'} with id {bound['id']}"
    with call.services.store.session() as session:
        template = template_admin.template_to_change(session, call.caller, bound["id"], iso=iso, missing=missing)
        if not bound.get("forced"):
            template_admin.check_unused(session, call.caller, template, bound["zoneid"])
        template_admin.delete_template(session, providers, template, bound["zoneid"])
        usage.template_event(session, providers, template, created=False)
    return Success()


@job(
    "deleteTemplate",
    event=events_of(TEMPLATE)(
        "TEMPLATE.DELETE", "deleting template", lambda bound: f"Deleting Template {bound.instance_uuid}"
    ),
    instance_type=TEMPLATE,
    instance_param="id",
)
def delete_template(call: Call, bound: Bound) -> Success:
    """Take a template away."""
    return _delete(call, bound, iso=False)


@job(
    "deleteIso",
    event=events_of(ISO)("ISO.DELETE", "deleting iso", lambda bound: f"Deleting ISO {bound.instance_uuid}"),
    instance_type=ISO,
    instance_param="id",
)
def delete_iso(call: Call, bound: Bound) -> Success:
    """Take an ISO away."""
    return _delete(call, bound, iso=True)


def _copy(call: Call, bound: Bound) -> Item:
    with call.services.store.session() as session:
        template = template_admin.copy_template(session, call.caller, bound)
        entry = zoned(session, template, bound["destzoneid"] or bound["destzoneids"][0])[0]
        return Item(image_view(entry, call.caller, call.services.providers.utcnow()))


def _copying(bound: Bound) -> str:
    return f"copying Template: {bound.instance_uuid} from zone: {bound['sourcezoneid'] or 'null'}"


@job(
    "copyTemplate",
    "template",
    event=events_of(TEMPLATE)("TEMPLATE.COPY", "Copying Template", _copying),
    instance_type=TEMPLATE,
    instance_param="id",
)
def copy_template(call: Call, bound: Bound) -> Item:
    """Put a template into other zones too."""
    return _copy(call, bound)


@job(
    "copyIso",
    "iso",
    event=events_of(ISO)("ISO.COPY", "Copying Template", _copying),
    instance_type=ISO,
    instance_param="id",
)
def copy_iso(call: Call, bound: Bound) -> Item:
    """Put an ISO into other zones too."""
    return _copy(call, bound)


def _extract(call: Call, bound: Bound, kind: str) -> Item:
    if bound["mode"].upper() not in ("HTTP_DOWNLOAD", "FTP_UPLOAD"):
        raise InvalidParameterValueError(
            "Please specify a valid extract Mode. Supported modes: FTP_UPLOAD, HTTP_DOWNLOAD"
        )
    with call.services.store.session() as session:
        template = template_admin.check_extractable(session, call.caller, bound["id"], bound["zoneid"], kind)
        zone_id = bound["zoneid"] or template.zone_id
        zone = get_live(session, Zone, zone_id)
        store = session.scalar(select(ImageStore).where(ImageStore.removed.is_(None)).order_by(ImageStore.id).limit(1))
        address = store.url.partition("://")[2].partition("/")[0] if store is not None else ""
        return Item(
            {
                "id": template.uuid,
                "name": template.name,
                "extractMode": bound["mode"].upper(),
                "accountid": template.account.uuid,
                "state": "DOWNLOAD_URL_CREATED",
                "zoneid": zone.uuid if zone is not None else None,
                "zonename": zone.name if zone is not None else None,
                "url": f"http://{address}/userdata/{template.uuid}.{template.format.lower()}",
            }
        )


@job(
    "extractTemplate",
    "template",
    event=events_of(TEMPLATE)(
        "TEMPLATE.EXTRACT", "Extracting Template", lambda bound: f"Extracting Template: {bound.instance_uuid}"
    ),
    instance_type=TEMPLATE,
    instance_param="id",
)
def extract_template(call: Call, bound: Bound) -> Item:
    """Where a template's image can be fetched; nothing answers there in this world."""
    return _extract(call, bound, "TEMPLATE")


@job(
    "extractIso",
    "iso",
    event=events_of(ISO)("ISO.EXTRACT", "extracting ISO", lambda bound: f"extracting ISO: {bound.instance_uuid}"),
    instance_type=ISO,
    instance_param="id",
)
def extract_iso(call: Call, bound: Bound) -> Item:
    """Where an ISO's image can be fetched; nothing answers there in this world."""
    return _extract(call, bound, "ISO")


@done("prepareTemplate", "template")
def prepare_template(call: Call, bound: Bound) -> Listing:
    """Have pools hold a template beforehand; here they need none."""
    template = get_live(call.db, Template, bound["templateid"])
    if template is None:
        raise InvalidParameterValueError(f"Unable to find Template id={bound['templateid']}")
    check_use(call.db, call.caller, template)
    now = call.services.providers.utcnow()
    found = [template_view(entry, call.caller, now) for entry in zoned(call.db, template, bound["zoneid"])]
    return Listing(found, len(found))


def _permissions(call: Call, bound: Bound, *, iso: bool) -> Item:
    template, names = template_admin.permission_names(call.db, call.caller, bound["id"], iso=iso)
    sees_domain = call.caller.is_root_admin and not template.is_public
    return Item(
        {
            "id": template.uuid,
            "ispublic": template.is_public,
            "domainid": template.account.domain.uuid if sees_domain else None,
            "account": names or None,
        }
    )


@done("listTemplatePermissions", "templatepermission")
def list_template_permissions(call: Call, bound: Bound) -> Item:
    """Which accounts may use a template."""
    return _permissions(call, bound, iso=False)


@done("listIsoPermissions", "templatepermission")
def list_iso_permissions(call: Call, bound: Bound) -> Item:
    """Which accounts may use an ISO."""
    return _permissions(call, bound, iso=True)


@done("updateTemplatePermissions")
def update_template_permissions(call: Call, bound: Bound) -> Success:
    """Change which accounts may use a template."""
    template_admin.update_permissions(call.db, call.services.settings, call.caller, bound, iso=False)
    return Success()


@done("updateIsoPermissions")
def update_iso_permissions(call: Call, bound: Bound) -> Success:
    """Change which accounts may use an ISO."""
    template_admin.update_permissions(call.db, call.services.settings, call.caller, bound, iso=True)
    return Success()


@job(
    "attachIso",
    "virtualmachine",
    event=EventSpec(
        "ISO.ATTACH",
        lambda bound: f"attaching ISO: {bound['id']} to vm: {bound.instance_uuid}",
        "attaching ISO",
        VM,
    ),
    instance_type=VM,
    instance_param="virtualmachineid",
)
def attach(call: Call, bound: Bound) -> Item:
    """Put an ISO into a VM's drive."""
    attach_iso(life_services(call), call.caller, bound["virtualmachineid"], bound["id"])
    return vm_item(call, bound["virtualmachineid"])


@job(
    "detachIso",
    "virtualmachine",
    event=EventSpec("ISO.DETACH", lambda bound: f"detaching ISO from vm: {bound.instance_uuid}", "detaching ISO", VM),
    instance_type=VM,
    instance_param="virtualmachineid",
)
def detach(call: Call, bound: Bound) -> Item:
    """Take the ISO out of a VM's drive."""
    detach_iso(life_services(call), call.caller, bound["virtualmachineid"])
    return vm_item(call, bound["virtualmachineid"])


COMMANDS = (
    register_template,
    register_iso,
    create_template,
    update_template,
    update_iso,
    delete_template,
    delete_iso,
    copy_template,
    copy_iso,
    extract_template,
    extract_iso,
    prepare_template,
    list_template_permissions,
    list_iso_permissions,
    update_template_permissions,
    update_iso_permissions,
    attach,
    detach,
)
