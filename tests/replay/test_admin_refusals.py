"""What creating and changing offerings, templates and ISOs refuses, and that a refusal changes nothing."""

from __future__ import annotations

from typing import Any

import pytest

MISSING = "99999999-0000-4000-8000-000000000009"
COMPUTE = {"name": "o", "displaytext": "o"}
FIXED = {**COMPUTE, "cpunumber": "1", "cpuspeed": "500", "memory": "512"}
LIMITS = {"mincpunumber": "1", "maxcpunumber": "4", "minmemory": "256", "maxmemory": "1024", "cpuspeed": "500"}
CUSTOM = {**COMPUTE, "customized": "true", **LIMITS}
DISK = {"name": "d", "displaytext": "d"}
INT_MAX = 2147483647
LIMITS_TOGETHER = (
    "For creating a custom compute offering min/max cpu and min/max memory/cpu speed should all be null or all"
)
BETWEEN = "Failed to create service offering o: specify the"


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({**FIXED, "name": " "}, "Failed to create service offering: specify the name that has non-zero length"),
        ({**FIXED, "cpunumber": "0"}, f"{BETWEEN} cpu number value between 1 and {INT_MAX}"),
        ({**FIXED, "cpuspeed": "-1"}, f"{BETWEEN} cpu speed value between 0 and {INT_MAX}"),
        ({**FIXED, "memory": "31"}, f"{BETWEEN} memory value between 32 and {INT_MAX} MB"),
        (
            {**FIXED, "storagetype": "tape"},
            "Invalid storage type tape specified, valid types are: 'local' and 'shared'",
        ),
        ({**FIXED, "provisioningtype": "fluffy"}, "Unsupported provisioning type: fluffy"),
        (
            {**FIXED, "customized": "true"},
            "For creating a custom compute offering cpu and memory all should be null",
        ),
        (
            {name: value for name, value in CUSTOM.items() if name != "maxmemory"},
            f"{LIMITS_TOGETHER} specified",
        ),
        ({**CUSTOM, "cpuspeed": "-1"}, f"{BETWEEN} cpu speed value between 1 and {INT_MAX}"),
        ({**CUSTOM, "mincpunumber": "5"}, f"{BETWEEN} minimum or minimum cpu number value between 1 and {INT_MAX}"),
        ({**CUSTOM, "minmemory": "16"}, f"{BETWEEN} memory value between 32 and {INT_MAX} MB"),
    ],
)
def test_service_offerings_that_cannot_be(own_world: Any, params: dict[str, str], text: str) -> None:
    """createServiceOffering refuses numbers out of bounds, halves of limits and unknown kinds of storage with 431."""
    before = own_world.ok("listServiceOfferings")
    assert own_world.refused("createServiceOffering", **params) == (431, text)
    assert own_world.ok("listServiceOfferings") == before


def test_service_offerings_that_can_be(own_world: Any) -> None:
    """A custom offering with its limits, one without, one on local storage with a disk of its own size."""
    limited = own_world.ok("createServiceOffering", **CUSTOM)["serviceoffering"]
    assert limited["iscustomized"] is True
    assert limited["serviceofferingdetails"]["maxmemory"] == "1024"
    free = own_world.ok("createServiceOffering", customized="true", **COMPUTE)["serviceoffering"]
    assert free["iscustomized"] is True
    local = own_world.ok(
        "createServiceOffering", **FIXED, storagetype="local", provisioningtype="Sparse", rootdisksize="7"
    )["serviceoffering"]
    assert (local["storagetype"], local["provisioningtype"], local["rootdisksize"]) == ("local", "sparse", 7)


@pytest.mark.parametrize(
    ("params", "text"),
    [
        (DISK, "Disksize is required for a non-customized disk offering"),
        ({**DISK, "customized": "true", "disksize": "5"}, "Disksize is not allowed for a customized disk offering"),
        ({**DISK, "disksize": "0"}, "Please specify a disk size of at least 1 Gb."),
    ],
)
def test_disk_offerings_that_cannot_be(own_world: Any, params: dict[str, str], text: str) -> None:
    """createDiskOffering wants a size, or none for a customized one."""
    assert own_world.refused("createDiskOffering", **params) == (431, text)


