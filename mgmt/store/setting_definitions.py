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
    must_not_be_negative: bool = False
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


# Each section is `[group / subgroup / component]`, each setting `name | default | type` and a line with what it does.
# These act at once.
_DYNAMIC = """
[Access / Account / AccountManager]
api.key.access | true | boolean
    Whether users may sign their calls with API keys, where user and account do not say
enable.user.2fa | false | boolean
    Whether users may set up a second factor
mandate.user.2fa | false | boolean
    Whether users must set up a second factor
[Access / Account / ManagementServer]
incorrect.login.attempts.allowed | 5 | integer
    Wrong passwords in a row that disable a user, unless it is a root admin's; 0 or less: any number
[Access / Account / QueryService]
allow.user.view.all.domain.accounts | false | boolean
    Whether users see every account of their domain
[Access / Account / RoleService]
dynamic.apichecker.enabled | true | boolean
    Whether the rules of roles decide which commands an account may call
[Access / Certificate / CAManager]
ca.framework.cert.automatic.renewal | true | boolean
    Whether certificates of agents that end soon are renewed
ca.framework.cert.expiry.alert.period | 15 | integer
    Days before its end from which a certificate counts as ending soon
ca.framework.cert.validity.period | 365 | integer
    Days that issued certificates are valid
[Access / Certificate / RootCAProvider]
ca.plugin.root.allow.expired.cert | true | boolean
    Whether an agent's expired certificate is let through
ca.plugin.root.auth.strictness | false | boolean
    Whether agents must show a certificate of the root CA
[Access / Project / ProjectManager]
allow.user.create.projects | true | boolean
    Whether users may create projects
[Compute / Capacity / AlertManager]
cluster.cpu.allocated.capacity.disablethreshold | 0.85 | float
    Share of a cluster's CPU that may be promised before no more instances come
cluster.cpu.allocated.capacity.notificationthreshold | 0.75 | float
    Share of a cluster's CPU that may be promised before an alert is written
cluster.memory.allocated.capacity.disablethreshold | 0.85 | float
    Share of a cluster's memory that may be promised before no more instances come
cluster.memory.allocated.capacity.notificationthreshold | 0.75 | float
    Share of a cluster's memory that may be promised before an alert is written
[Compute / Capacity / CapacityManager]
cpu.overprovisioning.factor | 1.0 | float
    Factor by which CPU of a cluster's hosts may be promised beyond what is there
mem.overprovisioning.factor | 1.0 | float
    Factor by which memory of a cluster's hosts may be promised beyond what is there
[Compute / Network / NetworkManager]
vm.network.nic.max.secondary.ipaddresses | 10 | integer
    Further addresses that one NIC may have
[Compute / Virtual Machine / QueryService]
allow.user.view.destroyed.vm | false | boolean
    Whether users see their destroyed instances
[Compute / Virtual Machine / UnmanagedVMsManager]
unmanage.vm.preserve.nics | false | boolean
    Whether the NICs of an instance stay reserved after it was unmanaged
[Compute / Virtual Machine / UserVmManager]
allow.user.expunge.recover.vm | false | boolean
    Whether users may expunge and recover their instances
allow.user.force.stop.vm | true | boolean
    Whether users may stop their instances by force
enable.additional.vm.configuration | false | boolean
    Whether users may add configuration of the hypervisor to their instances
enable.dynamic.scale.vm | false | boolean
    Whether CPU and memory of running instances may be changed
[Compute / Virtual Machine / VMLeaseManager]
instance.lease.enabled | false | boolean
    Whether instances may have a lease
[Compute / Virtual Machine / VirtualMachineManager]
migratewait | 3600 | integer
    Seconds an agent lets the migration of an instance take before it stops it
vm.strict.host.tags | | text
    Host tags that an instance's host must have, separated by commas
vm.strict.resource.limit.host.tag.check | true | boolean
    Whether the host tags with resource limits are checked strictly
[Hypervisor / KVM / AgentManager]
enable.kvm.host.auto.enable.disable | false | boolean
    Whether a KVM host is enabled and disabled after the result of its health check
[Hypervisor / KVM / UnmanagedVMsManagerImpl]
remote.kvm.instance.disks.copy.timeout | 30 | integer
    Minutes that the copy of one disk from an external KVM host may take
[Hypervisor / VMware / UnmanagedVMsManagerImpl]
convert.vmware.instance.to.kvm.extra.params.allowed | false | boolean
    Whether a request may hand extra parameters to virt-v2v on the conversion host
convert.vmware.instance.to.kvm.extra.params.allowed.list | | text
    Which virt-v2v parameters a request may use while extra parameters are allowed, separated by commas
convert.vmware.instance.to.kvm.timeout | 3 | integer
    Hours that the conversion of a VMware instance may take on the conversion host
threads.on.kvm.host.to.import.vmware.vm.files | 0 | integer
    Threads that fetch the files of an OVF on the KVM host: 0 means one for each disk of the source
threads.on.ms.to.import.vmware.vm.files | 0 | integer
    Threads that fetch an OVF's files at the management server: -1 or 1 none, 0 one for each disk, at most 10
[Hypervisor / VMware / VmwareManager]
vmware.vcenter.session.timeout | 1200 | integer
    Seconds a request to a vCenter may take
[Management Server / API / APIAuthenticationManager]
api.allowed.source.cidr.list | 0.0.0.0/0,::/0 | text
    Networks from which API calls are taken, separated by commas
[Management Server / API / ApiResponseSerializer]
expose.cloudstack.version.api.xml.response | true | boolean
    Whether XML answers carry the server's version
[Management Server / API / ApiServer]
api.sessionkey.check.locations | CookieAndParameter | text
    Where a session's key must come: CookieOrParameter, ParameterOnly or CookieAndParameter
api.sessionkey.cookie.samesite | Lax | text
    SameSite attribute of the session key's cookie: Lax, Strict, NoneAndSecure or Null
[Management Server / API / ManagementServer]
expose.cloudstack.version.api.list.capabilities | true | boolean
    Whether listCapabilities shows the server's version
[Management Server / Agent / AgentManager]
alert.wait | 1800 | integer
    Seconds a disconnected agent has to come back before its host goes to Alert
commands.timeout | | text
    Limits of single agent commands, as Command=seconds separated by commas
ping.interval | 60 | integer
    Seconds between two pings of an agent; handed to agents when they attach
ping.timeout | 2.5 | float
    How many ping intervals an agent may be silent before its host is looked into
ready.command.wait | 60 | integer
    Seconds to wait for an agent's answer to the ready command
wait | 1800 | integer
    Seconds to wait for the answer to an agent command that brings no limit of its own
[Management Server / Agent / IndirectAgentLBServiceImpl]
indirect.agent.lb.algorithm | static | text
    How agents choose among management servers: static, roundrobin or shuffle
indirect.agent.lb.check.interval | 0 | long
    Seconds after which an agent tries the first management server of its list again; 0 never
[Management Server / Agent / ReconcileCommandService]
reconcile.commands.enabled | false | boolean
    Whether commands that were lost with an agent's link are followed up
[Management Server / Jobs / AsyncJobManager]
job.cancel.threshold.minutes | 60 | long
    Minutes after which a job that still runs is cancelled
job.expire.minutes | 1440 | long
    Minutes that a finished job is kept
[Compute / High Availability / ResourceManager]
host.maintenance.local.storage.strategy | Error | text
    What maintenance does with VMs on local storage: Error (refuse), ForceStop or Migration
[Compute / High Availability / HighAvailabilityManagerImpl]
vm.ha.migration.max.retries | 5 | integer
    How often a VM is tried to be moved off a host in maintenance
[Management Server / Stats Collection / StatsCollector]
host.stats.interval | 60000 | integer
    Milliseconds between two rounds of asking hosts for their load
storage.stats.interval | 60000 | integer
    Milliseconds between two rounds of asking hosts how full pools are
[Miscellaneous / Others / QueryService]
default.ui.page.size | 20 | long
    Entries a page of the web interface shows
[Network / Virtual Router / NetworkOrchestrationService]
router.aggregation.command.each.timeout | 600 | integer
    Seconds for each step of a bundled router command
[Storage / Capacity / CapacityManager]
storage.overprovisioning.factor | 2.0 | float
    Factor by which space of a thin primary pool may be promised beyond what is there
[Storage / Primary Storage / StorageManager]
storage.pool.disk.wait | 60 | integer
    Seconds to wait for a disk of a pool to appear on a host
storage.tag.rule.execution.timeout | 2000 | long
    Milliseconds that the evaluation of a storage tag rule may take
[Storage / Templates / TemplateManager]
allow.public.user.templates | true | boolean
    Whether users may make their templates public
[Storage / Volume / VolumeApiService]
allow.user.expunge.recover.volume | true | boolean
    Whether users may expunge and recover their volumes
[Storage / Volume / VolumeImportUnmanageService]
allow.import.volume.with.backing.file | false | boolean
    Whether a volume that has a backing file may be imported
[Storage / Volume / VolumeOrchestrationService]
custom.diskoffering.size.max | 1024 | long
    Greatest size of a custom disk, in GB
custom.diskoffering.size.min | 1 | long
    Smallest size of a custom disk, in GB
"""

