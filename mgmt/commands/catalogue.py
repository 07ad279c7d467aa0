"""CloudStack's own catalogue of its API, and declarations made from it.

Commands of resources that this world does not have, and stubs of users, take their parameters and response fields from
`fixtures/catalog`: `api.json` (all commands of 4.22), `roles.json` and `resource_admin.txt` (which default roles may
call them) and `response_keys.json` (the irregular keys of answers). Nothing is read before somebody asks: the start of
a server does not pay for it. Descriptions are made from names; the catalogue holds none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import msgspec

from mgmt.commands import texts
from mgmt.commands.declaration import (
    ADMIN,
    ALL_ROLES,
    DOMAIN_ADMIN,
    RESOURCE_ADMIN,
    USER,
    Create,
    Declaration,
    EventSpec,
    Handler,
    Precheck,
)
from mgmt.commands.fields import (
    Boolean,
    Date,
    Double,
    Integer,
    ListOf,
    Long,
    MapParam,
    Out,
    Param,
    Params,
    Response,
    Short,
    Str,
    Uuid,
)
from mgmt.fixtures import fixtures_dir
from mgmt.profiles import Profile

# Parameters of the framework, which no command declares.
FRAMEWORK_PARAMETERS = frozenset({"response", "customjobid", "starteventid"})
SUCCESS_RESPONSE = "SuccessResponse"

# Look-up kinds (mgmt.inventory.lookup) of the entities that this world has, by response class.
_KINDS: Mapping[str, str] = {
    "AsyncJobResponse": "job",
    "GuestOSCategoryResponse": "oscategory",
    "GuestOSResponse": "ostype",
    "ImportVMTaskResponse": "importvmtask",
    "ProviderResponse": "networkserviceprovider",
    "TemplatePermissionsResponse": "template",
    "UserVmResponse": "vm",
    "VmwareDatacenterResponse": "vmwaredc",
}
# The names of fields that texts show instead of the parameter's.
_JAVA_NAMES: Mapping[tuple[str, str], str] = {("createZone", "name"): "zoneName"}
_TYPES: Mapping[str, type[Param]] = {
    "string": Str,
    "boolean": Boolean,
    "integer": Integer,
    "short": Short,
    "long": Long,
    "float": Double,
    "double": Double,
    "date": Date,
    "map": MapParam,
}

# SAML and quota: a real server knows their commands only while its settings switch them on.
_SWITCHED_OFF = re.compile("quota(?!IsEnabled)|saml|.*Saml|listIdps$|getSPMetadata$")

IsKnown = Callable[[object], bool]


def _read(name: str) -> Any:
    return msgspec.json.decode((fixtures_dir() / "catalog" / name).read_bytes())


class Catalogue:
    """All commands of CloudStack 4.22: what they take, what they answer, and who may call them."""

    @cached_property
    def _api(self) -> Mapping[str, Any]:
        return _read("api.json")  # type: ignore[no-any-return]

    @cached_property
    def _roles(self) -> Mapping[str, list[str]]:
        return _read("roles.json")  # type: ignore[no-any-return]

    @cached_property
    def _response_keys(self) -> Mapping[str, str]:
        return _read("response_keys.json")  # type: ignore[no-any-return]

    @cached_property
    def _of_resource_admins(self) -> frozenset[str]:
        lines = (fixtures_dir() / "catalog" / "resource_admin.txt").read_text(encoding="utf-8").splitlines()
        return frozenset(name for line in lines if not line.startswith("#") for name in line.split())

    @property
    def commands(self) -> Mapping[str, Mapping[str, Any]]:
        """The entries by the command's name."""
        commands: Mapping[str, Mapping[str, Any]] = self._api["commands"]
        return commands

    def response_name(self, command: str) -> str:
        """The key of a command's answers where it is not the usual one, else an empty text."""
        return self._response_keys.get(command, "")

    def roles(self, command: str) -> tuple[str, ...]:
        """The role types whose default rules allow a command.

        From what a real server lists for its default roles; for the plugins that it did not have, from the command's
        own annotation, and the root admin alone where that says nothing. The resource admin, of whom no list was
        recorded, may what upstream's database script or the annotation says.
        """
        annotated = self.commands[command].get("roles") or ()
        allowed = {ADMIN, *self._roles.get(command, annotated)} - {RESOURCE_ADMIN}
        if RESOURCE_ADMIN in annotated or command in self._of_resource_admins:
            allowed.add(RESOURCE_ADMIN)
        return tuple(role for role in ALL_ROLES if role in allowed)

    def annotated_roles(self, command: str) -> tuple[str, ...] | None:
        """The role types that a command's annotation names: what a role without a fitting rule may do.

        None for a command that is not CloudStack's; no role type where the annotation names none.
        """
        entry = self.commands.get(command)
        return None if entry is None else tuple(entry.get("roles") or ())

    def default_rules(self) -> Mapping[str, tuple[str, ...]]:
        """The rules of the default roles by their type: commands that they may call, `*` for the root admin."""
        rules: dict[str, tuple[str, ...]] = {ADMIN: ("*",)}
        for role in (RESOURCE_ADMIN, DOMAIN_ADMIN, USER):
            rules[role] = tuple(name for name in sorted(self.commands) if role in self.roles(name))
        return rules

    def params(self, command: str) -> type[Params]:
        """The parameter schema of a command, in the catalogue's order."""
        return _params(self, command)

    def response(self, command: str) -> type[Response] | None:
        """The response schema of a command; None for one that only tells of success."""
        name = self.commands[command]["response"]
        return None if name == SUCCESS_RESPONSE or name not in self._api["responses"] else _response(self, name)

    def fields(self, response: str) -> list[Mapping[str, Any]]:
        """The fields of a response class; raises KeyError for an unknown one."""
        fields: list[Mapping[str, Any]] = self._api["responses"][response]
        return fields


