"""The pytest plugin: `cloudstack`, `cloudstack_session`, `cloudstack_client` and the marker `cloudstack`.

Nothing of the server is imported until a test asks for one of the fixtures.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from importlib.machinery import ModuleSpec, PathFinder
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.assertion.rewrite import AssertionRewritingHook

if TYPE_CHECKING:
    from types import ModuleType

    from cloudstack_mock._client import CloudStackClient
    from cloudstack_mock._cloud import Cloud
    from cloudstack_mock._pool import Pool, Wanted

_CLOUD = pytest.StashKey["Cloud"]()
_FAILED = pytest.StashKey[bool]()
_REPORT_SECTION = "cloudstack-mock"
_TRANSPORTS = ("sockets", "memory")
_PACKAGES = frozenset({"agent_sim", "cloudstack_mock", "mgmt", "vcenter_sim"})


class _FromPythonsOwnCache:
    """Finds this distribution's modules before pytest does.

    pytest rewrites the assertions of everything that a distribution with a plugin holds: after an installation it would
    compile all of the server anew in the first run. There are no assertions of tests in it.
    """

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """As `importlib.abc.MetaPathFinder` has it; None for modules of others."""
        return PathFinder.find_spec(name, path, target) if name.partition(".")[0] in _PACKAGES else None


# pytest loads plugins before the tests' own conftest.py, so that nothing is imported before. What pytest runs within
# pytest puts the old list back by itself. Finders before pytest's, such as those that measure coverage, stay before it.
sys.meta_path.insert(
    next((at for at, finder in enumerate(sys.meta_path) if isinstance(finder, AssertionRewritingHook)), 0),
    _FromPythonsOwnCache,
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of the plugin."""
    group = parser.getgroup("cloudstack-mock")
    group.addoption(
        "--cloudstack-transport",
        choices=_TRANSPORTS,
        help="have the fixture cloudstack on ports, or in memory for callers that use requests",
    )
    parser.addini(
        "cloudstack_transport", "sockets or memory, where neither marker nor option says it", default="sockets"
    )
    parser.addini("cloudstack_leak_check", "fail tests that leave something behind", type="bool", default=True)


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers",
        "cloudstack(seed, faults, profile, clock, transport, url, other_urls, leak_check, **settings): what the world "
        "of the fixture is like",
    )


def _wanted(request: pytest.FixtureRequest) -> Wanted:
    from cloudstack_mock._pool import Wanted

    options: dict[str, Any] = {}
    # from the farthest to the nearest: the test's own marker wins over its class's
    for mark in reversed(list(request.node.iter_markers("cloudstack"))):
        if mark.args:
            raise pytest.UsageError(f"@pytest.mark.cloudstack takes keywords only, got {mark.args!r}")
        options |= mark.kwargs
    default = request.config.getoption("--cloudstack-transport") or request.config.getini("cloudstack_transport")
    options.setdefault("transport", default)
    options.setdefault("leak_check", request.config.getini("cloudstack_leak_check"))
    return Wanted.of(options)


@pytest.fixture(scope="session")
def _cloudstack_pool() -> Iterator[Pool]:
    from cloudstack_mock._importing import imported

    pool: Pool = imported("cloudstack_mock._pool").Pool()
    yield pool
    pool.close()


@pytest.fixture
def cloudstack(request: pytest.FixtureRequest, _cloudstack_pool: Pool) -> Iterator[Cloud]:
    """A cloud as it is after its start, with hosts and vCenter: on a port of its own, or in memory.

    What it is like says `@pytest.mark.cloudstack(...)`. The test fails when it leaves something behind: files, clones
    and records of imports, jobs that run, faults that were never met.
    """
    from cloudstack_mock._leaks import raise_for_leftovers

    with ExitStack() as stack:
        try:
            wanted = _wanted(request)
            cloud = stack.enter_context(_cloudstack_pool.lent(wanted))
        except ValueError as error:  # bad settings, seeds, faults: the text says it all
            pytest.fail(f"@pytest.mark.cloudstack: {error}", pytrace=False)
        request.node.stash[_CLOUD] = cloud
        yield cloud
        if wanted.leak_check and not request.node.stash.get(_FAILED, False):
            raise_for_leftovers(cloud)


@pytest.fixture(scope="session")
def cloudstack_session(request: pytest.FixtureRequest) -> Iterator[Cloud]:
    """One cloud for all tests: what fixtures of the session make of it stays, what tests do is undone after each."""
    from cloudstack_mock._pool import Wanted, made

    transport = request.config.getoption("--cloudstack-transport") or request.config.getini("cloudstack_transport")
    with made(Wanted.of({"transport": transport})) as cloud:
        yield cloud


@pytest.fixture(autouse=True)
def _cloudstack_session_is_taken_back(request: pytest.FixtureRequest) -> Iterator[None]:
    if "cloudstack_session" not in request.fixturenames:
        yield
        return
    cloud: Cloud = request.getfixturevalue("cloudstack_session")
    request.node.stash[_CLOUD] = cloud
    cloud.keep(frozenset(request.fixturenames))
    yield
    cloud.take_back()


@pytest.fixture
def cloudstack_client(request: pytest.FixtureRequest) -> Iterator[CloudStackClient]:
    """A caller of the test's cloud: `cloudstack_client.listHosts(type="Routing")["host"]`, jobs awaited."""
    names = request.fixturenames
    is_shared = "cloudstack_session" in names and "cloudstack" not in names
    cloud: Cloud = request.getfixturevalue("cloudstack_session" if is_shared else "cloudstack")
    client = cloud.new_client()
    yield client
    client.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Tell in the report of a failed test what its cloud has seen."""
    report: pytest.TestReport = yield
    if report.failed:
        item.stash[_FAILED] = True
        cloud = item.stash.get(_CLOUD, None)
        if cloud is not None and call.when != "teardown":  # there it is taken back already
            from cloudstack_mock._report import report_of

            report.sections.append((_REPORT_SECTION, report_of(cloud)))
    return report
