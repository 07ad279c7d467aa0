"""The order of the checks of an import: of two neighbours that are both violated the first one is told (2.1).

`CHECKS` holds the checks of importVm from VMware in their order, each with what violates it or with the reason why
nothing does. Every check is violated alone, together with its neighbour, and where those two exclude each other with
the next check that can be violated at the same time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from mgmt.errors import CloudError
from mgmt.imports.pipeline import ImportPipeline
from mgmt.imports.staging import MountedStaging
from mgmt.protocol.commands import (
    CheckConvertInstanceAnswer,
    CheckConvertInstanceCommand,
    ConvertInstanceCommand,
    ImportConvertedInstanceAnswer,
    ImportConvertedInstanceCommand,
    UnmanagedDisk,
    UnmanagedInstanceTO,
    UnmanagedNic,
)
from mgmt.protocol.records import Answer
from mgmt.store import models
from mgmt.vmware.errors import VcenterError
from mgmt.vmware.records import POWER_ON

Arrange = Callable[[Any], object]
GONE = datetime(2026, 1, 1)


@dataclass(frozen=True)
class Check:
    """One check: the row that refuses, the request that violates it, and what the world must be like for it.

    `instance` is how the converted instance differs from a good one; `never` says why nothing violates the check.
    """

    id: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    arrange: Sequence[Arrange] = ()
    instance: Mapping[str, Any] = field(default_factory=dict)
    never: str = ""

    @property
    def row(self) -> str:
        """The row that the error carries: 3.2 is asked for twice, the second time for Windows guests."""
        return self.id.removesuffix(" windows")


def change(name: str, **values: Any) -> Arrange:
    return lambda world: world.change(name, **values)


def source(**changes: Any) -> Arrange:
    def arrange(world: Any) -> None:
        world.vcenter.vms["web01"] = replace(world.vcenter.vms["web01"], **changes)

    return arrange


def add_cluster(name: str, hypervisor: str, state: str) -> Arrange:
    def arrange(world: Any) -> None:
        zone, pod = world.id_of("Z1"), world.rows(models.Pod)[0].id
        world.add(
            models.Cluster(
                uuid=name, name=name, zone_id=zone, pod_id=pod, hypervisor_type=hypervisor, allocation_state=state
            )
        )

    return arrange


def add_vm(name: str, network: str | None = None, mac_address: str = "02:00:00:00:00:01") -> Arrange:
    """A VM with that host name in zone Z1, with a NIC in `network`."""

    def arrange(world: Any) -> None:
        def number(uuid: str) -> int:
            return int(world.id_of(uuid))

        vm = models.VmInstance(
            uuid=f"vm-{name}",
            name=name,
            display_name=name,
            instance_name=f"i-2-{name}",
            state="Stopped",
            power_state="PowerOff",
            hypervisor_type="KVM",
            account_id=number("admin-account"),
            domain_id=number("ROOT"),
            user_id=2,
            zone_id=number("Z1"),
            template_id=number("TPL"),
            guest_os_id=number("Other Linux"),
            service_offering_id=number("O1"),
            cpu_number=1,
            cpu_speed_mhz=1,
            memory_mb=1,
            created=GONE,
        )
        if network is not None:
            vm.nics = [
                models.Nic(
                    uuid=f"nic-{name}", network_id=number(network), device_id=0, created=GONE, mac_address=mac_address
                )
            ]
        world.add(vm)

    return arrange


def setting(name: str, value: str) -> Arrange:
    return lambda world: world.set(name, value)


def answer(command: type[Any], *answers: Any) -> Arrange:
    return lambda world: world.agents.script(command, *answers)


def not_found(world: Any) -> None:
    del world.vcenter.vms["web01"]


def no_pools(world: Any) -> None:
    for name in ("pool-N1", "pool-N2"):
        world.change(name, removed=GONE)


def limited(world: Any) -> None:
    """Account bob may have no VM; it may use the network of the import."""
    world.change("l2", account_id=world.id_of("bob-account"))
    world.change("bob-account", limits={"user_vm": 0})


def export_breaks(world: Any) -> None:
    """The export of the OVF files by the management server fails half-way."""
    root = Path(world.tmp_path)
    (root / "192.0.2.20" / "export" / "secondary").mkdir(parents=True)
    world.services = replace(world.services, staging=MountedStaging(root))
    world.vcenter.failures["export_end"] = VcenterError("cut")


def converted(world: Any, changes: Mapping[str, Any]) -> None:
    """Let the import host answer with an instance of these sizes (bytes), controller, pool, NICs and MAC address."""
    fields = {"result": True, "sizes": (GIB,), "controller": "virtio", "pool": "pool-N1", "nics": 1, "mac": None}
    fields |= changes
    instance = UnmanagedInstanceTO(
        name="x",
        disks=[
            UnmanagedDisk(
                position=place,
                capacity=size,
                fileBaseName=f"f{place}",
                controller=fields["controller"],
                datastoreName=fields["pool"],
                datastoreType="NetworkFilesystem",
            )
            for place, size in enumerate(fields["sizes"])
        ],
        nics=[UnmanagedNic(nicId="br0", adapterType="virtio", macAddress=fields["mac"])] * fields["nics"],
    )
    answered = ImportConvertedInstanceAnswer(result=fields["result"], details="no", convertedInstance=instance)
    world.agents.script(ImportConvertedInstanceCommand, answered)


GIB = 1024**3
NICS = {"nicnetworklist": {"0": {"nic": "Network adapter 1", "network": "iso"}}}
LIMITED = {"account": "bob", "domainid": "ROOT"}
OVF = {"usevddk": False}
LINKED = {"existingvcenterid": 999, "vcenter": None}
BAD_MAPS = {"nicnetworklist": {"0": {"nic": "n"}}}

CHECKS: Sequence[Check] = (
    Check("1", {"importsource": "foo"}),
    Check("E1", {"extraparams": "--x"}),
    Check("3", {"name": ""}),
    Check("4", {"domainid": "ROOT"}),
    Check("5", {"account_type": 2}),
    Check("6", {"clusterid": None}),
    Check("7", {"clusterid": 9999}),
    Check("8", {"clusterid": "HV"}, [add_cluster("HV", "Hyperv", "Enabled")]),
    Check("9", {"clusterid": "OFF"}, [add_cluster("OFF", "KVM", "Disabled")]),
    Check("10", {"account": "nope", "domainid": "ROOT"}),
    Check("11", {"templateid": 9999}),
    Check("12", {"serviceofferingid": 9999}),
    Check("13", {"hostname": "-"}),
    Check("13a", {"clusterid": "V1", "hostname": "taken"}, [setting("vm.instancename.flag", "true"), add_vm("taken")]),
    Check("13b", BAD_MAPS),
    Check("13c", never="the cluster's hosts are only listed"),
    Check("13d", never="an event is only written"),
    Check("13e", never="a blank importsource is none of the sources of row 1"),
    Check("14", {"vcenter": None}),
    Check("15", {"password": ""}),
    Check("16", {"forcemstoimportvmfiles": True}),
    Check("P1", {"forceconverttopool": True}),
    Check("P2", {"convertinstancepoolid": 9999}),
    Check("P3", {"convertinstancepoolid": "pool-R1", "forceconverttopool": True}),
    Check("V1", {"convertinstancepoolid": "pool-N1"}, [change("do1", removed=GONE)]),
    Check("V2", {"convertinstancepoolid": "pool-N1", "serviceofferingid": "O2"}),
    Check(
        "V3",
        {"convertinstancepoolid": "pool-N1", "datadiskofferinglist": {"0": {"disk": "d", "diskOffering": "d1"}}},
        [change("d1", removed=GONE)],
    ),
    Check(
        "V4",
        {"convertinstancepoolid": "pool-N1", "datadiskofferinglist": {"0": {"disk": "d", "diskOffering": "d2"}}},
    ),
    Check("19", never="it is row 2 again, on the same parameter and the same settings"),
    Check("20", LINKED),
    Check("H1", {"convertinstancehostid": 999}),
    Check("H2", {"convertinstancehostid": "K1"}, [change("K1", resource_state="Maintenance")]),
    Check("H3", {"convertinstancehostid": "K1"}, [change("K1", status="Alert")]),
    Check("H4", {"convertinstancehostid": "K1"}, [change("K1", type="ConsoleProxy")]),
    Check("H5", {"convertinstancehostid": "K4"}),
    Check("I1", {"importinstancehostid": 999}),
    Check("I2", {"importinstancehostid": "K2"}, [change("K2", resource_state="Disabled")]),
    Check("I3", {"importinstancehostid": "K2"}, [change("K2", status="Alert")]),
    Check("I4", {"importinstancehostid": "K2"}, [change("K2", type="ConsoleProxy")]),
    Check("I5", {"importinstancehostid": "K3"}),
    Check("3.2", {}, [answer(CheckConvertInstanceCommand, CheckConvertInstanceAnswer(details="no"))]),
    Check("T1", never="row P1 refuses it earlier"),
    Check("T3", {}, [change("SEC", removed=GONE)]),
    Check("T4", {"convertinstancepoolid": "pool-N3"}),
    Check("T4b", {"convertinstancepoolid": "pool-N1", "convertinstancehostid": "K3"}),
    Check("T5", {"convertinstancepoolid": "pool-L1"}),
    Check("T6", {"convertinstancepoolid": "pool-S1"}),
    Check("D3", {}, [no_pools]),
    Check("D4", {}, [change("do1", removed=GONE)]),
    Check("D5", {"serviceofferingid": "O2"}, [change("pool-N2", removed=GONE)]),
    Check("D6", {"datadiskofferinglist": {"0": {"disk": "d", "diskOffering": "d1"}}}, [change("d1", removed=GONE)]),
    Check(
        "D7",
        {"datadiskofferinglist": {"0": {"disk": "d", "diskOffering": "d2"}}},
        [change("pool-N2", removed=GONE)],
    ),
    Check("25", never="a record is only written"),
    Check("C1", {}, [lambda world: world.vcenter.failures.update(connect=VcenterError("down"))]),
    Check("C2", {}, [not_found]),
    Check("C3", {}, [source(cpu_cores=64)]),
    Check("C5", {}, [source(power_state=POWER_ON, os="Windows 11")]),
    Check("C6", {}, [source(power_state=POWER_ON, cluster_name=None)]),
    Check("27", LIMITED, [limited]),
    Check(
        "3.2 windows",
        {},
        [
            source(os="Windows 11"),
            answer(
                CheckConvertInstanceCommand,
                CheckConvertInstanceAnswer(result=True, ovfExportSupported=True),
                CheckConvertInstanceAnswer(details="no virtio-win"),
            ),
        ],
    ),
    Check("2.7-1", {"nicnetworklist": {}}),
    Check("2.7-2", {"nicnetworklist": {"0": {"nic": "other", "network": "l2"}}}),
    Check("2.7-3", {}, [add_vm("other", "l2", mac_address="00:50:56:AA:00:00")]),
    Check("2.7-4", {"nicnetworklist": {"0": {"nic": "Network adapter 1", "network": "l2z2"}}}),
    Check("2.7-6", {}, [add_vm("web01", "l2")]),
    Check("2.7-7", NICS),
    Check("2.7-8", NICS | {"nicipaddresslist": {"0": {"nic": "Network adapter 1", "ip4Address": "10.9.9.9"}}}),
    Check("30", OVF | {"forcemstoimportvmfiles": True}, [export_breaks]),
    Check("3.4", {}, [answer(ConvertInstanceCommand, Answer(result=False, details="no"))]),
    Check("3.5", instance={"result": False}),
    Check("3.7", instance={"sizes": (GIB, GIB)}),
    Check("3.8-1", {"serviceofferingid": "O3"}),
    Check("3.8-2", instance={"sizes": ()}),
    Check("3.8-3", {"datadiskofferinglist": {"0": {"disk": "d", "diskOffering": "d1"}}}),
    Check("3.8-4", instance={"controller": None}),
    Check("3.8-5", instance={"pool": "nowhere"}),
    Check("2.7-33", instance={"nics": 2}),
    Check("3.8-7", {"details": {"0": {"miniops": "many"}}}),
    Check("3.8-8", instance={"mac": "zz"}),
    Check("34", never="the task is only written"),
)

# Neighbours that no request violates both of; the next check that does not stand here is tried instead.
_NO_CLUSTER = "without a cluster there is nothing to look at"
_NO_POOL = "without a pool there is nothing to look at"
_NO_HOST = "without the host there is nothing to look at"
_NO_VM = "without the VM there is nothing to look at"
_NO_NETWORK = "without the NIC's network there is nothing to look at"
_HASH_ORDER = "data offerings are walked in hash order: of two bad ones either may be told"
EXCLUDED: Mapping[tuple[str, str], str] = {
    ("6", "7"): _NO_CLUSTER,
    ("6", "8"): _NO_CLUSTER,
    ("6", "9"): _NO_CLUSTER,
    ("7", "8"): _NO_CLUSTER,
    ("7", "9"): _NO_CLUSTER,
    **{("P1", later): _NO_POOL for later in ("P2", "P3", "V1", "V2", "V3", "V4")},
    **{("P2", later): _NO_POOL for later in ("P3", "V1", "V2", "V3", "V4")},
    ("V1", "V2"): "an offering that is missing has no tags",
    ("V3", "V4"): _HASH_ORDER,
    **{("H1", later): _NO_HOST for later in ("H2", "H3", "H4", "H5")},
    **{("I1", later): _NO_HOST for later in ("I2", "I3", "I4", "I5")},
    **{("T3", later): _NO_POOL for later in ("T4", "T4b", "T5", "T6")},
    ("T4b", "T5"): "a pool of a cluster is not local",
    ("D4", "D5"): "an offering that is missing has no tags",
    ("D6", "D7"): _HASH_ORDER,
    **{("C2", later): _NO_VM for later in ("C3", "C5", "C6")},
    **{("2.7-2", later): _NO_NETWORK for later in ("2.7-3", "2.7-4", "2.7-6", "2.7-7", "2.7-8")},
    ("2.7-7", "2.7-8"): "an address that is not given is not looked for",
}

# Neighbours whose own requests contradict each other: a request that violates both.
TOGETHER: Mapping[tuple[str, str], Check] = {
    ("8", "9"): Check("8", {"clusterid": "HV"}, [add_cluster("HV", "Hyperv", "Disabled")]),
    ("13", "13a"): Check(
        "13", {"clusterid": "V1", "hostname": "-"}, [setting("vm.instancename.flag", "true"), add_vm("-")]
    ),
    ("P3", "V1"): Check(
        "P3", {"convertinstancepoolid": "pool-R1", "forceconverttopool": True}, [change("do1", removed=GONE)]
    ),
    ("H4", "H5"): Check("H4", {"convertinstancehostid": "K4"}, [change("K4", type="ConsoleProxy")]),
    ("I4", "I5"): Check("I4", {"importinstancehostid": "K3"}, [change("K3", type="ConsoleProxy")]),
    ("T4", "T4b"): Check("T4", {"convertinstancepoolid": "pool-N3", "convertinstancehostid": "K1"}),
    ("T4b", "T6"): Check("T4b", {"convertinstancepoolid": "pool-S1", "convertinstancehostid": "K3"}),
    ("T5", "T6"): Check("T5", {"convertinstancepoolid": "pool-L1"}),
    ("2.7-1", "2.7-2"): Check(
        "2.7-1", {"nicnetworklist": {nic: {"nic": nic, "network": "l2"} for nic in ("one", "two")}}
    ),
    ("2.7-3", "2.7-4"): Check(
        "2.7-3",
        {"nicnetworklist": {"0": {"nic": "Network adapter 1", "network": "l2z2"}}},
        [add_vm("other", "l2z2", mac_address="00:50:56:AA:00:00")],
    ),
    ("2.7-4", "2.7-6"): Check(
        "2.7-4",
        {"nicnetworklist": {"0": {"nic": "Network adapter 1", "network": "l2z2"}}},
        [add_vm("web01", "l2z2")],
    ),
    ("2.7-6", "2.7-7"): Check("2.7-6", NICS, [add_vm("web01", "iso")]),
}

REACHED = [check for check in CHECKS if not check.never]


def together(first: Check, second: Check) -> Check:
    """A request that violates both checks."""
    if (first.id, second.id) in TOGETHER:
        return TOGETHER[first.id, second.id]
    for ours, theirs in ((first.changes, second.changes), (first.instance, second.instance)):
        contradicting = [name for name in ours.keys() & theirs.keys() if ours[name] != theirs[name]]
        assert not contradicting, f"{first.id} and {second.id} need a request of their own: {contradicting}"
    return Check(
        first.id,
        {**second.changes, **first.changes},
        [*first.arrange, *second.arrange],
        {**second.instance, **first.instance},
    )


def neighbours() -> list[tuple[str, str, Check]]:
    """Each check that can be violated with the next one that can be violated at the same time."""
    pairs = []
    for place, first in enumerate(REACHED):
        for second in REACHED[place + 1 :]:
            if (first.id, second.id) not in EXCLUDED:
                pairs.append((first.id, second.id, together(first, second)))
                break
    return pairs


def refused_row(world: Any, check: Check) -> str | None:
    """The row that refuses what `check` describes."""
    world.repair()
    for arrange in check.arrange:
        arrange(world)
    if check.instance:
        converted(world, check.instance)
    changes = dict(check.changes)
    requester = world.requester(account_type=changes.pop("account_type", 1))
    with pytest.raises(CloudError) as caught:
        ImportPipeline(world.services, world.request(**changes), requester).run()
    assert caught.value.text
    return caught.value.row


@pytest.fixture
def staged(world: Any, tmp_path: Path) -> Any:
    """The world with a directory for exports."""
    world.tmp_path = tmp_path
    return world


@pytest.mark.parametrize("check", REACHED, ids=[check.id for check in REACHED])
def test_each_check_alone(staged: Any, check: Check) -> None:
    """What violates one check only is refused by that check."""
    assert refused_row(staged, check) == check.row


PAIRS = neighbours()


@pytest.mark.parametrize(("first", "second", "both"), PAIRS, ids=[f"{pair[0]}-before-{pair[1]}" for pair in PAIRS])
def test_first_of_two_neighbours_is_told(staged: Any, first: str, second: str, both: Check) -> None:
    """A request that violates two neighbouring checks gets the first one's text."""
    assert refused_row(staged, both) == first.removesuffix(" windows"), f"{first} comes before {second}"


def test_chain_of_checks_is_whole() -> None:
    """Every step of 2.1 that can refuse stands in the chain, and every pair is tried or has a reason."""
    ids = [check.id for check in CHECKS]
    assert len(set(ids)) == len(ids)
    tried = {pair[:2] for pair in PAIRS}
    for first, second in pairwise(REACHED):
        pair = (first.id, second.id)
        assert (pair in tried) != bool(EXCLUDED.get(pair)), pair
    assert [pair[0] for pair in PAIRS] == [check.id for check in REACHED[:-1]]
    assert all(check.never or check.changes or check.arrange or check.instance for check in CHECKS)
    assert {pair for pair in TOGETHER if pair not in tried} == set()
    steps = {str(step) for step in range(1, 35)} - {"2", "17", "18", *map(str, range(21, 25)), "26"}
    steps -= {"28", "29", "31", "32", "33"}  # rows of tables and of sections 2.7 and 3 stand for these
    assert steps - set(ids) == set()
