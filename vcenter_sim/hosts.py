"""ESXi hosts, the clusters or standalone compute resources around them, and their resource pools."""

from __future__ import annotations

from typing import Any

from vcenter_sim import wire, wiring
from vcenter_sim.entries import HostEntry, NetworkEntry
from vcenter_sim.inventory import Inventory, Managed
from vcenter_sim.objects import make
from vcenter_sim.providers import stable_uuid, utc
from vcenter_sim.types import DataObject, vim

_GB = 1024**3
_MB = 1024**2
MANAGEMENT_PORTGROUP = "Management Network"
VSWITCH = "vSwitch0"


def add_cluster(inventory: Inventory, datacenter: Managed, name: str) -> tuple[Managed, Managed]:
    """An empty cluster and its root resource pool."""
    cluster = wiring.add_entity(
        inventory,
        vim.ClusterComputeResource,
        "domain-c",
        name,
        host=[],
        configuration=make(
            vim.cluster.ConfigInfo,
            dasConfig=make(vim.cluster.DasConfigInfo, enabled=False),
            drsConfig=make(vim.cluster.DrsConfigInfo, enabled=False),
        ),
        configurationEx=make(
            vim.cluster.ConfigInfoEx,
            vmSwapPlacement="vmDirectory",
            dasConfig=make(vim.cluster.DasConfigInfo, enabled=False),
            drsConfig=make(vim.cluster.DrsConfigInfo, enabled=False),
        ),
    )
    return cluster, _finish(inventory, datacenter, cluster, vim.ClusterComputeResource.Summary)


def add_standalone(inventory: Inventory, datacenter: Managed, name: str) -> tuple[Managed, Managed]:
    """The compute resource of a host outside clusters, and its root resource pool."""
    resource = wiring.add_entity(
        inventory,
        vim.ComputeResource,
        "domain-s",
        name,
        host=[],
        configurationEx=make(vim.ComputeResource.ConfigInfo, vmSwapPlacement="vmDirectory"),
    )
    return resource, _finish(inventory, datacenter, resource, vim.ComputeResource.Summary)


def _finish(inventory: Inventory, datacenter: Managed, resource: Managed, summary_type: Any) -> Managed:
    pool = add_pool(inventory, resource, "Resources")
    resource.set(resourcePool=pool.ref)
    resource.compute(
        summary=lambda: _resource_summary(inventory, resource, summary_type),
        datastore=lambda: inventory.ancestor(resource, vim.Datacenter)["datastore"],
        network=lambda: inventory.ancestor(resource, vim.Datacenter)["network"],
    )
    inventory.adopt(inventory.find(datacenter["hostFolder"]), resource)
    return pool


def _resource_summary(inventory: Inventory, resource: Managed, summary_type: Any) -> DataObject:
    hardware = [inventory.find(ref)["summary"].hardware for ref in resource["host"]]
    cores = sum(item.numCpuCores for item in hardware)
    mhz = sum(item.numCpuCores * item.cpuMhz for item in hardware)
    memory = sum(item.memorySize for item in hardware)
    return summary_type(
        totalCpu=mhz,
        totalMemory=memory,
        numCpuCores=cores,
        numCpuThreads=cores,
        effectiveCpu=mhz,
        effectiveMemory=memory // _MB,
        numHosts=len(hardware),
        numEffectiveHosts=len(hardware),
        overallStatus="green",
    )


def add_pool(inventory: Inventory, parent: Managed, name: str) -> Managed:
    """A resource pool below a compute resource (then its root pool) or another pool."""
    owner = parent.ref if issubclass(parent.kind, vim.ComputeResource) else parent["owner"]
    allocation = make(vim.ResourceAllocationInfo, reservation=0, limit=-1, expandableReservation=True)
    config = make(vim.ResourceConfigSpec, cpuAllocation=allocation, memoryAllocation=wire.copy_of(allocation))
    usage = vim.ResourcePool.ResourceUsage()
    runtime = make(vim.ResourcePool.RuntimeInfo, memory=usage, cpu=wire.copy_of(usage), overallStatus="green")
    pool = wiring.add_entity(
        inventory, vim.ResourcePool, "resgroup-", name, owner=owner, parent=parent.ref, config=config, runtime=runtime
    )
    pool.set(summary=make(vim.ResourcePool.Summary, name=pool.name, config=config, runtime=runtime))
    pool.compute(
        vm=lambda: [vm.ref for vm in inventory.vms if vm["resourcePool"] == pool.ref],
        resourcePool=lambda: [
            below.ref for below in inventory.of_kind(vim.ResourcePool) if below["parent"] == pool.ref
        ],
    )
    return pool


