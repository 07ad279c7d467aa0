"""Tables P, V, T, D, S and E, row by row, without a database."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgmt.errors import CloudError, CloudRuntimeError, InvalidParameterValueError, ServerApiError
from mgmt.imports.extraparams import EXTRA_PARAMS, ExtraParams
from mgmt.imports.facts import (
    ClusterFacts,
    DiskOfferingFacts,
    HostFacts,
    ImageStoreFacts,
    PoolFacts,
    ServiceOfferingFacts,
)
from mgmt.imports.pools import (
    CONVERSION_POOL,
    DESTINATION_FIT,
    DESTINATION_POOLS,
    TEMPORARY_LOCATION,
    VDDK_POOL,
    DestinationFit,
    Destinations,
    Location,
    Offerings,
    PoolRequest,
    VddkPool,
    pools_for_disks,
)
from mgmt.imports.tagrules import TagRuleError, rule_holds
from mgmt.imports.tags import TAG_FIT, TagFit, first_fit
from mgmt.imports.trace import Trace

C1 = ClusterFacts(11, "c1", "C1", "KVM", 1)
K1 = HostFacts(12, "k1", "K1", 1, 11)
K2 = HostFacts(13, "k2", "K2", 1, 11)
N1 = PoolFacts(1, "n1", "N1", "NetworkFilesystem", "CLUSTER", 1, 11)
N2 = PoolFacts(2, "n2", "N2", "NetworkFilesystem", "ZONE", 1, tags="gold")
S1 = PoolFacts(4, "s1", "S1", "SharedMountPoint", "CLUSTER", 1, 11)
L1 = PoolFacts(5, "l1", "L1", "Filesystem", "HOST", 1, 11, 12)
R1 = PoolFacts(6, "r1", "R1", "RBD", "ZONE", 1)
SEC = ImageStoreFacts(1, "sec", "SEC", "nfs://h/p")
PLAIN = DiskOfferingFacts(21, "d1", "D1")
GOLD = DiskOfferingFacts(22, "d2", "D2", tags="gold")
O1 = ServiceOfferingFacts(31, "o1", "O1", 21)
SECOND_SENTENCE = (
    "When using VDDK, all selected disk offerings must be compatible with the conversion storage pool, as it will "
    "become the primary storage for the imported volumes."
)


def decided(table: Any, facts: Any) -> tuple[str, Any]:
    trace = Trace()
    outcome = trace.decide(table, facts)
    return trace.rows[-1], outcome


def refusal(table: Any, facts: Any, kind: type[CloudError] = CloudRuntimeError) -> tuple[str | None, str]:
    with pytest.raises(CloudError) as caught:
        Trace().decide(table, facts)
    assert type(caught.value) is kind
    return caught.value.row, caught.value.text


def offerings(root: DiskOfferingFacts | None = PLAIN, **data: DiskOfferingFacts | None) -> Offerings:
    return Offerings(O1, root, {disk: (item.id if item else 99, item) for disk, item in data.items()})


# Table P


def test_P1_force_without_pool() -> None:
    """Direct conversion needs a pool."""
    assert refusal(CONVERSION_POOL, PoolRequest(None, None, True)) == (
        "P1",
        (
            "The parameter forceconverttopool is set to true, but a primary storage pool has not been provided for "
            "conversion"
        ),
    )


@pytest.mark.parametrize("force", [True, False])
def test_P2_pool_not_found(force: bool) -> None:
    """A pool that is not there is refused by its number."""
    assert refusal(CONVERSION_POOL, PoolRequest(99, None, force)) == ("P2", "Cannot find a storage pool with ID 99")


def test_P3a_type_without_direct_conversion() -> None:
    """RBD takes no direct conversion."""
    assert refusal(CONVERSION_POOL, PoolRequest(6, R1, True)) == (
        "P3",
        "The selected storage pool R1 does not support direct conversion as its type RBD",
    )


@pytest.mark.parametrize("pool", [N1, L1, S1])
def test_P4_direct_conversion_types(pool: PoolFacts) -> None:
    """NFS, local and shared mount points take a direct conversion."""
    assert decided(CONVERSION_POOL, PoolRequest(pool.id, pool, True)) == ("P4", pool)


def test_P4_any_type_for_temporary_use() -> None:
    """Without force the type is looked at later."""
    assert decided(CONVERSION_POOL, PoolRequest(6, R1, False)) == ("P4", R1)


def test_P5_no_pool() -> None:
    """Without a pool there is nothing to check."""
    assert decided(CONVERSION_POOL, PoolRequest(None, None, False)) == ("P5", None)


# Table V


def test_V1_root_offering_missing() -> None:
    """The compute offering's disk offering must exist."""
    assert refusal(VDDK_POOL, VddkPool(True, N1, offerings(None), Trace()), InvalidParameterValueError) == (
        "V1",
        "Cannot find disk offering with ID 21 that belongs to the service offering O1",
    )


