"""Seeds: the lab, what is refused and why, and starting again on a filled database."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from mgmt.providers import Providers
from mgmt.store import models
from mgmt.store.database import Store
from mgmt.store.passwords import verify_password
from mgmt.store.seeding import SeedError, read_seed, seed

ADDRESS = "127.0.0.1:8989"


def rows(store, model):
    with store.session() as session:
        return {getattr(row, "name", None): row for row in session.scalars(select(model).order_by(model.id))}


@pytest.fixture(scope="module")
def lab():
    """A store with the lab in it, for tests that only read."""
    store = Store("sqlite://", Providers())
    seed(store, "lab", vcenter_address=ADDRESS)
    yield store
    store.close()


def test_what_others_need_of_the_lab():
    """The seed tells its admin, zone, cluster, management server, files and secrets, and its text shows no secret."""
    found = read_seed("lab")
    assert (found.admin.username, found.admin.password) == ("admin", "password")
    assert found.admin.api_key.startswith("lab-admin-api-key-")
    assert [len(found.admin.api_key), len(found.admin.secret_key)] == [86, 86]
    assert (found.zone_uuid, found.cluster_uuid) == (
        "20000000-0000-4000-8000-000000000001",
        "22000000-0000-4000-8000-000000000001",
    )
    assert found.management_server_name == "lab-management"
    assert found.agents_file is not None
    assert found.agents_file.parts[-2:] == ("hosts", "lab.yaml")
    assert "VMware1!lab" in found.secrets
    assert found.admin.secret_key in found.secrets
    assert not any(secret in repr(found) for secret in found.secrets if secret != "password")


def test_the_places_of_the_lab(lab):
    """One zone, pod and KVM cluster with three hosts that wait for their agents."""
    assert list(rows(lab, models.Zone)) == ["lab-zone"]
    assert list(rows(lab, models.Pod)) == ["lab-pod"]
    assert rows(lab, models.Cluster)["lab-kvm"].hypervisor_type == "KVM"
    hosts = rows(lab, models.Host)
    assert [(host.name, host.private_ip_address) for host in hosts.values()] == [
        ("kvm1", "192.0.2.11"),
        ("kvm2", "192.0.2.12"),
        ("kvm3", "192.0.2.13"),
    ]
    assert hosts["kvm1"].guid == "11111111-0000-4000-8000-000000000001-LibvirtComputingResource"
    assert {host.status for host in hosts.values()} == {"Disconnected"}


def test_the_storage_of_the_lab(lab):
    """Two NFS pools, one of them tagged, an RBD pool, and an NFS image store."""
    pools = rows(lab, models.StoragePool)
    assert {name: (pool.pool_type, pool.scope, pool.cluster_id, pool.tags) for name, pool in pools.items()} == {
        "nfs-primary": ("NetworkFilesystem", "CLUSTER", 1, None),
        "nfs-gold": ("NetworkFilesystem", "ZONE", None, "gold"),
        "rbd-unsuitable": ("RBD", "ZONE", None, None),
    }
    assert rows(lab, models.ImageStore)["nfs-secondary"].url == "nfs://192.0.2.20/export/secondary"


def test_the_offerings_of_the_lab(lab):
    """Fixed, tagged and custom compute offerings, each with a disk offering of its own that lists do not show."""
    with lab.session() as session:
        offerings = {each.name: each for each in session.scalars(select(models.ServiceOffering))}
        assert {
            name: (each.cpu_number, each.cpu_speed_mhz, each.memory_mb, each.is_dynamic)
            for name, each in offerings.items()
        } == {
            "Small Instance": (1, 1000, 1024, False),
            "Medium Instance": (2, 2000, 4096, False),
            "Gold Instance": (4, 2000, 8192, False),
            "Custom Instance": (None, None, None, True),
            "Unlimited Instance": (None, None, None, True),
        }
        gold = offerings["Gold Instance"].disk_offering
        assert gold is not None
        assert (gold.compute_only, gold.tags) == (True, "gold")
        assert offerings["Custom Instance"].details["maxmemory"] == "65536"
        shown = session.scalars(select(models.DiskOffering).where(models.DiskOffering.compute_only.is_(False)))
        assert [(each.name, each.customized, each.tags) for each in shown] == [
            ("Custom Disk", True, None),
            ("Large Disk", False, None),
            ("Gold Disk", True, "gold"),
        ]


def test_the_networks_and_operating_systems_of_the_lab(lab):
    """An isolated and an L2 network; OS types for Linux and Windows, with Other Linux (64-bit) as number 99."""
    networks = rows(lab, models.Network)
    assert (networks["lab-isolated"].guest_type, networks["lab-isolated"].netmask) == ("Isolated", "255.255.255.0")
    assert (networks["lab-l2"].guest_type, networks["lab-l2"].cidr) == ("L2", None)
    with lab.session() as session:
        types = {each.display_name: each.id for each in session.scalars(select(models.GuestOs))}
    assert types["Other Linux (64-bit)"] == 99
    assert {"Ubuntu 22.04 LTS", "Windows Server 2022 (64-bit)"} <= set(types)


def test_the_accounts_of_the_lab(lab):
    """system is account 1 without a login, admin account 2; keys and passwords work, and hashes are stored."""
    accounts = rows(lab, models.Account)
    assert [(name, account.id, account.type) for name, account in accounts.items()] == [
        ("system", 1, 1),
        ("admin", 2, 1),
        ("user", 3, 0),
        ("tenant-admin", 4, 2),
    ]
    with lab.session() as session:
        users = {user.username: user for user in session.scalars(select(models.User))}
        domain = session.scalars(select(models.Domain).where(models.Domain.name == "tenant")).one()
    assert verify_password("password", users["admin"].password_hash)
    assert not verify_password("", users["system"].password_hash)
    assert (domain.path, domain.level) == ("/tenant/", 1)


def test_the_linked_datacenter_gets_the_address(lab):
    """`vcenter: embedded` becomes the address that the server's own vCenter has."""
    datacenter = rows(lab, models.VmwareDatacenter)["lab-dc"]
    assert (datacenter.vcenter_host, datacenter.username) == (ADDRESS, "administrator@vsphere.local")