@dataclass(frozen=True)
class AbsentCommand:
    """A command that CloudStack has and this server does not simulate."""

    name: str
    response_key: str
    roles: tuple[str, ...]

    @property
    def text(self) -> str:
        """What a caller of the command is told."""
        return (
            f"The API command {self.name} is one of CloudStack's that cloudstack-mock does not simulate; "
            "its answers can be given in files, see --stubs"
        )


@dataclass(frozen=True)
class KnownCommands:
    """What a server knows of CloudStack's commands beside those that it answers; `profile` is its release.

    Commands of plug-ins that a real server has switched off are unknown, as there.
    """

    profile: Profile | None = None

    def absent(self, name: str) -> AbsentCommand | None:
        """The command `name` if this release of CloudStack has it; None if there is no such command."""
        if self.profile is None:
            return None
        entry = catalogue().commands.get(name)
        if entry is None or _SWITCHED_OFF.match(name) or not self.profile.has(entry.get("since")):
            return None
        key = catalogue().response_name(name) or f"{name.lower()}response"
        return AbsentCommand(name, key, catalogue().roles(name))


@cache
def catalogue() -> Catalogue:
    """The catalogue that is shipped; the same one for all servers of the process, and never changed."""
    return Catalogue()


@cache
def _params(source: Catalogue, command: str) -> type[Params]:
    members: dict[str, Any] = {
        entry["name"]: _param(entry, command)
        for entry in source.commands[command]["params"]
        if entry["name"] not in FRAMEWORK_PARAMETERS
    }
    return type(f"{command}Params", (Params,), members)


def _param(entry: Mapping[str, Any], command: str) -> Param:
    name = entry["name"]
    text = texts.parameter(name, command)
    given: dict[str, Any] = {"required": entry.get("required", False), "since": entry.get("since")}
    java_name = _JAVA_NAMES.get((command, name))
    if java_name is not None:
        given["java_name"] = java_name
    if "length" in entry:
        given["max_length"] = entry["length"]
    entity = ",".join(_kind(each) for each in entry.get("entity", ()))
    kind = entry["type"]
    if kind == "uuid":
        return Uuid(text, entity=entity, **given)
    if kind == "list":
        item: Param = (
            Uuid(text, entity=entity) if entry.get("of") == "uuid" else _TYPES[entry.get("of", "string")](text)
        )
        return ListOf(text, item, **given)
    return _TYPES[kind](text, **given)


