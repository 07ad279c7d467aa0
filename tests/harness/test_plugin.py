"""The pytest plugin, in runs of pytest of its own."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import pytest

from cloudstack_mock._importing import imported

pytest_plugins = ["pytester"]

EXAMPLES = """
import pytest
import requests

URL = "https://cloud.example.org/client/api"


@pytest.mark.cloudstack(faults=[("vddk.crash", {"vm": "web01"})], clock="manual", profile="main")
def test_marker(cloudstack, cloudstack_client):
    with pytest.raises(Exception, match="conversion failed") as caught:
        cloudstack.import_vm("web01")
    assert cloudstack.leaks()
    assert cloudstack.clock.mode == "manual"
    assert cloudstack_client.listCapabilities()["capability"]["cloudstackversion"].startswith("4.23")


def test_first(cloudstack):
    assert cloudstack.url.startswith("http://127.0.0.1:")
    assert cloudstack.import_vm("web01")["instancename"] == "i-2-1-VM"


def test_fresh_again(cloudstack):
    assert cloudstack.client.listVirtualMachines(listall=True) == {}


@pytest.mark.cloudstack(transport="memory")
def test_memory(cloudstack):
    assert cloudstack.url == URL
    assert requests.get(URL).status_code == 401


def test_nothing_is_answered_outside_of_the_fixture():
    assert requests.adapters.HTTPAdapter.send.__module__ == "requests.adapters"


def test_failing(cloudstack):
    cloudstack.import_vm("web01")
    assert "this" == "fails"


def test_leaking(cloudstack):
    cloudstack.fault("vddk.crash", vm="web01")


def test_leaking_files(cloudstack):
    cloudstack.fault("vddk.crash", vm="web01")
    with pytest.raises(Exception):
        cloudstack.import_vm("web01")


@pytest.mark.cloudstack(clock="manual")
def test_leaving_a_job(cloudstack):
    cloudstack.start_import("web01")


@pytest.mark.cloudstack(leak_check=False)
def test_leaking_unchecked(cloudstack):
    cloudstack.fault("vddk.crash", vm="web01")


@pytest.fixture(scope="session")
def prepared(cloudstack_session):
    return cloudstack_session.import_vm("db01")


def test_session(cloudstack_session, prepared, cloudstack_client):
    cloudstack_session.import_vm("web01")
    assert cloudstack_client.listVirtualMachines(listall=True)["count"] == 2


def test_session_again(cloudstack_client, cloudstack_session, prepared):
    assert cloudstack_client.listVirtualMachines(listall=True)["count"] == 1


@pytest.mark.cloudstack("lab")
def test_wrong_marker(cloudstack):
    pass


@pytest.mark.cloudstack(time_scale=0)
def test_wrong_setting(cloudstack):
    pass


@pytest.mark.cloudstack(transport="pigeons")
def test_wrong_transport(cloudstack):
    pass
"""


@pytest.fixture
def examples(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.RunResult:
    monkeypatch.syspath_prepend(Path(__file__).resolve().parents[2])
    pytester.makepyfile(EXAMPLES)
    return pytester.runpytest_inprocess("-p", "cloudstack_mock.pytest_plugin", "-p", "no:cacheprovider", "-W", "error")


@pytest.mark.slow
def test_fixtures_markers_reports_and_leak_check(examples: pytest.RunResult) -> None:
    """Each example ends as it should: tests pass, leaks are errors of their own, a failure shows the import."""
    examples.assert_outcomes(passed=11, failed=1, errors=6)
    text = examples.stdout.str()
    for expected in (
        "- cloudstack-mock -",
        "CheckConvertInstanceCommand",
        "job succeeded",
        "fault vddk.crash was armed and never met",
        "by the import of web01",
        "still runs",
        "takes keywords only",
        "@pytest.mark.cloudstack: settings: time_scale = 0 cannot be used: expected a number greater than 0",
        "@pytest.mark.cloudstack: transport = 'pigeons': expected 'memory' or 'sockets'",
    ):
        assert expected in text, expected


def test_the_plugin_alone_imports_nothing_of_the_server(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has the plugin installed and does not use it pays nothing."""
    pytester.makepyfile(
        "import sys\n\ndef test_it():\n    assert 'mgmt' not in {name.partition('.')[0] for name in sys.modules}"
    )
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[2]))
    result = pytester.runpytest_subprocess("-p", "cloudstack_mock.pytest_plugin", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=1)


def test_python_finds_what_the_plugin_brings(pytester: pytest.Pytester) -> None:
    """pytest does not rewrite the server, though it does so with all that a distribution with a plugin holds."""
    pytester.makepyfile(
        """
        import sys
        from importlib.machinery import SourceFileLoader

        import mgmt
        import pytest
        from _pytest.assertion.rewrite import AssertionRewritingHook

        def test_it():
            pytest.register_assert_rewrite("mgmt.app", "test_it")
            # what stands further in front measures coverage, where it is measured
            pytests = next(at for at, finder in enumerate(sys.meta_path) if isinstance(finder, AssertionRewritingHook))
            found = (finder.find_spec("mgmt.app", mgmt.__path__) for finder in sys.meta_path[pytests - 1 :])
            assert type(next(filter(None, found)).loader) is SourceFileLoader
        """
    )
    before = list(sys.meta_path)
    # pytest warns that it comes too late for a module that is imported, and asks its finder all the same
    pytester.runpytest_inprocess(
        "-p", "cloudstack_mock.pytest_plugin", "-p", "no:cacheprovider", "-W", "ignore:Module already imported"
    ).assert_outcomes(passed=1)
    assert sys.meta_path == before


def test_garbage_is_not_collected_during_imports() -> None:
    """An import has it at rest, and goes on with it as it was."""
    assert imported("cloudstack_mock._ids") is sys.modules["cloudstack_mock._ids"]
    assert gc.isenabled()
    with pytest.raises(ModuleNotFoundError):
        imported("cloudstack_mock.nothing")
    assert gc.isenabled()
