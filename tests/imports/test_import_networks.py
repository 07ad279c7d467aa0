"""The checks of NICs before the conversion and with the records (import-vm 2.7)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from mgmt.imports.facts import NetworkFacts
from mgmt.imports.networks import is_free, next_free
from mgmt.protocol.commands import (
    ConvertInstanceCommand,
    ImportConvertedInstanceAnswer,
    ImportConvertedInstanceCommand,
    UnmanagedNic,
)
from mgmt.store import models
from mgmt.vmware.records import POWER_ON

ISOLATED = {"nicnetworklist": {"0": {"nic": "Network adapter 1", "network": "iso"}}}


def address(value: str) -> dict[str, Any]:
    return {**ISOLATED, "nicipaddresslist": {"0": {"nic": "Network adapter 1", "ip4Address": value}}}


def failed(world: Any, **changes: Any) -> str:
    """Run an import that fails before the conversion: task Failed, clone gone, no host converts."""
    world.vcenter.vms["web01"] = replace(world.vcenter.vms["web01"], power_state=POWER_ON)
    error = world.refused(**changes)
    assert error.job_errorcode() == 530
    assert (world.task.state, world.task.description) == ("Failed", error.text)
    assert world.vcenter.destroyed == world.vcenter.clones != []
    assert world.agents.commands(ConvertInstanceCommand) == []
    text: str = error.text
    return text


def network_text(world: Any, name: str) -> str:
    offering = world.rows(models.NetworkOffering)[0].id
    return f'Network {{"id": {world.id_of(name)}, "name": "{name}", "uuid": "{name}", "networkofferingid": {offering}}}'


def test_2p7i1_N1t_number_of_nics(world: Any, make_source: Any) -> None:
    """The map must have an entry per NIC."""
    world.vcenter.vms["web01"] = make_source(nics=2)
    text = failed(world)
    (clone,) = world.vcenter.clones
    assert text == f"Different number of nics found on instance {clone}: 2 vs 1 nics provided"


@pytest.mark.parametrize("removed", [True, False])
def test_2p7i2_network_not_found(world: Any, removed: bool) -> None:
    """A NIC without an entry of its own has network null; a removed network shows its number."""
    if removed:
        world.change("l2", removed=datetime(2026, 1, 1))
        assert failed(world) == f"Cannot find a network with id = {world.id_of('l2')}"
    else:
        assert (
            failed(world, nicnetworklist={"0": {"nic": "other", "network": "l2"}})
            == "Cannot find a network with id = null"
        )


def test_2p7i3_mac_in_use(world: Any) -> None:
    """A MAC address of the network is refused unless forced, and then replaced."""
    world.run(hostname="first")
    error = world.refused(hostname="second")
    assert error.text == (
        f"NIC Network adapter 1 with MAC address 00:50:56:aa:00:00 already exists on network "
        f"{network_text(world, 'l2')} and forced flag is disabled. Retry with forced flag enabled if a new MAC address "
        "to be generated."
    )
    world.run(hostname="second", forced=True)
    first, second = (nic.mac_address for nic in world.rows(models.Nic))
    assert first == "00:50:56:aa:00:00"
    assert second.startswith("02:01:00:")


def test_2p7i4_network_of_another_zone(world: Any) -> None:
    """The network must be in the zone of the cluster."""
    assert failed(world, nicnetworklist={"0": {"nic": "Network adapter 1", "network": "l2z2"}}) == (
        "Network(ID: l2z2) for nic(ID: Network adapter 1) belongs to a different zone than VM to be imported"
    )


def test_2p7i4_network_of_another_account(world: Any) -> None:
    """The owner must be allowed to use the network."""
    world.change("l2", account_id=world.id_of("bob-account"))
    assert failed(world) == "Unable to use network with id= l2, permission denied"


def test_2p7i4_shared_network_of_a_domain(world: Any) -> None:
    """A network for a domain is open to its accounts and to those below, not to others."""
    world.add(models.Domain(uuid="SUB", name="SUB", path="/SUB/"))
    world.change("iso", acl_type="Domain", guest_type="Shared", account_id=world.id_of("bob-account"))
    world.run(**address("auto"))
    world.change("iso", domain_id=world.id_of("SUB"))
    error = world.refused(hostname="second", **address("auto"), forced=True)
    assert error.text == "Shared network id=iso is not available in domain id=ROOT"


@pytest.mark.parametrize(("domain", "shown"), [(None, "null"), ("cs.lab", "cs.lab")])
def test_2p7i6_host_name_in_use(world: Any, domain: str | None, shown: str) -> None:
    """A host name that the network has already is refused."""
    world.change("l2", network_domain=domain)
    world.run()
    error = world.refused(forced=True)
    assert error.text == (
        f"VM with Name [web01] already exists in the network [{network_text(world, 'l2')}] domain [{shown}]. Cannot "
        "import another VM with the same name. Please try again with a different name."
    )


def test_2p7i7_address_missing(world: Any) -> None:
    """A network that is not L2 needs an address."""
    assert failed(world, **ISOLATED) == (
        "NIC(ID: Network adapter 1) needs a valid IP address for it to be associated with network(ID: iso). "
        "nicipaddresslist parameter of API can be used for this"
    )


@pytest.mark.parametrize("wanted", ["10.1.1.1", "10.1.2.7", "10.1.1.0", "10.1.1.255"])
def test_2p7i8_address_not_available(world: Any, wanted: str) -> None:
    """The address must be a free one of the network: not the gateway's, not outside."""
    assert failed(world, **address(wanted)) == (
        f"IP address {wanted} for NIC(ID: Network adapter 1) is not available in network(ID: iso)"
    )


