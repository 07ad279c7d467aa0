"""What goes wrong with the exports of a VM can stand in the inventory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from vcenter_sim.document import InventoryError
from vcenter_sim.entries import ExportFaults
from vcenter_sim.server import VcenterSim


def written(tmp_path: Path, lab_file: Path, faults: Any) -> Path:
    """The lab's inventory with `export_faults` for web01."""
    inventory = yaml.safe_load(lab_file.read_text(encoding="utf-8"))
    next(vm for vm in inventory["datacenters"][0]["vms"] if vm["name"] == "web01")["export_faults"] = faults
    file = tmp_path / "inventory.yaml"
    file.write_text(yaml.safe_dump(inventory), encoding="utf-8")
    return file


def test_faults_of_the_inventory(tmp_path: Path, lab_file: Path) -> None:
    """They are those of the exports from the begin; other VMs have none."""
    file = written(tmp_path, lab_file, {"lease_error": "no such luck", "cut": [1], "wrong_sum": [0, 1]})
    assert VcenterSim(file).exports.faults == {
        "web01": ExportFaults("no such luck", cut=frozenset({1}), wrong_sum=frozenset({0, 1}))
    }
    assert VcenterSim(lab_file).exports.faults == {}


@pytest.mark.parametrize("faults", [{"cut": [-1]}, {"cut": ["x"]}, {"lost": [1]}, {"missing": 1}])
def test_bad_faults_are_refused_with_their_place(tmp_path: Path, lab_file: Path, faults: Any) -> None:
    """A wrong entry is told by file and path."""
    with pytest.raises(InventoryError, match=r"vms\[0\]\.export_faults\."):
        VcenterSim(written(tmp_path, lab_file, faults))
