"""The README's examples, run as they stand there."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()


def block(name: str) -> str:
    match = re.search(rf"<!-- tested: {name} -->\n```\w+\n(.*?)```", README, re.DOTALL)
    assert match, f"the README has no tested block {name!r}"
    return match[1]


LAB_SETTINGS = {"extensions": True}


@pytest.fixture
def folder(lab: Any, tmp_path: Path) -> Path:
    """A folder that holds lab.json and the program, as the README's reader has it."""
    lab.world.write_ready_file(tmp_path / "lab.json")
    program = tmp_path / ".venv" / "bin" / "cloudstack-mock"
    program.parent.mkdir(parents=True)
    root = Path(__file__).resolve().parents[2]
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{root}" exec "{sys.executable}" -m mgmt.cli "$@"\n')
    program.chmod(0o755)
    return tmp_path


@pytest.mark.slow
def test_cs_example_imports_a_vm(folder: Path) -> None:
    """The unmodified client `cs` imports a VM and gets it whole; once more under another name only."""

    def run(**environment: str) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-c", block("cs")]
        environment = {**os.environ, **environment}
        return subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=60, env=environment)

    first = run()
    assert first.returncode == 0, first.stderr
    assert re.fullmatch(r"i-2-\d+-VM Stopped\n", first.stdout)
    assert "already exists" in run().stderr
    assert run(NEW_NAME="web01b").returncode == 0


@pytest.mark.slow
def test_the_dry_run_can_be_copied(folder: Path, lab: Any) -> None:
    """The dry run's command tells that the import is possible, and imports nothing."""
    words = ["bash", "-euo", "pipefail", "-c", block("dry run")]
    run = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    plan = json.loads(run.stdout)["importplan"]
    assert plan["possible"] is True
    assert lab.client.call("listVirtualMachines", listall=True, keyword="edge-stopped") == {}


@pytest.mark.slow
def test_curl_example_imports_a_vm(folder: Path) -> None:
    """Signed curl calls import a VM, and the job's result is the full VM response."""
    missing = [tool for tool in ("bash", "curl", "openssl", "python3") if shutil.which(tool) is None]
    if missing and not os.environ.get("CI"):
        pytest.skip(f"not on this machine: {', '.join(missing)}")
    assert not missing
    run = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block("curl")],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    job = json.loads(run.stdout)["queryasyncjobresultresponse"]
    assert job["jobstatus"] == 1, job
    vm = job["jobresult"]["virtualmachine"]
    assert (vm["name"], vm["state"], len(vm["nic"])) == ("db01", "Stopped", 2)
    assert {"id", "instancename", "serviceofferingid", "ostypeid", "cpunumber", "memory", "details"} <= set(vm)


def test_the_readme_names_every_known_defect() -> None:
    """Each `--fix` name has its row in the README."""
    from mgmt.quirks import KNOWN

    for name in KNOWN:
        assert f"| `{name}` |" in README
