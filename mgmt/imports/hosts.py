"""Tables H and I: which host converts, which host imports (import-vm 2.3).

Upstream: UnmanagedVMsManagerImpl.selectKVMHostForConversionInCluster, selectKVMHostForImportingInCluster.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mgmt.errors import CloudRuntimeError
from mgmt.imports.facts import ClusterFacts, HostFacts
from mgmt.imports.trace import Row, Table

Choose = Callable[[Sequence[HostFacts]], HostFacts]


@dataclass(frozen=True)
class HostChoice:
    """The facts of table H, and of table I with the conversion host known.

    `asked_id` is the host the request names, `asked` its record or None when there is none; `cluster_hosts` are the
    usable hosts of the destination cluster with its hypervisor type; `choose` takes one of several at random.
    """

    cluster: ClusterFacts
    asked_id: int | None
    asked: HostFacts | None
    use_vddk: bool
    cluster_hosts: tuple[HostFacts, ...]
    choose: Choose
    convert_host: HostFacts | None = None

    @property
    def named(self) -> HostFacts:
        """The host that the request names; only for rows behind H1 and I1."""
        assert self.asked is not None
        return self.asked

    @property
    def capable(self) -> tuple[HostFacts, ...]:
        return tuple(host for host in self.cluster_hosts if host.can_convert)

    def seen(self) -> dict[str, object]:
        return {
            "asked": self.asked.shown if self.asked else self.asked_id,
            "status": self.asked.status if self.asked else None,
            "resource_state": self.asked.resource_state if self.asked else None,
            "use_vddk": self.use_vddk,
            "cluster": self.cluster.name,
            "hosts": [host.name for host in self.cluster_hosts],
            "capable": [host.name for host in self.capable],
            "with_vddk": [host.name for host in self.cluster_hosts if host.has_vddk],
        }


def _with_vddk(hosts: Sequence[HostFacts]) -> tuple[HostFacts, ...]:
    return tuple(host for host in hosts if host.has_vddk)


def _cannot_convert(facts: HostChoice, reason: str) -> CloudRuntimeError:
    return CloudRuntimeError(f"Cannot perform the conversion on the host {facts.named.shown} as {reason}")


def _cannot_import(facts: HostChoice, reason: str) -> CloudRuntimeError:
    return CloudRuntimeError(f"Cannot import the converted instance on the host {facts.named.shown} as {reason}")


CONVERSION_HOST: Table[HostChoice, HostFacts] = Table(
    "H",
    (
        Row(
            "H1",
            lambda f: f.asked_id is not None and f.asked is None,
            lambda f: CloudRuntimeError(f"Cannot find host with ID {f.asked_id} for conversion"),
        ),
        Row(
            "H2",
            lambda f: f.asked is not None and f.asked.resource_state not in ("Enabled", "Disabled"),
            lambda f: _cannot_convert(f, f"the host is in {f.named.resource_state} state"),
        ),
        Row(
            "H3",
            lambda f: f.asked is not None and f.asked.status != "Up",
            lambda f: _cannot_convert(f, "it is not running"),
        ),
        Row(
            "H4",
            lambda f: f.asked is not None and f.asked.type != "Routing",
            lambda f: _cannot_convert(f, "it is not a routing host"),
        ),
        Row(
            "H5",
            lambda f: f.asked is not None and f.asked.zone_id != f.cluster.zone_id,
            lambda f: _cannot_convert(f, "it is not in the same zone as the destination cluster"),
        ),
        Row("H6", lambda f: f.asked is not None, lambda f: f.named),
        Row("H7", lambda f: bool(f.capable) and not f.use_vddk, lambda f: f.choose(f.capable)),
        Row("H8", lambda f: bool(_with_vddk(f.capable)), lambda f: f.choose(_with_vddk(f.capable))),
        Row("H9", lambda f: bool(f.capable), lambda f: f.choose(f.capable)),
        Row("H10", lambda f: bool(f.cluster_hosts) and not f.use_vddk, lambda f: f.choose(f.cluster_hosts)),
        Row(
            "H11",
            lambda f: bool(f.cluster_hosts),
            lambda f: f.choose(_with_vddk(f.cluster_hosts) or f.cluster_hosts),
        ),
        Row(
            "H12",
            lambda f: not f.use_vddk,
            lambda f: CloudRuntimeError(
                f"Could not find any suitable {f.cluster.hypervisor_type} host in cluster {f.cluster.shown} "
                "to perform the instance conversion"
            ),
        ),
        Row(
            "H13",
            lambda f: True,
            lambda f: CloudRuntimeError(
                f"Could not find any suitable {f.cluster.hypervisor_type} host in cluster {f.cluster.shown} "
                "with 'host.vddk.support' configured to perform the VDDK-based instance conversion"
            ),
        ),
    ),
)


def _conversion_host(facts: HostChoice) -> HostFacts:
    assert facts.convert_host is not None, "table I follows table H"
    return facts.convert_host


IMPORT_HOST: Table[HostChoice, HostFacts] = Table(
    "I",
    (
        Row("I0", lambda f: f.use_vddk and f.asked_id is None, _conversion_host),
        Row(
            "I1",
            lambda f: f.asked_id is not None and f.asked is None,
            lambda f: CloudRuntimeError(f"Cannot find host with ID {f.asked_id} to import the instance"),
        ),
        Row(
            "I2",
            lambda f: f.asked is not None and f.asked.resource_state != "Enabled",
            lambda f: _cannot_import(f, "it is not in Enabled state"),
        ),
        Row(
            "I3",
            lambda f: f.asked is not None and f.asked.status != "Up",
            lambda f: _cannot_import(f, "it is not running"),
        ),
        Row(
            "I4",
            lambda f: f.asked is not None and f.asked.type != "Routing",
            lambda f: _cannot_import(f, "it is not a routing host"),
        ),
        Row(
            "I5",
            lambda f: f.asked is not None and f.asked.cluster_id != f.cluster.id,
            lambda f: _cannot_import(f, "it is not in the same cluster as the destination cluster"),
        ),
        Row("I6", lambda f: f.asked is not None, lambda f: f.named),
        Row("I7", lambda f: bool(f.cluster_hosts), lambda f: f.choose(f.cluster_hosts)),
        Row(
            "I8",
            lambda f: True,
            lambda f: CloudRuntimeError(
                f"Could not find any suitable {f.cluster.hypervisor_type} host in cluster {f.cluster.shown} "
                "to import the converted instance"
            ),
        ),
    ),
)


# What stands in docs/import-rules.md: when each row holds, and what it gives where it refuses nothing.
RULES: Mapping[str, str] = {
    "H1": "convertinstancehostid names no host",
    "H2": "the named host is neither Enabled nor Disabled, such as in maintenance",
    "H3": "the named host is not Up",
    "H4": "the named host is no routing host",
    "H5": "the named host is in another zone than the destination cluster",
    "H6": "otherwise, with a named host -> that host converts",
    "H7": "no host named, VDDK off: hosts of the cluster say that they can convert -> a random one of them",
    "H8": "no host named, VDDK on: hosts that can convert also have VDDK -> a random one of those",
    "H9": "no host named, VDDK on: hosts can convert, none has VDDK -> a random one of those that can convert",
    "H10": "no host named, VDDK off: no host says that it can convert -> a random host of the cluster",
    "H11": "no host named, VDDK on: no host says that it can convert -> a random host with VDDK, or else any",
    "H12": "no host named, VDDK off: the cluster has no usable host",
    "H13": "no host named, VDDK on: the cluster has no usable host",
    "I0": "importinstancehostid absent and VDDK on -> the conversion host imports",
    "I1": "importinstancehostid names no host",
    "I2": "the named host is not Enabled",
    "I3": "the named host is not Up",
    "I4": "the named host is no routing host",
    "I5": "the named host is in another cluster than the destination",
    "I6": "otherwise, with a named host -> that host imports",
    "I7": "no host named, VDDK off -> a random host of the cluster",
    "I8": "no host named, VDDK off: the cluster has no usable host",
}