# These act after a restart of the server.
_STATIC = """
[Access / Account / management-server]
account.cleanup.interval | 86400 | integer
    Seconds between two rounds of cleaning up after removed accounts
[Access / Certificate / CAManager]
ca.framework.background.task.delay | 3600 | long
    Seconds between two looks for certificates that end soon
ca.framework.cert.keysize | 2048 | integer
    Bits of the keys of issued certificates; the root has twice as many
[Access / Certificate / RootCAProvider]
ca.plugin.root.issuer.dn | CN=ca.cloudstack.apache.org | text
    Distinguished name of the root CA
[Compute / Virtual Machine / AgentManager]
instance.name | VM | text
    Ending of the internal names of instances
[Compute / Virtual Machine / VirtualMachineManager]
vm.instancename.flag | false | boolean
    Whether the display name of an instance becomes part of its internal name
[Management Server / API / ApiRateLimitService]
api.throttling.enabled | false | boolean
    Whether the number of calls an account may send is limited; root admins may send any number
[Management Server / API / management-server]
api.throttling.interval | 1 | integer
    Seconds after the first call of an account from which its calls are counted anew
api.throttling.max | 25 | integer
    Calls that an account may send in that time
[Management Server / API / ApiServer]
enable.secure.session.cookie | false | boolean
    Whether the session cookie is sent over HTTPS only, and kept from scripts
enforce.post.requests.and.timestamps | false | boolean
    Whether calls that change something must be sent by POST and signed with a time stamp
integration.api.port | 0 | integer
    Port on which commands are taken without a login; 0 means none
json.content.type | application/json; charset=UTF-8 | text
    Content type of JSON answers
[Management Server / Agent / AgentManager]
agent.max.concurrent.new.connections | 0 | integer
    Agents that may be in the TLS handshake at once; 0 means any number
agent.ssl.handshake.timeout | 30 | integer
    Seconds an agent has for the TLS handshake
direct.agent.pool.size | 500 | integer
    Threads for hosts without an agent process
workers | 5 | integer
    Threads that handle what agents send; the server adds 10
[Management Server / Agent / ClusteredAgentManager]
direct.agent.load.size | 16 | integer
    Hosts without an agent process that are loaded at once
[Management Server / Limits / management-server]
default.page.size | 500 | long
    Entries a page of a list has, and the most a request may ask for; -1 lifts the limit
expunge.delay | 86400 | integer
    Seconds after which a destroyed instance is expunged
expunge.interval | 86400 | integer
    Seconds between two rounds of expunging destroyed instances
[Management Server / Others / ApiServiceConfiguration]
host | localhost | text
    Addresses of the management servers that agents are told, separated by commas
"""

