"""listServiceOfferings and listDiskOfferings."""

from __future__ import annotations

from datetime import datetime

import pytest

from mgmt.commands.declaration import Paging
from mgmt.errors import InvalidParameterValueError, PermissionDeniedError
from mgmt.store.models import DiskOffering, ServiceOffering, VmInstance, Volume

SMALL, MEDIUM, GOLD, CUSTOM, ANY = ALL = [
    "Small Instance", "Medium Instance", "Gold Instance", "Custom Instance", "Unlimited Instance"
]  # fmt: skip
DISKS = ["Custom Disk", "Large Disk", "Gold Disk"]
ROOT_DOMAIN = "00000002-0000-4000-8000-000000000001"
TENANT_DOMAIN = "00000002-0000-4000-8000-000000000002"


@pytest.mark.parametrize(
    ("params", "names"),
    [
        ({}, ALL),
        ({"id": 2}, [MEDIUM]),
        ({"name": "gold INSTANCE"}, [GOLD]),
        ({"keyword": "instance"}, ALL),
        ({"keyword": "medium"}, [MEDIUM]),
        ({"storagetype": "shared"}, ALL),
        ({"storagetype": "local"}, []),
        ({"state": "all"}, ALL),
        ({"state": "inactive"}, []),
        ({"issystem": True}, []),
        ({"issystem": False}, ALL),
        ({"encryptroot": True}, []),
        ({"gpuenabled": True}, []),
        ({"gpuenabled": False}, ALL),
        ({"zoneid": 1}, ALL),
        ({"cpunumber": 2}, [MEDIUM, GOLD, CUSTOM, ANY]),
        ({"cpunumber": 5}, [CUSTOM, ANY]),
        ({"cpunumber": 17}, [ANY]),
        ({"memory": 8192}, [GOLD, CUSTOM, ANY]),
        ({"memory": 100000}, [ANY]),
        ({"cpuspeed": 2000}, [MEDIUM, GOLD, CUSTOM, ANY]),
        ({"domainid": ROOT_DOMAIN}, []),
        ({"user": "tenant-admin", "domainid": TENANT_DOMAIN}, ALL),
        ({"user": "user"}, ALL),
    ],
)
def test_service_offering_filters(lab, params, names):
    """listServiceOfferings narrows by each filter; sizes fit fixed offerings at least as large, and custom limits."""
    assert lab.names("listServiceOfferings", **params) == names


def test_a_sized_page_has_the_count_of_all(lab):
    """With a size filter the page is cut as in any list."""
    result = lab.run("listServiceOfferings", cpunumber=2, paging=Paging(offset=1, limit=1))
    assert ([item["name"] for item in result.items], result.count) == ([GOLD], 4)
    assert len(lab.run("listServiceOfferings", cpunumber=2, paging=Paging(limit=None)).items) == 4


def test_fields_of_fixed_and_custom_offerings(lab):
    """A custom offering has no CPU number, speed or memory but its limits as texts; tags are shown."""
    by_name = {item["name"]: item for item in lab.items("listServiceOfferings")}
    small = by_name[SMALL]
    assert (small["cpunumber"], small["cpuspeed"], small["memory"]) == (1, 1000, 1024)
    assert small["iscustomized"] is False
    assert "serviceofferingdetails" not in small
    assert by_name[GOLD]["storagetags"] == "gold"
    custom = by_name[CUSTOM]
    assert custom["iscustomized"] is True
    assert {"cpunumber", "cpuspeed", "memory"}.isdisjoint(custom)
    assert custom["serviceofferingdetails"] == {
        "mincpunumber": "1",
        "maxcpunumber": "16",
        "minmemory": "512",
        "maxmemory": "65536",
    }


def test_inactive_offerings_are_shown_on_demand(lab):
    """Active offerings are the default; state=inactive shows the others and another word is refused."""
    with lab.store.session() as session:
        session.get_one(ServiceOffering, 1).state = "Inactive"
    assert lab.names("listServiceOfferings") == ALL[1:]
    assert lab.names("listServiceOfferings", state="Inactive") == [SMALL]
    with pytest.raises(InvalidParameterValueError, match=r"^Invalid state: foo"):
        lab.run("listServiceOfferings", state="foo")


