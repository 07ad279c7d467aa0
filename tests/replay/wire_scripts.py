"""What was done between the lines of the recorded conversations: by name of the file, what to begin with and the acts.

Each function furnishes an installation and gives the arguments of `AgentSide`: `acts` by line, `closes` (ends of links
that are the server's), `missing` (lines that our server does not send), `answers` (lines whose answers were left out
of the recording), `links`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mgmt.store.models import Host, Network, StoragePool, Template

N1 = ("53c42945-5ddf-3406-8ce1-a1cddb6b135f", "/export/n1")
LOCAL, OTHER_LOCAL = "c317bfd9-9fac-58ae-acb9-805081378b2c", "f59a30de-640c-505b-9d32-32dbb134a172"
NG = ("2bb797a5-c452-3040-9d8a-c137142656f0", "/export/ng")


def all_of(*acts: Callable[[], None]) -> Callable[[], None]:
    def act() -> None:
        for each in acts:
            each()

    return act


def fresh_attach(here: Any) -> dict[str, Any]:
    here.pool(*N1, cluster=here.cluster)
    return {"acts": {21: here.figures}}


def attach_with_labels(here: Any) -> dict[str, Any]:
    here.labels(Management="cloudbr0", Public="cloudbr1", Guest="cloudbr1", Storage="cloudbr0")
    return {}


def disconnect_and_reattach(here: Any) -> dict[str, Any]:
    here.pool(*N1, cluster=here.cluster)
    return {"acts": {99: here.figures}, "closes": {39, 59}}


def refused_answers(here: Any) -> dict[str, Any]:
    make = here.call(
        "createStoragePool",
        name="n1",
        url="nfs://10.9.9.1/export/n1",
        zoneid=here.zone.uuid,
        podid=here.pod.uuid,
        clusterid=here.cluster.uuid,
    )
    return {"acts": {17: make, 22: here.join}, "closes": {47, 54, 61, 68, 75, 80, 85, 90, 95}}


def ready_variants(here: Any) -> dict[str, Any]:
    here.pool(*N1, cluster=here.cluster)
    here.set(ready_command_wait="3")
    acts = {107: here.later(7), 262: here.later(4)}
    return {"acts": acts, "closes": {55, 72, 107, 262}}


def silence_and_health_check(here: Any) -> dict[str, Any]:
    here.pool(*N1, cluster=here.cluster)
    zone_wide = {"scope": "zone", "hypervisor": "KVM", "zoneid": here.zone.uuid}
    acts = {
        3: here.later(31),
        5: here.later(10),
        7: here.figures,
        9: here.later(10),
        15: here.call("createStoragePool", name="ng", url="nfs://10.9.9.1/export/ng", **zone_wide),
        17: here.call("createStoragePool", name="rbd", url="rbd://user:secret@10.9.9.2/rbdpool", **zone_wide),
        19: all_of(lambda: here.lost_host("172.16.15.214", LOCAL), delete(here, "lost")),
        21: here.later(31),
        24: here.until_status("kvm2", "Alert"),
    }
    return {"acts": acts, "closes": {23}, "links": {"kvm2": here.attach("kvm2", has_pool=True)}}


def delete(here: Any, name: str) -> Callable[[], None]:
    uuid = lambda: here.host(name).uuid  # noqa: E731 - what a call asks for
    return here.call("deleteHost", id=uuid, forced="true", forcedestroylocalstorage="true")  # type: ignore[no-any-return]


def maintenance_and_delete(here: Any) -> dict[str, Any]:
    here.pool(*N1, cluster=here.cluster)
    of_kvm4 = {"id": lambda: here.host("kvm4").uuid}
    zone_wide = {"scope": "zone", "hypervisor": "KVM", "zoneid": here.zone.uuid}
    in_maintenance = here.until(lambda: here.host("kvm4").resource_state == "Maintenance")
    acts = {
        19: here.call("reconnectHost", **of_kvm4),
        38: here.figures,
        40: here.call("prepareHostForMaintenance", **of_kvm4),
        42: all_of(here.join, in_maintenance),
        59: here.later(31),
        76: all_of(
            here.until_status("kvm4", "Up"),
            here.call("cancelHostMaintenance", **of_kvm4),
            here.call("prepareHostForMaintenance", **of_kvm4),
        ),
        80: here.figures,
        84: here.call("prepareHostForMaintenance", **of_kvm4),
        88: here.call("prepareHostForMaintenance", **of_kvm4),
        90: all_of(here.join, in_maintenance, here.call("deleteHost", **of_kvm4)),
        93: here.join,
        111: here.call("createStoragePool", name="ng", url="nfs://10.9.9.1/export/ng", **zone_wide),
        113: here.call("createStoragePool", name="rbd", url="rbd://user:secret@10.9.9.2/rbdpool", **zone_wide),
        115: all_of(here.join, lambda: here.lost_host("172.16.15.214", LOCAL), delete(here, "lost")),
        117: delete(here, "kvm4"),
    }
    return {"acts": acts, "closes": {19, 59, 92, 119}}


def odd_messages_and_startups(here: Any) -> dict[str, Any]:
    here.pool(*N1, cluster=here.cluster)
    here.pool(*NG)
    here.rbd_pool()
    here.allow_local_storage()
    acts = {
        183: all_of(lambda: here.lost_host("172.16.15.215", OTHER_LOCAL), delete(here, "lost")),
        187: all_of(here.join, here.figures),
    }
    return {"acts": acts, "closes": {79}, "kept": {46}, "missing": {45}}


def server_list_and_settings(here: Any) -> dict[str, Any]:
    here.set(router_aggregation_command_each_timeout="601")
    change = lambda name, value: here.call("updateConfiguration", name=name, value=value)  # noqa: E731
    acts = {
        2: change("host", "192.0.2.2,192.0.2.3"),
        4: change("indirect.agent.lb.algorithm", "roundrobin"),
        6: change("migratewait", "3601"),
        7: change("host", "192.0.2.2"),
        9: change("indirect.agent.lb.algorithm", "static"),
        11: change("migratewait", "3600"),
    }
    return {"acts": acts, "missing": {1}, "answers": {6, 11}, "links": {"kvm2": here.attach("kvm2")}}


def certificates(here: Any) -> dict[str, Any]:
    links = {"kvm2": here.attach("kvm2")}
    provision = {"hostid": here.host("kvm2").uuid, "reconnect": "false"}
    acts = {number: here.call("provisionCertificate", **provision) for number in (1, 5, 9)}
    return {"acts": acts, "links": links}


def storage_pools(here: Any) -> dict[str, Any]:
    other = here.other_cluster()
    links = {"i1": here.attach("i1"), "i3": here.attach("i3", cluster=other)}
    place = {"zoneid": here.zone.uuid, "podid": here.pod.uuid}
    zone_wide = {"scope": "zone", "hypervisor": "KVM", "zoneid": here.zone.uuid}
    make = lambda name, url, **more: here.call("createStoragePool", name=name, url=url, **more)  # noqa: E731
    acts = {
        1: make("ni1", "nfs://10.9.9.1/export/ni1", clusterid=here.cluster.uuid, **place),
        4: make("ng", "nfs://10.9.9.1/export/ng", **zone_wide),
        8: make("ni3", "nfs://10.9.9.1/export/ni3", clusterid=other.uuid, **place),
        11: make("rbd", "rbd://user:secret@10.9.9.2/rbdpool", **zone_wide),
    }
    return {"acts": acts, "answers": {1, 8}, "links": links}


NI1, NI3 = "644ab528-ed32-3594-bafe-85a89ac8519f", "54554adc-931d-39f5-b740-6b955814f8b0"
RBD = "d309b272-e1e8-3f2a-854b-1b1cce4f6483"
OWN = "59933d77-088a-5f13-9129-4f97b14768ba"


def shared_import(here: Any) -> dict[str, Any]:
    links = {"i3": here.attach("i3")}
    here.pool(NI3, "/export/ni3", cluster=here.cluster)
    here.rbd_pool()
    common = {"importsource": "shared", "networkid": here.uuid_of(Network, "lab-l2")}
    names = ("sh1", "sh3", "sh4", "sh5", "sh6", "sh7IS_LOCKED", "sh7IS_ENCRYPTED", "sh7BACKING_FILE", "sh8", "img1")
    names += ("sh11", "sh12", "sh13")
    acts = {
        2 * place + 1: here.import_vm(
            **common,
            name=name.replace("_", "-"),
            diskpath=name if name == "img1" else f"{name}.qcow2",
            storageid=RBD if name == "img1" else NI3,
        )
        for place, name in enumerate(names)
    }
    # `storageid` plays no part in where the disk is looked for, there as here: for one import RBD is all that is left
    shared = StoragePool.uuid == NI3
    acts[19] = all_of(here.change(StoragePool, shared, status="Disabled"), acts[19])
    acts[21] = all_of(here.change(StoragePool, shared, status="Up"), acts[21])
    return {"acts": acts, "links": links}


def local_import(here: Any) -> dict[str, Any]:
    links = {"i1": here.attach("i1")}
    here.local_pool(OWN, "i1", "172.16.15.221")
    here.pool(NI1, "/export/ni1", cluster=here.cluster)
    common = {"importsource": "local", "networkid": here.uuid_of(Network, "lab-l2"), "hostid": here.host("i1").uuid}
    acts = {
        number: here.import_vm(**common, name=name, diskpath=f"{name}.qcow2", storageid=pool)
        for number, name, pool in ((1, "lo1", OWN), (3, "lo2", OWN), (5, "lo3", NI1))
    }
    return {"acts": acts, "links": links}


def unmanaged_import(here: Any) -> dict[str, Any]:
    links = {"i1": here.attach("i1")}
    here.pool(NI1, "/export/ni1", cluster=here.cluster)
    network = {"nicnetworklist[0].nic": "0", "nicnetworklist[0].network": here.uuid_of(Network, "lab-l2")}
    template = here.uuid_of(Template, "SystemVM Template (KVM)")
    names = {1: "um1", 3: "um2", 5: "um2", 7: "um2"}
    acts = {
        number: here.import_vm("importUnmanagedInstance", name=name, templateid=template, **network)
        for number, name in names.items()
    }
    return {"acts": acts, "links": links}


def external_import(here: Any) -> dict[str, Any]:
    links = {"i1": here.attach("i1"), "i3": here.attach("i3")}
    here.change(Host, Host.name == "i1", ram_bytes=0)()  # it lists the VMs of the remote host, the other one copies
    here.pool(NI3, "/export/ni3", cluster=here.cluster)
    remote = {"importsource": "external", "host": "192.0.2.60", "username": "root", "password": "PASSWORD"}
    network = {"nicnetworklist[0].nic": "0", "nicnetworklist[0].network": here.uuid_of(Network, "lab-l2")}
    copied = (1, 7, 11, 15, 21)  # the others have a name that is taken, and end with the list
    names = {number: f"rv{number}" if number in copied else "rv1" for number in (1, 5, 7, 11, 15, 19, 21, 25, 27)}
    acts = {
        number: here.import_vm(**remote, name="rv1", hostname=name, displayname=name, **network)
        for number, name in names.items()
    }
    return {"acts": acts, "links": links}


SCRIPTS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "fresh-attach": fresh_attach,
    "attach-with-labels": attach_with_labels,
    "disconnect-and-reattach": disconnect_and_reattach,
    "refused-answers": refused_answers,
    "ready-variants": ready_variants,
    "silence-and-health-check": silence_and_health_check,
    "maintenance-and-delete": maintenance_and_delete,
    "odd-messages-and-startups": odd_messages_and_startups,
    "server-list-and-settings": server_list_and_settings,
    "certificates": certificates,
    "storage-pools": storage_pools,
    "shared-import": shared_import,
    "local-import": local_import,
    "unmanaged-import": unmanaged_import,
    "external-import": external_import,
}
