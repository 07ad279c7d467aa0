"""The global settings this server knows, with CloudStack's names, defaults, groups and components.

Where a setting acts, and in which unit, is part of its description. Upstream: the ConfigKey constants of the managers
named as `component`, and server/.../configuration/Config.java.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

SettingType = Literal["Boolean", "Number", "Decimal", "String", "CSV", "Select"]
JavaClass = Literal["java.lang.Boolean", "java.lang.Integer", "java.lang.Long", "java.lang.Float", "java.lang.String"]

GLOBAL = "Global"

_INTEGER_BITS = {"java.lang.Integer": 32, "java.lang.Long": 64}


@dataclass(frozen=True)
class SettingDefinition:
    """One setting. `scopes` beside Global: the kinds of resource that may have a value of their own."""

    name: str
    default: str | None
    java_class: JavaClass
    component: str
    group: str
    subgroup: str
    description: str
    is_dynamic: bool = True
    category: str = "Advanced"
    scopes: tuple[str, ...] = ()
    options: str | None = None
    must_be_positive: bool = False
    is_csv: bool = False

    @property
    def type(self) -> SettingType:
        """The type word that listConfigurations shows."""
        if self.options is not None:
            return "Select"
        if self.is_csv:
            return "CSV"
        if self.java_class == "java.lang.Boolean":
            return "Boolean"
        if self.java_class in ("java.lang.Integer", "java.lang.Long"):
            return "Number"
        return "Decimal" if self.java_class == "java.lang.Float" else "String"

    @property
    def display_text(self) -> str:
        """The name as words: `Job expire minutes` of `job.expire.minutes`."""
        words = self.name.replace(".", " ").replace("_", " ")
        return words[:1].upper() + words[1:]

    def fits(self, value: str) -> bool:
        """True when `value` can be read as the setting's type."""
        bits = _INTEGER_BITS.get(self.java_class)
        if bits is not None:
            limit: int = 2 ** (bits - 1)
            return re.fullmatch(r"[+-]?[0-9]+", value) is not None and -limit <= int(value) < limit
        if self.java_class == "java.lang.Float":
            return re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)", value) is not None
        return self.java_class != "java.lang.Boolean" or value in ("true", "false")

    @property
    def scope(self) -> str:
        """Every scope the setting may be given in."""
        return ",".join((GLOBAL, *self.scopes))


_BOOL: JavaClass = "java.lang.Boolean"
_INT: JavaClass = "java.lang.Integer"
_LONG: JavaClass = "java.lang.Long"
_FLOAT: JavaClass = "java.lang.Float"
_TEXT: JavaClass = "java.lang.String"

_Row = tuple[str, str | None, JavaClass, str, str, str, str]

