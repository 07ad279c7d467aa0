"""A new VM from a template: its records, the files of its volumes, and its first start.

A root disk is made as an empty file of the template's size: templates here are records without an image. Upstream:
UserVmManagerImpl (createVirtualMachine, commitUserVm, startVirtualMachine), VolumeOrchestrator.allocateRawVolume.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mgmt.errors import CloudRuntimeError, InvalidParameterValueError, PermissionDeniedError
from mgmt.inventory import usage
from mgmt.inventory.groups import affinity_groups_of, put_into_group
from mgmt.inventory.keypairs import find_key_pair
from mgmt.inventory.limits import CPU, MEMORY, PRIMARY_STORAGE, USER_VM, VOLUME, release, reserve
from mgmt.inventory.lookup import get_live
from mgmt.inventory.owner import finalize_owner
from mgmt.inventory.scope import ROOT_ADMIN, CallerLike, check_owner_access
from mgmt.inventory.templates import check_use
from mgmt.inventory.user_data import set_user_data
from mgmt.inventory.vm_states import VmState
from mgmt.life.disks import make_volume
from mgmt.life.hosts import candidates, reaches
from mgmt.life.ports import LifeServices
from mgmt.life.records import live_volumes
from mgmt.life.texts import vm_text
from mgmt.store.models import (
    Account,
    DiskOffering,
    Network,
    Nic,
    ServiceOffering,
    StoragePool,
    Template,
    VmDetail,
    VmInstance,
    Volume,
    Zone,
)

GIB = 1024**3
DEFAULT_DISK_GIB = 8  # a template that does not tell its size
INSTANCE_NAME_SETTING = "instance.name"
_HOST_NAME = re.compile(r"[a-zA-Z]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?", re.ASCII)
_FILE_POOLS = frozenset({"NetworkFilesystem", "Filesystem", "SharedMountPoint"})


def allocate_vm(
    session: Session, services: LifeServices, caller: CallerLike, user_id: int, params: Mapping[str, Any]
) -> VmInstance:
    """Record a stopped VM with its volumes and NICs from the bound parameters of deployVirtualMachine.

    Raises InvalidParameterValueError, PermissionDeniedError and ResourceAllocationError with CloudStack's texts.
    """
    owner = finalize_owner(session, caller, params)
    zone = _zone(session, caller, params["zoneid"])
    offering = get_live(session, ServiceOffering, params["serviceofferingid"])
    if offering is None:
        raise InvalidParameterValueError(f"Unable to find service offering: {params['serviceofferingid']}")
    if offering.state != "Active":
        raise InvalidParameterValueError(f"Service offering is inactive: [{offering.uuid}].")
    template = _template(session, caller, zone, params["templateid"])
    networks = _networks(session, caller, owner, zone, params)
    name = _host_name(session, networks, params["name"])
    cpus, mhz, memory_mb = vm_size(offering, _details(params))
    sizes = _disk_sizes(session, template, offering, params)
    amounts = {USER_VM: 1, CPU: cpus, MEMORY: memory_mb, VOLUME: len(sizes)}
    claims = reserve(session, owner.id, {**amounts, PRIMARY_STORAGE: sum(size for _, size in sizes)})
    providers = services.providers
    vm = VmInstance(
        uuid=providers.ids.uuid(),
        name=name or "",
        display_name=params["displayname"],
        instance_name="",
        state=VmState.STOPPED.value,
        hypervisor_type="KVM",
        account=owner,
        domain_id=owner.domain_id,
        user_id=user_id,
        zone=zone,
        template=template,
        guest_os_id=template.guest_os_id,
        service_offering=offering,
        cpu_number=cpus,
        cpu_speed_mhz=mhz,
        memory_mb=memory_mb,
        display_vm=params["displayvm"] is not False,
        created=providers.utcnow(),
    )
    session.add(vm)
    session.flush()
    suffix = services.settings.get_text(INSTANCE_NAME_SETTING) or "VM"
    vm.instance_name = f"i-{owner.id}-{vm.id}-{suffix}"
    vm.name = name or f"VM-{vm.uuid}"
    details = {**_details(params), **_keys(session, owner, params), "deployvm": "true"}
    vm.details = [VmDetail(name=key, value=text) for key, text in details.items()]
    ids, names = params["affinitygroupids"], params["affinitygroupnames"]
    vm.affinity_groups = affinity_groups_of(session, caller, owner, ids, names)
    put_into_group(session, providers, vm, params["group"])
    set_user_data(session, caller, vm, params["userdata"], params["userdataid"])
    _add_volumes(session, services, vm, sizes)
    _add_nics(session, services, vm, networks, params)
    release(session, claims)  # the records count from now on
    usage.vm_event(session, providers, vm, "VM.CREATE")
    return vm


def _zone(session: Session, caller: CallerLike, zone_id: int) -> Zone:
    zone = get_live(session, Zone, zone_id)
    if zone is None:
        raise InvalidParameterValueError(f"Unable to find zone by id={zone_id}")
    if zone.allocation_state == "Disabled" and caller.account_type != ROOT_ADMIN:
        raise PermissionDeniedError(f"Cannot perform this operation, Zone is currently disabled: {zone.id}")
    return zone


def _template(session: Session, caller: CallerLike, zone: Zone, template_id: int | None) -> Template:
    template = get_live(session, Template, template_id)
    if template is None or template.format == "ISO":
        raise InvalidParameterValueError(f"Unable to use template {template_id or 'null'}")
    check_use(session, caller, template)
    if template.template_type == "SYSTEM":
        raise InvalidParameterValueError(f"Unable to use system template {template.id} to deploy a user vm")
    if not template.is_ready or not template.is_in(zone.id):
        raise InvalidParameterValueError(f"The template {template.id} is not available for use")
    if template.hypervisor_type != "KVM":
        raise InvalidParameterValueError(f"Hypervisor {template.hypervisor_type} of the template is not in this zone")
    return template


def _details(params: Mapping[str, Any]) -> dict[str, str]:
    merged: dict[str, str] = {}
    for entry in (params["details"] or {}).values():
        merged |= entry
    return merged


def _keys(session: Session, owner: Account, params: Mapping[str, Any]) -> dict[str, str]:
    """The details of the SSH key pairs that the guest is to get."""
    names = [name for name in (params["keypair"], *(params["keypairs"] or ())) if name]
    keys = []
    for name in names:
        pair = find_key_pair(session, owner, name)
        if pair is None:
            raise InvalidParameterValueError(f"A key pair with name '{name}' was not found.")
        keys.append(pair.public_key)
    return {"SSH.KeyPairNames": ",".join(names), "SSH.PublicKey": "\n".join(keys)} if names else {}


def _networks(
    session: Session, caller: CallerLike, owner: Account, zone: Zone, params: Mapping[str, Any]
) -> list[Network]:
    """The wanted networks in their order; without any the one isolated network of the owner."""
    ids: Sequence[Any] = params["networkids"] or [
        entry.get("networkid") for _, entry in sorted((params["iptonetworklist"] or {}).items())
    ]
    found = []
    for wanted in ids:
        network = _network(session, wanted)
        if network is None:
            raise InvalidParameterValueError(f"Unable to find network by id {wanted}")
        if network.zone_id != zone.id:
            raise InvalidParameterValueError(f"Network id={network.id} doesn't belong to zone {zone.id}")
        if network.acl_type == "Account":
            if network.account_id != owner.id:
                check_owner_access(caller, network.account_id, network.account.domain.path)
        elif not owner.domain.path.startswith(network.domain.path):
            raise PermissionDeniedError(f"Unable to use network with id= {network.uuid}, permission denied")
        found.append(network)
    if found:
        return found
    own = session.scalars(
        select(Network).where(
            Network.account_id == owner.id,
            Network.zone_id == zone.id,
            Network.guest_type == "Isolated",
            Network.removed.is_(None),
        )
    ).all()
    if len(own) > 1:
        raise InvalidParameterValueError(
            f"Error, more than 1 default Isolated networks are found for account {owner.name};"
            " please specify networkIds"
        )
    if not own:
        raise InvalidParameterValueError(f"No network of account {owner.name} was found; please specify networkIds")
    return list(own)


def _network(session: Session, wanted: Any) -> Network | None:
    if isinstance(wanted, int):
        return get_live(session, Network, wanted)
    by_uuid = select(Network).where(Network.uuid == str(wanted).lower(), Network.removed.is_(None))
    return session.scalar(by_uuid)


def _host_name(session: Session, networks: Sequence[Network], name: str | None) -> str | None:
    if not name:
        return None
    if not _HOST_NAME.fullmatch(name):
        raise InvalidParameterValueError(
            "Invalid name. Vm name can contain ASCII letters 'a' through 'z', the digits '0' through '9', and the"
            " hyphen ('-'), must be between 1 and 63 characters long, and can't start or end with \"-\" and can't start"
            " with digit"
        )
    taken = (
        select(VmInstance.id)
        .join(Nic, Nic.vm_id == VmInstance.id)
        .where(
            func.lower(VmInstance.name) == name.lower(),
            VmInstance.removed.is_(None),
            Nic.removed.is_(None),
            Nic.network_id.in_([network.id for network in networks]),
        )
    )
    if session.scalar(taken.limit(1)) is not None:
        raise InvalidParameterValueError(f"There already exists a VM by the name: {name}.")
    return name


def vm_size(offering: ServiceOffering, details: Mapping[str, str]) -> tuple[int, int, int]:
    """CPU number, MHz and MB: those of the offering, of a custom one those of the details."""
    if not offering.is_dynamic:
        return offering.cpu_number or 0, offering.cpu_speed_mhz or 0, offering.memory_mb or 0
    sizes = []
    for fixed, key, shown, low, high in (
        (offering.cpu_number, "cpuNumber", "CPU cores", "mincpunumber", "maxcpunumber"),
        (offering.cpu_speed_mhz, "cpuSpeed", "CPU speed", "", ""),
        (offering.memory_mb, "memory", "memory", "minmemory", "maxmemory"),
    ):
        if fixed is not None:
            sizes.append(fixed)
            continue
        least, most = int(offering.details.get(low, 1)), int(offering.details.get(high, 2**31 - 1))
        text = details.get(key)
        if text is None or not text.isdigit() or not least <= int(text) <= most:
            raise InvalidParameterValueError(f"Invalid {shown} value, specify a value between {least} and {most}")
        sizes.append(int(text))
    cpus, mhz, memory_mb = sizes
    return cpus, mhz, memory_mb


def _disk_sizes(
    session: Session, template: Template, offering: ServiceOffering, params: Mapping[str, Any]
) -> list[tuple[DiskOffering | None, int]]:
    """Offering and bytes of the root disk, and of the data disk that is asked for."""
    least = template.size_bytes or DEFAULT_DISK_GIB * GIB
    disk = offering.disk_offering
    wanted = (params["rootdisksize"] or 0) * GIB or (disk.disk_size_bytes if disk else 0)
    if params["rootdisksize"] is not None and wanted < least:
        raise InvalidParameterValueError(
            f"rootdisksize override ({params['rootdisksize']} GB) is smaller than template size {least / GIB:.2f} GB"
        )
    sizes: list[tuple[DiskOffering | None, int]] = [(disk, max(least, wanted))]
    if params["diskofferingid"] is not None:
        data = get_live(session, DiskOffering, params["diskofferingid"])
        if data is None or data.compute_only:
            raise InvalidParameterValueError(f"Unable to find disk offering {params['diskofferingid']}")
        size = (params["size"] or 0) * GIB if data.customized else data.disk_size_bytes
        if size <= 0:
            raise InvalidParameterValueError("VM Creation failed. Volume size: 0GB is out of allowed range.")
        sizes.append((data, size))
    return sizes


def _add_volumes(
    session: Session, services: LifeServices, vm: VmInstance, sizes: Sequence[tuple[DiskOffering | None, int]]
) -> None:
    for device_id, (offering, size_bytes) in enumerate(sizes):
        volume = Volume(
            uuid=services.providers.ids.uuid(),
            name=f"DATA-{vm.id}" if device_id else f"ROOT-{vm.id}",
            volume_type="DATADISK" if device_id else "ROOT",
            state="Allocated",
            account_id=vm.account_id,
            domain_id=vm.domain_id,
            zone_id=vm.zone_id,
            vm_id=vm.id,
            disk_offering_id=offering.id if offering else None,
            template_id=None if device_id else vm.template_id,
            device_id=device_id,
            size_bytes=size_bytes,
            provisioning_type=offering.provisioning_type if offering else "thin",
            created=services.providers.utcnow(),
        )
        session.add(volume)
        session.flush()
        usage.volume_event(session, services.providers, volume, "VOLUME.CREATE")


def _add_nics(
    session: Session, services: LifeServices, vm: VmInstance, networks: Sequence[Network], params: Mapping[str, Any]
) -> None:
    asked = {entry.get("networkid"): entry.get("ip") for entry in (params["iptonetworklist"] or {}).values()}
    for device_id, network in enumerate(networks):
        address = asked.get(network.uuid) or (params["ipaddress"] if device_id == 0 else None)
        used = select(Nic.id).where(Nic.network_id == network.id, Nic.ip4_address == address, Nic.removed.is_(None))
        if address and (address == network.gateway or session.scalar(used.limit(1)) is not None):
            raise InvalidParameterValueError(f"The requested ip {address} is in use in network {network.name}")
        number = services.providers.random.getrandbits(24)
        session.add(
            Nic(
                uuid=services.providers.ids.uuid(),
                vm_id=vm.id,
                network_id=network.id,
                device_id=device_id,
                mac_address=f"02:01:00:{number >> 16:02x}:{number >> 8 & 0xFF:02x}:{number & 0xFF:02x}",
                is_default=device_id == 0,
                ip4_address=address or None,
                gateway=network.gateway if address else None,
                netmask=network.netmask if address else None,
                state="Allocated",
                created=services.providers.utcnow(),
            )
        )
    session.flush()
    session.expire(vm, ["nics", "volumes"])


def make_volumes(services: LifeServices, vm_id: int) -> None:
    """Make the files of a VM's volumes that have none yet; CloudRuntimeError when no pool takes one."""
    with services.store.session() as session:
        missing = [volume.id for volume in live_volumes(session, vm_id) if volume.state == "Allocated"]
    for volume_id in missing:
        with services.store.session() as session:
            vm, volume = session.get_one(VmInstance, vm_id), session.get_one(Volume, volume_id)
            pool = _pool(session, vm, volume)
            if pool is None:
                raise CloudRuntimeError(
                    f"Unable to start a VM [{vm.uuid}] due to [Unable to create a deployment for {vm_text(vm)}]."
                )
            pool_id = pool.id
        make_volume(services, volume_id, pool_id, vm_id)


def _pool(session: Session, vm: VmInstance, volume: Volume) -> StoragePool | None:
    """The pool with the most room that carries the tags of the volume's offering and that a fitting host reaches."""
    hosts = candidates(session, vm)
    tags = set((volume.disk_offering.tags or "").split(",")) - {""} if volume.disk_offering else set()
    pools = session.scalars(
        select(StoragePool).where(
            StoragePool.zone_id == vm.zone_id, StoragePool.removed.is_(None), StoragePool.status == "Up"
        )
    )
    fitting = [
        pool
        for pool in pools
        if pool.pool_type in _FILE_POOLS
        and tags <= set((pool.tags or "").split(","))
        and pool.capacity_bytes - pool.used_bytes > volume.size_bytes
        and any(reaches(host, pool) for host in hosts)
    ]
    return max(fitting, key=lambda pool: (pool.capacity_bytes - pool.used_bytes, -pool.id), default=None)


def mark_failed(services: LifeServices, vm_id: int) -> None:
    """What a first start that failed leaves: a VM in state Error."""
    with services.store.session() as session:
        vm = session.get_one(VmInstance, vm_id)
        if vm.state == VmState.STOPPED:
            vm.state = VmState.ERROR.value