def test_without_a_vcenter_nothing_is_linked(open_store):
    """With no address the datacenter is not written."""
    store = open_store()
    seed(store, "lab", vcenter_address=None)
    assert rows(store, models.VmwareDatacenter) == {}


def test_a_second_start_changes_only_the_address(open_store, tmp_path):
    """On a filled database seeding leaves everything, but the embedded vCenter's address follows."""
    url = f"sqlite:///{tmp_path}/lab.db"
    store = open_store(url)
    seed(store, "lab", vcenter_address=ADDRESS)
    with store.session() as session:
        session.scalars(select(models.Zone)).one().name = "renamed"
    store.close()
    again = open_store(url)
    assert seed(again, "lab", vcenter_address="127.0.0.1:1").zone_uuid == read_seed("lab").zone_uuid
    assert list(rows(again, models.Zone)) == ["renamed"]
    assert rows(again, models.VmwareDatacenter)["lab-dc"].vcenter_host == "127.0.0.1:1"
    seed(again, "lab", vcenter_address=None)
    assert rows(again, models.VmwareDatacenter)["lab-dc"].vcenter_host == "127.0.0.1:1"


def test_a_datacenter_elsewhere_keeps_its_address(open_store, lab_document, write_seed):
    """A datacenter that names a vCenter is linked to that one, whatever the embedded one's address."""
    lab_document["vmware_datacenters"][0]["vcenter"] = "vc.example:8443"
    file = write_seed(lab_document)
    store = open_store()
    for address in (None, ADDRESS):
        seed(store, file, vcenter_address=address)
        assert rows(store, models.VmwareDatacenter)["lab-dc"].vcenter_host == "vc.example:8443"


def test_an_unlinked_datacenter_stays_unlinked(open_store):
    """A datacenter that was removed does not come back at the next start."""
    store = open_store()
    seed(store, "lab", vcenter_address=ADDRESS)
    with store.session() as session:
        session.delete(session.scalars(select(models.VmwareDatacenter)).one())
    seed(store, "lab", vcenter_address=ADDRESS)
    assert rows(store, models.VmwareDatacenter) == {}


def test_a_database_of_another_seed_is_refused(open_store, lab_document, write_seed):
    """A database that holds other zones than the seed's is not touched."""
    store = open_store()
    seed(store, "lab", vcenter_address=None)
    lab_document["zones"][0]["uuid"] = "99999999-0000-4000-8000-000000000001"
    with pytest.raises(SeedError, match="was filled from another seed: it holds no zone 99999999-") as raised:
        seed(store, write_seed(lab_document), vcenter_address=None)
    assert raised.value.path == "zones[0].uuid"


def test_an_unknown_name_tells_the_known_ones():
    """A name without a file says which seeds there are."""
    with pytest.raises(
        SeedError, match=r"^seed nothing: no seed of this name; there are .*lab.*, or name a YAML file$"
    ):
        read_seed("nothing")


