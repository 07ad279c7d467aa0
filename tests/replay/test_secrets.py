"""No answer shows a secret but the one that hands it out: everything that can be read is read and searched."""

from __future__ import annotations

import re
from typing import Any

import pytest

from mgmt.store.models import AsyncJob, RootCa, StoragePool, User, VmInstance, VmwareDatacenter
from tests.replay.test_belongings import ISOLATED, ZONE, deploy

READING = ("list", "get", "query", "find")
SHOWS_THEM = "getUserKeys"
PASSWORDS = ("Hidden-Login-1", "Hidden-Ssh-2", "Hidden-Center-3", "Hidden-Ceph-4", "Hidden-Center-5", "Hidden-Login-6")


def shown_once(world: Any) -> list[str]:
    """Secrets that this server makes and tells once, of things made here."""
    person = {"firstname": "F", "lastname": "L", "email": "x@example.com", "accounttype": "1"}
    made = world.ok("createAccount", username="keeper", password=PASSWORDS[0], **person)["account"]
    user = made["user"][0]["id"]
    keys = world.ok("registerUserKeys", id=user)["userkeys"]
    pair = world.ok("createSSHKeyPair", name="hidden")["keypair"]["privatekey"]
    answer = world.login("keeper", PASSWORDS[0])
    session = re.findall("JSESSIONID=([^;.]*)", str(answer.headers))[0]
    world.ok("updateUser", id=user, password=PASSWORDS[5])
    return [keys["secretkey"], pair.splitlines()[5], answer.json["loginresponse"]["sessionkey"], session]


def given_in_vain(world: Any) -> None:
    """Secrets of calls that fail: their texts, jobs and events are left."""
    pod = world.ok("listPods")["pod"][0]["id"]
    cluster = world.ok("listClusters", hypervisor="KVM")["cluster"][0]["id"]
    login = {"username": "root", "password": PASSWORDS[1]}
    world.refused(
        "addHost", zoneid=ZONE, podid=pod, clusterid=cluster, hypervisor="KVM", url="http://10.255.255.1", **login
    )
    center = {"vcenter": "vc.example.com", "datacentername": "DC", "clustername": "C", "hostip": "esx"}
    offering = world.ok("listServiceOfferings")["serviceoffering"][0]["id"]
    world.refused(
        "importVm", name="web01", zoneid=ZONE, clusterid=cluster, hypervisor="KVM", importsource="VMWARE",
        serviceofferingid=offering, username="u", password=PASSWORDS[2], **center,
    )  # fmt: skip


def kept(world: Any) -> list[str]:
    """Secrets in the records."""
    deploy(world, name="with-a-console")
    with world.server.services.store.session() as session:
        session.query(StoragePool).first().user_info = f"cloud:{PASSWORDS[3]}"
        for center in session.query(VmwareDatacenter):
            center.password = PASSWORDS[4]
        found = [vm.vnc_password for vm in session.query(VmInstance)]
        found += [authority.private_key.splitlines()[5] for authority in session.query(RootCa)]
        found += [user.secret_key for user in session.query(User)] + [
            user.password_hash for user in session.query(User)
        ]
    return [each for each in found if each and len(each) > 7]  # the system user has no password


def questions(world: Any) -> list[tuple[str, dict[str, str]]]:
    """Every reading command, as wide as it can ask."""
    vm = world.ok("listVirtualMachines", listall="true")["virtualmachine"][0]["id"]
    project = world.ok("createProject", name="p", displaytext="p")["project"]["id"]
    wide = {
        "listall": "true", "details": "all", "templatefilter": "all", "isofilter": "all", "zoneid": ZONE,
        "projectid": "-1", "virtualmachineid": vm, "networkid": ISOLATED, "resourcetype": "UserVm", "type": "primary",
        "clusterid": world.ok("listClusters", hypervisor="KVM")["cluster"][0]["id"],
        "startdate": "2000-01-01", "enddate": "2100-01-01", "userapikey": world.keys["user"][0],
    }  # fmt: skip
    asked = []
    for name, declaration in world.server.services.commands.items():
        if not name.startswith(READING) or declaration.is_async or name == SHOWS_THEM:
            continue
        fields = declaration.params._declared_fields
        needed = {word for word, field in fields.items() if getattr(field, "required", False)}
        given = {word: value for word, value in wide.items() if word in needed | {"listall", "details", "isofilter"}}
        if name.startswith("listProject") and "projectid" in needed:
            given["projectid"] = project
        asked += [(name, {word: value for word, value in given.items() if word in fields})]
        if {"projectid", "listall"} <= set(fields):
            asked.append((name, {"projectid": "-1", "listall": "true"}))
    with world.server.services.store.session() as session:
        return asked + [("queryAsyncJobResult", {"jobid": job.uuid}) for job in session.query(AsyncJob)]


@pytest.mark.slow
def test_no_answer_shows_a_secret(own_world: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Nor does the log: passwords, secret and private keys, sessions and what pools and vCenters are entered with."""
    secrets = [*PASSWORDS, *shown_once(own_world), *kept(own_world)]
    given_in_vain(own_world)
    assert len(secrets) > 15
    told, full = [], 0
    for name, parameters in questions(own_world):
        answer = own_world.ask(name, **parameters)
        text = answer.get_data(as_text=True)
        full += answer.status_code == 200 and len(text) > 100
        told += [f"{name} {parameters}" for secret in secrets if secret in text]
    assert told == []
    assert full > 60
    assert not [record for record in caplog.messages if any(secret in record for secret in secrets)]
