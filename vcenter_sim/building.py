"""From an inventory document to live objects."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from vcenter_sim import document, hosts, machines, wire, wiring
from vcenter_sim.devices import Disk, Nic
from vcenter_sim.document import InventoryError
from vcenter_sim.entries import DatacenterEntry, Document, VmEntry
from vcenter_sim.inventory import Inventory, Managed
from vcenter_sim.machines import Guest, Place, Shape
from vcenter_sim.providers import Clock, Ids, stable_uuid

_GB = 1024**3
PROVED_OF_A_KIND = 50
PROVED_DOCUMENTS = 8


def load(file: Path, clock: Clock, ids: Ids) -> tuple[Inventory, Document]:
    """The inventory that a file describes; raises InventoryError with file, place and reason.

    Objects are sent through the serialiser, so that a value that cannot travel shows here and not in an answer.
    """
    entry = document.load(file)
    inventory = Inventory(clock, ids)
    root = wiring.add_root(inventory, entry.custom_fields)
    for index, datacenter in enumerate(entry.datacenters):
        try:
            _Datacenter(inventory, root, datacenter, entry.custom_fields).build()
        except (TypeError, ValueError) as error:
            raise InventoryError(file, [(f"datacenters[{index}]", str(error))]) from error
    _prove_once(entry, inventory)
    return inventory, entry


# Documents that were proved, by identity: `document.load` gives the same one for the same content. Kept alive, so that
# no other document takes its identity.
_proved: dict[int, Document] = {}


def _prove_once(entry: Document, inventory: Inventory) -> None:
    """Prove the inventory of a document unless one of the same document was: the proof costs more than building."""
    if _proved.get(id(entry)) is entry:
        return
    prove(inventory)
    if len(_proved) >= PROVED_DOCUMENTS:
        _proved.clear()
    _proved[id(entry)] = entry


def prove(inventory: Inventory) -> None:
    """Serialise all properties of the first objects of each kind; raises TypeError naming one that cannot be sent.

    The rest are built by the same code from the same checked records: thousands of them would only take time.
    """
    proved: Counter[str] = Counter()
    for managed in inventory.of_kind(wire.reference_base()):
        proved[managed.kind.__name__] += 1
        if proved[managed.kind.__name__] > PROVED_OF_A_KIND:
            continue
        for name in wire.property_names(managed.kind):
            try:
                wire.text_of(managed[name])
            except TypeError as error:
                raise TypeError(f"{managed!r}.{name}: {error}") from error


class _Datacenter:
    """Builds one datacenter and remembers what its VMs refer to by name."""

    def __init__(self, inventory: Inventory, root: Managed, entry: DatacenterEntry, custom_fields: list[str]) -> None:
        self._inventory = inventory
        self._entry = entry
        self._field_keys = {name: wiring.FIRST_FIELD_KEY + number for number, name in enumerate(custom_fields)}
        self._datacenter, self._vm_folder = wiring.add_datacenter(inventory, root, entry.name)
        self._hosts: dict[str, Managed] = {}
        self._pools: dict[str, Managed] = {}  # host name -> root pool of its cluster or itself
        self._named_pools: dict[tuple[str, str], Managed] = {}  # host and pool name
        self._networks: dict[str, Managed] = {}
        self._datastores: dict[str, Managed] = {}

    def build(self) -> None:
        inventory, entry = self._inventory, self._entry
        for datastore in entry.datastores:
            self._datastores[datastore.name] = wiring.add_datastore(inventory, self._datacenter, datastore)
        for network in entry.networks:
            self._networks[network.name] = wiring.add_network(inventory, self._datacenter, network)
        for cluster in entry.clusters:
            resource, pool = hosts.add_cluster(inventory, self._datacenter, cluster.name)
            pools = {name: hosts.add_pool(inventory, pool, name) for name in cluster.resource_pools}
            for host in cluster.hosts:
                self._hosts[host.name] = hosts.add_host(inventory, resource, host, entry.networks)
                self._pools[host.name] = pool
                self._named_pools.update({(host.name, name): named for name, named in pools.items()})
        for host in entry.hosts:
            resource, pool = hosts.add_standalone(inventory, self._datacenter, host.name)
            self._hosts[host.name] = hosts.add_host(inventory, resource, host, entry.networks)
            self._pools[host.name] = pool
        for path in entry.folders:
            wiring.folder_at(inventory, self._vm_folder, path)
        for mac in (nic.mac for vm in entry.vms for nic in vm.nics):
            if mac is not None:
                inventory.take_mac(mac)
        for number, vm in enumerate(entry.vms):
            try:
                self._add_vm(vm)
            except (TypeError, ValueError) as error:
                raise ValueError(f"vms[{number}]: {error}") from error

    def _add_vm(self, entry: VmEntry) -> None:
        inventory = self._inventory
        datastore = self._datastores[entry.datastore or self._entry.datastores[0].name]
        pool = self._named_pools.get((entry.host, entry.resource_pool or "")) or self._pools[entry.host]
        place = Place(
            folder=wiring.folder_at(inventory, self._vm_folder, entry.folder),
            host=self._hosts[entry.host],
            pool=None if entry.template else pool,
            datastore=datastore,
        )
        disks = []
        for number, disk in enumerate(entry.disks):
            on = self._datastores[disk.datastore] if disk.datastore else datastore
            suffix = f"_{number}" if number else ""
            file = disk.file or f"[{on.name}] {entry.name}/{entry.name}{suffix}.vmdk"
            disks.append(Disk(int(disk.size_gb * _GB), disk.controller, disk.thin, file, on.ref))
        nics = []
        for nic in entry.nics:
            network = self._networks[nic.network]
            nics.append(
                Nic(
                    type=nic.type,
                    mac=nic.mac or inventory.new_mac(),
                    backing=wiring.backing_of(inventory, network),
                    network_label=wiring.label_of(network),
                )
            )
        path = f"{self._entry.name}/{entry.folder}/{entry.name}"
        shape = Shape(
            name=entry.name,
            guest=Guest(
                entry.guest_id,
                entry.guest_name,
                entry.guest_hostname,
                entry.tools,
                tuple(tuple(nic.ip_addresses) for nic in entry.nics),
            ),
            cpus=entry.cpus,
            cores_per_socket=entry.cores_per_socket,
            cpu_reservation_mhz=entry.cpu_reservation_mhz,
            memory_mb=entry.memory_mb,
            firmware=entry.firmware,
            secure_boot=entry.secure_boot,
            uuid=entry.uuid or stable_uuid(f"uuid:{path}"),
            instance_uuid=entry.instance_uuid or stable_uuid(f"instance:{path}"),
            annotation=entry.annotation,
            template=entry.template,
            disks=disks,
            nics=nics,
            values={self._field_keys[name]: value for name, value in entry.custom_values.items()},
        )
        vm = machines.create(inventory, shape, place, entry.power)
        if entry.cdrom is not None:
            machines.insert_iso(inventory, vm, entry.cdrom.iso)