def test_a_missing_file_is_named(tmp_path):
    """A path without a file is named."""
    with pytest.raises(SeedError, match=r"/nothing\.yaml: no such file$"):
        read_seed(str(tmp_path / "nothing.yaml"))


def test_a_missing_hosts_file_is_named(lab_document, write_seed):
    """A referenced file is missed when it is asked for, with the key that names it."""
    lab_document["agents"] = "hosts/nothing.yaml"
    found = read_seed(write_seed(lab_document))
    with pytest.raises(
        SeedError, match=r"no file hosts/nothing\.yaml beside the seed, beside its folder, nor in"
    ) as raised:
        _ = found.agents_file
    assert raised.value.path == "agents"


def test_a_file_beside_the_seed_comes_first(lab_document, write_seed, tmp_path):
    """References are looked for beside the seed before the shipped fixtures; a seed may have none."""
    (tmp_path / "hosts").mkdir()
    own = tmp_path / "hosts" / "lab.yaml"
    own.write_text("hosts: []")
    lab_document["vcenter"] = None
    found = read_seed(write_seed(lab_document))
    assert found.agents_file == own
    assert found.vcenter_file is None


def edit(document, path, value):
    """A copy of `document` with one value set; a path such as `hosts.0.cluster`; DELETE removes it."""
    changed = copy.deepcopy(document)
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    place = changed
    for part in parents:
        place = place[part]
    if value is DELETE:
        del place[last]
    else:
        place[last] = value
    return changed


DELETE = object()