def test_2p7i8_address_taken(world: Any) -> None:
    """An address that another NIC has, as its first or a further one, is not available."""
    world.run(**address("10.1.1.7"))
    (nic,) = world.rows(models.Nic)
    further = models.NicSecondaryIp(
        uuid="further", nic_id=nic.id, network_id=nic.network_id, ip4_address="10.1.1.8", created=nic.created
    )
    with world.services.store.session() as session:
        session.add(further)
    for wanted in ("10.1.1.7", "10.1.1.8"):
        error = world.refused(hostname="second", forced=True, **address(wanted))
        assert f"IP address {wanted} for NIC(ID: Network adapter 1) is not available" in error.text


@pytest.mark.parametrize(("asked", "given"), [("10.1.1.7", "10.1.1.7"), ("auto", "10.1.1.2")])
def test_address_of_the_nic(world: Any, asked: str, given: str) -> None:
    """The NIC has the address with gateway and netmask; `auto` takes the lowest free one."""
    world.run(**address(asked))
    (nic,) = world.rows(models.Nic)
    assert (nic.ip4_address, nic.gateway, nic.netmask) == (given, "10.1.1.1", "255.255.255.0")


def test_l2_stores_no_address(world: Any) -> None:
    """On an L2 network an address is neither needed nor kept."""
    world.run(nicipaddresslist={"0": {"nic": "Network adapter 1", "ip4Address": "10.1.1.7"}})
    (nic,) = world.rows(models.Nic)
    assert (nic.ip4_address, nic.gateway, nic.netmask) == (None, None, None)


def test_auto_takes_over_the_guest_address(world: Any, make_source: Any) -> None:
    """`auto` keeps the one address that the source NIC is known to have, when the source's NICs are used."""
    vm = make_source()
    world.vcenter.vms["web01"] = replace(vm, nics=(replace(vm.nics[0], ip_addresses=("10.1.1.99",)),))
    answers(world, nics=0)
    world.run(**address("auto"))
    assert [nic.ip4_address for nic in world.rows(models.Nic)] == ["10.1.1.99"]


def answers(world: Any, nics: int, *changed: UnmanagedNic) -> None:
    """Let the import host answer with that many NICs of its own making, or with the given ones."""
    default = world.agents.defaults[ImportConvertedInstanceCommand]

    def answer(command: ImportConvertedInstanceCommand) -> ImportConvertedInstanceAnswer:
        given: ImportConvertedInstanceAnswer = default(command)
        assert given.convertedInstance is not None
        nic = UnmanagedNic(nicId="br0", adapterType="virtio")
        given.convertedInstance.nics = list(changed) or [nic] * nics
        return given

    world.agents.script(ImportConvertedInstanceCommand, answer)


def late(world: Any, **changes: Any) -> str:
    """Run an import that fails when the records are made: no record is left, the task is Failed in step Importing."""
    error = world.refused(**changes)
    assert error.job_errorcode() == 530
    assert (world.task.state, world.task.step, world.task.description) == ("Failed", "Importing", error.text)
    world.assert_no_records()
    text: str = error.text
    return text


def test_2p7i33_auto_with_several_addresses(world: Any, make_source: Any) -> None:
    """`auto` cannot choose among several addresses of the guest."""
    vm = make_source()
    nic = replace(vm.nics[0], ip_addresses=("10.1.1.9", "10.1.1.10"))
    world.vcenter.vms["web01"] = replace(vm, nics=(nic,))
    answers(world, nics=0)
    assert late(world, **address("auto")) == (
        "Multiple IP addresses (10.1.1.9, 10.1.1.10) present for nic ID: Network adapter 1. IP address cannot be "
        "assigned automatically, only single IP address auto-assigning supported"
    )


def test_auto_with_a_v6_address_only(world: Any, make_source: Any) -> None:
    """An address that is no IPv4 one is not taken over."""
    vm = make_source()
    world.vcenter.vms["web01"] = replace(vm, nics=(replace(vm.nics[0], ip_addresses=("fe80::1",)),))
    answers(world, nics=0)
    world.run(**address("auto"))
    assert [nic.ip4_address for nic in world.rows(models.Nic)] == ["10.1.1.2"]


