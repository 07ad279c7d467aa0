"""listStoragePools and listImageStores."""

from __future__ import annotations

from datetime import datetime

import pytest

from mgmt.errors import InvalidParameterValueError
from mgmt.store.models import StoragePool, Volume

PRIMARY = "30000000-0000-4000-8000-000000000001"
ALL = ["nfs-primary", "nfs-gold", "rbd-unsuitable"]


@pytest.mark.parametrize(
    ("params", "names"),
    [
        ({}, ALL),
        ({"id": PRIMARY}, ["nfs-primary"]),
        ({"name": "NFS-GOLD"}, ["nfs-gold"]),
        ({"keyword": "nfs"}, ["nfs-primary", "nfs-gold"]),
        ({"keyword": "networkfile"}, ["nfs-primary", "nfs-gold"]),
        ({"clusterid": 1}, ["nfs-primary"]),
        ({"podid": 1}, ["nfs-primary"]),
        ({"zoneid": 1}, ALL),
        ({"zoneid": 2}, []),
        ({"scope": "zone"}, ["nfs-gold", "rbd-unsuitable"]),
        ({"scope": "HOST"}, []),
        ({"status": "up"}, ALL),
        ({"status": "Maintenance"}, []),
        ({"ipaddress": "192.0.2.30"}, ["rbd-unsuitable"]),
        ({"path": "/export/gold"}, ["nfs-gold"]),
        ({"hostid": 1}, ALL),
        ({"hostid": 99}, []),
        ({"storageaccessgroup": "g"}, []),
        ({"storagecustomstats": True}, ALL),
    ],
)
def test_pool_filters(lab, params, names):
    """listStoragePools narrows by each filter; a cluster's pools are those of the cluster alone."""
    assert lab.names("listStoragePools", **params) == names


def test_the_pools_of_a_host_are_its_own_and_the_shared_ones(lab):
    """hostid does not show the local pool of another host."""
    with lab.store.session() as session:
        for host_id in (1, 2):
            session.add(
                StoragePool(
                    uuid=f"local{host_id}",
                    name=f"kvm{host_id}-local",
                    pool_type="Filesystem",
                    scope="HOST",
                    zone_id=1,
                    cluster_id=1,
                    host_id=host_id,
                    host_address=f"192.0.2.1{host_id}",
                    path="/var/lib/libvirt/images",
                    created=datetime(2026, 1, 1),
                )
            )
    assert lab.names("listStoragePools", hostid=1) == [*ALL, "kvm1-local"]
    assert lab.names("listStoragePools", scope="HOST", ipaddress="192.0.2.12") == ["kvm2-local"]


@pytest.mark.parametrize(
    ("params", "text"),
    [({"status": "foo"}, "Invalid status: foo"), ({"scope": "foo"}, "Invalid scope type: foo")],
)
def test_unknown_words_are_refused(lab, params, text):
    """An unknown status or scope is an invalid value (431, 4350)."""
    with pytest.raises(InvalidParameterValueError) as raised:
        lab.run("listStoragePools", **params)
    assert raised.value.text == text
    assert (raised.value.errorcode, raised.value.cserrorcode) == (431, 4350)


def test_volumes_take_space_of_their_pool(lab):
    """disksizeallocated is the size of the volumes in the pool that are not removed; overprovisioning is shown."""
    with lab.store.session() as session:
        for number, removed in enumerate((None, datetime(2026, 1, 1))):
            session.add(
                Volume(
                    uuid=f"v{number}",
                    name="v",
                    volume_type="ROOT",
                    account_id=2,
                    domain_id=1,
                    zone_id=1,
                    pool_id=1,
                    size_bytes=10 * 1024**3,
                    created=datetime(2026, 1, 1),
                    removed=removed,
                )
            )
    pools = {pool["name"]: pool for pool in lab.items("listStoragePools")}
    assert pools["nfs-primary"]["disksizeallocated"] == 10 * 1024**3
    assert pools["nfs-gold"]["disksizeallocated"] == 0
    assert pools["nfs-primary"]["overprovisionfactor"] == "2.0"
    assert pools["nfs-gold"]["tags"] == "gold"
    assert {"clusterid", "podid"}.isdisjoint(pools["nfs-gold"])


def test_a_pool_may_have_its_own_overprovisioning(lab):
    """storage.overprovisioning.factor of one pool shows there only."""
    lab.run("updateConfiguration", name="storage.overprovisioning.factor", value="3.5", storageid=PRIMARY)
    factors = [pool["overprovisionfactor"] for pool in lab.items("listStoragePools")]
    assert factors == ["3.5", "2.0", "2.0"]


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({}, True),
        ({"id": 1, "zoneid": 1}, True),
        ({"zoneid": 2}, False),
        ({"name": "NFS-secondary"}, True),
        ({"protocol": "NFS"}, True),
        ({"protocol": "s3"}, False),
        ({"provider": "nfs"}, True),
        ({"provider": "foo"}, False),
        ({"readonly": False}, True),
        ({"readonly": True}, False),
        ({"keyword": "second"}, True),
        ({"keyword": "x"}, False),
    ],
)
def test_image_store_filters(lab, params, found):
    """listImageStores narrows by each filter."""
    assert lab.names("listImageStores", **params) == (["nfs-secondary"] if found else [])
