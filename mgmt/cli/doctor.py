"""`cloudstack-mock doctor`."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from mgmt.workfolders import remove_left_folders

PROBE_TIMEOUT_S = 20


@dataclass(frozen=True)
class Finding:
    """One line of the report. `found` is a version or a path, None when it is not there."""

    group: str
    name: str
    found: str | None
    used_for: str


def _version_of(*argv: str) -> str | None:
    if shutil.which(argv[0]) is None:
        return None
    try:
        run = subprocess.run(argv, capture_output=True, text=True, timeout=PROBE_TIMEOUT_S, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"there, but it does not run: {type(error).__name__}"
    lines = (run.stdout or run.stderr).strip().splitlines()
    if run.returncode != 0:
        return f"there, but it exits with {run.returncode}: {lines[0] if lines else 'no output'}"
    return lines[0] if lines else "there"


def _vddk_plugin() -> str | None:
    version = _version_of("nbdkit", "vddk", "--version")
    return version if version is not None and not version.startswith("there, but") else None


def _vddk_library() -> str | None:
    """The VDDK tree: a folder whose `lib64` holds libvixDiskLib (as the KVM agent checks it)."""
    for root in filter(None, (os.environ.get("VDDK_LIB_DIR"), "/opt/vmware-vix-disklib-distrib")):
        if any((Path(root) / "lib64").glob("libvixDiskLib.so*")):
            return root
    return None


def _package(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


_TOOLS: tuple[tuple[str, Callable[[], str | None], str], ...] = (
    ("virt-v2v", lambda: _version_of("virt-v2v", "--version"), "real conversions"),
    ("nbdkit", lambda: _version_of("nbdkit", "--version"), "real conversions"),
    ("nbdkit vddk plug-in", _vddk_plugin, "real conversions by VDDK"),
    ("VDDK library", _vddk_library, "real conversions by VDDK (set VDDK_LIB_DIR when it is elsewhere)"),
    ("ovftool", lambda: _version_of("ovftool", "--version"), "real OVF export by the KVM host"),
    ("qemu-img", lambda: _version_of("qemu-img", "--version"), "looking into disk images"),
    ("openssl", lambda: _version_of("openssl", "version"), "the thumbprint as a real host reads it"),
    ("java", lambda: _version_of("java", "--version"), "a real CloudStack agent"),
    ("go", lambda: _version_of("go", "version"), "building vcsim, the second vCenter of the tests"),
    ("cmk", lambda: _version_of("cmk", "version"), "CloudMonkey, CloudStack's command line"),
    ("vcsim", lambda: os.environ.get("CLOUDSTACK_MOCK_VCSIM"), "tests against govmomi (CLOUDSTACK_MOCK_VCSIM)"),
    (
        "schemathesis",
        lambda: os.environ.get("CLOUDSTACK_MOCK_SCHEMATHESIS"),
        "tests against the OpenAPI document (CLOUDSTACK_MOCK_SCHEMATHESIS)",
    ),
)
_PACKAGES: tuple[tuple[str, str], ...] = (
    ("flask", "needed"),
    ("marshmallow", "needed"),
    ("pyvmomi", "needed"),
    ("requests", "needed"),
    ("sqlalchemy", "needed"),
    ("waitress", "needed"),
    ("pymysql", "MySQL and MariaDB (extra: mysql)"),
    ("psycopg", "PostgreSQL (extra: postgresql)"),
    ("cs", "a CloudStack client in Python"),
)


def findings() -> list[Finding]:
    """What is there and what is not; runs the tools' version commands and changes nothing."""
    tools = [Finding("tool", name, probe(), used_for) for name, probe, used_for in _TOOLS]
    packages = [Finding("package", name, _package(name), used_for) for name, used_for in _PACKAGES]
    python = Finding("python", "python", sys.version.split()[0], "needed: 3.11 or newer")
    return [python, *packages, *tools]


@click.command()
def doctor() -> None:
    """Say which real tools, libraries and servers this machine has.

    Nothing outside the Python packages is needed for the default, simulated world. Exit status 1 when a needed one
    is missing. Temporary folders that killed servers left are removed.
    """
    table = Table("", "what", "found", "used for", box=None)
    report = findings()
    for finding in report:
        mark = "[green]yes[/]" if finding.found else "[dim]no[/]"
        table.add_row(mark, finding.name, finding.found or "-", finding.used_for)
    Console().print(table)
    for folder in remove_left_folders():
        click.echo(f"removed {folder}, which a killed process left")
    if any(finding.found is None and finding.used_for.startswith("needed") for finding in report):
        raise SystemExit(1)