def add_host(inventory: Inventory, resource: Managed, entry: HostEntry, networks: list[NetworkEntry]) -> Managed:
    """A connected host in a cluster or in a standalone compute resource."""
    product = make(
        vim.AboutInfo,
        name="VMware ESXi",
        fullName=f"VMware ESXi {entry.version} build-22380479",
        vendor="VMware, Inc.",
        version=entry.version,
        build="22380479",
        osType="vmnix-x86",
        productLineId="embeddedEsx",
        apiType="HostAgent",
        apiVersion=f"{entry.version}.0",
    )
    host = wiring.add_entity(
        inventory, vim.HostSystem, "host-", entry.name, parent=resource.ref, hardware=_hardware(entry)
    )
    host.set(
        runtime=make(
            vim.host.RuntimeInfo,
            connectionState="connected",
            powerState="poweredOn",
            inMaintenanceMode=False,
            bootTime=utc(inventory.clock),
        ),
        config=make(
            vim.host.ConfigInfo,
            host=host.ref,
            product=product,
            network=make(
                vim.host.NetworkInfo,
                portgroup=[_portgroup(network) for network in networks if network.type == "standard"],
            ),
        ),
    )
    host.set(summary=_host_summary(host, entry, product))
    host.compute(
        vm=lambda: [vm.ref for vm in inventory.vms if vm["runtime"].host == host.ref],
        datastore=lambda: inventory.ancestor(host, vim.Datacenter)["datastore"],
        network=lambda: inventory.ancestor(host, vim.Datacenter)["network"],
    )
    resource.set(host=[*resource["host"], host.ref])
    return host


def _hardware(entry: HostEntry) -> DataObject:
    return make(
        vim.host.HardwareInfo,
        systemInfo=make(
            vim.host.SystemInfo, vendor="Dell Inc.", model="PowerEdge R650", uuid=stable_uuid("host:" + entry.name)
        ),
        cpuInfo=make(
            vim.host.CpuInfo,
            numCpuPackages=1,
            numCpuCores=entry.cores,
            numCpuThreads=entry.cores,
            hz=entry.cpu_mhz * 1_000_000,
        ),
        cpuPkg=[
            make(
                vim.host.CpuPackage,
                index=0,
                vendor="intel",
                hz=entry.cpu_mhz * 1_000_000,
                busHz=100_000_000,
                description="Intel(R) Xeon(R) Gold 6338 CPU",
                threadId=[0],
            )
        ],
        memorySize=entry.memory_gb * _GB,
        smcPresent=False,
    )


def _host_summary(host: Managed, entry: HostEntry, product: DataObject) -> DataObject:
    return make(
        vim.host.Summary,
        host=host.ref,
        hardware=make(
            vim.host.Summary.HardwareSummary,
            vendor="Dell Inc.",
            model="PowerEdge R650",
            uuid=stable_uuid("host:" + entry.name),
            memorySize=entry.memory_gb * _GB,
            cpuModel="Intel(R) Xeon(R) Gold 6338 CPU",
            cpuMhz=entry.cpu_mhz,
            numCpuPkgs=1,
            numCpuCores=entry.cores,
            numCpuThreads=entry.cores,
            numNics=2,
            numHBAs=1,
        ),
        runtime=host["runtime"],
        config=make(
            vim.host.Summary.ConfigSummary,
            name=entry.name,
            port=443,
            product=product,
            vmotionEnabled=True,
            faultToleranceEnabled=False,
        ),
        quickStats=make(vim.host.Summary.QuickStats, overallCpuUsage=0, overallMemoryUsage=0),
        overallStatus="green",
        rebootRequired=False,
    )


def _portgroup(network: NetworkEntry) -> DataObject:
    policy = vim.host.NetworkPolicy()
    spec = make(
        vim.host.PortGroup.Specification, name=network.name, vlanId=network.vlan, vswitchName=VSWITCH, policy=policy
    )
    return make(vim.host.PortGroup, key=f"key-vim.host.PortGroup-{network.name}", computedPolicy=policy, spec=spec)


def publish_management_address(inventory: Inventory, address: str) -> None:
    """Say that every host is managed at `address`: there this process delivers what the hosts export.

    A wildcard address is none that a client could use; then the hosts have no management address.
    """
    vnics = []
    if address not in ("", "0.0.0.0", "::"):
        spec = make(
            vim.host.VirtualNic.Specification,
            ip=make(vim.host.IpConfig, dhcp=False, ipAddress=address, subnetMask="255.255.255.0"),
            mtu=1500,
            netStackInstanceKey="defaultTcpipStack",
        )
        vnics = [
            make(
                vim.host.VirtualNic,
                device="vmk0",
                key="key-vim.host.VirtualNic-vmk0",
                portgroup=MANAGEMENT_PORTGROUP,
                spec=spec,
            )
        ]
    with inventory.lock:
        for host in inventory.of_kind(vim.HostSystem):
            host["config"].network.vnic = [wire.copy_of(vnic) for vnic in vnics]
        inventory.changed()
