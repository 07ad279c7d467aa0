"""The vCenter client with the stand-in of the lab."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mgmt.observe.journal import Journal
from mgmt.observe.redaction import Redactor
from mgmt.providers import Providers
from mgmt.vmware.connector import VcenterConnector, VcenterCredentials
from vcenter_sim.server import VcenterSim

LAB = Path(__file__).resolve().parents[2] / "fixtures" / "vcenters" / "lab.yaml"
USERNAME = "administrator@vsphere.local"
PASSWORD = "VMware1!lab"


class OneSetting:
    """Settings with a time-out that a test can choose."""

    def __init__(self, timeout_s: int | None = 30) -> None:
        self.timeout_s = timeout_s

    def get_int(self, name: str) -> int | None:
        assert name == "vmware.vcenter.session.timeout"
        return self.timeout_s


@dataclass
class Lab:
    """A running stand-in, and a server's client for it."""

    sim: VcenterSim
    connector: VcenterConnector
    journal: Journal
    redactor: Redactor

    @property
    def vcenter(self) -> str:
        host, port = self.sim.address
        return f"{host}:{port}"

    def credentials(self, *, datacenter: str = "lab-dc", password: str = PASSWORD) -> VcenterCredentials:
        return VcenterCredentials(host=self.vcenter, datacenter=datacenter, username=USERNAME, password=password)


def _lab(sim: VcenterSim) -> Lab:
    providers = Providers()
    redactor = Redactor()
    journal = Journal(providers.clock, redactor)
    return Lab(sim, VcenterConnector(providers, OneSetting(), journal, redactor), journal, redactor)


@pytest.fixture(scope="module")
def shared_sim() -> Iterator[VcenterSim]:
    sim = VcenterSim(LAB)
    sim.start()
    yield sim
    sim.stop()


@pytest.fixture
def lab(shared_sim: VcenterSim) -> Lab:
    """The lab's vCenter; the test leaves its inventory as it was."""
    return _lab(shared_sim)


@pytest.fixture
def own_lab() -> Iterator[Lab]:
    """A vCenter of the test's own, to change at will."""
    sim = VcenterSim(LAB)
    sim.start()
    yield _lab(sim)
    sim.stop()