BROKEN = [
    ("zones", DELETE, "zones", "Missing data for required field."),
    ("zones", [], "zones", "Shorter than minimum length 1."),
    ("zones", "lab", "zones", "Not a valid list."),
    ("zones.0.name", DELETE, "zones[0].name", "Missing data for required field."),
    ("zones.0.name", "", "zones[0].name", "Length must be between 1 and 255."),
    ("zones.0.colour", "red", "zones[0].colour", "Unknown field."),
    ("extra", 1, "extra", "Unknown field."),
    ("zones.0.uuid", "ABC", "zones[0].uuid", "expected a UUID in lower case, not 'ABC'"),
    ("zones.0.dns1", "300.0.0.1", "zones[0].dns1", "expected an IP address, not '300.0.0.1'"),
    ("zones.0.guest_cidr", "10.1.1.1/24", "zones[0].guest_cidr", None),
    ("zones.0.networktype", "Fancy", "zones[0].networktype", "Must be one of: Advanced, Basic."),
    ("hosts.1.cluster", "nowhere", "hosts[1].cluster", "clusters hold no 'nowhere', only lab-kvm"),
    ("hosts.1.guid", "11111111-0000-4000-8000-000000000001", "hosts[1].guid", "the same guid as hosts[0].guid"),
    ("hosts.1.name", "kvm1", "hosts[1].name", "the same name of hosts as hosts[0].name"),
    ("hosts.1.private_ip", 5, "hosts[1].private_ip", "Not a valid string."),
    ("pods.0.end_ip", "192.0.2.1", "pods[0].end_ip", "comes before start_ip 192.0.2.100"),
    ("storage_pools.0.cluster", DELETE, "storage_pools[0].cluster", "a pool of scope CLUSTER needs it"),
    ("storage_pools.1.cluster", "lab-kvm", "storage_pools[1].cluster", "a pool of scope ZONE has none"),
    ("storage_pools.0.capacity_bytes", -1, "storage_pools[0].capacity_bytes", "Must be greater than or equal to 0."),
    ("storage_pools.0.capacity_bytes", "1", "storage_pools[0].capacity_bytes", "Not a valid integer."),
    ("storage_pools.0.capacity_bytes", 1.5, "storage_pools[0].capacity_bytes", "Not a valid integer."),
    ("storage_pools.0.type", "Floppy", "storage_pools[0].type", None),
    ("service_offerings.0.cpu_number", True, "service_offerings[0].cpu_number", "Not a valid integer."),
    ("networks.0.gateway", "10.2.0.1", "networks[0].gateway", "10.2.0.1 is outside 10.1.1.0/24"),
    ("networks.0.cidr", DELETE, "networks[0].cidr", "an Isolated network needs cidr and gateway"),
    ("networks.1.cidr", "10.3.0.0/24", "networks[1].cidr", "an L2 network has none"),
    ("accounts.1.role", "User", "accounts[1].role", "an account of type root-admin needs a role of type Admin"),
    ("accounts.1.users.0.api_key", DELETE, "accounts", None),
    ("accounts.2.domain", "nowhere", "accounts[2].domain", "domains hold no 'nowhere', only ROOT, tenant"),
    ("domains.0.name", "TOP", "domains[1].parent", "domains hold no 'ROOT', only TOP, tenant"),
    ("domains.1.parent", DELETE, "domains[1].parent", "a domain needs a parent that stands above it in the list"),
    ("templates.1.os_type", "BeOS", "templates[1].os_type", "os_categories hold no type 'BeOS'"),
    ("os_categories.0.types.1.name", "CentOS 7", "os_categories[0].types[1].name", None),
    ("settings", {"no.such.setting": 1}, "settings.no.such.setting", "no setting of this name is known"),
    ("settings", {"wait": "soon"}, "settings.wait", "expected a number (java.lang.Integer)"),
    ("settings", {"wait": [1]}, "settings.wait.value", "expected a text, a number or a boolean"),
    ("vmware_datacenters.0.password", DELETE, "vmware_datacenters[0].password", "Missing data for required field."),
    ("management_server.uuid", "x", "management_server.uuid", "expected a UUID in lower case, not 'x'"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("place", "value", "path", "reason"), BROKEN, ids=[f"{b[0]}-{i}" for i, b in enumerate(BROKEN)]
)
def test_a_broken_seed_names_file_path_and_reason(lab_document, write_seed, place, value, path, reason):
    """Each fault is reported with the file, the path in the document and the reason, and nothing is written."""
    file = write_seed(edit(lab_document, place, value))
    with pytest.raises(SeedError) as raised:
        read_seed(file)
    assert (raised.value.file, raised.value.path) == (file, path)
    if reason is not None:
        assert raised.value.reason == reason
        assert str(raised.value).startswith(f"seed {file}, {path}: {reason}")


def test_one_zone_has_one_datacenter(lab_document, write_seed):
    """A second VMware datacenter of a zone is refused."""
    second = {**lab_document["vmware_datacenters"][0], "uuid": "70000000-0000-4000-8000-000000000009", "name": "dc2"}
    lab_document["vmware_datacenters"].append(second)
    with pytest.raises(SeedError) as raised:
        read_seed(write_seed(lab_document))
    assert raised.value.path == "vmware_datacenters[1].zone"
    assert raised.value.reason == "a zone can be linked to one VMware datacenter only"


def test_several_faults_are_counted(lab_document, write_seed):
    """The text shows the first fault and how many more there are; all are kept."""
    for host in lab_document["hosts"]:
        host["cluster"] = "nowhere"
    with pytest.raises(SeedError, match=r"\(2 more\)$") as raised:
        read_seed(write_seed(lab_document))
    assert [problem.path for problem in raised.value.problems] == [f"hosts[{i}].cluster" for i in range(3)]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the document must be a map"),
        ("- a", "the document must be a map"),
        ("a: [", "no YAML: line 2, column 1: "),
        ("a: 1\na: 2", "no YAML: line 2, column 1: key 'a' stands twice"),
        ("a: !!python/object:os.system {}", "no YAML: line 1, column 4: could not determine a constructor"),
        ("a: \x07", "no YAML: "),
    ],
)
def test_what_is_no_seed_document_is_refused(write_seed, text, reason):
    """A file that is no YAML map names the line and what is wrong."""
    with pytest.raises(SeedError) as raised:
        read_seed(write_seed(text))
    assert raised.value.reason.startswith(reason)
    assert raised.value.path == ""


def test_a_file_in_another_encoding_is_refused(tmp_path: Path):
    """Bytes that are no UTF-8 are named."""
    file = tmp_path / "latin.yaml"
    file.write_bytes(b"a: \xff\xfe")
    with pytest.raises(SeedError, match=r"no UTF-8 text: .* at byte 3$"):
        read_seed(str(file))


JSON_LIKE = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("abc-:. ", max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=3), inner, max_size=3),
    max_leaves=5,
)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.data())
def test_any_seed_is_read_or_refused_with_a_reason(lab_document, write_seed, data):
    """Whatever stands in place of a part of the lab, reading gives a seed or a SeedError with a reason."""
    key = data.draw(st.sampled_from(sorted(lab_document)))
    changed = copy.deepcopy(lab_document)
    part = changed[key]
    if isinstance(part, list) and data.draw(st.booleans()):
        index = data.draw(st.integers(0, len(part) - 1))
        inner = data.draw(st.sampled_from(sorted(part[index])))
        part[index][inner] = data.draw(JSON_LIKE)
    else:
        changed[key] = data.draw(JSON_LIKE)
    try:
        assert read_seed(write_seed(changed)).zone_uuid
    except SeedError as error:
        assert error.reason
