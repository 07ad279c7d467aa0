"""Templates and ISOs: registered, on their way, changed, shared, copied and deleted."""

from __future__ import annotations

import time
from typing import Any

import pytest

URL = "https://images.example/debian-12.qcow2"
ISO_URL = "http://images.example/debian-12.iso"
TENANT = "00000002-0000-4000-8000-000000000002"
BOUND_S = 60.0


@pytest.fixture(scope="module")
def zone(own_world: Any) -> str:
    return str(own_world.ok("listZones")["zone"][0]["id"])


@pytest.fixture(scope="module")
def os_type(own_world: Any) -> str:
    return str(own_world.ok("listOsTypes", keyword="Debian GNU/Linux 12")["ostype"][0]["id"])


def given(zone: str, os_type: str, **more: str) -> dict[str, str]:
    return {
        "name": "deb",
        "format": "QCOW2",
        "hypervisor": "kvm",
        "zoneid": zone,
        "ostypeid": os_type,
        "url": URL,
        **more,
    }


def ready(world: Any, command: str, **named: str) -> dict[str, Any]:
    """The entry of a list, once it is ready: the machine's clock drives this world."""
    end = time.monotonic() + BOUND_S
    while True:
        (entry,) = next(value for value in world.ok(command, **named).values() if isinstance(value, list))
        if entry["isready"] or time.monotonic() > end:
            assert entry["isready"], entry
            return dict(entry)
        world.server.services.downloads.look()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A download takes a moment."""
    monkeypatch.setattr("mgmt.life.downloads.DOWNLOAD_S", 0.05)


def test_a_template_comes_and_goes(own_world: Any, zone: str, os_type: str) -> None:
    """A registered template is not ready at first; once its image is there it has a size, and counts."""
    made = own_world.ok(
        "registerTemplate", **given(zone, os_type, ispublic="true", isfeatured="true"),
        **{"details[0].keyboard": "de"},
    )["template"]  # fmt: skip
    assert [(each["name"], each["hypervisor"], each["isready"]) for each in made] == [("deb", "KVM", False)]
    assert made[0]["status"].endswith("% Downloaded") or made[0]["status"] == "Installing Template"
    assert made[0]["details"] == {"keyboard": "de"}
    named = {"templatefilter": "all", "id": made[0]["id"]}
    entry = ready(own_world, "listTemplates", **named)
    assert (entry["status"], entry["size"], entry["url"]) == ("Download Complete", 2 * 1024**3, URL)
    changed = own_world.ok(
        "updateTemplate", id=made[0]["id"], displaytext="Debian", templatetype="routing", sortkey="3"
    )
    assert changed["template"]["displaytext"] == "Debian"
    assert own_world.ok("listTemplates", **named)["template"][0]["templatetype"] == "ROUTING"
    taken = own_world.ok("extractTemplate", id=made[0]["id"], mode="HTTP_DOWNLOAD", zoneid=zone)["template"]
    assert (taken["state"], taken["url"][:7]) == ("DOWNLOAD_URL_CREATED", "http://")
    assert own_world.ok("deleteTemplate", id=made[0]["id"]) == {"success": True}
    assert own_world.ok("listTemplates", templatefilter="all", keyword="deb") == {}
    assert own_world.refused("deleteTemplate", id=made[0]["id"])[0] == 431
    types = {each["type"] for each in own_world.ok("listEvents", pagesize="100", page="1")["event"]}
    assert {"TEMPLATE.CREATE", "TEMPLATE.UPDATE", "TEMPLATE.DELETE", "TEMPLATE.EXTRACT"} <= types


@pytest.mark.parametrize(
    ("change", "code", "text"),
    [
        ({"format": "FOO"}, 431, "Image format: FOO is incorrect. Supported formats are [QCOW2, "),
        ({"hypervisor": "Zen"}, 431, "Hypervisor Type: Zen is invalid. Supported Hypervisor types are: XenServer, KVM"),
        ({"url": "ftp://images.example/x.qcow2"}, 431, "Unsupported scheme for url: ftp://images.example/x.qcow2"),
        ({"url": "http://images.example:81/x.qcow2"}, 431, "Only ports 80, 8080 and 443 are allowed"),
        ({"url": "http://127.0.0.1/x.qcow2"}, 431, "Illegal host specified in URL."),
        ({"url": "file:///x.qcow2"}, 431, "File:// type urls are currently unsupported"),
        (
            {"url": "http://images.example/x.iso"},
            431,
            "Please specify a valid URL. URL:/x.iso is an invalid for the fo",
        ),
        ({"zoneids": "-1"}, 431, "Both zoneid and zoneids cannot be specified at the same time"),
        ({"name": "SystemVM Template (KVM)"}, 431, "Cannot use reserved names for templates"),
        ({"templatetype": "odd"}, 431, "Please specify a valid templatetype: [odd]"),
    ],
)
def test_what_cannot_be_registered(
    change: dict[str, str], code: int, text: str, own_world: Any, zone: str, os_type: str
) -> None:
    """CloudStack's refusals of a template, with its texts."""
    refused = own_world.refused("registerTemplate", **(given(zone, os_type) | change))
    assert (refused[0], refused[1][: len(text)]) == (code, text)


