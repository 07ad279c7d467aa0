"""Inventory files: what is wrong is said with file, place and reason."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pyVmomi import vim

from vcenter_sim import building, document
from vcenter_sim.document import InventoryError
from vcenter_sim.providers import RandomIds, RealClock

SMALL: dict[str, Any] = {
    "custom_fields": ["owner"],
    "datacenters": [
        {
            "name": "dc",
            "datastores": [{"name": "ds"}, {"name": "nfs", "type": "nfs", "remote_host": "h", "remote_path": "/p"}],
            "networks": [{"name": "net"}, {"name": "dvs", "type": "distributed", "switch": "s", "vlan": 7}],
            "clusters": [{"name": "c", "hosts": [{"name": "h1"}, {"name": "h2"}], "resource_pools": ["p"]}],
            "hosts": [{"name": "h3"}],
            "vms": [
                {
                    "name": "v", "host": "h1", "disks": [{"size_gb": 1}], "nics": [{"network": "net"}],
                    "custom_values": {"owner": "me"},
                }
            ],
        }
    ],
}  # fmt: skip


def write(folder: Path, data: object) -> Path:
    file = folder / "inventory.yaml"
    file.write_text(yaml.safe_dump(data), encoding="utf-8")
    return file


def put(data: Any, place: tuple[Any, ...], value: Any) -> Any:
    """A copy of the document with one place set (a list index one past the end appends)."""
    changed = copy.deepcopy(data)
    target = changed
    for step in place[:-1]:
        target = target[step]
    if isinstance(target, list) and place[-1] == len(target):
        target.append(value)
    else:
        target[place[-1]] = value
    return changed


DC = ("datacenters", 0)
VM = (*DC, "vms", 0)

BROKEN: list[tuple[tuple[Any, ...], Any, str, str]] = [
    (("datacenters",), [], "datacenters", "Shorter than minimum length 1."),
    (("nosuch",), 1, "nosuch", "Unknown field."),
    (("password",), "", "password", "Shorter than minimum length 1."),
    ((*DC, "name"), None, "datacenters[0].name", "Field may not be null."),
    ((*DC, "name"), "a\nb", "datacenters[0].name", "Has control characters."),
    (("datacenters", 1), SMALL["datacenters"][0], "datacenters[1].name", "There is one named 'dc' already."),
    ((*DC, "datastores", 0, "type"), "vsan", "datacenters[0].datastores[0].type", "Must be one of: vmfs, nfs, nfs41."),
    ((*DC, "datastores", 0, "remote_host"), "h", "datacenters[0].datastores[0].type",
     "Only nfs datastores have a remote host and path."),
    ((*DC, "datastores", 1, "remote_path"), None, "datacenters[0].datastores[1].remote_path",
     "An nfs datastore needs it."),
    ((*DC, "datastores", 2), {"name": "DS"}, "datacenters[0].datastores[2].name", "There is one named 'DS' already."),
    ((*DC, "networks", 0, "vlan"), 5000, "datacenters[0].networks[0].vlan",
     "Must be greater than or equal to 0 and less than or equal to 4094."),
    ((*DC, "networks", 1, "switch"), None, "datacenters[0].networks[1].switch",
     "A distributed portgroup needs the name of its switch."),
    ((*DC, "clusters", 0, "hosts"), [], "datacenters[0].clusters[0].hosts", "Shorter than minimum length 1."),
    ((*DC, "hosts", 0, "name"), "h1", "datacenters[0].hosts", "A host name stands twice in the datacenter."),
    ((*DC, "hosts", 0, "cores"), "8", "datacenters[0].hosts[0].cores", "Not a valid integer."),
    ((*VM, "host"), "h9", "datacenters[0].vms[0].host", "There is no host 'h9' in the datacenter."),
    ((*VM, "resource_pool"), "q", "datacenters[0].vms[0].resource_pool",
     "The host's cluster has no resource pool 'q'."),
    ((*VM, "datastore"), "nope", "datacenters[0].vms[0].datastore", "There is no datastore 'nope'."),
    ((*VM, "folder"), "/x", "datacenters[0].vms[0].folder", "Has empty parts."),
    ((*VM, "power"), "on", "datacenters[0].vms[0].power", "Must be one of: poweredOn, poweredOff, suspended."),
    ((*VM, "secure_boot"), True, "datacenters[0].vms[0].secure_boot", "Secure boot needs efi firmware."),
    ((*VM, "cpus"), 0, "datacenters[0].vms[0].cpus",
     "Must be greater than or equal to 1 and less than or equal to 768."),
    ((*VM, "cores_per_socket"), 3, "datacenters[0].vms[0].cores_per_socket",
     "The number of CPUs is no multiple of it."),
    ((*VM, "uuid"), "x", "datacenters[0].vms[0].uuid", "Not a valid UUID."),
    ((*VM, "custom_values"), {"nosuch": "x"}, "datacenters[0].vms[0].custom_values.nosuch", "No such custom field."),
    ((*VM, "disks", 0, "size_gb"), 0, "datacenters[0].vms[0].disks[0].size_gb",
     "Must be greater than 0 and less than or equal to 65536."),
    ((*VM, "disks", 0, "datastore"), "nope", "datacenters[0].vms[0].disks[0].datastore",
     "There is no datastore 'nope'."),
    ((*VM, "disks"), [{"size_gb": 1, "controller": "ide"}] * 5, "datacenters[0].vms[0].disks",
     "IDE carries no more than 4 disks and drives."),
    ((*VM, "nics", 0, "network"), "nope", "datacenters[0].vms[0].nics[0].network", "There is no network 'nope'."),
    ((*VM, "nics", 0, "mac"), "AA", "datacenters[0].vms[0].nics[0].mac",
     "Not a MAC address in lower case with colons."),
    ((*VM, "nics", 0, "ip_addresses"), ["1.2.3"], "datacenters[0].vms[0].nics[0].ip_addresses[0]",
     "Not a valid IP address."),
    ((*DC, "vms", 1), {"name": "V", "host": "h1"}, "datacenters[0].vms[1].name",
     "There is one named 'V' in the folder already."),
    ((*DC, "folders"), ["v"], "datacenters[0].vms[0].name", "There is a folder of that name already."),
    ((*DC, "folders"), ["a//b"], "datacenters[0].folders[0]", "Has empty parts."),
    ((*DC, "networks", 1, "switch"), "NET", "datacenters[0].networks[1].switch", "There is a network named 'NET'."),
]  # fmt: skip


@pytest.mark.parametrize(("place", "value", "where", "reason"), BROKEN)
def test_each_error_names_file_place_and_reason(
    tmp_path: Path, place: tuple[Any, ...], value: Any, where: str, reason: str
) -> None:
    """One thing wrong: the error has the file, where in the document, and why."""
    file = write(tmp_path, put(SMALL, place, value))
    with pytest.raises(InventoryError) as caught:
        document.load(file)
    assert (where, reason) in caught.value.problems
    assert f"{file}: {where}: {reason}" in str(caught.value)


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    """Two broken places give two lines."""
    data = put(put(SMALL, (*VM, "cpus"), "x"), (*DC, "networks", 0, "vlan"), -1)
    with pytest.raises(InventoryError) as caught:
        document.load(write(tmp_path, data))
    assert [place for place, _ in caught.value.problems] == [
        "datacenters[0].networks[0].vlan",
        "datacenters[0].vms[0].cpus",
    ]


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        ("a: [", "line 2, column", "no valid YAML"),
        ("- a", "document", "Not a mapping."),
        ("", "document", "Not a mapping."),
        ("\x07", "file", "no valid YAML"),
        ("a: !!python/object:os.system x", "line 1, column", "no valid YAML"),
    ],
)
def test_what_is_no_mapping_is_refused(tmp_path: Path, text: str, place: str, reason: str) -> None:
    """Broken YAML is reported with line and column."""
    file = tmp_path / "x.yaml"
    file.write_text(text)
    with pytest.raises(InventoryError) as caught:
        document.load(file)
    ((where, why),) = caught.value.problems
    assert place in where
    assert reason in why


def test_a_missing_file_is_an_inventory_error(tmp_path: Path) -> None:
    """A file that cannot be read is reported in the same form."""
    with pytest.raises(InventoryError, match=r"nosuch\.yaml: cannot be read: No such file or directory"):
        document.load(tmp_path / "nosuch.yaml")


def places(data: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """All places in a document."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [place] * bool(place) + [below for key, value in items for below in places(value, (*place, key))]


JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 10**6), st.floats(allow_nan=False), st.text(max_size=5),
    st.lists(st.integers(), max_size=2), st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(places(SMALL)), JUNK)
def test_any_junk_anywhere_is_accepted_or_reported(
    tmp_path_factory: pytest.TempPathFactory, place: tuple[Any, ...], junk: Any
) -> None:
    """A document with one value replaced either loads or raises InventoryError with file, place and reason."""
    file = write(tmp_path_factory.mktemp("junk"), put(SMALL, place, junk))
    try:
        building.load(file, RealClock(), RandomIds())
    except InventoryError as error:
        assert error.problems
        for where, reason in error.problems:
            assert where
            assert reason
            assert f"{file}: {where}: {reason}" in str(error)


def test_a_small_file_becomes_objects(tmp_path: Path) -> None:
    """Defaults fill what is left out; seeded UUIDs are the same at every load."""
    file = write(tmp_path, SMALL)
    inventory, entry = building.load(file, RealClock(), RandomIds())
    again, _ = building.load(file, RealClock(), RandomIds())
    vm, twin = inventory.vms[0], again.vms[0]
    assert (entry.username, entry.password) == ("administrator@vsphere.local", "VMware1!lab")
    assert "VMware1!lab" not in repr(entry)
    assert vm["config"].uuid == twin["config"].uuid
    assert vm["runtime"].powerState == "poweredOff"
    assert vm["value"][0].value == "me"
    assert inventory.find_vm("nosuch") is None
    assert repr(vm) == f"<vim.VirtualMachine {vm.moid} 'v'>"


