"""listConfigurations and updateConfiguration."""

from __future__ import annotations

from mgmt.commands.declaration import ADMIN, DOMAIN_ADMIN, Bound, Call, Item, Listing, command
from mgmt.commands.fields import ListParams, Params, Str, Uuid
from mgmt.commands.responses.configuration import ConfigurationResponse
from mgmt.inventory.configurations import find_settings, normal_value, setting_view, wanted_scope
from mgmt.inventory.events import record_event

MAX_VALUE_LENGTH = 4096


class ListConfigurationsParams(ListParams):
    """Parameters of listConfigurations."""

    category = Str("show settings of this category")
    name = Str("show settings whose name contains this text")
    group = Str("show settings of this group", since="4.18.0")
    subgroup = Str("show settings of this subgroup", since="4.18.0")
    parent = Str("show settings that depend on this one", since="4.18.0")
    zoneid = Uuid("show the values of this zone", entity="zone")
    clusterid = Uuid("show the values of this cluster", entity="cluster")
    storageid = Uuid("show the values of this primary pool", entity="storagepool")
    imagestoreuuid = Uuid("show the values of this image store", entity="imagestore")
    accountid = Uuid("show the values of this account", entity="account")
    domainid = Uuid("show the values of this domain", entity="domain")


@command(
    "listConfigurations",
    params=ListConfigurationsParams,
    response=ConfigurationResponse,
    description="Lists settings.",
    object_name="configuration",
    is_list=True,
    roles=(ADMIN, DOMAIN_ADMIN),
    java_class="org.apache.cloudstack.api.command.admin.config.ListCfgsByCmd",
)
def list_configurations(call: Call, bound: Bound) -> Listing:
    settings = call.services.settings
    scope = wanted_scope(call.db, call.caller, bound)
    found = find_settings(settings, scope, bound)
    start, limit = bound.paging.offset, bound.paging.limit
    shown = found[start : None if limit is None else start + limit]
    return Listing(
        [
            setting_view(each, settings.get_text(each.name, scope=scope.name, scope_id=scope.id), scope)
            for each in shown
        ],
        len(found),
    )


class UpdateConfigurationParams(Params):
    """Parameters of updateConfiguration."""

    name = Str("the setting", required=True)
    value = Str("the new value; without it the setting has none", max_length=MAX_VALUE_LENGTH)
    zoneid = Uuid("set the value of this zone", entity="zone")
    clusterid = Uuid("set the value of this cluster", entity="cluster")
    storageid = Uuid("set the value of this primary pool", entity="storagepool")
    imagestoreuuid = Uuid("set the value of this image store", entity="imagestore")
    accountid = Uuid("set the value of this account", entity="account")
    domainid = Uuid("set the value of this domain", entity="domain")


@command(
    "updateConfiguration",
    params=UpdateConfigurationParams,
    response=ConfigurationResponse,
    description="Changes a setting.",
    object_name="configuration",
    roles=(ADMIN, DOMAIN_ADMIN),
    java_class="org.apache.cloudstack.api.command.admin.config.UpdateCfgCmd",
)
def update_configuration(call: Call, bound: Bound) -> Item:
    settings, name = call.services.settings, bound["name"]
    settings.checked(name, None)
    scope = wanted_scope(call.db, call.caller, bound)
    value = normal_value(bound["value"], scope)
    definition = settings.checked(name, value, scope=scope.name)
    settings.set(call.db, name, value, scope=scope.name, scope_id=scope.id)
    record_event(
        call.db,
        call.services.providers,
        type="CONFIGURATION.VALUE.EDIT",
        level="INFO",
        state="Completed",
        description=f"Successfully completed updating configuration. Name: {name} New Value: {value or ''}",
        caller=call.caller,
    )
    return Item(setting_view(definition, value, scope))


COMMANDS = (list_configurations, update_configuration)