def test_a_template_needs_zone_and_system(own_world: Any, zone: str, os_type: str) -> None:
    """Neither zone nor guest OS may be missing; a user has none for all zones and no tag."""
    whole = given(zone, os_type)
    for name, text in (
        ("zoneid", "Either zoneid or zoneids is required. Both cannot be null."),
        ("ostypeid", "Please provide a guest OS type"),
    ):
        assert own_world.refused("registerTemplate", **{key: value for key, value in whole.items() if key != name}) == (
            431,
            text,
        )
    assert own_world.refused("registerTemplate", who="user", **(whole | {"zoneid": "-1"}))[1].startswith(
        "Template registered for 'All zones' can only be owned a Root Admin account."
    )
    assert own_world.refused("registerTemplate", who="user", templatetag="x", **whole) == (
        531,
        "Parameter templatetag can only be specified by a Root Admin, permission denied",
    )


def test_a_private_template_is_shared(own_world: Any, zone: str, os_type: str) -> None:
    """A private template is its owner's, until an account of his domain gets a permission."""
    made = own_world.ok("registerTemplate", **given(zone, os_type, name="mine"))["template"][0]["id"]
    assert own_world.refused("listTemplates", who="user", templatefilter="executable", id=made)[0] == 531
    own_world.ok("updateTemplatePermissions", id=made, op="add", accounts="user")
    shown = own_world.ok("listTemplatePermissions", id=made)["templatepermission"]
    assert (shown["account"], shown["ispublic"]) == (["user", "admin"], False)
    assert own_world.ok("listTemplates", who="user", templatefilter="shared")["template"][0]["id"] == made
    own_world.ok("updateTemplatePermissions", id=made, op="remove", accounts="user")
    assert own_world.ok("listTemplates", who="user", templatefilter="shared") == {}
    own_world.ok("updateTemplatePermissions", id=made, ispublic="true", isextractable="true")
    own_world.ok("updateTemplatePermissions", id=made, op="reset")
    assert own_world.ok("listTemplatePermissions", id=made)["templatepermission"]["ispublic"] is False
    refusals = {
        "Unable to grant a launch permission to account nobody in domain id=": {"op": "add", "accounts": "nobody"},
        "Invalid operation on accounts, the operation must be either 'add' or 'remove' in": {"accounts": "user"},
        "Operation add requires accounts or projectIds to be passed in": {"op": "add"},
    }
    for text, sent in refusals.items():
        refused = own_world.refused("updateTemplatePermissions", id=made, **sent)
        assert (refused[0], refused[1][: len(text)]) == (431, text)
    assert own_world.refused("updateIsoPermissions", id=made) == (431, "Please provide a valid iso")
    assert own_world.refused("listIsoPermissions", id=made) == (431, "Please provide a valid iso")