def test_source_nics_are_used_when_none_came(world: Any) -> None:
    """Without converted NICs the source's are taken, as virtio ones."""
    answers(world, nics=0)
    world.run()
    (nic,) = world.rows(models.Nic)
    assert nic.mac_address == "00:50:56:aa:00:00"
    details = {detail.name: detail.value for detail in world.rows(models.VmDetail)}
    assert details["nicAdapter"] == "virtio"


def test_converted_mac_is_kept(world: Any) -> None:
    """A MAC address of the converted NIC wins over the source's."""
    answers(world, 1, UnmanagedNic(nicId="br0", adapterType="virtio", macAddress="52:54:00:12:00:02"))
    world.run()
    assert [nic.mac_address for nic in world.rows(models.Nic)] == ["52:54:00:12:00:02"]


def test_2p7i33_other_number_of_converted_nics(world: Any) -> None:
    """A converted instance with another number of NICs keeps their ids, which no map has."""
    answers(world, nics=2)
    assert late(world) == "Suitable network for nic(ID: br0) not found during VM import"


def test_2p7i33_adapter_types(world: Any, make_source: Any) -> None:
    """All NICs must have one adapter type."""
    world.vcenter.vms["web01"] = make_source(nics=2)
    answers(world, 2, UnmanagedNic(adapterType="virtio"), UnmanagedNic(adapterType="e1000"))
    networks = {str(i): {"nic": f"Network adapter {i + 1}", "network": "l2"} for i in range(2)}
    assert late(world, nicnetworklist=networks) == (
        "Multiple network adapter of different type (virtio, e1000) are not supported for import. Please make sure "
        "that all network adapters are of the same type"
    )


@pytest.mark.parametrize(("mac", "reason"), [("zz", "Invalid mac address: zz"), (" ", "Mac address not specified")])
def test_3p8i8_bad_mac(world: Any, mac: str, reason: str) -> None:
    """A MAC address that is none ends in the NICs' text."""
    answers(world, 1, UnmanagedNic(adapterType="virtio", macAddress=mac))
    assert late(world) == f"Failed to import NICs while importing vm: web01. {reason}"


def test_mac_taken_between_the_checks(world: Any) -> None:
    """A converted MAC that the network has is refused with the records' own text."""
    world.run(hostname="first")
    answers(world, 1, UnmanagedNic(adapterType="virtio", macAddress="00:50:56:AA:00:00"))
    vm = world.vcenter.vms["web01"]
    world.vcenter.vms["web01"] = replace(vm, nics=(replace(vm.nics[0], mac_address="00:50:56:bb:00:00"),))
    error = world.refused(hostname="second")
    assert error.text == (
        "Failed to import NICs while importing vm: web01. NIC with MAC address 00:50:56:AA:00:00 exists on network "
        f"{network_text(world, 'l2')} and forced flag is disabled"
    )
    assert len(world.rows(models.VmInstance)) == 1


def test_3p8i8_no_free_address(world: Any) -> None:
    """A full network gives no address to `auto`."""
    world.change("iso", start_ip="10.1.1.1", end_ip="10.1.1.1")
    assert late(world, **address("auto")) == (
        "Failed to import NICs while importing vm: web01. Cannot find a free IP to assign to VM NIC on network iso"
    )


def test_3p8i8_two_nics_with_one_address(world: Any, make_source: Any) -> None:
    """The second NIC cannot have the address that the first has just got."""
    world.vcenter.vms["web01"] = make_source(nics=2)
    names = [f"Network adapter {i + 1}" for i in range(2)]
    text = late(
        world,
        nicnetworklist={name: {"nic": name, "network": "iso"} for name in names},
        nicipaddresslist={name: {"nic": name, "ip4Address": "10.1.1.7"} for name in names},
    )
    assert text == (
        "Failed to import NICs while importing vm: web01. Unable to acquire Guest IP  address for network "
        f"{network_text(world, 'iso')}"
    )


def test_addresses_of_a_network_without_cidr(world: Any) -> None:
    """A network without a range has no free address."""
    network = NetworkFacts(1, "n", "n", "Shared", 1, 1, 1, "Account", 1)
    with world.services.store.session() as session:
        assert next_free(session, network) is None
        assert not is_free(session, network, "10.1.1.7")
        assert not is_free(session, replace(network, cidr="10.1.1.0/24"), "x")
        ranged = replace(network, cidr="10.1.1.0/24", start_ip="10.1.1.5", end_ip="10.1.1.6")
        assert next_free(session, ranged) == "10.1.1.5"
        assert [is_free(session, ranged, f"10.1.1.{last}") for last in (4, 5, 6, 7)] == [False, True, True, False]


def test_vm_without_nics(world: Any, make_source: Any) -> None:
    """A source without NICs becomes a VM without any: no failure, but nobody is told either."""
    world.vcenter.vms["web01"] = make_source(nics=0)
    answers(world, nics=0)
    world.run(nicnetworklist={})
    assert world.rows(models.Nic) == []
    assert world.task.state == "Completed"