# name, default, Java class, component, group, subgroup, description
_DYNAMIC: tuple[_Row, ...] = (
    # Imports (import-vm 2.8)
    (
        "convert.vmware.instance.to.kvm.timeout",
        "3",
        _INT,
        "UnmanagedVMsManagerImpl",
        "Hypervisor",
        "VMware",
        "Hours that the conversion of a VMware instance may take on the conversion host",
    ),
    (
        "convert.vmware.instance.to.kvm.extra.params.allowed",
        "false",
        _BOOL,
        "UnmanagedVMsManagerImpl",
        "Hypervisor",
        "VMware",
        "Whether a request may hand extra parameters to virt-v2v on the conversion host",
    ),
    (
        "convert.vmware.instance.to.kvm.extra.params.allowed.list",
        "",
        _TEXT,
        "UnmanagedVMsManagerImpl",
        "Hypervisor",
        "VMware",
        "Which virt-v2v parameters a request may use while extra parameters are allowed, separated by commas",
    ),
    (
        "threads.on.ms.to.import.vmware.vm.files",
        "0",
        _INT,
        "UnmanagedVMsManagerImpl",
        "Hypervisor",
        "VMware",
        "Threads that fetch an OVF's files at the management server: -1 or 1 none, 0 one for each disk, at most 10",
    ),
    (
        "threads.on.kvm.host.to.import.vmware.vm.files",
        "0",
        _INT,
        "UnmanagedVMsManagerImpl",
        "Hypervisor",
        "VMware",
        "Threads that fetch the files of an OVF on the KVM host: 0 means one for each disk of the source",
    ),
    (
        "remote.kvm.instance.disks.copy.timeout",
        "30",
        _INT,
        "UnmanagedVMsManagerImpl",
        "Hypervisor",
        "KVM",
        "Minutes that the copy of one disk from an external KVM host may take",
    ),
    (
        "unmanage.vm.preserve.nics",
        "false",
        _BOOL,
        "UnmanagedVMsManager",
        "Compute",
        "Virtual Machine",
        "Whether the NICs of an instance stay reserved after it was unmanaged",
    ),
    (
        "allow.import.volume.with.backing.file",
        "false",
        _BOOL,
        "VolumeImportUnmanageService",
        "Storage",
        "Volume",
        "Whether a volume that has a backing file may be imported",
    ),
    # VMware
    (
        "vmware.vcenter.session.timeout",
        "1200",
        _INT,
        "VmwareManager",
        "Hypervisor",
        "VMware",
        "Seconds a request to a vCenter may take",
    ),
    # Agents and hosts
    (
        "ping.interval",
        "60",
        _INT,
        "AgentManager",
        "Management Server",
        "Agent",
        "Seconds between two pings of an agent; handed to agents when they attach",
    ),
    (
        "ping.timeout",
        "2.5",
        _FLOAT,
        "AgentManager",
        "Management Server",
        "Agent",
        "How many ping intervals an agent may be silent before its host is looked into",
    ),
    (
        "alert.wait",
        "1800",
        _INT,
        "AgentManager",
        "Management Server",
        "Agent",
        "Seconds a disconnected agent has to come back before its host goes to Alert",
    ),
    (
        "wait",
        "1800",
        _INT,
        "AgentManager",
        "Management Server",
        "Agent",
        "Seconds to wait for the answer to an agent command that brings no limit of its own",
    ),
    (
        "ready.command.wait",
        "60",
        _INT,
        "AgentManager",
        "Management Server",
        "Agent",
        "Seconds to wait for an agent's answer to the ready command",
    ),
    (
        "commands.timeout",
        "",
        _TEXT,
        "AgentManager",
        "Management Server",
        "Agent",
        "Limits of single agent commands, as Command=seconds separated by commas",
    ),
    (
        "host.stats.interval",
        "60000",
        _INT,
        "StatsCollector",
        "Management Server",
        "Stats Collection",
        "Milliseconds between two rounds of asking hosts for their load",
    ),
    (
        "enable.kvm.host.auto.enable.disable",
        "false",
        _BOOL,
        "AgentManager",
        "Hypervisor",
        "KVM",
        "Whether a KVM host is enabled and disabled after the result of its health check",
    ),
    (
        "migratewait",
        "3600",
        _INT,
        "VirtualMachineManager",
        "Compute",
        "Virtual Machine",
        "Seconds an agent lets the migration of an instance take before it stops it",
    ),
    (
        "reconcile.commands.enabled",
        "false",
        _BOOL,
        "ReconcileCommandService",
        "Management Server",
        "Agent",
        "Whether commands that were lost with an agent's link are followed up",
    ),
    (
        "router.aggregation.command.each.timeout",
        "600",
        _INT,
        "NetworkOrchestrationService",
        "Network",
        "Virtual Router",
        "Seconds for each step of a bundled router command",
    ),
    (
        "indirect.agent.lb.algorithm",
        "static",
        _TEXT,
        "IndirectAgentLBServiceImpl",
        "Management Server",
        "Agent",
        "How agents choose among management servers: static, roundrobin or shuffle",
    ),
    (
        "indirect.agent.lb.check.interval",
        "0",
        _LONG,
        "IndirectAgentLBServiceImpl",
        "Management Server",
        "Agent",
        "Seconds after which an agent tries the first management server of its list again; 0 never",
    ),
    (
        "ca.plugin.root.auth.strictness",
        "false",
        _BOOL,
        "RootCAProvider",
        "Access",
        "Certificate",
        "Whether agents must show a certificate of the root CA",
    ),
    (
        "ca.plugin.root.allow.expired.cert",
        "true",
        _BOOL,
        "RootCAProvider",
        "Access",
        "Certificate",
        "Whether an agent's expired certificate is let through",
    ),
    (
        "vm.strict.host.tags",
        "",
        _TEXT,
        "VirtualMachineManager",
        "Compute",
        "Virtual Machine",
        "Host tags that an instance's host must have, separated by commas",
    ),
    (
        "vm.strict.resource.limit.host.tag.check",
        "true",
        _BOOL,
        "VirtualMachineManager",
        "Compute",
        "Virtual Machine",
        "Whether the host tags with resource limits are checked strictly",
    ),
    # Capacity
    (
        "cpu.overprovisioning.factor",
        "1.0",
        _FLOAT,
        "CapacityManager",
        "Compute",
        "Capacity",
        "Factor by which CPU of a cluster's hosts may be promised beyond what is there",
    ),
    (
        "mem.overprovisioning.factor",
        "1.0",
        _FLOAT,
        "CapacityManager",
        "Compute",
        "Capacity",
        "Factor by which memory of a cluster's hosts may be promised beyond what is there",
    ),
    (
        "storage.overprovisioning.factor",
        "2.0",
        _FLOAT,
        "CapacityManager",
        "Storage",
        "Capacity",
        "Factor by which space of a thin primary pool may be promised beyond what is there",
    ),
    (
        "storage.pool.disk.wait",
        "60",
        _INT,
        "StorageManager",
        "Storage",
        "Primary Storage",
        "Seconds to wait for a disk of a pool to appear on a host",
    ),
    (
        "storage.tag.rule.execution.timeout",
        "2000",
        _LONG,
        "StorageManager",
        "Storage",
        "Primary Storage",
        "Milliseconds that the evaluation of a storage tag rule may take",
    ),
    (
        "custom.diskoffering.size.min",
        "1",
        _LONG,
        "VolumeOrchestrationService",
        "Storage",
        "Volume",
        "Smallest size of a custom disk, in GB",
    ),
    (
        "custom.diskoffering.size.max",
        "1024",
        _LONG,
        "VolumeOrchestrationService",
        "Storage",
        "Volume",
        "Greatest size of a custom disk, in GB",
    ),
    # API and jobs
    (
        "job.expire.minutes",
        "1440",
        _LONG,
        "AsyncJobManager",
        "Management Server",
        "Jobs",
        "Minutes that a finished job is kept",
    ),
    (
        "job.cancel.threshold.minutes",
        "60",
        _LONG,
        "AsyncJobManager",
        "Management Server",
        "Jobs",
        "Minutes after which a job that still runs is cancelled",
    ),
    (
        "default.ui.page.size",
        "20",
        _LONG,
        "QueryService",
        "Miscellaneous",
        "Others",
        "Entries a page of the web interface shows",
    ),
    (
        "api.throttling.enabled",
        "false",
        _BOOL,
        "ApiRateLimitService",
        "Management Server",
        "API",
        "Whether the number of calls an account may send is limited; read at the start",
    ),
    (
        "api.allowed.source.cidr.list",
        "0.0.0.0/0,::/0",
        _TEXT,
        "APIAuthenticationManager",
        "Management Server",
        "API",
        "Networks from which API calls are taken, separated by commas",
    ),
    (
        "api.sessionkey.cookie.samesite",
        "Lax",
        _TEXT,
        "ApiServer",
        "Management Server",
        "API",
        "SameSite attribute of the session key's cookie: Lax, Strict, NoneAndSecure or Null",
    ),
    (
        "api.sessionkey.check.locations",
        "CookieAndParameter",
        _TEXT,
        "ApiServer",
        "Management Server",
        "API",
        "Where a session's key must come: CookieOrParameter, ParameterOnly or CookieAndParameter",
    ),
    (
        "enforce.post.requests.and.timestamps",
        "false",
        _BOOL,
        "ApiServer",
        "Management Server",
        "API",
        "Whether calls that change something must be sent by POST and signed with a time stamp",
    ),
    (
        "expose.cloudstack.version.api.xml.response",
        "true",
        _BOOL,
        "ApiResponseSerializer",
        "Management Server",
        "API",
        "Whether XML answers carry the server's version",
    ),
    (
        "expose.cloudstack.version.api.list.capabilities",
        "true",
        _BOOL,
        "ManagementServer",
        "Management Server",
        "API",
        "Whether listCapabilities shows the server's version",
    ),
    (
        "enable.secure.session.cookie",
        "false",
        _BOOL,
        "ApiServer",
        "Management Server",
        "API",
        "Whether session cookies are sent over HTTPS only",
    ),
    (
        "dynamic.apichecker.enabled",
        "true",
        _BOOL,
        "RoleService",
        "Access",
        "Account",
        "Whether the rules of roles decide which commands an account may call",
    ),
    # Accounts
    (
        "enable.user.2fa",
        "false",
        _BOOL,
        "AccountManager",
        "Access",
        "Account",
        "Whether users may set up a second factor",
    ),
    (
        "mandate.user.2fa",
        "false",
        _BOOL,
        "AccountManager",
        "Access",
        "Account",
        "Whether users must set up a second factor",
    ),
    (
        "allow.user.view.destroyed.vm",
        "false",
        _BOOL,
        "QueryService",
        "Compute",
        "Virtual Machine",
        "Whether users see their destroyed instances",
    ),
    (
        "allow.user.expunge.recover.vm",
        "false",
        _BOOL,
        "UserVmManager",
        "Compute",
        "Virtual Machine",
        "Whether users may expunge and recover their instances",
    ),
    (
        "allow.user.expunge.recover.volume",
        "true",
        _BOOL,
        "VolumeApiService",
        "Storage",
        "Volume",
        "Whether users may expunge and recover their volumes",
    ),
    (
        "allow.user.force.stop.vm",
        "true",
        _BOOL,
        "UserVmManager",
        "Compute",
        "Virtual Machine",
        "Whether users may stop their instances by force",
    ),
    (
        "allow.user.create.projects",
        "true",
        _BOOL,
        "ProjectManager",
        "Access",
        "Project",
        "Whether users may create projects",
    ),
    (
        "allow.user.view.all.domain.accounts",
        "false",
        _BOOL,
        "QueryService",
        "Access",
        "Account",
        "Whether users see every account of their domain",
    ),
    (
        "allow.public.user.templates",
        "true",
        _BOOL,
        "TemplateManager",
        "Storage",
        "Templates",
        "Whether users may make their templates public",
    ),
    (
        "enable.dynamic.scale.vm",
        "false",
        _BOOL,
        "UserVmManager",
        "Compute",
        "Virtual Machine",
        "Whether CPU and memory of running instances may be changed",
    ),
    (
        "enable.additional.vm.configuration",
        "false",
        _BOOL,
        "UserVmManager",
        "Compute",
        "Virtual Machine",
        "Whether users may add configuration of the hypervisor to their instances",
    ),
    (
        "instance.lease.enabled",
        "false",
        _BOOL,
        "VMLeaseManager",
        "Compute",
        "Virtual Machine",
        "Whether instances may have a lease",
    ),
)

