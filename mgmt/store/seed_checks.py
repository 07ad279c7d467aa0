"""What the entries of a seed document say of one another: names that must be there, once, and fit together."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mgmt.store.setting_definitions import all_definitions

# A validated seed document; its values are those of `SeedSchema`.
Document = Mapping[str, Any]


@dataclass(frozen=True)
class Problem:
    """A fault in a seed document: the path to it, such as `hosts[0].cluster`, and the reason."""

    path: str
    reason: str


# list, key, list that the key names an entry of
_REFERENCES = (
    ("domains", "parent", "domains"),
    ("accounts", "role", "roles"),
    ("accounts", "domain", "domains"),
    ("templates", "account", "accounts"),
    ("templates", "zone", "zones"),
    ("pods", "zone", "zones"),
    ("clusters", "pod", "pods"),
    ("hosts", "cluster", "clusters"),
    ("storage_pools", "zone", "zones"),
    ("storage_pools", "cluster", "clusters"),
    ("image_stores", "zone", "zones"),
    ("physical_networks", "zone", "zones"),
    ("networks", "offering", "network_offerings"),
    ("networks", "physical_network", "physical_networks"),
    ("networks", "account", "accounts"),
    ("vmware_datacenters", "zone", "zones"),
)

_ROLE_OF_ACCOUNT = {"root-admin": "Admin", "domain-admin": "DomainAdmin", "user": "User"}


def find_problems(document: Document) -> Iterator[Problem]:
    """Every fault of a document that has the right form."""
    yield from _repeated(document)
    yield from _dangling(document)
    yield from _settings(document["settings"])
    yield from _domains(document["domains"])
    yield from _accounts(document)
    yield from _places(document)
    yield from _networks(document)


def os_type_names(document: Document) -> set[str]:
    """The names of all OS types."""
    return {each["name"] for category in document["os_categories"] for each in category["types"]}


def _entries(document: Document) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for key, value in document.items():
        if isinstance(value, list):
            for index, entry in enumerate(value):
                path = f"{key}[{index}]"
                yield path, entry
                for inner in ("users", "types"):
                    for inner_index, nested in enumerate(entry.get(inner, ())):
                        yield f"{path}.{inner}[{inner_index}]", nested


def _repeated(document: Document) -> Iterator[Problem]:
    seen: dict[tuple[str, Any], str] = {("uuid", document["management_server"]["uuid"]): "management_server.uuid"}
    for path, entry in _entries(document):
        unique = [
            ("uuid", "uuid"),
            ("disk_offering_uuid", "uuid"),
            ("guid", "guid"),
            ("api_key", "api key"),
            ("id", "id"),
        ]
        keys = [(key, (kind, entry[key])) for key, kind in unique if entry.get(key) is not None]
        if "name" in entry:
            # OS types have names of their own across all categories
            kind = "os type" if ".types[" in path else path.split("[")[0]
            keys.append(("name", (f"name of {kind}", entry["name"])))
        for key, value in keys:
            here = f"{path}.{key}"
            if value in seen:
                yield Problem(here, f"the same {value[0]} as {seen[value]}")
            else:
                seen[value] = here


def _dangling(document: Document) -> Iterator[Problem]:
    names = {
        key: {entry["name"] for entry in value if "name" in entry}
        for key, value in document.items()
        if isinstance(value, list)
    }
    for source, key, target in _REFERENCES:
        for index, entry in enumerate(document[source]):
            value = entry[key]
            if value is not None and value not in names[target]:
                yield Problem(f"{source}[{index}].{key}", _no_such(target, value, names[target]))
    os_types = os_type_names(document)
    for index, template in enumerate(document["templates"]):
        if template["os_type"] not in os_types:
            yield Problem(f"templates[{index}].os_type", f"os_categories hold no type {template['os_type']!r}")


def _no_such(target: str, value: str, known: set[str]) -> str:
    listed = ", ".join(sorted(known)) or "nothing"
    return f"{target} hold no {value!r}, only {listed}"


def _settings(settings: Mapping[str, str]) -> Iterator[Problem]:
    definitions = all_definitions(extensions=True)
    for name, value in settings.items():
        definition = definitions.get(name)
        if definition is None:
            yield Problem(f"settings.{name}", "no setting of this name is known")
        elif not definition.fits(value):
            yield Problem(f"settings.{name}", f"expected a {definition.type.lower()} ({definition.java_class})")


def _domains(domains: list[Mapping[str, Any]]) -> Iterator[Problem]:
    if domains[0]["name"] != "ROOT" or domains[0]["parent"] is not None:
        yield Problem("domains[0]", "the first domain must be ROOT, without a parent")
    above: set[str] = {"ROOT"}
    for index, domain in enumerate(domains[1:], start=1):
        if domain["parent"] not in above:
            yield Problem(f"domains[{index}].parent", "a domain needs a parent that stands above it in the list")
        above.add(domain["name"])


def _accounts(document: Document) -> Iterator[Problem]:
    role_types = {role["name"]: role["type"] for role in document["roles"]}
    for index, account in enumerate(document["accounts"]):
        expected = _ROLE_OF_ACCOUNT[account["type"]]
        if role_types.get(account["role"], expected) != expected:
            yield Problem(
                f"accounts[{index}].role", f"an account of type {account['type']} needs a role of type {expected}"
            )
        for number, user in enumerate(account["users"]):
            if user["password"] and user["password_hash"]:
                yield Problem(f"accounts[{index}].users[{number}].password_hash", "it has a password too")
    if root_admin(document) is None:
        yield Problem("accounts", "no root-admin account has a user with password, api_key and secret_key")


def root_admin(document: Document) -> Mapping[str, Any] | None:
    """The user whose keys callers of the world get; None when there is none with a password and keys."""
    users = (user for account in document["accounts"] if account["type"] == "root-admin" for user in account["users"])
    return next(
        (
            user
            for user in users
            if (user["password"] or user["password_hash"]) and user["api_key"] and user["secret_key"]
        ),
        None,
    )


def _places(document: Document) -> Iterator[Problem]:
    for index, pod in enumerate(document["pods"]):
        if _int(pod["start_ip"]) > _int(pod["end_ip"]):
            yield Problem(f"pods[{index}].end_ip", f"comes before start_ip {pod['start_ip']}")
    for index, pool in enumerate(document["storage_pools"]):
        wanted, other = ("cluster", "zone") if pool["scope"] == "CLUSTER" else ("zone", "cluster")
        if pool[wanted] is None:
            yield Problem(f"storage_pools[{index}].{wanted}", f"a pool of scope {pool['scope']} needs it")
        if pool[other] is not None:
            yield Problem(f"storage_pools[{index}].{other}", f"a pool of scope {pool['scope']} has none")
    zones: set[str] = set()
    for index, datacenter in enumerate(document["vmware_datacenters"]):
        if datacenter["zone"] in zones:
            yield Problem(f"vmware_datacenters[{index}].zone", "a zone can be linked to one VMware datacenter only")
        zones.add(datacenter["zone"])


def _networks(document: Document) -> Iterator[Problem]:
    guest_types = {offering["name"]: offering["guest_type"] for offering in document["network_offerings"]}
    for index, network in enumerate(document["networks"]):
        path = f"networks[{index}]"
        guest_type = guest_types.get(network["offering"])
        if guest_type == "L2" and network["cidr"] is not None:
            yield Problem(f"{path}.cidr", "an L2 network has none")
        if guest_type in ("Isolated", "Shared") and (network["cidr"] is None or network["gateway"] is None):
            yield Problem(f"{path}.cidr", f"an {guest_type} network needs cidr and gateway")
        for key in ("gateway", "start_ip", "end_ip"):
            if network["cidr"] is None or network[key] is None:
                continue
            if ipaddress.ip_address(network[key]) not in ipaddress.ip_network(network["cidr"]):
                yield Problem(f"{path}.{key}", f"{network[key]} is outside {network['cidr']}")


def _int(address: str) -> int:
    return int(ipaddress.ip_address(address))
