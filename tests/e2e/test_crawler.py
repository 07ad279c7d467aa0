"""A crawler that knows nothing but listApis: every list command, its pages, and each thing that it lists by its id."""

from __future__ import annotations

from typing import Any

import pytest

from cloudstack_mock import ApiCallError

PAGE_SIZE = 2
# What a list that wants a parameter may answer: the texts of a parameter that is missing.
WANTS_MORE = (401, 430, 431, 530, 531, 533)
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,), "date": (str,), "boolean": (bool,), "integer": (int,), "int": (int,), "long": (int,),
    "short": (int,), "double": (int, float), "float": (int, float), "map": (dict,), "list": (list,), "set": (list,),
}  # fmt: skip
# RegionServiceImpl.listRegions, ManagementServerImpl.listCapacities and ListSupportedNetworkServicesCmd do not look at
# the page.
UNPAGED = frozenset({"listRegions", "listCapacity", "listSupportedNetworkServices"})
# `id` is the domain whose children are listed.
IDS_OF_ANOTHER = frozenset({"listDomainChildren"})
# Keys that may hold different values a moment later: figures, and times.
_MOVING = ("lastpinged", "lastupdated", "laststarttime", "cpuused", "memoryused", "networkkbs", "cpuloadaverage")


@pytest.fixture(scope="module")
def apis(lab: Any) -> dict[str, dict[str, Any]]:
    """What listApis tells, by name; an imported VM gives the lists of what belongs to VMs something to show."""
    lab.client.run("importVm", lab.import_parameters("web01"), poll_interval_s=0.01)
    return {api["name"]: api for api in lab.client.call("listApis")["api"]}


def strangers(item: dict[str, Any], fields: list[dict[str, Any]], place: str) -> list[str]:
    """What in an answer listApis does not tell of, or tells to be of another type."""
    known = {field["name"]: field for field in fields if "name" in field}
    found = []
    for name, value in item.items():
        field = known.get(name)
        if field is None:
            found.append(f"{place}.{name} is unknown")
            continue
        if field["type"] in _TYPES and type(value) not in _TYPES[field["type"]]:
            found.append(f"{place}.{name} is {value!r}, no {field['type']}")
        if "response" in field:
            inner = value if isinstance(value, list) else [value]
            for nested in (each for each in inner if isinstance(each, dict)):  # figures of zones have fields, too
                found += strangers(nested, field["response"], f"{place}.{name}")
    return found


def still(item: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if not name.startswith(_MOVING)}


def items_of(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """The objects of a list's answer; none when it is of another form."""
    lists = [value for value in answer.values() if isinstance(value, list)]
    return [item for item in lists[0] if isinstance(item, dict)] if len(lists) == 1 else []


@pytest.mark.slow
def test_every_list_can_be_walked(lab: Any, apis: dict[str, dict[str, Any]]) -> None:
    """No server error, no field that listApis does not know, pages that make up the whole, each thing by its id."""
    wrong: list[str] = []
    shown = 0
    for name in (name for name in apis if name.startswith("list") and not apis[name].get("isasync")):
        parameters = {parameter["name"] for parameter in apis[name]["params"]}
        wide = {"listall": True} if "listall" in parameters else {}
        try:
            items = items_of(lab.client.call(name, **wide))
        except ApiCallError as error:
            assert error.body is not None, f"{name}: {error}"
            if error.body["errorcode"] not in WANTS_MORE or "internal" in error.body["errortext"].lower():
                wrong.append(f"{name}: {error}")
            continue
        shown += bool(items)
        for item in items:
            wrong += strangers(item, apis[name]["response"], name)
        if "page" in parameters and name not in UNPAGED:
            pages = [
                item
                for page in (1, 2)
                for item in items_of(lab.client.call(name, page=page, pagesize=PAGE_SIZE, **wide))
            ]
            if list(map(still, pages)) != list(map(still, items[: 2 * PAGE_SIZE])):
                wrong.append(f"{name}: two pages are not the begin of the whole")
        if "id" in parameters and name not in IDS_OF_ANOTHER:
            for item in (item for item in items[:20] if "id" in item):
                alone = items_of(lab.client.call(name, id=item["id"], **wide))
                if list(map(still, alone)) != [still(item)]:
                    wrong.append(f"{name}: {item['id']} asked for by its id is {alone}")
    assert not wrong, "\n".join(wrong)
    assert shown >= 25
