"""The lists of templates and ISOs."""

from __future__ import annotations

from mgmt.commands.catalogued import listed
from mgmt.commands.declaration import ALL_ROLES, Bound, Call, Listing, command
from mgmt.commands.fields import Boolean, ListOf, MapParam, Str, Uuid
from mgmt.commands.owned import DOMAIN_DETAILS, ProjectListParams, checked_details, wanted_ids
from mgmt.commands.responses.template import TemplateResponse
from mgmt.inventory.tags import with_tags
from mgmt.inventory.templates import TEMPLATE_FILTERS, find_templates, iso_view, template_view


class ListTemplatesParams(ProjectListParams):
    """Parameters of listTemplates; the last two are those of its variant for root admins."""

    hypervisor = Str("show templates for this hypervisor")
    id = Uuid("show this template", entity="template")
    ids = ListOf("show these templates", Uuid("a template", entity="template"), since="4.9")
    name = Str("show the template with this name")
    parenttemplateid = Uuid("show data disk templates of this template", entity="template", since="4.4")
    templatefilter = Str("which templates to show: " + ", ".join(TEMPLATE_FILTERS), required=True)
    zoneid = Uuid("show templates in this zone", entity="zone")
    showremoved = Boolean("show removed templates too")
    showicon = Boolean("show icons too")
    showunique = Boolean("show a template once, whatever the number of its zones", since="4.13.2")
    details = ListOf("which parts of the templates to show: all, resource, min", Str("a level of detail"), since="4.15")
    templatetype = Str("show templates of this type", since="4.19.0")
    isvnf = Boolean("show network appliances, or other templates", since="4.19.0")
    arch = Str("show templates for this CPU architecture", since="4.20")
    oscategoryid = Uuid("show templates of this OS category", entity="oscategory", since="4.21.0")
    extensionid = Uuid("show templates of this extension", entity="extension", since="4.21.0")
    forcks = Boolean("show templates for Kubernetes clusters", since="4.21.0")
    isready = Boolean("show templates that are ready, or those that are not", since="4.21.0")
    tags = MapParam("show templates with these tags")
    imagestoreid = Uuid("show templates on this image store", entity="imagestore")
    storageid = Uuid("show templates in this pool", entity="storagepool")


@command(
    "listTemplates",
    params=ListTemplatesParams,
    response=TemplateResponse,
    description="Lists templates, each once for every zone that it is in.",
    object_name="template",
    is_list=True,
    roles=ALL_ROLES,
    java_class="org.apache.cloudstack.api.command.user.template.ListTemplatesCmd",
)
def list_templates(call: Call, bound: Bound) -> Listing:
    checked_details(bound["details"], DOMAIN_DETAILS)
    templates, count = find_templates(call.db, call.caller, bound, wanted_ids(bound), bound.paging)
    now = call.services.providers.utcnow()
    views = [template_view(entry, call.caller, now) for entry in templates]
    return Listing(with_tags(call.db, "Template", views), count)


@listed("listIsos", "iso")
def list_isos(call: Call, bound: Bound) -> Listing:
    """ISOs, each once for every zone that it is in."""
    given = {**bound, "templatefilter": bound["isofilter"] or "selfexecutable"}
    isos, count = find_templates(call.db, call.caller, given, None, bound.paging, isos=True)
    now = call.services.providers.utcnow()
    return Listing(with_tags(call.db, "ISO", [iso_view(entry, call.caller, now) for entry in isos]), count)


COMMANDS = (list_templates, list_isos)
