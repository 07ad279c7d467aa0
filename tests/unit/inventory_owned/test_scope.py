"""The ownership scope as a pure rule, and a property: nobody but a root admin gets beyond his domain."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgmt.errors import PermissionDeniedError
from mgmt.inventory.scope import (
    ALL_PROJECTS,
    DomainRef,
    Scope,
    ScopeRequest,
    check_domain_access,
    check_owner_access,
    decide_scope,
    is_admin,
    shown_domain_path,
)

ROOT = DomainRef(1, "root-uuid", "/")
D1 = DomainRef(2, "d1-uuid", "/D1/")
SUB = DomainRef(3, "sub-uuid", "/D1/sub/")
D10 = DomainRef(4, "d10-uuid", "/D10/")


@dataclass(frozen=True)
class Who:
    account_type: int
    domain: DomainRef
    account_id: int = 7
    account_uuid: str = "account-uuid"
    account_name: str = "name"
    project_accounts: frozenset[int] = frozenset()
    managed_project_accounts: frozenset[int] = frozenset()

    @property
    def domain_id(self) -> int:
        return self.domain.id

    @property
    def domain_path(self) -> str:
        return self.domain.path


ROOT_ADMIN = Who(1, ROOT)
ADMIN_OF_D1 = Who(2, D1)
RESOURCE_ADMIN = Who(3, D1)
USER = Who(0, D1)


@pytest.mark.parametrize(
    ("who", "request_", "expected"),
    [
        (ROOT_ADMIN, ScopeRequest(), Scope(account_ids=(7,), projects=False)),
        (ROOT_ADMIN, ScopeRequest(listall=True), Scope(projects=False)),
        (ROOT_ADMIN, ScopeRequest(has_id=True), Scope()),
        (ROOT_ADMIN, ScopeRequest(domain=D1), Scope(domain_id=2, projects=False)),
        (ROOT_ADMIN, ScopeRequest(domain=D1, isrecursive=True), Scope(domain_path="/D1/", projects=False)),
        (ROOT_ADMIN, ScopeRequest(account_id=9), Scope(account_ids=(9,), projects=False)),
        (ROOT_ADMIN, ScopeRequest(project_id=ALL_PROJECTS), Scope(projects=True)),
        (ROOT_ADMIN, ScopeRequest(project_id=ALL_PROJECTS, listall=True), Scope()),
        (ADMIN_OF_D1, ScopeRequest(listall=True), Scope(domain_path="/D1/", projects=False)),
        (ADMIN_OF_D1, ScopeRequest(has_id=True), Scope(domain_path="/D1/")),
        (ADMIN_OF_D1, ScopeRequest(domain=SUB), Scope(domain_id=3, projects=False)),
        (RESOURCE_ADMIN, ScopeRequest(listall=True), Scope(projects=False)),
        (USER, ScopeRequest(listall=True), Scope(account_ids=(7,), projects=False)),
        (USER, ScopeRequest(has_id=True), Scope(account_ids=(7,))),
        (USER, ScopeRequest(domain=D1), Scope(account_ids=(7,), domain_id=2, projects=False)),
        (USER, ScopeRequest(project_id=ALL_PROJECTS), Scope(account_ids=(7,), projects=True)),
    ],
)
def test_rules(who, request_, expected):
    """Who the caller is and what he asks for decide the scope."""
    assert decide_scope(who, request_) == expected


@pytest.mark.parametrize(
    ("who", "domain", "is_allowed"),
    [
        (ROOT_ADMIN, D10, True),
        (ADMIN_OF_D1, SUB, True),
        (ADMIN_OF_D1, D10, False),
        (ADMIN_OF_D1, ROOT, False),
        (USER, D1, True),
        (USER, SUB, False),
        (Who(5, D1), SUB, False),
    ],
)
def test_domain_access(who, domain, is_allowed):
    """Admins reach the domains below theirs, users their own alone."""
    if is_allowed:
        check_domain_access(who, domain)
        return
    with pytest.raises(PermissionDeniedError) as caught:
        check_domain_access(who, domain)
    assert caught.value.text == (
        'Account Account [{"accountName":"name","id":7,"uuid":"account-uuid"}] does not have permission to operate'
        f" within domain id={domain.uuid}"
    )


@given(
    who=st.sampled_from([ADMIN_OF_D1, USER]),
    request_=st.builds(
        ScopeRequest,
        domain=st.sampled_from([None, D1, SUB, ROOT, D10]),
        project_id=st.sampled_from([None, ALL_PROJECTS]),
        listall=st.booleans(),
        isrecursive=st.booleans(),
        has_id=st.booleans(),
    ),
)
def test_nobody_gets_beyond_his_domain(who, request_):
    """Whatever a domain admin or a user asks for, his scope is accounts or domains within his reach."""
    try:
        scope = decide_scope(who, request_)
    except PermissionDeniedError:
        assert request_.domain in (ROOT, D10, SUB)
        return
    if scope.account_ids:
        assert scope.account_ids == (who.account_id,)
    else:
        assert who is ADMIN_OF_D1
        assert scope.domain_id in (2, 3) or (scope.domain_path or "").startswith("/D1/")


@pytest.mark.parametrize(
    ("who", "owner", "path", "is_allowed"),
    [
        (ROOT_ADMIN, 99, "/D10/", True),
        (USER, 7, "/D1/", True),
        (USER, 8, "/D1/", False),
        (ADMIN_OF_D1, 8, "/D1/sub/", True),
        (RESOURCE_ADMIN, 8, "/D1/", True),
        (ADMIN_OF_D1, 8, "/D10/", False),
    ],
)
def test_owner_access(who, owner, path, is_allowed):
    """A caller may touch what he or an account below him owns."""
    if is_allowed:
        check_owner_access(who, owner, path)
    else:
        with pytest.raises(PermissionDeniedError, match=r"^Caller does not have permission to operate with"):
            check_owner_access(who, owner, path)


def test_small_rules():
    """Domain paths show from ROOT on; three account types are admins."""
    assert [shown_domain_path(path) for path in ("/", "/D1/", "/D1/sub/")] == ["ROOT", "ROOT/D1", "ROOT/D1/sub"]
    assert [is_admin(Who(kind, ROOT)) for kind in (0, 1, 2, 3, 5)] == [False, True, True, True, False]