def test_offerings_change_state_and_tags(own_world: Any) -> None:
    """Tags come and go, a state must be one of two, a disk offering can be hidden; deleted ones are not found."""
    compute = own_world.ok("createServiceOffering", **FIXED)["serviceoffering"]["id"]
    changed = own_world.ok(
        "updateServiceOffering", id=compute, name="n", displaytext="t", hosttags="h", storagetags="s"
    )
    shown = changed["serviceoffering"]
    assert (shown["name"], shown["displaytext"], shown["hosttags"], shown["storagetags"]) == ("n", "t", "h", "s")
    assert own_world.refused("updateServiceOffering", id=compute, state="asleep") == (
        431,
        "Invalid state value: asleep",
    )
    disk = own_world.ok("createDiskOffering", disksize="1", **DISK)["diskoffering"]["id"]
    changed = own_world.ok("updateDiskOffering", id=disk, tags="gold", displayoffering="false", state="inactive")
    shown = changed["diskoffering"]
    assert (shown["tags"], shown["displayoffering"], shown["state"]) == ("gold", False, "Inactive")
    assert own_world.ok("deleteServiceOffering", id=compute)["success"] in (True, "true")
    assert own_world.ok("deleteDiskOffering", id=disk)["success"] in (True, "true")
    for command, offering in (
        ("deleteServiceOffering", compute),
        ("updateServiceOffering", compute),
        ("deleteDiskOffering", disk),
        ("updateDiskOffering", disk),
    ):
        code, said = own_world.refused(command, id=offering)
        assert code == 431
        assert "unable to find" in said.lower()


@pytest.fixture(scope="module")
def template(own_world: Any) -> str:
    (zone,) = own_world.ok("listZones")["zone"]
    system = own_world.ok("listOsTypes", keyword="Debian GNU/Linux 12")["ostype"][0]["id"]
    made = own_world.ok(
        "registerTemplate",
        name="t",
        format="QCOW2",
        hypervisor="kvm",
        zoneid=zone["id"],
        ostypeid=system,
        url="https://images.example/t.qcow2",
    )
    return str(made["template"][0]["id"])


@pytest.mark.parametrize(
    ("command", "params", "part"),
    [
        ("updateTemplate", {"format": "PAPER"}, "Image format: PAPER is incorrect"),
        ("extractTemplate", {"mode": "HTTP_DOWNLOAD"}, "has not been downloaded"),
        ("extractIso", {"mode": "HTTP_DOWNLOAD"}, "Unsupported format, could not extract the ISO"),
        ("copyTemplate", {"sourcezoneid": "zone", "destzoneids": "zone"}, "different source and destination zones"),
        ("copyTemplate", {}, "valid destination zone"),
        ("copyTemplate", {"destzoneids": "zone"}, "ready on image store"),
        (
            "updateTemplatePermissions",
            {"op": "lend", "accounts": "x"},
            "the operation must be either 'add' or 'remove'",
        ),
        ("updateTemplatePermissions", {"op": "add"}, "requires accounts or projectIds"),
        ("updateTemplatePermissions", {"op": "add", "accounts": "nobody"}, "account not found"),
        ("updateIsoPermissions", {"op": "reset"}, "valid iso"),
        ("listIsoPermissions", {}, "valid iso"),
        ("deleteIso", {}, "valid iso"),
    ],
)
def test_templates_refuse(own_world: Any, template: str, command: str, params: dict[str, str], part: str) -> None:
    """A template that is on its way is not copied nor extracted, and is no ISO; permissions name what they want."""
    (zone,) = own_world.ok("listZones")["zone"]
    given = {name: zone["id"] if value == "zone" else value for name, value in params.items()}
    _, said = own_world.refused(command, id=template, **given)
    assert part in said
    assert own_world.ok("listTemplates", templatefilter="all", id=template)["template"][0]["name"] == "t"


def test_templates_change(own_world: Any, template: str) -> None:
    """What updateTemplate carries is there afterwards, and details go when asked."""
    system = own_world.ok("listOsTypes", keyword="Ubuntu")["ostype"][0]["id"]
    own_world.ok("updateTemplate", id=template, ostypeid=system, format="raw", **{"details[0].keyboard": "de"})
    shown = own_world.ok("listTemplates", templatefilter="all", id=template)["template"][0]
    assert (shown["ostypeid"], shown["format"]) == (system, "RAW")
    own_world.ok("updateTemplate", id=template, cleanupdetails="true", isrouting="false", name="t")
    shown = own_world.ok("listTemplates", templatefilter="all", id=template)["template"][0]
    assert "keyboard" not in shown.get("details", {})
    own_world.ok("updateTemplatePermissions", id=template, ispublic="true", isfeatured="true", isextractable="true")
    own_world.ok("updateTemplatePermissions", id=template, op="remove", accounts="nobody")
    own_world.ok("updateTemplatePermissions", id=template, op="reset")
    shown = own_world.ok("listTemplates", templatefilter="all", id=template)["template"][0]
    assert (shown["ispublic"], shown["isfeatured"], shown["isextractable"]) == (False, False, True)
