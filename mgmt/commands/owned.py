"""Parameters that every list of owned resources takes, and the checks that they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mgmt.commands.declaration import Bound, Paging
from mgmt.commands.fields import Boolean, ListParams, Str, Uuid
from mgmt.errors import InvalidParameterValueError

# The levels of the details parameter of listAccounts and listTemplates (ApiConstants.DomainDetails).
DOMAIN_DETAILS = ("all", "resource", "min")


class DomainListParams(ListParams):
    """Upstream: BaseListDomainResourcesCmd."""

    listall = Boolean("also show what the caller may see but does not own")
    domainid = Uuid("show what is in this domain", entity="domain")
    isrecursive = Boolean("with domainid: also show what is in the domains below")


class AccountListParams(DomainListParams):
    """Upstream: BaseListAccountResourcesCmd."""

    account = Str("show what this account owns; its domain goes with it in domainid")


class ProjectListParams(AccountListParams):
    """Upstream: BaseListProjectAndAccountResourcesCmd."""

    projectid = Uuid("show what this project owns; -1 stands for all projects", entity="project")


def checked_details(values: Sequence[str] | None, permitted: Sequence[str]) -> tuple[str, ...]:
    """The wanted levels of detail, `all` when none is given; raises InvalidParameterValueError for an unknown one."""
    if not values:
        return ("all",)
    if not set(values) <= set(permitted):
        raise InvalidParameterValueError(
            f"The details parameter contains a non permitted value. The allowed values are [{', '.join(permitted)}]"
        )
    return tuple(values)


def wanted_ids(bound: Bound) -> list[int] | None:
    """The entities that `id` or `ids` name, None when neither is given; raises when both are."""
    if bound["id"] is None:
        return bound["ids"] or None
    if bound["ids"]:
        raise InvalidParameterValueError("Specify either id or ids but not both parameters")
    return [bound["id"]]


def window(bound: Bound) -> Paging:
    """The wanted page; `retrieveonlyresourcecount` asks for the number alone."""
    return replace(bound.paging, limit=0) if bound.get("retrieveonlyresourcecount") else bound.paging