def test_isos(own_world: Any, zone: str, os_type: str) -> None:
    """An ISO is in the list of ISOs alone, is copied to another zone, and is taken out of its zones one by one."""
    made = own_world.ok("registerIso", name="net", url=ISO_URL, zoneid=zone, ostypeid=os_type)["iso"][0]
    assert (made["format"], made["bootable"]) == ("ISO", True)
    named = {"isofilter": "all", "id": made["id"]}
    assert ready(own_world, "listIsos", **named)["status"] == "Successfully Installed"
    assert own_world.refused("listTemplates", templatefilter="all", id=made["id"]) == (
        431,
        "Incorrect format ISO of the specified template id",
    )
    assert own_world.ok("updateIso", id=made["id"], displaytext="Net")["iso"]["displaytext"] == "Net"
    other = own_world.ok(
        "createZone", name="z9", networktype="Advanced", dns1="192.0.2.1", internaldns1="192.0.2.1"
    )["zone"]["id"]  # fmt: skip
    copied = own_world.ok("copyIso", id=made["id"], sourcezoneid=zone, destzoneid=other)["iso"]
    assert copied["zoneid"] == other
    assert own_world.ok("listIsos", isofilter="all")["count"] == 2
    assert own_world.ok("extractIso", id=made["id"], mode="HTTP_DOWNLOAD")["iso"]["id"] == made["id"]
    assert own_world.ok("deleteIso", id=made["id"], zoneid=zone) == {"success": True}
    assert [each["zoneid"] for each in own_world.ok("listIsos", isofilter="all")["iso"]] == [other]
    own_world.ok("deleteIso", id=made["id"])
    assert own_world.ok("listIsos", isofilter="all") == {}
    own_world.ok("deleteZone", id=other)
    assert own_world.refused("registerIso", name="x", url=ISO_URL, zoneid=zone) == (
        431,
        "Please pass a valid GuestOS Id",
    )
    unbootable = own_world.ok("registerIso", name="x", url=ISO_URL, zoneid=zone, bootable="false")["iso"][0]
    assert (unbootable["bootable"], unbootable["ostypename"]) == (False, "None")
    own_world.ok("deleteIso", id=unbootable["id"])


def test_an_image_takes_its_time(opener: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """How far an image is follows the clock of the server; a server that is started again goes on with it."""
    from mgmt.clock import MANUAL, VirtualClock
    from mgmt.config import Settings
    from mgmt.providers import Providers

    monkeypatch.setattr("mgmt.life.downloads.DOWNLOAD_S", 100.0)
    clock = VirtualClock(MANUAL)
    clock.start()
    settings = Settings(port=0, agent_port=0, agents="none", vcenter="none")
    for world in opener(settings, Providers(clock=clock)):
        zone = world.ok("listZones")["zone"][0]["id"]
        system = world.ok("listOsTypes")["ostype"][0]["id"]
        made = world.ok("registerTemplate", **given(zone, system))["template"][0]
        assert made["status"] == "0% Downloaded"
        clock.advance(40)
        named = {"templatefilter": "all", "id": made["id"]}
        (half,) = world.ok("listTemplates", **named)["template"]
        assert (half["status"], half["isready"]) == ("40% Downloaded", False)
        assert half["downloaddetails"][0]["downloadState"] == "DOWNLOAD_IN_PROGRESS"
        world.server.services.downloads.stop(timeout_s=BOUND_S)
        world.server.services.downloads.start()
        clock.advance(60)
        (whole,) = world.ok("listTemplates", **named)["template"]
        assert (whole["status"], whole["isready"]) == ("Download Complete", True)
    clock.close()
