"""The leak report over a whole world: what CloudStack leaves, and that nothing is left with `--fix all`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner

from cloudstack_mock import ApiCallError, Settings, World
from mgmt.cli import main

FAST = 1e9
both_ways = pytest.mark.parametrize("lab", [False, True], ids=["faithful", "fix-all"], indirect=True)


@pytest.fixture(scope="module")
def lab(request: Any, lab_of: Any) -> Iterator[Any]:
    """A lab with extensions, with every defect or with none."""
    fix = ("all",) if request.param else ()
    settings = Settings(port=0, agent_port=0, time_scale=FAST, extensions=True, fix=fix)
    with World(settings, resettable=True) as world:
        own = lab_of(world)
        own.is_fixed = request.param
        yield own
        own.client.close()


def report(lab: Any, **parameters: Any) -> dict[str, Any]:
    found: dict[str, Any] = lab.client.call("listImportLeaks", **parameters)["importleaks"]
    return found


def kinds(lab: Any) -> list[str]:
    return sorted(leak["kind"] for leak in report(lab)["leak"])


def leaks_command(lab: Any, *words: str) -> Any:
    keys = ["--url", lab.client.url, "--api-key", lab.client.api_key, "--secret-key", lab.client.secret_key]
    return CliRunner().invoke(main, ["leaks", *keys, *words])


@both_ways
def test_leaks_of_good_and_bad_imports(lab: Any) -> None:
    """A mount, copied disks without a VM and a domain XML stay with CloudStack's defects; the clone never does."""
    lab.import_vm("web01")
    assert kinds(lab) == ([] if lab.is_fixed else ["mount"])
    with pytest.raises(ApiCallError, match="For input string") as failed:
        lab.import_vm("app01", hostname="app01x", **{"details[0].miniops": "x"})
    own = report(lab, jobid=failed.value.job_id)["leak"]
    assert [leak["kind"] for leak in own if leak["kind"] == "file"] == ([] if lab.is_fixed else ["file"] * 2)
    pool = lab.one("listStoragePools", "storagepool", name="nfs-primary")["id"]
    lab.import_vm("db01", forceconverttopool=True, convertinstancepoolid=pool)
    names = [leak["name"] for leak in report(lab)["leak"] if leak["name"].endswith(".xml")]
    assert len(names) == (0 if lab.is_fixed else 1)
    assert report(lab)["comparedimports"] == 3
    with pytest.raises(ApiCallError, match="Unable to find a job with ID: nope"):
        report(lab, jobid="nope")
    assert report(lab)["unseen"] == []


@both_ways
def test_leaks_command(lab: Any) -> None:
    """Exit status 1 and a line each when something is left, 0 when nothing is; 2 without extensions."""
    lab.import_vm("edge-stopped")
    result = leaks_command(lab)
    assert result.exit_code == (0 if lab.is_fixed else 1), result.output
    assert len(result.stdout.splitlines()) == report(lab)["count"]
    assert f"{report(lab)['count']} left by" in result.stderr
    assert json.loads(leaks_command(lab, "--json").stdout)["count"] == report(lab)["count"]


def test_leaks_without_extensions(start_lab: Any) -> None:
    """The command is not there, and the command line says so with status 2."""
    lab = start_lab(agents="none", vcenter="none")
    with pytest.raises(ApiCallError, match=r"^401: .*start the server with --extensions\)$"):
        lab.client.call("listImportLeaks")
    result = leaks_command(lab)
    assert (result.exit_code, "start the server with --extensions" in result.stderr) == (2, True)
    lab.client.secret_key = "wrong"
    result = leaks_command(lab)
    assert (result.exit_code, "--extensions" in result.stderr) == (2, False)
