"""A whole world as an older release, and one with every defect repaired."""

from __future__ import annotations

from typing import Any

import pytest

from cloudstack_mock import ApiCallError


def test_a_world_of_an_older_release(start_lab: Any) -> None:
    """4.21 tells its version, knows neither listImportVmTasks nor VDDK, and imports by OVF whatever is asked for."""
    lab = start_lab(profile="4.21")
    assert lab.client.call("listCapabilities")["capability"]["cloudstackversion"] == "4.21.0.0"
    with pytest.raises(ApiCallError, match=r"^401: "):
        lab.client.call("listImportVmTasks", zoneid=lab.zone_id)
    assert not [name for name in lab.host("kvm1")["details"] if "vddk" in name]
    shown = lab.client.call("listApis", name="importVm")["api"][0]["params"]
    assert {"usevddk", "osid", "extraparams"}.isdisjoint(parameter["name"] for parameter in shown)
    assert lab.import_vm("web01", usevddk=True)["state"] == "Stopped"
    tools = [entry.name for entry in lab.world.server.services.journal.entries(kind="tool")]
    assert "ovftool" in tools


def test_a_world_without_defects(start_lab: Any) -> None:
    """`--fix all` reaches the embedded hosts: the mode of the password file that the journal tells is 0600."""
    lab = start_lab(fix=("all",))
    lab.import_vm("web01")
    runs = [entry.fields for entry in lab.world.server.services.journal.entries(kind="tool")]
    assert "0600" in {run["password_file_mode"] for run in runs}
    assert lab.tasks("completed")[0]["id"]