def _kind(response: str) -> str:
    return _KINDS.get(response, response.removesuffix("Response").lower())


@cache
def _response(source: Catalogue, name: str) -> type[Response]:
    members: dict[str, Any] = {"catalogue": name}
    for entry in source.fields(name):
        nested = entry.get("object")
        # a class that holds objects of its own kind shows no fields for them
        schema = None if nested is None or nested == name else _response(source, nested)
        text = texts.response_field(entry["name"], name)
        members[entry["name"]] = Out(_simple_type(entry["type"]), text, nested=schema)
    return type(name, (Response,), members)


def _simple_type(java_type: str) -> str:
    return re.sub("<.*", "", java_type).rpartition(".")[2].lower()


class CatalogueDeclaration(Declaration):
    """A declaration whose parameters, response, roles and texts come from the catalogue when somebody asks.

    `is_known` says which parameters the server's release has; `admin_params` are those of the command's variant for
    root admins, which the catalogue does not hold.
    """

    def __init__(
        self,
        name: str,
        handler: Handler,
        *,
        object_name: str | None = None,
        is_list: bool = False,
        is_async: bool = False,
        since: str | None = None,
        is_known: IsKnown | None = None,
        precheck: Precheck | None = None,
        event: EventSpec | None = None,
        job_instance_type: str | None = None,
        job_instance_param: str | None = None,
        create: Create | None = None,
        admin_java_class: str | None = None,
        admin_params: Mapping[str, Param] | None = None,
    ) -> None:
        given: dict[str, Any] = {
            "name": name,
            "handler": handler,
            "object_name": object_name,
            "is_list": is_list,
            "is_async": is_async,
            "since": since,
            "is_known": is_known,
            "precheck": precheck,
            "event": event,
            "job_instance_type": job_instance_type,
            "job_instance_param": job_instance_param,
            "create": create,
            "admin_java_class": admin_java_class,
            "admin_params": admin_params,
        }
        self.__dict__.update(given)

    @cached_property
    def params(self) -> type[Params]:
        declared = catalogue().params(self.name)
        more: Mapping[str, Param] | None = self.__dict__["admin_params"]
        if more:
            declared = type(declared.__name__, (declared,), dict(more))
        is_known: IsKnown | None = self.__dict__["is_known"]
        return declared if is_known is None else declared.narrowed(is_known)

    @cached_property
    def response(self) -> type[Response] | None:
        return catalogue().response(self.name)

    @cached_property
    def roles(self) -> tuple[str, ...]:
        return catalogue().roles(self.name)

    @cached_property
    def description(self) -> str:
        return texts.command(self.name)

    @cached_property
    def java_class(self) -> str:
        return str(catalogue().commands[self.name]["class"])

    @cached_property
    def response_name(self) -> str:
        return catalogue().response_name(self.name)

    def narrowed(self, is_known: IsKnown | None) -> Declaration:
        return CatalogueDeclaration(
            self.name,
            self.handler,
            object_name=self.object_name,
            is_list=self.is_list,
            is_async=self.is_async,
            since=self.since,
            is_known=is_known,
            precheck=self.precheck,
            event=self.event,
            job_instance_type=self.job_instance_type,
            job_instance_param=self.job_instance_param,
            create=self.create,
            admin_java_class=self.admin_java_class,
            admin_params=self.__dict__["admin_params"],
        )

    def for_admin(self) -> Declaration:
        copied = self.narrowed(self.__dict__["is_known"])
        if self.admin_java_class is not None:
            copied.__dict__["java_class"] = self.admin_java_class
        return copied
