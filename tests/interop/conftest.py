"""A vCenter simulator of another make: govmomi's vcsim, built from tests/peers/vcsim."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mgmt.observe.journal import Journal
from mgmt.observe.redaction import Redactor
from mgmt.providers import Providers
from mgmt.vmware.connector import VcenterConnector, VcenterCredentials
from mgmt.vmware.link import VcenterLink, open_link

BINARY_VARIABLE = "CLOUDSTACK_MOCK_VCSIM"
BUILT = Path(__file__).resolve().parent.parent / "peers" / "vcsim" / "vcsim"
USERNAME = "administrator@vsphere.local"
PASSWORD = "vcsim-S3cret+word!"
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 60.0


def _missing(reason: str) -> Any:
    if os.environ.get("CI"):
        pytest.fail(f"{reason}, and in CI it must be there")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def vcsim_binary() -> Path:
    """The vcsim program: what the variable names, else the one that tests/peers/vcsim/build makes."""
    named = os.environ.get(BINARY_VARIABLE)
    binary = Path(named) if named else BUILT
    if not binary.is_file():
        where = f"{BINARY_VARIABLE} names {binary}, which is no file" if named else f"{BINARY_VARIABLE} is not set"
        _missing(f"no vcsim: {where}; tests/peers/vcsim/build makes one")
    return binary


@dataclass
class Vcsim:
    """A running vcsim."""

    address: str
    process: subprocess.Popen[str]
    folder: Path

    def stop(self) -> int:
        """End it through its standard input; returns its exit status."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        status = self.process.wait(STOP_TIMEOUT_S)
        self.process.stdout.close()
        return status


def _start(binary: Path, folder: Path, *options: str) -> Vcsim:
    command = [str(binary), "-username", USERNAME, "-password", PASSWORD, "-temp", str(folder), *options]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        ready = selector.select(START_TIMEOUT_S)
    line = process.stdout.readline() if ready else ""
    if not line:
        process.kill()
        process.communicate()
        pytest.fail(f"vcsim did not start within {START_TIMEOUT_S} s: status {process.returncode}")
    return Vcsim(json.loads(line)["address"], process, folder)


@pytest.fixture(scope="module")
def vcsim(vcsim_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vcsim]:
    """A vcsim with three VMs in a cluster and three on a standalone host, shared by a module's tests."""
    running = _start(vcsim_binary, tmp_path_factory.mktemp("vcsim"))
    yield running
    running.stop()


@pytest.fixture
def own_vcsim(vcsim_binary: Path, tmp_path: Path) -> Iterator[Vcsim]:
    """A vcsim for one test, which may change it or stop it."""
    running = _start(vcsim_binary, tmp_path)
    yield running
    if running.process.poll() is None:
        running.stop()


class NoSettings:
    """Settings that hold nothing: defaults apply."""

    def get_int(self, name: str) -> int | None:
        return None


@dataclass
class Client:
    """The server's vCenter client with what it writes down."""

    connector: VcenterConnector
    journal: Journal
    providers: Providers

    def credentials(self, running: Vcsim, *, datacenter: str = "DC0", password: str = PASSWORD) -> VcenterCredentials:
        return VcenterCredentials(host=running.address, datacenter=datacenter, username=USERNAME, password=password)

    def link(self, running: Vcsim) -> VcenterLink:
        """A plain session, to set things up with."""
        return open_link(
            running.address, USERNAME, PASSWORD, journal=self.journal, clock=self.providers.clock, timeout_s=60
        )


@pytest.fixture
def client() -> Client:
    """A connector of its own server."""
    providers = Providers()
    redactor = Redactor()
    journal = Journal(providers.clock, redactor)
    return Client(VcenterConnector(providers, NoSettings(), journal, redactor), journal, providers)
