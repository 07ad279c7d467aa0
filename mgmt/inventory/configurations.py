"""The settings as administrators see them: searching, scopes and the fields of an answer.

Upstream: server/.../server/ManagementServerImpl.java (searchForConfigurations),
server/.../configuration/ConfigurationManagerImpl.java (updateConfiguration).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from mgmt.errors import InvalidParameterValueError
from mgmt.inventory.scope import DOMAIN_ADMIN, CallerLike, check_domain_access, check_owner_access
from mgmt.inventory.settings import GlobalSettings
from mgmt.store.models import Account, Domain
from mgmt.store.setting_definitions import SettingDefinition

# parameter, scope, and the word that the answer shows for it
_SCOPES = (
    ("zoneid", "Zone", "zone"),
    ("clusterid", "Cluster", "cluster"),
    ("accountid", "Account", "account"),
    ("domainid", "Domain", "domain"),
    ("storageid", "StoragePool", "storagepool"),
    ("imagestoreuuid", "ImageStore", "imagestore"),
)


@dataclass(frozen=True)
class SettingScope:
    """Whose value is meant: `name` is empty and `id` 0 for the global one. `shown` is the word for answers."""

    name: str = ""
    id: int = 0
    shown: str | None = None


def wanted_scope(session: Session, caller: CallerLike, params: Mapping[str, Any]) -> SettingScope:
    """The one scope that the id parameters name; a domain admin who names none means his own domain.

    Raises InvalidParameterValueError for more than one, PermissionDeniedError for a domain or account that the caller
    may not touch.
    """
    given = [SettingScope(scope, params[key], shown) for key, scope, shown in _SCOPES if params[key] is not None]
    if caller.account_type == DOMAIN_ADMIN and params["accountid"] is None and params["domainid"] is None:
        given.append(SettingScope("Domain", caller.domain_id, "domain"))
    if len(given) > 1:
        raise InvalidParameterValueError("cannot handle multiple IDs, provide only one ID corresponding to the scope")
    if not given:
        return SettingScope()
    scope = given[0]
    if scope.name == "Account":
        account = session.get(Account, scope.id)
        if account is None:
            raise InvalidParameterValueError(f"Unable to find account by id {scope.id}")
        check_owner_access(caller, account.id, account.domain.path)
    if scope.name == "Domain":
        domain = session.get(Domain, scope.id)
        if domain is None:
            raise InvalidParameterValueError(f"Unable to find domain by id {scope.id}")
        check_domain_access(caller, domain)
    return scope


def find_settings(settings: GlobalSettings, scope: SettingScope, params: Mapping[str, Any]) -> list[SettingDefinition]:
    """The settings that the parameters of listConfigurations ask for, by name.

    `name` and `keyword` are looked for anywhere and without case. Raises InvalidParameterValueError for an unknown
    group or subgroup.
    """
    found = list(settings.definitions.values())
    groups = {each.group.lower() for each in found}
    subgroups = {each.subgroup.lower() for each in found}
    group, subgroup = _lower(params["group"]), _lower(params["subgroup"])
    if group is not None and group not in groups:
        raise InvalidParameterValueError(f"Invalid configuration group: {params['group']}")
    if subgroup is not None and subgroup not in subgroups:
        raise InvalidParameterValueError(f"Invalid configuration subgroup: {params['subgroup']}")
    name, keyword, category = _lower(params["name"]), _lower(params["keyword"]), _lower(params["category"])
    return [
        each
        for each in found
        if (not scope.name or scope.name in each.scopes)
        and (group is None or each.group.lower() == group)
        and (subgroup is None or each.subgroup.lower() == subgroup)
        and (category is None or each.category.lower() == category)
        and (name is None or name in each.name)
        and (keyword is None or keyword in _searched(settings, each))
        and params["parent"] is None  # no setting depends on another here
    ]


def _lower(value: str | None) -> str | None:
    return None if value is None else value.lower()


def _searched(settings: GlobalSettings, definition: SettingDefinition) -> str:
    value = settings.get_text(definition.name) or ""
    parts = (definition.name, definition.component, definition.description, definition.category, value)
    return "\n".join(parts).lower()


def normal_value(value: str | None, scope: SettingScope) -> str | None:
    """The value to store: blanks around it are dropped; an empty one, or the word null, means none."""
    if value is None:
        return None
    value = value.strip()
    if value in ("", "null"):
        return "" if scope.name else None
    return value


def setting_view(definition: SettingDefinition, value: str | None, scope: SettingScope) -> dict[str, Any]:
    """A setting's answer with the value that holds in `scope`."""
    return {
        "category": definition.category,
        "group": definition.group,
        "subgroup": definition.subgroup,
        "name": definition.name,
        "value": value,
        "defaultvalue": definition.default,
        "description": definition.description,
        "scope": scope.shown,
        "isdynamic": definition.is_dynamic,
        "component": definition.component,
        "displaytext": definition.display_text,
        "type": definition.type,
        "options": definition.options,
    }
