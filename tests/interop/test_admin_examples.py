"""The examples of docs/admin.md in other languages, run by their own tools against a world with admin endpoints."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudstack_mock import Settings, World

# Go compiles its library first
pytestmark = [pytest.mark.interop, pytest.mark.slow, pytest.mark.timeout(600)]

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "admin.md").read_text(encoding="utf-8")
BOUND_S = 500

# JUnit's part in the run of its example: what finds the tests, and the assertion. Machines have Java without JUnit.
LAUNCHER = """
class Launcher {
    static void assertTrue(boolean holds) {
        if (!holds) throw new AssertionError("not true");
    }

    public static void main(String[] arguments) throws Exception {
        ImportTest test = new ImportTest();
        test.reset();
        test.tellsOfABlockedPort();
        System.out.println("1 passed");
    }
}
"""


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def tool(name: str) -> str:
    """Where a program is; skips the test where there is none."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"no {name} on this machine")
    return found


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with World(Settings(port=0, agent_port=0, clock="automatic", admin=True)) as started:
        yield started


@pytest.fixture
def armed(world: World) -> Iterator[Any]:
    """The names of the failures that are armed, in a world that is as after its start."""
    world.reset()
    yield lambda: [fault.name for fault in world.faults.armed]


def run(world: World, folder: Path, *command: str) -> str:
    """What a program prints that ends well and knows where the admin endpoints are."""
    admin = str(world.ready()["admin"])
    own = {"CLOUDSTACK_MOCK_ADMIN_URL": admin, "TF_VAR_admin_url": admin, "CHECKPOINT_DISABLE": "1"}
    own |= {"GOFLAGS": "", "GOTOOLCHAIN": "local", "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    result = subprocess.run(
        command, cwd=folder, env=os.environ | own, timeout=BOUND_S, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_the_example_in_go(world: World, armed: Any, tmp_path: Path) -> None:
    """`go test` passes the example as it stands; what it has armed it takes back."""
    go = tool("go")
    (block,) = blocks("go")
    (tmp_path / "portal_test.go").write_text(block)
    (tmp_path / "go.mod").write_text("module portal\n\ngo 1.20\n")
    assert "--- PASS: TestImportToldOfBlockedPort" in run(world, tmp_path, go, "test", "-count=1", "-v", "./...")
    assert armed() == []


def test_the_example_in_java(world: World, armed: Any, tmp_path: Path) -> None:
    """The test of the example passes, called as JUnit would call it."""
    java = tool("java")
    modules = subprocess.run([java, "--list-modules"], timeout=BOUND_S, capture_output=True, text=True, check=False)
    if "jdk.compiler" not in modules.stdout:
        pytest.skip(f"{java} is no JDK of 11 or later: it has no compiler")
    text = LAUNCHER + "".join(blocks("java"))
    imports = sorted(set(re.findall(r"^import java\..*$", text, re.MULTILINE)))
    text = re.sub(r"^import .*\n|^ *@(?:Test|BeforeEach)\n", "", text, flags=re.MULTILINE)
    text = text.replace("        assertTrue(", "        Launcher.assertTrue(")
    (tmp_path / "Launcher.java").write_text("\n".join([*imports, text]))
    assert run(world, tmp_path, java, "Launcher.java") == "1 passed\n"
    assert armed() == ["vddk.port_902_blocked"]


def test_the_example_for_terraform(world: World, armed: Any, tmp_path: Path) -> None:
    """`terraform test` passes the files of the example, without a provider."""
    terraform, _ = tool("terraform"), tool("curl")
    version = subprocess.run(
        [terraform, "version"], timeout=BOUND_S, capture_output=True, text=True, check=False
    ).stdout
    if re.match(r"Terraform v(0\.|1\.[0-5]\.)", version):
        pytest.skip(f"no terraform test before 1.6: {version.splitlines()[0]}")
    for block in blocks("hcl"):
        name = block.partition("\n")[0].removeprefix("# ")
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(block)
    (tmp_path / "main.tf").write_text('variable "admin_url" { type = string }\nvariable "fault" { type = string }\n')
    run(world, tmp_path, terraform, "init", "-input=false", "-no-color")
    assert "1 passed, 0 failed" in run(world, tmp_path, terraform, "test", "-no-color")
    assert armed() == ["guest.no_root"]