def test_V2a_root_offering_not_supported() -> None:
    """With VDDK the pool must have the root offering's tags."""
    assert refusal(VDDK_POOL, VddkPool(True, N1, offerings(GOLD), Trace()), InvalidParameterValueError) == (
        "V2",
        f"The root disk offering 'D2' is not supported by the selected conversion storage pool 'N1'. {SECOND_SENTENCE}",
    )


def test_V3_data_offering_missing() -> None:
    """Every data disk offering must exist."""
    facts = VddkPool(True, N1, offerings(PLAIN, disk1=PLAIN, disk2=None), Trace())
    assert refusal(VDDK_POOL, facts, InvalidParameterValueError) == ("V3", "Cannot find disk offering with ID 99")


def test_V4a_data_offering_not_supported() -> None:
    """With VDDK the pool must have every data offering's tags."""
    facts = VddkPool(True, N1, offerings(PLAIN, disk1=GOLD), Trace())
    assert refusal(VDDK_POOL, facts, InvalidParameterValueError) == (
        "V4",
        f"The data disk offering 'D2' is not supported by the selected conversion storage pool 'N1'. {SECOND_SENTENCE}",
    )


@pytest.mark.parametrize(
    "facts",
    [
        VddkPool(True, N2, offerings(GOLD, disk1=GOLD), Trace()),
        VddkPool(False, N1, offerings(GOLD), Trace()),
        VddkPool(True, None, offerings(None), Trace()),
    ],
)
def test_V5a_V5b_passes(facts: VddkPool) -> None:
    """Supported offerings pass; without VDDK or without a pool nothing is checked."""
    assert decided(VDDK_POOL, facts) == ("V5", None)


# Table T


def location(pool: PoolFacts | None = None, force: bool = False, **changes: Any) -> Location:
    return replace(Location(C1, K1, K1, pool, force, SEC), **changes)


def test_T1_force_without_pool() -> None:
    """The second look at the pool has its own text."""
    assert refusal(TEMPORARY_LOCATION, location(None, True)) == (
        "T1",
        "Please select a primary storage pool when the parameter forceconverttopool is set to true",
    )


def test_T2_secondary_storage() -> None:
    """Without a pool the zone's NFS secondary storage is the temporary place."""
    assert decided(TEMPORARY_LOCATION, location()) == ("T2", SEC)


def test_T3_no_secondary_storage() -> None:
    """Without a pool and NFS secondary storage there is no place; the zone shows as a number."""
    assert refusal(TEMPORARY_LOCATION, location(image_store=None)) == (
        "T3",
        "Could not find an NFS secondary storage pool on zone 1 to use as a temporary location for instance conversion",
    )


@pytest.mark.parametrize("pool", [replace(N1, cluster_id=99), replace(N2, zone_id=2)])
@pytest.mark.parametrize("force", [True, False])
def test_T4_out_of_scope(pool: PoolFacts, force: bool) -> None:
    """The pool must reach the destination cluster."""
    assert refusal(TEMPORARY_LOCATION, location(pool, force)) == (
        "T4",
        (
            f"Cannot use the storage pool {pool.name} for the instance conversion as it is not in the scope of the "
            "cluster C1"
        ),
    )


def test_T4b_conversion_host_in_other_cluster() -> None:
    """A cluster's pool must reach the conversion host."""
    assert refusal(TEMPORARY_LOCATION, location(N1, convert_host=replace(K2, cluster_id=99))) == (
        "T4b",
        (
            "Cannot use the storage pool N1 for the instance conversion as the host K2 for conversion is in a "
            "different cluster"
        ),
    )


@pytest.mark.parametrize("facts", [location(L1, True, import_host=K2), location(L1, False)])
def test_T5a_local_pool(facts: Location) -> None:
    """A local pool needs one host for both roles, and force."""
    assert refusal(TEMPORARY_LOCATION, facts) == (
        "T5",
        (
            "Please select the same host as convert and importing host and set forceconvertopool to true to use a "
            "local storage pool for conversion"
        ),
    )


def test_T6a_no_nfs() -> None:
    """Only NFS serves as a temporary place."""
    assert refusal(TEMPORARY_LOCATION, location(S1)) == (
        "T6",
        (
            "The storage pool S1 is not supported for temporary conversion location,only NFS storage pools are "
            "supported when forceconverttopool is set to false"
        ),
    )


