"""listTemplates and listOsTypes: the rules of templatefilter, zones, filters."""

from __future__ import annotations

from datetime import datetime

import pytest

from mgmt.commands.declaration import Paging
from mgmt.commands.ostypes import list_os_types
from mgmt.commands.templates import list_templates
from mgmt.errors import InvalidParameterValueError, PermissionDeniedError, ServerApiError
from mgmt.store import models

SHORT = {
    "CentOS 5.5(64-bit) no GUI (KVM)": "builtin",
    "SystemVM Template": "systemvm",
    "Community one": "community",
    "Private one": "private",
    "Unready one": "unready",
    "Zoned one": "zoned",
    "VMware one": "vmware",
    "Removed one": "removed",
}


def keys(result):
    return [SHORT[item["name"]] for item in result.items]


@pytest.mark.parametrize(
    ("by", "word", "expected"),
    [
        ("admin", "featured", ["builtin"]),
        ("admin", "community", ["community"]),
        ("admin", "self", []),
        ("admin", "selfexecutable", []),
        ("admin", "executable", ["builtin", "community", "unready"]),
        ("admin", "shared", []),
        ("admin", "sharedexecutable", []),
        ("admin", "all", ["systemvm", "builtin", "community", "private", "unready"]),
        ("user1", "self", ["private", "unready"]),
        ("user1", "selfexecutable", ["private"]),
        ("user1", "executable", ["builtin", "community", "private", "unready"]),
        ("user1", "featured", ["builtin"]),
        ("dadmin", "all", ["builtin", "community", "private", "unready"]),
        ("dadmin", "self", []),
        ("system", "self", ["systemvm", "builtin"]),
        ("system", "selfexecutable", ["builtin"]),
        ("other", "executable", ["builtin", "community", "unready"]),
    ],
)
def test_template_filters(world, by, word, expected):
    """Each word of templatefilter lets its templates through; templates of absent hypervisors and ISOs never come."""
    assert keys(world.run(list_templates, by, templatefilter=word, zoneid=world.ids["zone"])) == expected


def test_own_templates_of_a_domain(world):
    """A domain admin who names a domain gets the templates owned in his own domains, and no others."""
    given = {"domainid": world.ids["D1"], "zoneid": world.ids["zone"]}
    assert keys(world.run(list_templates, "dadmin", templatefilter="self", **given)) == ["private", "unready"]


def test_one_entry_for_each_zone(world):
    """A template of every zone comes once for each, one of a single zone once, and with showunique all come once."""
    result = world.run(list_templates, templatefilter="featured")
    assert [(SHORT[item["name"]], item["zonename"], item["crossZones"]) for item in result.items] == [
        ("builtin", "zone1", True),
        ("builtin", "zone2", True),
        ("zoned", "zone2", False),
    ]
    assert result.count == 3
    assert keys(world.run(list_templates, templatefilter="featured", showunique=True)) == ["builtin", "zoned"]


def test_page(world):
    """Pages cut the list of templates and zones."""
    result = world.run(list_templates, templatefilter="featured", paging=Paging(1, 1))
    assert ([item["zonename"] for item in result.items], result.count) == (["zone2"], 3)
    assert list(world.run(list_templates, templatefilter="featured", paging=Paging(0, 0)).items) == []
    assert len(world.run(list_templates, templatefilter="featured", paging=Paging(0, None)).items) == 3


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"name": "community ONE"}, ["community"]),
        ({"name": "community"}, []),
        ({"keyword": "ONE"}, ["community", "private", "unready"]),
        ({"hypervisor": "kvm", "name": "Private one"}, ["private"]),
        ({"hypervisor": "VMware"}, []),
        ({"templatetype": "builtin"}, ["builtin"]),
        ({"isready": False}, ["unready"]),
        ({"isready": True, "keyword": "one"}, ["community", "private"]),
        ({"forcks": True}, []),
        ({"isvnf": True}, []),
        ({"tags": {"0": {"key": "a"}}}, []),
        ({"arch": "x86_64", "keyword": "private"}, ["private"]),
        ({"arch": "aarch64"}, []),
        ({"showremoved": True, "keyword": "removed"}, ["removed"]),
        ({"keyword": "removed"}, []),
    ],
)
def test_filters(world, given, expected):
    """The other filters narrow the list."""
    given = {"templatefilter": "all", "zoneid": world.ids["zone"], **given}
    assert keys(world.run(list_templates, **given)) == expected


@pytest.mark.parametrize(
    ("name", "key", "expected"),
    [
        ("id", "private", ["private"]),
        ("id", "vmware", ["vmware"]),
        ("oscategoryid", "windows-category", []),
        ("imagestoreid", "secondary", ["systemvm", "builtin", "community", "private", "unready"]),
        ("storageid", "pool", []),
    ],
)
def test_filters_by_entity(world, name, key, expected):
    """Filters that name an entity find the templates that go with it; id ignores the hypervisors in use."""
    given = {"templatefilter": "all", "zoneid": world.ids["zone"], name: world.ids[key]}
    assert keys(world.run(list_templates, **given)) == expected