_JAVA_CLASSES: dict[str, JavaClass] = {
    "boolean": "java.lang.Boolean",
    "integer": "java.lang.Integer",
    "long": "java.lang.Long",
    "float": "java.lang.Float",
    "text": "java.lang.String",
}

_SCOPES: dict[str, tuple[str, ...]] = {
    "unmanage.vm.preserve.nics": ("Zone",),
    "cpu.overprovisioning.factor": ("Cluster",),
    "mem.overprovisioning.factor": ("Cluster",),
    "storage.overprovisioning.factor": ("StoragePool", "Zone"),
    "enable.kvm.host.auto.enable.disable": ("Cluster",),
    "indirect.agent.lb.check.interval": ("Cluster",),
    "api.key.access": ("Domain",),
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
_EXTENSIONS = """
[Miscellaneous / Others / cloudstack-mock]
cloudstackmock.import.limit.per.vcenter | 0 | integer
    How many imports may be under way for one vCenter; the others wait. 0: any number
cloudstackmock.import.limit.per.esxi.host | 0 | integer
    How many imports may be under way for one ESXi host; the others wait. 0: any number
cloudstackmock.import.limit.per.kvm.host | 0 | integer
    How many imports may be under way for one KVM host, converting or importing; the others wait. 0: any number
"""
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


def all_definitions(*, extensions: bool = False) -> dict[str, SettingDefinition]:
    """Every definition by name, in the order of names; `extensions` are those that CloudStack does not have."""
    definitions = [*_parsed(_DYNAMIC, is_dynamic=True), *_parsed(_STATIC, is_dynamic=False)]
    if extensions:
        definitions += _parsed(_EXTENSIONS, is_dynamic=True)
    return {definition.name: definition for definition in sorted(definitions, key=lambda each: each.name)}


def _parsed(table: str, *, is_dynamic: bool) -> Iterator[SettingDefinition]:
    group = subgroup = component = ""
    lines = iter(table.strip().splitlines())
    for line in lines:
        if line.startswith("["):
            group, subgroup, component = line.strip("[]").split(" / ")
            continue
        name, default, kind = (part.strip() for part in line.split("|"))
        yield SettingDefinition(
            name=name,
            default=default,
            java_class=_JAVA_CLASSES[kind],
            component=component,
            group=group,
            subgroup=subgroup,
            description=next(lines).strip(),
            is_dynamic=is_dynamic,
            scopes=_SCOPES.get(name, ()),
            options=_OPTIONS.get(name),
            must_be_positive=name in _POSITIVE,
            must_not_be_negative=name.startswith("cloudstackmock.import.limit."),
            is_csv=name in _CSV,
        )
