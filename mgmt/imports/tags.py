"""Table S: does a pool support a disk offering (import-vm 2.4.1)? Only storage tags are looked at.

Upstream: VolumeApiServiceImpl.doesStoragePoolSupportDiskOffering, doesStoragePoolSupportDiskOfferingTags.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mgmt.errors import CloudError, CloudRuntimeError
from mgmt.imports.facts import DiskOfferingFacts, PoolFacts
from mgmt.imports.tagrules import TagRuleError, rule_holds
from mgmt.imports.trace import Row, Table, Trace


@dataclass(frozen=True)
class TagFit:
    """The facts of table S. A missing offering counts as one without tags."""

    pool: PoolFacts
    offering: DiskOfferingFacts | None

    @property
    def pool_tags(self) -> list[str]:
        return self.pool.tags.split(",") if self.pool.tags else []

    @property
    def offering_tags(self) -> str:
        return (self.offering.tags or "") if self.offering else ""

    def seen(self) -> dict[str, object]:
        return {
            "pool": self.pool.name,
            "pool_tags": self.pool.tags,
            "is_rule": self.pool.is_tag_a_rule,
            "offering": self.offering.name if self.offering else None,
            "offering_tags": self.offering_tags,
        }


def _evaluate_rule(facts: TagFit) -> bool | CloudError:
    try:
        return rule_holds(facts.pool.tags or "", facts.offering_tags)
    except TagRuleError as error:
        return CloudRuntimeError(
            f"Unable to evaluate the tag rule [{facts.pool.tags}] of storage pool {facts.pool.name}: {error}"
        )


TAG_FIT: Table[TagFit, bool] = Table(
    "S",
    (
        Row("S5", lambda f: f.pool.is_tag_a_rule, _evaluate_rule),
        Row("S1", lambda f: not f.offering_tags.strip() and not f.pool_tags, lambda f: True),
        Row("S2", lambda f: not f.offering_tags.strip(), lambda f: True),
        Row("S3", lambda f: not f.pool_tags, lambda f: False),
        Row(
            "S4",
            lambda f: True,
            lambda f: all(tag in f.pool_tags for tag in f.offering_tags.split(",")),
        ),
    ),
)


def supports(pool: PoolFacts, offering: DiskOfferingFacts | None, trace: Trace | None = None) -> bool:
    """True when `pool` has what `offering` asks for."""
    return (trace or Trace()).decide(TAG_FIT, TagFit(pool, offering))


def first_fit(
    pools: tuple[PoolFacts, ...], offering: DiskOfferingFacts | None, trace: Trace | None = None
) -> PoolFacts | None:
    """The first pool for `offering`; without tags simply the first one, whatever rule it carries (import-vm 2.4)."""
    if offering is None or not (offering.tags or "").strip():
        return pools[0] if pools else None
    return next((pool for pool in pools if supports(pool, offering, trace)), None)


# What stands in docs/import-rules.md: when each row holds, and what it gives where it refuses nothing.
RULES: Mapping[str, str] = {
    "S1": "neither pool nor offering has tags -> fits",
    "S2": "the pool has tags, the offering none -> fits",
    "S3": "the offering has tags, the pool none -> does not fit",
    "S4": "both have tags -> fits when the pool has every tag of the offering, letter by letter",
    "S5": "the pool's tag is a rule -> fits when the rule is true for the offering's tags",
}