@pytest.mark.parametrize(
    "facts",
    [
        location(N1),
        location(S1, True),
        location(L1, True),
        location(replace(L1, host_id=99), True),  # nobody checks whose local pool it is
    ],
)
def test_T7_T5b_pool_itself(facts: Location) -> None:
    """Otherwise the pool is the place."""
    assert decided(TEMPORARY_LOCATION, facts) == ("T7", facts.pool)


# Table D


def test_D1_forced_pool() -> None:
    """With force the conversion pool is the destination."""
    assert decided(DESTINATION_POOLS, Destinations(C1, True, S1, (N1, N2))) == ("D1", (S1,))


def test_D2_candidates() -> None:
    """Without force the NFS pools of cluster and zone are."""
    assert decided(DESTINATION_POOLS, Destinations(C1, False, S1, (N1, N2))) == ("D2", (N1, N2))


def test_D3_no_candidates() -> None:
    """No NFS pool, no destination."""
    assert refusal(DESTINATION_POOLS, Destinations(C1, False, None, ())) == (
        "D3",
        "Cannot find suitable storage pools in the cluster C1 for the conversion",
    )


def test_D4_root_offering_missing() -> None:
    """The compute offering's disk offering must exist."""
    assert refusal(DESTINATION_FIT, DestinationFit((N1,), offerings(None), Trace())) == (
        "D4",
        "Cannot find disk offering with ID 21 that belongs to the service offering O1",
    )


def test_D5_no_pool_for_root() -> None:
    """A pool must carry the root offering's tags."""
    assert refusal(DESTINATION_FIT, DestinationFit((N1,), offerings(GOLD), Trace())) == (
        "D5",
        "Cannot find suitable storage pool for disk offering D2 that belongs to the service offering O1",
    )


def test_D6_data_offering_missing() -> None:
    """Every data disk offering must exist."""
    assert refusal(DESTINATION_FIT, DestinationFit((N1,), offerings(PLAIN, disk1=None), Trace())) == (
        "D6",
        "Cannot find disk offering with ID 99",
    )


def test_D7_no_pool_for_data() -> None:
    """A pool must carry each data offering's tags."""
    assert refusal(DESTINATION_FIT, DestinationFit((N1,), offerings(PLAIN, disk1=GOLD), Trace())) == (
        "D7",
        "Cannot find suitable storage pool for disk offering D2",
    )


def test_Difit_every_offering_finds_a_pool() -> None:
    """Nothing is refused when each offering finds its tags in one of the pools."""
    assert decided(DESTINATION_FIT, DestinationFit((N1, N2), offerings(PLAIN, disk1=GOLD), Trace())) == ("D-fit", None)


def test_pool_of_each_disk() -> None:
    """A mapped disk goes by its offering, the others by the compute offering's, in the order of the disks."""
    assert pools_for_disks(["a", "b", "c"], (N1, N2), offerings(PLAIN, b=GOLD)) == ["n1", "n2", "n1"]
    assert pools_for_disks(["a", "b"], (N1, N2), offerings(GOLD, b=PLAIN)) == ["n2", "n1"]
    with pytest.raises(CloudRuntimeError, match="disk offering D2"):
        pools_for_disks(["a"], (N1,), offerings(GOLD))


# Table S


@pytest.mark.parametrize(
    ("row", "pool_tags", "offering", "result"),
    [
        ("S1", None, PLAIN, True),
        ("S1", None, None, True),
        ("S2", "a,b", PLAIN, True),
        ("S3", None, GOLD, False),
        ("S4", "silver,gold", GOLD, True),
        ("S4", "silver, gold", GOLD, False),
        ("S4", "Gold", GOLD, False),
        ("S4", "gold", replace(GOLD, tags="gold,fast"), False),
    ],
)
def test_S1_S2_S3_S4_tags(row: str, pool_tags: str | None, offering: DiskOfferingFacts | None, result: bool) -> None:
    """Every offering tag must be in the pool's list, case and blanks included."""
    assert decided(TAG_FIT, TagFit(replace(N1, tags=pool_tags), offering)) == (row, result)


def ruled(rule: str) -> PoolFacts:
    return replace(N1, tags=rule, is_tag_a_rule=True)


