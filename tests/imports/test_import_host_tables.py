"""Tables H and I, row by row, without a database."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from mgmt.errors import CloudRuntimeError
from mgmt.imports.facts import ClusterFacts, HostFacts
from mgmt.imports.hosts import CONVERSION_HOST, IMPORT_HOST, HostChoice
from mgmt.imports.trace import Trace

C1 = ClusterFacts(11, "c1-uuid", "C1", "KVM", 1)
K1 = HostFacts(12, "k1-uuid", "K1", 1, 11)
K2 = HostFacts(13, "k2-uuid", "K2", 1, 11)
SHOWN_K1 = 'Host {"id":12,"name":"K1","type":"Routing","uuid":"k1-uuid"}'
SHOWN_C1 = 'Cluster {id: "11", name: "C1", uuid: "c1-uuid"}'
CAPABLE = {"host.instance.conversion": "TRUE"}
VDDK = {"host.vddk.support": "True"}


def last(hosts: Any) -> HostFacts:
    """In place of chance: the last candidate."""
    return hosts[-1]  # type: ignore[no-any-return]


def choice(host: HostFacts | None = None, **changes: Any) -> HostChoice:
    facts = HostChoice(
        cluster=C1,
        asked_id=host.id if host else None,
        asked=host,
        use_vddk=True,
        cluster_hosts=(K1, K2),
        choose=last,
    )
    return replace(facts, **changes)


def convert(facts: HostChoice) -> tuple[str, HostFacts]:
    trace = Trace()
    chosen = trace.decide(CONVERSION_HOST, facts)
    return trace.rows[-1], chosen


def take(facts: HostChoice) -> tuple[str, HostFacts]:
    trace = Trace()
    chosen = trace.decide(IMPORT_HOST, facts)
    return trace.rows[-1], chosen


def refusal(table: Any, facts: HostChoice) -> tuple[str | None, str]:
    trace = Trace()
    with pytest.raises(CloudRuntimeError) as caught:
        trace.decide(table, facts)
    assert trace.rows == [caught.value.row]
    assert trace.decisions[0].verdict == f"refused: {caught.value.text}"
    return caught.value.row, caught.value.text


def test_H1_host_not_found() -> None:
    """A conversion host that is not there is refused by its number."""
    assert refusal(CONVERSION_HOST, choice(asked_id=99)) == ("H1", "Cannot find host with ID 99 for conversion")


def test_H8_fifty_choices() -> None:
    """Of 50 choices by chance all fall on the one host with VDDK; without any both hosts are chosen."""
    chance = random.Random(50).choice
    with_vddk = replace(K1, details={**CAPABLE, **VDDK})
    without = replace(K2, details=CAPABLE)
    chosen = {convert(choice(cluster_hosts=(with_vddk, without), choose=chance))[1].name for _ in range(50)}
    assert chosen == {"K1"}
    hosts = (replace(K1, details=CAPABLE), without)
    assert {convert(choice(cluster_hosts=hosts, choose=chance))[1].name for _ in range(50)} == {"K1", "K2"}


@pytest.mark.parametrize("state", ["Maintenance", "PrepareForMaintenance", "ErrorInMaintenance", "Degraded"])
def test_H2_host_state(state: str) -> None:
    """A host that is neither Enabled nor Disabled does not convert."""
    assert refusal(CONVERSION_HOST, choice(replace(K1, resource_state=state))) == (
        "H2",
        f"Cannot perform the conversion on the host {SHOWN_K1} as the host is in {state} state",
    )


def test_H3_host_not_up() -> None:
    """A host that is not Up does not convert."""
    assert refusal(CONVERSION_HOST, choice(replace(K1, status="Alert"))) == (
        "H3",
        f"Cannot perform the conversion on the host {SHOWN_K1} as it is not running",
    )


def test_H4_not_routing() -> None:
    """Only routing hosts convert."""
    shown = SHOWN_K1.replace("Routing", "Storage")
    assert refusal(CONVERSION_HOST, choice(replace(K1, type="Storage"))) == (
        "H4",
        f"Cannot perform the conversion on the host {shown} as it is not a routing host",
    )


def test_H5a_other_zone() -> None:
    """A host of another zone does not convert."""
    assert refusal(CONVERSION_HOST, choice(replace(K1, zone_id=2))) == (
        "H5",
        (
            f"Cannot perform the conversion on the host {SHOWN_K1} as it is not in the same zone as the destination "
            "cluster"
        ),
    )


@pytest.mark.parametrize("change", [{}, {"cluster_id": 99}, {"resource_state": "Disabled"}, {"hypervisor_type": "X"}])
def test_H6_named_host(change: dict[str, Any]) -> None:
    """A named host converts from any cluster of the zone, also while Disabled and without capabilities."""
    host = replace(K1, **change)
    assert convert(choice(host)) == ("H6", host)


def test_H7_capable_host() -> None:
    """Without VDDK any host that can convert is chosen; the detail counts in any case."""
    capable = replace(K1, details=CAPABLE)
    assert convert(choice(use_vddk=False, cluster_hosts=(capable, K2))) == ("H7", capable)


def test_H8_capable_host_with_vddk() -> None:
    """With VDDK a host that has it is preferred among those that can convert."""
    with_vddk = replace(K1, details={**CAPABLE, **VDDK})
    without = replace(K2, details=CAPABLE)
    assert convert(choice(cluster_hosts=(with_vddk, without))) == ("H8", with_vddk)


def test_H9_no_capable_host_with_vddk() -> None:
    """Without any VDDK host one that can convert is tried; a VDDK host that cannot convert does not count."""
    without = replace(K1, details=CAPABLE)
    only_vddk = replace(K2, details=VDDK)
    assert convert(choice(cluster_hosts=(without, only_vddk))) == ("H9", without)


def test_H10_no_capable_host() -> None:
    """When no host says it can convert, any host of the cluster is tried."""
    assert convert(choice(use_vddk=False)) == ("H10", K2)


def test_H11_no_capable_host_vddk_preferred() -> None:
    """The VDDK preference holds for hosts without the capability too, and then falls back."""
    with_vddk = replace(K1, details=VDDK)
    assert convert(choice(cluster_hosts=(with_vddk, K2))) == ("H11", with_vddk)
    assert convert(choice()) == ("H11", K2)


def test_H12_no_host() -> None:
    """A cluster without usable hosts cannot convert."""
    assert refusal(CONVERSION_HOST, choice(use_vddk=False, cluster_hosts=())) == (
        "H12",
        f"Could not find any suitable KVM host in cluster {SHOWN_C1} to perform the instance conversion",
    )


def test_H13_no_host_vddk() -> None:
    """The text for VDDK names the host detail."""
    assert refusal(CONVERSION_HOST, choice(cluster_hosts=())) == (
        "H13",
        (
            f"Could not find any suitable KVM host in cluster {SHOWN_C1} with 'host.vddk.support' configured to "
            "perform the VDDK-based instance conversion"
        ),
    )


def test_I0_conversion_host_imports() -> None:
    """With VDDK and no import host the conversion host imports, even from another cluster."""
    outside = replace(K1, cluster_id=99)
    assert take(choice(convert_host=outside)) == ("I0", outside)


def test_I1_host_not_found() -> None:
    """An import host that is not there is refused by its number."""
    assert refusal(IMPORT_HOST, choice(asked_id=99, convert_host=K2)) == (
        "I1",
        "Cannot find host with ID 99 to import the instance",
    )


def refused_import(**change: Any) -> tuple[str | None, str]:
    row, text = refusal(IMPORT_HOST, choice(replace(K1, **change), convert_host=K2))
    return row, text.removeprefix(f"Cannot import the converted instance on the host {SHOWN_K1} as ")


def test_I2_host_disabled() -> None:
    """An import host must be Enabled; Disabled is not enough."""
    assert refused_import(resource_state="Disabled") == ("I2", "it is not in Enabled state")


def test_I3_host_not_up() -> None:
    """An import host must be Up."""
    assert refused_import(status="Disconnected") == ("I3", "it is not running")


def test_I5a_other_cluster() -> None:
    """An import host must be in the destination cluster."""
    assert refused_import(cluster_id=99) == ("I5", "it is not in the same cluster as the destination cluster")


def test_I4_not_routing() -> None:
    """Only routing hosts import."""
    shown = SHOWN_K1.replace("Routing", "Storage")
    assert refusal(IMPORT_HOST, choice(replace(K1, type="Storage"))) == (
        "I4",
        f"Cannot import the converted instance on the host {shown} as it is not a routing host",
    )


def test_I6_named_host() -> None:
    """A good named host imports."""
    assert take(choice(K1, convert_host=K2)) == ("I6", K1)


def test_I7_any_host() -> None:
    """Without VDDK any host of the cluster imports, whoever converts."""
    assert take(choice(use_vddk=False, convert_host=replace(K1, cluster_id=99))) == ("I7", K2)


def test_I8_no_host() -> None:
    """A cluster without usable hosts cannot import."""
    assert refusal(IMPORT_HOST, choice(use_vddk=False, cluster_hosts=(), convert_host=K1)) == (
        "I8",
        f"Could not find any suitable KVM host in cluster {SHOWN_C1} to import the converted instance",
    )


@pytest.mark.parametrize(
    ("change", "usable"),
    [({}, True), ({"type": "Storage"}, False), ({"status": "Down"}, False), ({"resource_state": "Disabled"}, False)],
)
def test_usable_hosts(change: dict[str, Any], usable: bool) -> None:
    """The hosts of a cluster are those that are Routing, Up and Enabled."""
    assert replace(K1, **change).is_usable is usable


def test_a_table_without_a_row_is_a_programming_error() -> None:
    """A table that leaves a case open says so instead of deciding."""
    empty: Any = replace(CONVERSION_HOST, rows=())
    with pytest.raises(LookupError, match="table H has no row"):
        Trace().decide(empty, choice())
