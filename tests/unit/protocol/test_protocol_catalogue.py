"""Every declared record against the catalogue of class and field names of CloudStack 4.22."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from mgmt.protocol import gson
from mgmt.protocol.records import declared

CATALOGUE: dict[str, list[list[str]]] = {}

# Classes that the catalogue does not have, with the reason.
NOT_IN_CATALOGUE = {
    "com.cloud.agent.api.to.NfsTO": "its source was not in the catalogue's modules",
    "com.cloud.agent.api.AgentConnectStatusCommand": "development branch only",
    "com.cloud.agent.api.CleanupConvertedInstanceDisksCommand": "4.23 and later (pull request 13151)",
    "com.cloud.agent.api.AgentConnectStatusAnswer": "development branch only",
}
# Fields that differ from the catalogue, with the reason.
VDDK = "4.22.1 and later (pull request 12970)"
ADDED = {
    ("com.cloud.agent.api.CheckConvertInstanceCommand", "useVddk"): VDDK,
    ("com.cloud.agent.api.CheckConvertInstanceCommand", "vddkLibDir"): VDDK,
    ("com.cloud.agent.api.ConvertInstanceCommand", "useVddk"): VDDK,
    ("com.cloud.agent.api.ConvertInstanceCommand", "vddkLibDir"): VDDK,
    ("com.cloud.agent.api.ConvertInstanceCommand", "vddkTransports"): VDDK,
    ("com.cloud.agent.api.ConvertInstanceCommand", "vddkThumbprint"): VDDK,
    ("com.cloud.agent.api.to.RemoteInstanceTO", "clusterName"): VDDK,
    ("com.cloud.agent.api.to.RemoteInstanceTO", "hostName"): VDDK,
}
LEFT_OUT = {
    ("com.cloud.agent.api.HostStatsEntry", "hostVo"): "a database object of the server, never sent by an agent",
}
PRIMITIVES = {"int": (int, 0), "long": (int, 0), "boolean": (bool, False), "double": (float, 0.0)}
TRUE_BY_DEFAULT = {"_gatewayAccessible", "_vnetAccessible", "handleByAgent"}


@pytest.fixture(scope="module")
def catalogue(request: pytest.FixtureRequest) -> dict[str, list[list[str]]]:
    path = request.config.rootpath / "fixtures" / "catalog" / "agent.json"
    classes: dict[str, list[list[str]]] = json.loads(path.read_text())["classes"]
    return classes


def check_class(name: str, catalogue: dict[str, list[list[str]]]) -> None:
    if name in NOT_IN_CATALOGUE:
        assert name not in catalogue
        return
    fields = {info.name: info for info in msgspec.structs.fields(declared()[name])}
    ours = [attribute for attribute, _, _ in gson.field_plan(declared()[name]) if (name, attribute) not in ADDED]
    theirs = [field for field, _ in catalogue[name] if (name, field) not in LEFT_OUT]
    assert ours == theirs
    for field, java_type in catalogue[name]:
        if java_type in PRIMITIVES and field in fields:
            python_type, default = PRIMITIVES[java_type]
            assert fields[field].type is python_type, field
            assert default_of(fields[field]) == (field in TRUE_BY_DEFAULT or default), field


def test_declared_classes_match_the_catalogue(
    catalogue: dict[str, list[list[str]]], for_each: Callable[..., None]
) -> None:
    """Class name, field names, their order and the defaults of primitives are the catalogue's, or a reason is given."""
    for_each(sorted(declared()), lambda name: check_class(name, catalogue))


def default_of(info: Any) -> object:
    return info.default


def test_every_exception_is_still_needed(catalogue: dict[str, list[list[str]]]) -> None:
    """No listed exception names a class or field that is not there (any more)."""
    classes = declared()
    for name, field in ADDED:
        assert field in classes[name].__struct_fields__
        assert field not in [known for known, _ in catalogue[name]]
    for name, field in LEFT_OUT:
        assert field in [known for known, _ in catalogue[name]]
    assert set(NOT_IN_CATALOGUE) <= set(classes)