@pytest.mark.parametrize(
    ("rule", "tags", "result"),
    [
        ("tags[0] == 'gold'", "gold", True),
        ("tags[0] === 'gold';", "silver", False),
        ("tags.length == 0", None, True),
        ("tags.indexOf('fast') > -1 && tags.includes(\"gold\")", "gold,fast", True),
        ("tags[5] == undefined || false", "gold", True),
        ("!(tags[0].startsWith('g')) ? true : tags[0].length >= 4", "gold", True),
        ("tags[0]", "gold", False),
        ("['gold', 'silver'].includes(tags[0])", "silver", True),
        ("tags[0] + tags[1] != 'ab'", "a,b", False),
        ("tags.join('-').toUpperCase() == 'A-B'", "a,b", True),
        ("tags.length - 1 <= 1 && 'a' < 'b' && !('b' < 'a')", "a,b", True),
        ("[].length == 0 && null == undefined && -1 < 1.5 && 'x' != 1", "a", True),
        ("tags[0].split('o').length == 2 && tags[0].trim().endsWith('d')", "gold", True),
        ("tags < 1", "gold", False),
    ],
)
def test_S5_rule(rule: str, tags: str | None, result: bool) -> None:
    """A rule decides by its boolean result; anything else is false."""
    assert decided(TAG_FIT, TagFit(ruled(rule), replace(PLAIN, tags=tags))) == ("S5", result)


@pytest.mark.parametrize(
    "rule",
    [
        "tags[0",
        "tags ==",
        "nope",
        "tags.shift()",
        "tags.size",
        "'a' - 1",
        "-'a'",
        "tags['x']",
        "tags true",
        "tags[0] = 'a'",
        "tags.[0]",
        "?",
        "true ? 1",
    ],
)
def test_S5_broken_rule(rule: str) -> None:
    """A rule that cannot be read is an error that shows the rule."""
    row, text = refusal(TAG_FIT, TagFit(ruled(rule), GOLD))
    assert row == "S5"
    assert text.startswith(f"Unable to evaluate the tag rule [{rule}] of storage pool N1: ")


def test_S5_deeply_nested_rule() -> None:
    """A rule that nests without end is an error, not the end of the server."""
    assert "nested too deeply" in refusal(TAG_FIT, TagFit(ruled("(" * 100_000), GOLD))[1]


_WORDS = [
    "tags",
    "'gold'",
    "1",
    "999" * 200,
    "true",
    "==",
    "<",
    "&&",
    "||",
    "!",
    "?",
    ":",
    "(",
    ")",
    "[",
    "]",
    ".",
    "+",
]


@settings(max_examples=50)
@given(
    st.one_of(
        st.text(max_size=40),
        st.lists(st.sampled_from([*_WORDS, "length", "includes", "indexOf", "split", "-", ","]), max_size=12).map(
            " ".join
        ),
    ),
    st.one_of(st.none(), st.text(max_size=10)),
)
def test_S5_any_rule(rule: str, tags: str | None) -> None:
    """Whatever a rule says, it holds or not, or is an error that says why."""
    with contextlib.suppress(TagRuleError):
        assert rule_holds(rule, tags) in (True, False)


def test_first_fit_without_tags_ignores_rules() -> None:
    """A blank offering takes the first pool, whatever rule it carries."""
    assert first_fit((ruled("false"), N2), PLAIN) == ruled("false")
    assert first_fit((), PLAIN) is None
    assert first_fit((ruled("false"), N2), GOLD) == N2


# Table E


@pytest.mark.parametrize(
    ("row", "facts", "text"),
    [
        (
            "E1",
            ExtraParams("--x", False, "x"),
            "Extra parameters for Vmware to KVM conversion are disabled by the administrator",
        ),
        (
            "E2",
            ExtraParams("--x", True, " "),
            "Extra parameters for Vmware to KVM conversion are enabled but the allowed list of parameters is empty",
        ),
        (
            "E3",
            ExtraParams("--root first --foo", True, "mac,root"),
            "The parameter foo is not allowed by the administrator",
        ),
        ("E3", ExtraParams("--mac=xx", True, "mac,root"), "The parameter mac=xx is not allowed by the administrator"),
        ("E3", ExtraParams("-x", True, "y, x"), "The parameter x is not allowed by the administrator"),
    ],
)
def test_E1_E2_E3a_refused(row: str, facts: ExtraParams, text: str) -> None:
    """Extra parameters need the setting, a list, and each option in it, untrimmed and whole."""
    assert refusal(EXTRA_PARAMS, facts, ServerApiError) == (row, text)


def test_E4_accepted() -> None:
    """Options of the list pass with any number of hyphens; values are not looked at."""
    facts = ExtraParams("--root first -mac xx", True, "mac,root")
    assert decided(EXTRA_PARAMS, facts) == ("E4", facts.text)
