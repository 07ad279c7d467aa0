"""Parts of a host's answer that need more than the seeded lab."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import pytest
from sqlalchemy import event, select

from mgmt.agents.alerts import host_text
from mgmt.inventory.answers import clean
from mgmt.inventory.capacity import MIB, allocated_by_pool, usage_by_host
from mgmt.inventory.hosts import HostFacts, find_hosts, gather_facts, host_row, host_view, possible_events
from mgmt.inventory.hostviews import HostViews
from mgmt.inventory.listing import ByIds
from mgmt.inventory.metrics import cluster_metrics, zone_metrics
from mgmt.inventory.settings import GlobalSettings
from mgmt.providers import Providers
from mgmt.store.database import Store
from mgmt.store.models import Cluster, Host, HostDetail, Pod, VmInstance, Volume, Zone
from mgmt.store.seeding import seed


@dataclass(frozen=True)
class Row:
    id: int
    os_category_id: None = None


@dataclass(frozen=True)
class Stats:
    cpu_utilization: float = 3.456
    average_load: float = 0.4
    used_memory_bytes: float = 1024.9
    network_read_kbs: float = 12.5
    network_write_kbs: float = 8.0


@pytest.fixture(scope="module")
def store():
    made = Store("sqlite://", Providers())
    seed(made, "lab", vcenter_address=None)
    with made.session() as session:
        for number in range(30):
            session.add(
                Host(
                    uuid=f"h{number}",
                    name=f"h{number}",
                    zone_id=1,
                    pod_id=1,
                    cluster_id=1,
                    created=datetime(2026, 1, 1),
                )
            )
    yield made
    made.close()


def test_the_load_that_the_agent_reported(store):
    """With figures of the agent a host shows CPU, load, memory and network; whole KB, two decimals."""
    with store.session() as session:
        row = host_row(session, session.get_one(Host, 1))
        facts = gather_facts(session, [row], stats={1: Stats()})
        view = host_view(row, facts, ("stats",))
    assert (view["cpuused"], view["cpuloadaverage"], view["memoryused"]) == ("3.46%", 0.4, 1024)
    assert (view["networkkbsread"], view["networkkbswrite"]) == (12, 8)


def test_a_host_outside_clusters_and_kvm(store):
    """A host without pod and cluster has no names of them, and one that is no KVM host has no details map."""
    host = Host(
        uuid="ssvm",
        name="s-1-VM",
        type="SecondaryStorageVM",
        status="Up",
        resource_state="Enabled",
        hypervisor_type="None",
        cpus=1,
        speed_mhz=500,
        ram_bytes=0,
        created=datetime(2026, 1, 1),
    )
    with store.session() as session:
        host.zone = session.get_one(Host, 1).zone
        session.add(host)
        session.flush()
        view = host_view(host_row(session, host), HostFacts())
        session.rollback()
    assert {view[key] for key in ("podid", "podname", "clusterid", "clustername", "managementserverid")} == {None}
    assert not {"details", "memorytotal", "cpuused", "encryptionsupported"} & set(view)


def test_host_text_is_that_of_java():
    """A host in error texts is its id, name, type and UUID as JSON."""
    host = Host(id=12, name="kvm-ä", type="Routing", uuid="u")
    assert host_text(host) == 'Host {"id":12,"name":"kvm-ä","type":"Routing","uuid":"u"}'


def test_no_events_are_possible_for_a_removed_host():
    """A state without a way out has no events."""
    assert possible_events("Removed") == ""


def _take_space(session) -> None:
    for number, host_id in enumerate((1, 2, 2)):
        session.add(
            VmInstance(
                uuid=f"vm{number}",
                name="vm",
                instance_name=f"i-2-{number}-VM",
                state="Running",
                account_id=2,
                domain_id=1,
                user_id=2,
                zone_id=1,
                host_id=host_id,
                guest_os_id=99,
                service_offering_id=1,
                cpu_number=2,
                cpu_speed_mhz=1000,
                memory_mb=512,
                created=datetime(2026, 1, 1),
            )
        )
        session.add(
            Volume(
                uuid=f"v{number}",
                name="v",
                volume_type="ROOT",
                account_id=2,
                domain_id=1,
                zone_id=1,
                pool_id=host_id,
                size_bytes=10,
                created=datetime(2026, 1, 1),
            )
        )
    session.flush()


@pytest.mark.parametrize("ids", [[1], [1, *range(3, 33)]])
def test_usage_is_that_of_the_asked_hosts_and_pools_only(store, ids):
    """Few ids or a dense page of many: what others hold is never counted."""
    with store.session() as session:
        _take_space(session)
        usage = usage_by_host(session, ids)
        allocated = allocated_by_pool(session, ids)
        both = usage_by_host(session, [1, 2])
        session.rollback()
    assert {host_id: (each.cpu_mhz, each.cpu_cores) for host_id, each in usage.items()} == {1: (2000, 2)}
    assert usage[1].memory_bytes == 512 * MIB
    assert allocated == {1: 10}
    assert both[2].cpu_mhz == 4000


def test_nothing_is_asked_for_no_ids(store):
    """Without hosts or pools there is nothing to add up."""
    with store.session() as session:
        assert (usage_by_host(session, []), allocated_by_pool(session, [])) == ({}, {})


@pytest.mark.parametrize(
    ("ids", "found"),
    [([2, 4], [2, 4]), (list(range(1, 33, 2)), list(range(1, 33, 2))), (list(range(1, 31)), list(range(1, 31)))],
)
def test_rows_of_ids_are_found(store, ids, found):
    """A dense page becomes a range, anything else a list; every asked row comes."""
    with store.session() as session:
        rows = {host_id for (host_id,) in ByIds(select(Host.id), Host.id).rows(session, ids)}
    assert set(found) <= rows


def test_sparse_ids_bring_no_others(store):
    """Many ids that lie far apart stay a list."""
    ids = [*range(1, 25), 100_000]
    with store.session() as session:
        rows = ByIds(select(Host.id), Host.id).rows(session, ids)
    assert sorted(host_id for (host_id,) in rows) == list(range(1, 25))


def test_a_page_of_hosts_is_windowed(store):
    """find_hosts honours the window and counts all."""

    @dataclass(frozen=True)
    class Window:
        offset: int = 30
        limit: int | None = 2

    params = dict.fromkeys(
        (
            "id", "zoneid", "podid", "clusterid", "name", "type", "state", "resourcestate", "arch", "hypervisor",
            "keyword", "managementserverid", "outofbandmanagementenabled", "outofbandmanagementpowerstate",
            "storageaccessgroup",
        )
    )  # fmt: skip
    with store.session() as session:
        hosts, total = find_hosts(session, params, Window())
    assert ([host.name for host in hosts], total) == (["h27", "h28"], 33)


def test_details_as_texts_are_the_details_as_rows(store, monkeypatch):
    """What SQLite puts into one text for each host is what other databases give as rows, whatever is in the values."""
    values = {"quote": 'a "b"', "control": "a\x01\n\\", "wide": "\u00e9\u4e16", "empty": ""}
    with store.session() as session:
        ids = [session.scalar(select(Host.id).where(Host.name == f"h{number}")) for number in range(3)]
        session.add_all(HostDetail(host_id=ids[0], name=name, value=value) for name, value in values.items())
        session.flush()
        texts = gather_facts(session, [Row(number) for number in ids])
        monkeypatch.setattr(session.get_bind().dialect, "name", "postgresql")
        rows = gather_facts(session, [Row(number) for number in ids])
        session.rollback()
    assert rows.details_of(ids[0]) == values
    assert [texts.details_of(number) for number in ids] == [rows.details_of(number) for number in ids]


def test_answers_are_kept_while_nothing_of_them_changes(store):
    """An unchanged host is the very answer of before; its row, its details, its load and its VMs make a new one."""
    views = HostViews()
    with store.session() as session:

        def answer(stats=None):
            rows = [host_row(session, session.get_one(Host, 1))]
            (view,) = views.of(rows, gather_facts(session, rows, stats=stats or {}), ("all",))
            return view

        first = answer()
        assert answer() is first
        session.get_one(Host, 1).annotation = "seen"
        session.flush()
        noted = answer()
        assert (noted["annotation"], "annotation" in first) == ("seen", False)
        session.add(HostDetail(host_id=1, name="new.detail", value="x"))
        session.flush()
        assert answer()["details"]["new.detail"] == "x"
        assert answer({1: Stats()})["cpuused"] == "3.46%"
        before = answer()["cpuallocatedvalue"]
        _take_space(session)
        assert answer()["cpuallocatedvalue"] == before + 2000
        session.rollback()


def test_kept_answers_are_those_of_any_other(store):
    """What is kept of a host is what `clean` would make of it, times and absent fields included."""
    with store.session() as session:
        host = session.get_one(Host, 1)
        host.annotation, host.last_annotated = "seen", datetime(2026, 1, 2, 3, 4, 5, 6)
        host.last_ping = host.disconnected = datetime(2026, 11, 23)
        session.flush()
        rows = [host_row(session, host)]
        facts = gather_facts(session, rows, stats={1: Stats()}, jobs={host.uuid: ("job", 0)})
        (kept,) = HostViews().of(rows, facts, ("all",))
        assert dict(kept) == clean(host_view(rows[0], facts))
        session.rollback()


def test_metrics_of_many_places_take_no_more_queries(store):
    """The metrics of all zones and clusters are found in as many queries as those of one."""
    settings = GlobalSettings(store)
    with store.session() as session:
        for number in range(4):
            zone = Zone(uuid=f"z{number}", name=f"z{number}", networktype="Advanced")
            session.add(zone)
            session.flush()
            pod = Pod(
                uuid=f"p{number}",
                name=f"p{number}",
                zone_id=zone.id,
                **dict.fromkeys(("gateway", "netmask", "start_ip", "end_ip"), "10.0.0.1"),
            )
            session.add(pod)
            session.flush()
            session.add(Cluster(uuid=f"c{number}", name="c", zone_id=zone.id, pod_id=pod.id, hypervisor_type="KVM"))
        session.flush()
        zones = [{"id": uuid, "allocationstate": "Enabled"} for uuid in session.scalars(select(Zone.uuid))]
        clusters = [
            {"id": uuid, "allocationstate": "Enabled", "managedstate": "Managed"}
            for uuid in session.scalars(select(Cluster.uuid))
        ]
        queries: list[str] = []

        def note(*given):
            queries.append(given[2])

        event.listen(session.get_bind(), "before_cursor_execute", note)
        for metrics, views in ((zone_metrics, zones), (cluster_metrics, clusters)):
            queries.clear()
            metrics(session, settings, views[:1])
            wanted = len(queries)
            assert len(metrics(session, settings, views)) == len(views) > 4
            assert len(queries) == 2 * wanted <= 12
        event.remove(session.get_bind(), "before_cursor_execute", note)
        session.rollback()
