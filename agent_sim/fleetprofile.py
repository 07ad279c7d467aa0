"""What a large fleet is like and what happens to it, as a YAML document: mixture of hosts, ramp, storms.

Every fault in one is reported with the file, the path inside the document and the reason (HostFileError).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from marshmallow import Schema, ValidationError, fields, validate

from agent_sim.host import HostDescription, HostFileError, generated_hosts
from agent_sim.hostfile import flattened_faults
from agent_sim.properties import AgentProperties, PropertiesError, parse_properties

_TOOLS = ("virt_v2v", "nbdkit", "nbdkit_vddk_plugin", "ovftool")


@dataclass(frozen=True)
class Kind:
    """One kind of hosts: `share` parts of the fleet; tools that differ (None: not installed), VDDK or not."""

    share: int = 1
    tools: tuple[tuple[str, str | None], ...] = ()
    has_vddk: bool = True
    properties: tuple[tuple[str, str], ...] = ()

    def of(self, host: HostDescription) -> HostDescription:
        """The host as one of this kind."""
        versions: dict[str, Any] = dict(self.tools)  # fields of several types share the call
        return replace(
            host,
            tools=replace(host.tools, **versions),
            vddk_libraries=host.vddk_libraries if self.has_vddk else (),
            properties=host.properties.edited(dict(self.properties)),
        )


@dataclass(frozen=True)
class Storm:
    """Links are cut at once, `after_s` seconds after all hosts were ready: `percent` of them."""

    after_s: float
    percent: float
    offline_s: float = 0.0


@dataclass(frozen=True)
class FleetProfile:
    """How a fleet is made, how fast its agents start (0: all at once) and what happens to it."""

    zone: str = "1"
    pod: str = "1"
    cluster: str = "1"
    seed: int = 0
    attach_per_s: float = 200.0
    jitter_s: float = 0.0
    kinds: tuple[Kind, ...] = field(default_factory=lambda: (Kind(),))
    storms: tuple[Storm, ...] = ()

    def hosts(self, count: int) -> list[HostDescription]:
        """`count` hosts; the same profile always makes the same ones."""
        hosts = generated_hosts(count, zone=self.zone, pod=self.pod, cluster=self.cluster, seed=self.seed)
        chosen = random.Random(self.seed).choices(self.kinds, [kind.share for kind in self.kinds], k=count)
        return [kind.of(host) for kind, host in zip(chosen, hosts, strict=True)]

    def start_after_s(self, place: int) -> float:
        """How many seconds after the fleet's start the agent of that host starts."""
        ramp_s = place / self.attach_per_s if self.attach_per_s else 0.0
        return ramp_s + random.Random(f"{self.seed}/{place}").uniform(0.0, self.jitter_s)

    def struck(self, storm: int, names: Sequence[str]) -> list[str]:
        """Whose links the storm of that number cuts."""
        count = round(len(names) * self.storms[storm].percent / 100)
        return random.Random(f"{self.seed}/storm {storm}").sample(list(names), count)


class _KindSchema(Schema):
    share = fields.Integer(strict=True, load_default=1, validate=validate.Range(min=1))
    tools = fields.Dict(
        keys=fields.String(validate=validate.OneOf(_TOOLS)), values=fields.String(allow_none=True), load_default=dict
    )
    vddk = fields.Boolean(load_default=True)
    properties = fields.String(load_default="")


class _StormSchema(Schema):
    after_s = fields.Float(required=True, validate=validate.Range(min=0))
    percent = fields.Float(required=True, validate=validate.Range(min=0, max=100))
    offline_s = fields.Float(load_default=0.0, validate=validate.Range(min=0))


class _ProfileSchema(Schema):
    zone = fields.String(load_default="1")
    pod = fields.String(load_default="1")
    cluster = fields.String(load_default="1")
    seed = fields.Integer(strict=True, load_default=0)
    attach_per_s = fields.Float(load_default=200.0, validate=validate.Range(min=0))
    jitter_s = fields.Float(load_default=0.0, validate=validate.Range(min=0))
    hosts = fields.List(fields.Nested(_KindSchema), load_default=lambda: [{}], validate=validate.Length(min=1))
    storms = fields.List(fields.Nested(_StormSchema), load_default=list)


def load_profile(path: Path) -> FleetProfile:
    """The profile in the YAML file `path`; raises HostFileError."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise HostFileError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise HostFileError(f"{path}: cannot be read: {error}") from None
    try:
        loaded: dict[str, Any] = _ProfileSchema().load({} if document is None else document)
    except ValidationError as error:
        faults = "; ".join(f"{where}: {reason}" for where, reason in flattened_faults(error.messages))
        raise HostFileError(f"{path}: {faults}") from None
    kinds = tuple(_kind(path, place, kind) for place, kind in enumerate(loaded.pop("hosts")))
    storms = tuple(Storm(**storm) for storm in loaded.pop("storms"))
    return FleetProfile(**loaded, kinds=kinds, storms=storms)


def _kind(path: Path, place: int, values: dict[str, Any]) -> Kind:
    try:
        properties = parse_properties(values.get("properties", ""))
        AgentProperties(properties)
    except PropertiesError as error:
        raise HostFileError(f"{path}: hosts.{place}.properties: {error}") from None
    return Kind(
        share=values.get("share", 1),
        tools=tuple(values.get("tools", {}).items()),
        has_vddk=values.get("vddk", True),
        properties=tuple(properties.items()),
    )
