"""Answers have the fields and JSON types that the real server's answers have."""

from __future__ import annotations

import pytest

# Fields that a recorded entry has or lacks because of what it is, not because of the server: simulator figures,
# GPU devices, KVM's own fields, tags.
RECORDED_ONLY = {
    "listHosts": {"cpuused", "cpuloadaverage", "networkkbsread", "networkkbswrite", "memoryused"},
    "listStoragePools": {"capacityiops", "usediops"},
}
OURS_ONLY = {
    "listHosts": {"details", "encryptionsupported", "instanceconversionsupported"},
    "listImageStores": {"disksizetotal", "disksizeused"},
}
# Known only once an agent has attached.
AFTER_ATTACH = {
    "version",
    "hypervisorversion",
    "capabilities",
    "lastpinged",
    "managementserverid",
    "managementservername",
}


@pytest.mark.parametrize(
    ("command", "params"),
    [
        ("listZones", {}),
        ("listPods", {}),
        ("listClusters", {}),
        ("listStoragePools", {"name": "nfs-primary"}),
        ("listImageStores", {}),
        ("listServiceOfferings", {"name": "small instance"}),
        ("listDiskOfferings", {"name": "Large Disk"}),
        ("listNetworks", {"name": "lab-isolated"}),
        ("listConfigurations", {"name": "account.cleanup.interval"}),
    ],
)
def test_fields_and_types_are_those_of_the_real_server(lab, recorded_fields, field_types, command, params):
    """A list's entry has exactly the fields of a recorded entry, with the same JSON types."""
    (item,) = lab.items(command, **params)
    expected = {k: v for k, v in recorded_fields[command].items() if k not in RECORDED_ONLY.get(command, ())}
    ours = {k: v for k, v in field_types(item).items() if k not in OURS_ONLY.get(command, ())}
    expected.pop("description", None)  # our own words
    ours.pop("description", None)
    assert ours == expected


def test_a_user_sees_no_addresses_of_a_zone(lab, recorded_fields, field_types):
    """A normal user's zone has no DNS servers and no guest network, as recorded."""
    (item,) = lab.items("listZones", user="user")
    assert field_types(item) == recorded_fields["listZones as user"]


@pytest.mark.parametrize("level", ["all", "min", "capacity", "stats", "events"])
def test_each_level_of_host_details_has_the_recorded_fields(lab, recorded_fields, field_types, attach, level):
    """listHosts answers at each level of detail what the real server answered for an attached host."""
    attach("kvm1")
    (item,) = lab.items("listHosts", name="kvm1", details=[level])
    key = "listHosts" if level == "all" else f"listHosts details={level}"
    expected = {k: v for k, v in recorded_fields[key].items() if k not in RECORDED_ONLY["listHosts"]}
    ours = {k: v for k, v in field_types(item).items() if k not in OURS_ONLY["listHosts"]}
    ours.pop("cpusockets")  # the simulator told none
    assert ours == expected


def test_a_host_that_never_attached_has_no_agent_fields(lab):
    """Version, capabilities, last ping and management server are missing until an agent attaches."""
    (item,) = lab.items("listHosts", name="kvm1")
    assert not AFTER_ATTACH & set(item)
    assert item["state"] == "Disconnected"
    assert item["details"] == {}