def test_only_root_admins_see_system_offerings(lab):
    """issystem from a user: `Only ROOT admins can access system's offering`."""
    with pytest.raises(InvalidParameterValueError, match=r"^Only ROOT admins can access system's offering"):
        lab.run("listServiceOfferings", user="user", issystem=True)


def test_a_domain_outside_ones_own_is_refused(lab):
    """A user may not ask for the offerings of another domain."""
    with pytest.raises(PermissionDeniedError, match="does not fall in the same domain hierarchy as the offering"):
        lab.run("listServiceOfferings", user="user", domainid=TENANT_DOMAIN)
    with pytest.raises(InvalidParameterValueError, match=r"^Unable to find domain by id 99"):
        lab.run("listDiskOfferings", domainid=99)


def test_offerings_that_an_instance_could_change_to(lab):
    """virtualmachineid leaves out the instance's own offering; a missing instance is refused."""
    with pytest.raises(InvalidParameterValueError, match=r"^unable to find a virtual machine with id 1"):
        lab.run("listServiceOfferings", virtualmachineid=1)
    with pytest.raises(InvalidParameterValueError, match=r"^Unable to find the VM"):
        lab.run("listDiskOfferings", virtualmachineid=1)
    with lab.store.session() as session:
        session.add(
            VmInstance(
                uuid="vm",
                name="vm",
                instance_name="i-2-1-VM",
                account_id=2,
                domain_id=1,
                user_id=2,
                zone_id=1,
                guest_os_id=99,
                service_offering_id=1,
                cpu_number=1,
                memory_mb=1024,
                created=datetime(2026, 1, 1),
            )
        )
    assert lab.names("listServiceOfferings", virtualmachineid=1) == ALL[1:]
    assert {item["suitableforvirtualmachine"] for item in lab.items("listDiskOfferings", virtualmachineid=1)} == {True}


@pytest.mark.parametrize(
    ("params", "names"),
    [
        ({}, DISKS),
        ({"id": 1}, ["Custom Disk"]),
        ({"name": "LARGE DISK"}, ["Large Disk"]),
        ({"name": SMALL}, []),
        ({"keyword": "100 gb"}, ["Large Disk"]),
        ({"storagetype": "local"}, []),
        ({"encrypt": True}, []),
        ({"state": "all"}, DISKS),
        ({"storageid": 1}, ["Custom Disk", "Large Disk"]),
        ({"storageid": 2}, DISKS),
        ({"user": "user"}, DISKS),
    ],
)
def test_disk_offering_filters(lab, params, names):
    """listDiskOfferings narrows by each filter and never shows the offerings of root disks."""
    assert lab.names("listDiskOfferings", **params) == names


def test_fields_of_fixed_and_custom_disks(lab):
    """Sizes are in GB, 0 for a custom disk; tags are shown."""
    by_name = {item["name"]: item for item in lab.items("listDiskOfferings")}
    assert (by_name["Large Disk"]["disksize"], by_name["Large Disk"]["iscustomized"]) == (100, False)
    assert (by_name["Custom Disk"]["disksize"], by_name["Custom Disk"]["iscustomized"]) == (0, True)
    assert by_name["Gold Disk"]["tags"] == "gold"


def test_users_do_not_see_hidden_disk_offerings(lab):
    """An offering that is not displayed is for root admins."""
    with lab.store.session() as session:
        session.get_one(DiskOffering, 1).display_offering = False
    assert lab.names("listDiskOfferings", user="user") == DISKS[1:]
    assert lab.names("listDiskOfferings") == DISKS


def test_disk_offerings_that_a_volume_could_change_to(lab):
    """volumeid shows the other offerings with the tags of the volume's own; a missing volume is refused."""
    with lab.store.session() as session:
        session.add(
            Volume(
                uuid="v",
                name="v",
                volume_type="DATADISK",
                account_id=2,
                domain_id=1,
                zone_id=1,
                disk_offering_id=1,
                size_bytes=1,
                created=datetime(2026, 1, 1),
            )
        )
    assert lab.names("listDiskOfferings", volumeid=1) == ["Large Disk", "Gold Disk"]
    with pytest.raises(InvalidParameterValueError, match=r"^Unable to find a volume with specified id 7"):
        lab.run("listDiskOfferings", volumeid=7)