def test_names_keep_their_special_characters_escaped(tmp_path: Path) -> None:
    """Slash, backslash and percent sign are kept as vCenter keeps them: %2f, %5c, %25."""
    file = write(tmp_path, put(SMALL, (*DC, "networks", 2), {"name": "a/b\\c%d"}))
    inventory, _ = building.load(file, RealClock(), RandomIds())
    assert "a%2fb%5cc%25d" in [network.name for network in inventory.of_kind(vim.Network)]


@pytest.mark.parametrize(
    ("controller", "count", "units", "controllers"),
    [
        ("pvscsi", 16, [*range(7), *range(8, 16), 0], [1000] * 15 + [1001]),
        ("ide", 4, [0, 1, 0, 1], [200, 200, 201, 201]),
        ("sata", 3, [0, 1, 2], [15000] * 3),
        ("nvme", 2, [0, 1], [31000] * 2),
    ],
)
def test_disks_get_places_on_controllers(
    tmp_path: Path, controller: str, count: int, units: list[int], controllers: list[int]
) -> None:
    """Unit 7 of a SCSI bus is left free and a full controller is followed by another."""
    file = write(tmp_path, put(SMALL, (*VM, "disks"), [{"size_gb": 1, "controller": controller}] * count))
    inventory, _ = building.load(file, RealClock(), RandomIds())
    disks = [d for d in inventory.vms[0]["config"].hardware.device if isinstance(d, vim.vm.device.VirtualDisk)]
    assert [disk.unitNumber for disk in disks] == units
    assert [disk.controllerKey for disk in disks] == controllers
    keys = [device.key for device in inventory.vms[0]["config"].hardware.device]
    assert len(keys) == len(set(keys))
