"""Data objects made quickly."""

from __future__ import annotations

from typing import Any

import pytest

from vcenter_sim.objects import make
from vcenter_sim.types import vim


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (vim.vm.RuntimeInfo, {"powerState": "poweredOn", "connectionState": "connected", "numMksConnections": 3}),
        (vim.vm.GuestInfo, {"guestState": "running", "net": [], "ipAddress": None}),
        (vim.vm.VirtualHardware, {"numCPU": 2, "memoryMB": 5, "device": [vim.vm.device.VirtualDisk(key=1)]}),
        (vim.vm.device.VirtualDisk.FlatVer2BackingInfo, {"fileName": "[d] x.vmdk", "thinProvisioned": True}),
        (vim.Description, {}),
    ],
)
def test_it_is_what_the_constructor_makes(kind: Any, values: dict[str, Any]) -> None:
    """Every field has the value and the type that pyvmomi's own constructor gives it."""
    made, constructed = make(kind, **values), kind(**values)
    assert type(made) is kind and vars(made).keys() == vars(constructed).keys()
    for name, value in vars(constructed).items():
        assert type(getattr(made, name)) is type(value)
    assert str(made) == str(constructed)


def test_lists_are_not_shared() -> None:
    """Each object has lists of its own."""
    first, second = make(vim.vm.VirtualHardware), make(vim.vm.VirtualHardware)
    first.device.append(vim.vm.device.VirtualDisk(key=1))
    assert not second.device


def test_wrong_values_are_refused() -> None:
    """A value of another type, and a field that the class does not have, are refused as by pyvmomi."""
    with pytest.raises(TypeError, match="label"):
        make(vim.Description, label=5)
    with pytest.raises(AttributeError, match="nothing"):
        make(vim.Description, nothing=5)