# These act after a restart of the server.
_STATIC: tuple[_Row, ...] = (
    (
        "default.page.size",
        "500",
        _LONG,
        "management-server",
        "Management Server",
        "Limits",
        "Entries a page of a list has, and the most a request may ask for; -1 lifts the limit",
    ),
    (
        "json.content.type",
        "application/json; charset=UTF-8",
        _TEXT,
        "ApiServer",
        "Management Server",
        "API",
        "Content type of JSON answers",
    ),
    (
        "integration.api.port",
        "0",
        _INT,
        "ApiServer",
        "Management Server",
        "API",
        "Port on which commands are taken without a login; 0 means none",
    ),
    (
        "instance.name",
        "VM",
        _TEXT,
        "AgentManager",
        "Compute",
        "Virtual Machine",
        "Ending of the internal names of instances",
    ),
    (
        "vm.instancename.flag",
        "false",
        _BOOL,
        "VirtualMachineManager",
        "Compute",
        "Virtual Machine",
        "Whether the display name of an instance becomes part of its internal name",
    ),
    (
        "workers",
        "5",
        _INT,
        "AgentManager",
        "Management Server",
        "Agent",
        "Threads that handle what agents send; the server adds 10",
    ),
    (
        "expunge.delay",
        "86400",
        _INT,
        "management-server",
        "Management Server",
        "Limits",
        "Seconds after which a destroyed instance is expunged",
    ),
    (
        "expunge.interval",
        "86400",
        _INT,
        "management-server",
        "Management Server",
        "Limits",
        "Seconds between two rounds of expunging destroyed instances",
    ),
    (
        "account.cleanup.interval",
        "86400",
        _INT,
        "management-server",
        "Access",
        "Account",
        "Seconds between two rounds of cleaning up after removed accounts",
    ),
    (
        "agent.ssl.handshake.timeout",
        "30",
        _INT,
        "AgentManager",
        "Management Server",
        "Agent",
        "Seconds an agent has for the TLS handshake",
    ),
    (
        "agent.max.concurrent.new.connections",
        "0",
        _INT,
        "AgentManager",
        "Management Server",
        "Agent",
        "Agents that may be in the TLS handshake at once; 0 means any number",
    ),
    (
        "direct.agent.load.size",
        "16",
        _INT,
        "ClusteredAgentManager",
        "Management Server",
        "Agent",
        "Hosts without an agent process that are loaded at once",
    ),
    (
        "direct.agent.pool.size",
        "500",
        _INT,
        "AgentManager",
        "Management Server",
        "Agent",
        "Threads for hosts without an agent process",
    ),
    (
        "ca.framework.cert.keysize",
        "2048",
        _INT,
        "CAManager",
        "Access",
        "Certificate",
        "Bits of the keys of issued certificates; the root has twice as many",
    ),
    (
        "ca.plugin.root.issuer.dn",
        "CN=ca.cloudstack.apache.org",
        _TEXT,
        "RootCAProvider",
        "Access",
        "Certificate",
        "Distinguished name of the root CA",
    ),
    (
        "host",
        "localhost",
        _TEXT,
        "ApiServiceConfiguration",
        "Management Server",
        "Others",
        "Addresses of the management servers that agents are told, separated by commas",
    ),
)