def test_several_ids(world):
    """ids finds several templates."""
    ids = [world.ids["builtin"], world.ids["private"]]
    result = world.run(list_templates, templatefilter="all", ids=ids, zoneid=world.ids["zone"])
    assert keys(result) == ["builtin", "private"]


def test_executable_of_an_account_is_ready(world):
    """An admin who asks for an account's executable templates gets ready ones."""
    given = {"account": "user1", "domainid": world.ids["D1"], "zoneid": world.ids["zone"]}
    result = world.run(list_templates, templatefilter="executable", **given)
    assert keys(result) == ["builtin", "community", "private"]


@pytest.mark.parametrize("word", ["foo", "ALL", ""])
def test_unknown_filter_text(world, word):
    """An unknown word of templatefilter gives Java's text; case counts."""
    with pytest.raises(ServerApiError) as caught:
        world.run(list_templates, templatefilter=word)
    assert caught.value.text == f"No enum constant com.cloud.template.VirtualMachineTemplate.TemplateFilter.{word}"
    assert (caught.value.errorcode, caught.value.cserrorcode) == (431, 9999)


def test_all_is_for_admins_text(world):
    """A user may not ask for all templates."""
    with pytest.raises(InvalidParameterValueError, match=r"^Filter all can be specified by admin only$"):
        world.run(list_templates, "user1", templatefilter="all")


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (None, "Please specify a valid template ID."),
        ("dummy", "Incorrect format ISO of the specified template id"),
    ],
)
def test_named_template_texts(world, key, text):
    """An id of no template, or of an ISO, is refused."""
    with pytest.raises(InvalidParameterValueError) as caught:
        world.run(list_templates, templatefilter="self", id=world.ids[key] if key else 4711)
    assert caught.value.text == text


def test_private_template_of_another_text(world):
    """A private template of another account is refused; a public one is shown."""
    with pytest.raises(PermissionDeniedError) as caught:
        world.run(list_templates, "other", templatefilter="self", id=world.ids["private"])
    assert caught.value.text == "Caller does not have permission to operate with provided resource."
    shown = world.run(list_templates, "user1", templatefilter="self", id=world.ids["community"], showunique=True)
    assert keys(shown) == ["community"]


def test_no_cluster_no_templates(own_world):
    """Without any hypervisor there is no template to use."""
    with own_world.store.session() as session:
        session.get_one(models.Cluster, own_world.ids["cluster"]).removed = datetime(2026, 1, 1)
    assert own_world.run(list_templates, templatefilter="all").count == 0


def test_where_the_image_is(world):
    """Root admins see the image stores of a ready template; users do not, nor its download state."""
    given = {"templatefilter": "community", "zoneid": world.ids["zone"]}
    (admin,) = world.run(list_templates, **given).items
    assert [store["datastore"] for store in admin["downloaddetails"]] == ["SS0"]
    (user,) = world.run(list_templates, "user1", **given).items
    assert (user["downloaddetails"], user["status"]) == (None, None)
    unready = world.run(list_templates, templatefilter="all", isready=False, zoneid=world.ids["zone"]).items[0]
    assert (unready["downloaddetails"], unready["status"]) == ([], None)


@pytest.mark.parametrize(
    ("by", "given", "expected"),
    [
        ("admin", {}, ["AAA hidden", "CentOS 5.5 (64-bit)", "Windows 11"]),
        ("user1", {}, ["CentOS 5.5 (64-bit)", "Windows 11"]),
        ("user1", {"fordisplay": False}, ["CentOS 5.5 (64-bit)", "Windows 11"]),
        ("admin", {"fordisplay": False}, ["AAA hidden"]),
        ("admin", {"keyword": "centos"}, ["CentOS 5.5 (64-bit)"]),
        ("admin", {"description": "windows"}, ["Windows 11"]),
    ],
)
def test_os_types(world, names, by, given, expected):
    """OS types come by name; hidden ones are for root admins."""
    assert names(world.run(list_os_types, by, **given)) == expected


def test_os_types_by_category_and_id(world, names):
    """Category and id narrow the list; a user-defined type says so."""
    result = world.run(list_os_types, "user1", oscategoryid=world.ids["windows-category"])
    assert [(item["name"], item["isuserdefined"], item["oscategoryname"]) for item in result.items] == [
        ("Windows 11", True, "Windows")
    ]
    assert names(world.run(list_os_types, id=world.ids["centos"])) == ["CentOS 5.5 (64-bit)"]
