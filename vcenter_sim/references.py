"""What an inventory file refers to and does not have, or has twice: pairs of place and reason."""

from __future__ import annotations

from collections.abc import Iterator

from vcenter_sim.entries import DatacenterEntry, Document, VmEntry


def problems_of(document: Document) -> Iterator[tuple[str, str]]:
    """Everything that is wrong between the entries of a document."""
    known = set(document.custom_fields)
    for index, datacenter in enumerate(document.datacenters):
        yield from _in_datacenter(index, datacenter)
        for number, vm in enumerate(datacenter.vms):
            for name in vm.custom_values:
                if name not in known:
                    yield f"datacenters[{index}].vms[{number}].custom_values.{name}", "No such custom field."
    yield from _repeated("datacenters", [entry.name for entry in document.datacenters])


def _repeated(place: str, names: list[str]) -> list[tuple[str, str]]:
    seen: set[str] = set()
    problems = []
    for index, name in enumerate(names):
        if name.lower() in seen:
            problems.append((f"{place}[{index}].name", f"There is one named {name!r} already."))
        seen.add(name.lower())
    return problems


def _in_datacenter(index: int, datacenter: DatacenterEntry) -> Iterator[tuple[str, str]]:
    """Names in one datacenter that name nothing, or two things."""
    place = f"datacenters[{index}]"
    in_clusters = [host.name for cluster in datacenter.clusters for host in cluster.hosts]
    hosts = [*in_clusters, *(host.name for host in datacenter.hosts)]
    if len({name.lower() for name in hosts}) != len(hosts):
        yield f"{place}.hosts", "A host name stands twice in the datacenter."
    yield from _repeated(f"{place}.datastores", [entry.name for entry in datacenter.datastores])
    yield from _repeated(f"{place}.networks", [entry.name for entry in datacenter.networks])
    yield from _repeated(f"{place}.clusters", [entry.name for entry in datacenter.clusters])
    network_names = {entry.name.lower() for entry in datacenter.networks}
    for number, network in enumerate(datacenter.networks):
        if network.switch is not None and network.switch.lower() in network_names:
            yield f"{place}.networks[{number}].switch", f"There is a network named {network.switch!r}."
    yield from _misplaced_vms(place, datacenter)
    for number, vm in enumerate(datacenter.vms):
        yield from _dangling_in_vm(f"{place}.vms[{number}]", vm, datacenter)


def _misplaced_vms(place: str, datacenter: DatacenterEntry) -> Iterator[tuple[str, str]]:
    """VMs whose name another VM or a folder has in the same folder."""
    folders: set[str] = set()
    for path in [*datacenter.folders, *(vm.folder for vm in datacenter.vms)]:
        parts = path.lower().split("/")
        folders.update("/".join(parts[:length]) for length in range(1, len(parts) + 1))
    taken: set[str] = set()
    for number, vm in enumerate(datacenter.vms):
        path = f"{vm.folder}/{vm.name}".lower().lstrip("/")
        if path in taken:
            yield f"{place}.vms[{number}].name", f"There is one named {vm.name!r} in the folder already."
        if path in folders:
            yield f"{place}.vms[{number}].name", "There is a folder of that name already."
        taken.add(path)


def _dangling_in_vm(where: str, vm: VmEntry, datacenter: DatacenterEntry) -> Iterator[tuple[str, str]]:
    """What one VM refers to and the datacenter does not have."""
    iso_store = "" if vm.cdrom is None else vm.cdrom.iso[1:].partition("]")[0]
    if vm.cdrom is not None and iso_store not in [entry.name for entry in datacenter.datastores]:
        yield f"{where}.cdrom.iso", f"There is no datastore {iso_store!r} in the datacenter."
    pools = {host.name: set(cluster.resource_pools) for cluster in datacenter.clusters for host in cluster.hosts}
    pools.update((host.name, set()) for host in datacenter.hosts)
    if vm.host not in pools:
        yield f"{where}.host", f"There is no host {vm.host!r} in the datacenter."
    elif vm.resource_pool is not None and vm.resource_pool not in pools[vm.host]:
        yield f"{where}.resource_pool", f"The host's cluster has no resource pool {vm.resource_pool!r}."
    datastores = {entry.name for entry in datacenter.datastores}
    if vm.datastore is not None and vm.datastore not in datastores:
        yield f"{where}.datastore", f"There is no datastore {vm.datastore!r}."
    for position, disk in enumerate(vm.disks):
        if disk.datastore is not None and disk.datastore not in datastores:
            yield f"{where}.disks[{position}].datastore", f"There is no datastore {disk.datastore!r}."
    networks = {entry.name for entry in datacenter.networks}
    for position, nic in enumerate(vm.nics):
        if nic.network not in networks:
            yield f"{where}.nics[{position}].network", f"There is no network {nic.network!r}."