_SCOPES: dict[str, tuple[str, ...]] = {
    "unmanage.vm.preserve.nics": ("Zone",),
    "cpu.overprovisioning.factor": ("Cluster",),
    "mem.overprovisioning.factor": ("Cluster",),
    "storage.overprovisioning.factor": ("StoragePool", "Zone"),
    "enable.kvm.host.auto.enable.disable": ("Cluster",),
    "indirect.agent.lb.check.interval": ("Cluster",),
    "enable.user.2fa": ("Domain",),
    "mandate.user.2fa": ("Domain",),
    "allow.user.view.destroyed.vm": ("Account", "Domain"),
    "allow.user.expunge.recover.vm": ("Account", "Domain"),
    "allow.user.expunge.recover.volume": ("Account", "Domain"),
    "allow.user.force.stop.vm": ("Account", "Domain"),
    "allow.user.view.all.domain.accounts": ("Domain",),
    "allow.public.user.templates": ("Account", "Domain"),
    "api.allowed.source.cidr.list": ("Account", "Domain"),
    "enable.dynamic.scale.vm": ("Zone",),
    "enable.additional.vm.configuration": ("Account", "Domain"),
}
_OPTIONS: dict[str, str] = {
    "api.sessionkey.cookie.samesite": "Lax,Strict,NoneAndSecure,Null",
    "api.sessionkey.check.locations": "CookieOrParameter,ParameterOnly,CookieAndParameter",
    "indirect.agent.lb.algorithm": "static,roundrobin,shuffle",
}
# ConfigurationManagerImpl.populateConfigValuesForValidationSet
_POSITIVE = frozenset(
    {
        "account.cleanup.interval",
        "alert.wait",
        "expunge.interval",
        "host.stats.interval",
        "ping.interval",
        "wait",
    }
)
_CSV = frozenset(
    {
        "api.allowed.source.cidr.list",
        "commands.timeout",
        "convert.vmware.instance.to.kvm.extra.params.allowed.list",
        "vm.strict.host.tags",
    }
)


def all_definitions() -> dict[str, SettingDefinition]:
    """Every definition by name, in the order of names."""

    def built() -> Iterator[SettingDefinition]:
        for rows, is_dynamic in ((_DYNAMIC, True), (_STATIC, False)):
            for name, default, java_class, component, group, subgroup, description in rows:
                yield SettingDefinition(
                    name=name,
                    default=default,
                    java_class=java_class,
                    component=component,
                    group=group,
                    subgroup=subgroup,
                    description=description,
                    is_dynamic=is_dynamic,
                    scopes=_SCOPES.get(name, ()),
                    options=_OPTIONS.get(name),
                    must_be_positive=name in _POSITIVE,
                    is_csv=name in _CSV,
                )

    return {definition.name: definition for definition in sorted(built(), key=lambda each: each.name)}
