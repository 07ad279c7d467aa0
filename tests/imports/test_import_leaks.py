"""What imports leave behind: the comparison, and the server's repairs, each as upstream and as `--fix` has it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import pytest

from mgmt import quirks
from mgmt.errors import AgentUnavailableError, CloudError
from mgmt.imports.cleanup import HostCleanups
from mgmt.imports.leakrecords import RECORDS
from mgmt.imports.leaks import SERVER, UNSEEN_HOSTS, UNSEEN_VCENTERS, LeakWatch, Thing, leak_view
from mgmt.imports.pipeline import ImportPipeline
from mgmt.imports.undo import NotUndone
from mgmt.protocol.commands import (
    CleanupConvertedInstanceDisksCommand,
    CopyRemoteVolumeAnswer,
    CopyRemoteVolumeCommand,
    DeleteCommand,
    GetRemoteVmsAnswer,
    GetRemoteVmsCommand,
    ImportConvertedInstanceAnswer,
    ImportConvertedInstanceCommand,
    UnmanagedDisk,
    UnmanagedInstanceTO,
    UnmanagedNic,
)
from mgmt.protocol.records import Answer
from mgmt.quirks import Quirks
from mgmt.store import models

both_ways = pytest.mark.parametrize("is_repaired", [False, True], ids=["faithful", "repaired"])
CONVERT_UUID = "0f0c2f5e-2b38-4a2b-9c1e-0f6c4f4c7d10"
GIB = 1024**3


class Around:
    """Surroundings that the test fills."""

    def __init__(self) -> None:
        self.things: set[Thing] = set()
        self.settled: set[str] = set()

    def mark(self) -> object:
        return frozenset(self.things)

    def since(self, mark: object) -> list[Thing]:
        assert isinstance(mark, frozenset)
        return [thing for thing in self.things - mark if thing.name not in self.settled]

    def still_there(self, things: Collection[Thing]) -> set[Thing]:
        return self.things.intersection(things)

    def settle(self, file_names: Collection[str]) -> None:
        self.settled.update(file_names)

    def sees_host(self, name: str) -> bool:
        return True

    def sees_vcenter(self, address: str) -> bool:
        return True


@pytest.fixture
def watch(world: Any) -> LeakWatch:
    return LeakWatch(world.services.store, world.services.providers)


def cleanups_of(world: Any, on_done: Any = lambda what: None) -> HostCleanups:
    return HostCleanups(world.services.store, world.services.providers, world.agents, on_done)


def prepare(world: Any, name: str, is_repaired: bool) -> HostCleanups:
    """The defect there or not, and hosts that do as they are told."""
    for command in (CleanupConvertedInstanceDisksCommand, DeleteCommand):
        world.agents.defaults[command] = lambda _: Answer(result=True)
    cleanups = cleanups_of(world)
    world.services = replace(world.services, quirks=Quirks([name] if is_repaired else []), cleanups=cleanups)
    return cleanups


def watched_run(world: Any, watch: LeakWatch, **changes: Any) -> CloudError | None:
    """Run an import under the eyes of the watch; its error, if it fails."""
    pipeline = ImportPipeline(world.services, world.request(**changes), world.requester())
    with watch.watching("job", pipeline.request.name) as watched:
        try:
            watched.vm_id = pipeline.run()
        except CloudError as error:
            return error
        finally:
            watched.not_undone = pipeline.undo.not_undone
    return None


def things(watch: LeakWatch) -> set[Thing]:
    return {leak.thing for leak in watch.report().leaks}


# The server's repairs


@both_ways
def test_converted_files_left(world: Any, is_repaired: bool) -> None:
    """When the import host fails, the conversion host gets to delete the converted files, or nobody does."""
    prepare(world, quirks.CONVERTED_FILES_LEFT, is_repaired)
    world.agents.script(ImportConvertedInstanceCommand, ImportConvertedInstanceAnswer(result=False, details="full"))
    assert world.refused(convertinstancehostid="K1", importinstancehostid="K2").row == "3.5"
    sent = [(host, item) for host, item in world.agents.sent if isinstance(item, CleanupConvertedInstanceDisksCommand)]
    assert [(host, item.vmVolumesPrefix) for host, item in sent] == (
        [(world.id_of("K1"), CONVERT_UUID)] if is_repaired else []
    )
    assert all(item.vmVolumesStore._url == "nfs://192.0.2.20/export/secondary" for _, item in sent)


def test_a_clean_up_that_fails_keeps_the_first_error(world: Any, watch: LeakWatch) -> None:
    """The caller gets why the import failed; why its files are still there stands in the leak report."""
    prepare(world, quirks.CONVERTED_FILES_LEFT, True)
    world.agents.script(ImportConvertedInstanceCommand, ImportConvertedInstanceAnswer(result=False, details="full"))
    world.agents.script(CleanupConvertedInstanceDisksCommand, Answer(result=False, details="read-only"))
    error = watched_run(world, watch)
    assert error is not None and error.row == "3.5" and error.text.endswith("}: full")
    (leak,) = watch.report().leaks
    assert (leak.thing.kind, leak.reason) == ("not undone", "read-only")
    assert CONVERT_UUID in leak.thing.name


def test_converted_files_left_is_no_defect_of_main(world: Any) -> None:
    """4.23 has the clean-up of pull request 13151."""
    assert Quirks([], quirks.PROFILES["4.22.1"]).is_faithful(quirks.CONVERTED_FILES_LEFT)
    assert not Quirks([], quirks.PROFILES["main"]).is_faithful(quirks.CONVERTED_FILES_LEFT)


@both_ways
def test_imported_disks_left(world: Any, is_repaired: bool) -> None:
    """When the records cannot be written, the import host gets to delete the disks, or nobody does."""
    prepare(world, quirks.IMPORTED_DISKS_LEFT, is_repaired)
    assert world.refused(details={"0": {"miniops": "x"}}).row == "3.8-7"
    deleted = [command.data.path for command in world.agents.commands(DeleteCommand)]
    assert deleted == (["file-0"] if is_repaired else [])
    world.assert_no_records()


@both_ways
def test_imported_disks_left_by_an_external_import(world: Any, is_repaired: bool) -> None:
    """A disk that was copied before the next one is refused is deleted, or stays."""
    prepare(world, quirks.IMPORTED_DISKS_LEFT, is_repaired)
    nic = UnmanagedNic(nicId="0", macAddress="52:54:00:99:00:01", adapterType="virtio")
    disks = [
        UnmanagedDisk(diskId=str(number), capacity=GIB, controller="virtio", datastorePath=f"/{number}")
        for number in range(2)
    ]
    remote = UnmanagedInstanceTO(name="rv1", disks=disks, nics=[nic])
    world.agents.script(GetRemoteVmsCommand, GetRemoteVmsAnswer(result=True, unmanagedInstances={"rv1": remote}))
    world.agents.script(
        CopyRemoteVolumeCommand,
        CopyRemoteVolumeAnswer(result=True, filename="copied", size=GIB),
        Answer(result=False, details="no"),
    )
    error = world.refused(
        importsource="external",
        name="rv1",
        host="192.0.2.60",
        username="root",
        nicnetworklist={"0": {"nic": "0", "network": "l2"}},
        datadiskofferinglist={"0": {"disk": "1", "diskOffering": "d1"}},
    )
    assert error.row == "5.3-13", error.text
    assert [item.data.path for item in world.agents.commands(DeleteCommand)] == (["copied"] if is_repaired else [])


@both_ways
def test_unplanned_vm_left(world: Any, watch: LeakWatch, is_repaired: bool) -> None:
    """A VM that finds no host stays and is reported, or its records are taken back."""
    prepare(world, quirks.UNPLANNED_VM_LEFT, is_repaired)
    for host in ("K1", "K2", "K3"):
        world.change(host, status="Down")
    error = watched_run(
        world,
        watch,
        importsource="shared",
        name="sh1",
        diskpath="sh1.qcow2",
        networkid="l2",
        storageid="pool-N1",
        nicnetworklist={},
    )
    assert error is not None and error.row == "5.3-11"
    assert things(watch) == (set() if is_repaired else {Thing("vm", RECORDS, "i-2-1-VM")})


# Clean-up on hosts


def test_a_host_that_is_away_cleans_up_when_it_is_back(world: Any, wait_until: Any) -> None:
    """What a host could not be told waits until it is Up, and is then reported as done."""
    done: list[str] = []
    cleanups = cleanups_of(world, done.append)
    command = CleanupConvertedInstanceDisksCommand(vmVolumesPrefix="x")
    world.agents.script(CleanupConvertedInstanceDisksCommand, AgentUnavailableError("gone"), Answer(result=True))
    with pytest.raises(CloudError, match="not before the host is Up again: gone"):
        cleanups.send(7, "delete x", command)
    cleanups.host_up(8)
    assert cleanups.is_waiting()
    cleanups.host_up(7)
    wait_until(lambda: done == ["delete x"], "the clean-up")
    cleanups.join(60)
    assert not cleanups.is_waiting()


def test_what_waits_for_a_host_survives_a_restart(world: Any, wait_until: Any) -> None:
    """The next server knows it and sends it; when the host goes again it waits on."""
    command = DeleteCommand()
    world.agents.script(DeleteCommand, *[AgentUnavailableError("gone")] * 2, Answer(result=True))
    with pytest.raises(CloudError):
        cleanups_of(world).send(7, "delete x", command)
    done: list[str] = []
    after = cleanups_of(world, done.append)
    after.load()
    for sent in (2, 3):
        after.host_up(7)
        wait_until(lambda sent=sent: len(world.agents.commands(DeleteCommand)) == sent, "the command")
        after.join(60)
    assert (done, after.is_waiting(), world.rows(models.HostCleanup)) == (["delete x"], False, [])


def test_a_host_that_comes_up_meanwhile_cleans_up(world: Any, wait_until: Any) -> None:
    """It is not forgotten when it came Up between the failed command and the note of it."""
    cleanups = cleanups_of(world)

    def come_up(command: Any) -> Answer:
        cleanups.host_up(7)
        raise AgentUnavailableError("gone")

    world.agents.script(DeleteCommand, come_up, Answer(result=True))
    with pytest.raises(CloudError):
        cleanups.send(7, "delete x", DeleteCommand())
    wait_until(lambda: not cleanups.is_waiting(), "the clean-up")
    assert len(world.agents.commands(DeleteCommand)) == 2


def test_a_host_that_cannot_clean_up_says_why(world: Any) -> None:
    """A false answer is the reason, and nothing waits."""
    cleanups = cleanups_of(world)
    world.agents.script(DeleteCommand, Answer(result=False, details="read-only"))
    with pytest.raises(CloudError, match=r"^read-only$"):
        cleanups.send(7, "delete x", DeleteCommand())
    assert not cleanups.is_waiting()


# The comparison


def test_a_good_import_leaves_nothing(world: Any, watch: LeakWatch) -> None:
    """Its VM, volumes and NICs have owners; what cannot be seen is said."""
    assert watched_run(world, watch) is None
    report = watch.report()
    assert (list(report.leaks), report.compared, report.running) == ([], 1, 0)
    hosts = [f"host {name}: {UNSEEN_HOSTS}" for name in ("K1", "K2", "K3", "K4")]
    assert list(report.unseen) == [*hosts, f"vCenter vc1: {UNSEEN_VCENTERS}"]


@both_ways
def test_stuck_task(world: Any, watch: LeakWatch, is_repaired: bool) -> None:
    """A task that stays Running after its import is reported until it ends."""
    prepare(world, quirks.TASK_LEFT_RUNNING, is_repaired)
    world.change("l2", account_id=world.id_of("bob-account"))
    world.change("bob-account", limits={"user_vm": 0})
    assert watched_run(world, watch, account="bob", domainid="ROOT") is not None
    assert things(watch) == (set() if is_repaired else {Thing("task", RECORDS, world.task.uuid)})
    with world.services.store.session() as session:
        session.get_one(models.ImportVmTask, world.task.id).state = "Failed"
    assert things(watch) == set()


def test_records_without_owner(world: Any, watch: LeakWatch) -> None:
    """Volumes and NICs of a VM that is gone, and claims on limits, are reported; what was there before is not."""

    def forget(name: str) -> None:
        vm_id = world.run(hostname=name, forced=True)
        with world.services.store.session() as session:
            session.get_one(models.VmInstance, vm_id).removed = world.services.providers.utcnow()

    forget("before")
    with watch.watching("job-1", "one"):
        forget("after")
        world.add(models.ResourceReservation(resource_type="cpu", amount=1, account_id=2, domain_id=1))
    mac = world.rows(models.Nic)[1].mac_address
    assert things(watch) == {
        Thing("volume", RECORDS, "ROOT-2"),
        Thing("nic", RECORDS, mac),
        Thing("reservation", RECORDS, "cpu (claim 1)"),
    }
    assert [leak.job_uuids for leak in watch.report().leaks] == [("job-1",)] * 3
    assert watch.report("job-2").leaks == []


def test_overlapping_imports_are_compared_at_rest(world: Any, watch: LeakWatch) -> None:
    """What one import has while another ends is no leak; what stays after the last belongs to all of them."""
    around = watch.surroundings = Around()
    old, passing, stays = (Thing("file", "host kvm1", name) for name in ("old", "passing", "stays"))
    around.things = {old}
    with watch.watching("job-1", "one"):
        with watch.watching("job-2", "two"):
            around.things |= {passing, stays}
        assert watch.report().leaks == [] and watch.report().running == 1
        around.things.remove(passing)
    (leak,) = watch.report().leaks
    assert (leak.thing, leak.job_uuids, leak.vm_names) == (stays, ("job-1", "job-2"), ("one", "two"))
    assert leak_view(leak)["place"] == "host kvm1"
    around.things.remove(stays)
    assert watch.report().leaks == []


def test_what_could_not_be_undone(world: Any, watch: LeakWatch) -> None:
    """Without a view of the vCenter it is told until it is done; with one, as long as a trace of it is there."""
    with watch.watching("job-1", "one") as watched:
        watched.not_undone = [NotUndone("destroy clone x", "refused")]
    (leak,) = watch.report().leaks
    assert (leak.thing, leak.reason) == (Thing("not undone", SERVER, "destroy clone x"), "refused")
    watch.done_later("destroy clone x")
    assert watch.report().leaks == []

    around = watch.surroundings = Around()
    clone = Thing("clone", "vCenter", "x")
    with watch.watching("job-2", "two") as watched:
        around.things.add(clone)
        watched.not_undone = [NotUndone("destroy clone x", "refused")]
    assert things(watch) == {clone, Thing("not undone", SERVER, "destroy clone x")}
    around.things.clear()
    assert things(watch) == set()


def test_files_of_volumes_are_nobodys_leak(world: Any, watch: LeakWatch) -> None:
    """A file that a new volume names belongs to it."""
    around = watch.surroundings = Around()
    assert watched_run(world, watch) is None
    assert around.settled == {"file-0"}


def test_files_of_an_unmanaged_vm_are_nobodys_leak(world: Any, watch: LeakWatch) -> None:
    """A VM that is let go while other imports run keeps its files."""
    around = watch.surroundings = Around()
    with watch.watching("job-1", "one"):
        assert watched_run(world, watch) is None
        with world.services.store.session() as session:
            for row in [*session.query(models.VmInstance), *session.query(models.Volume), *session.query(models.Nic)]:
                row.removed = world.services.providers.utcnow()
    assert around.settled == {"file-0"}
    assert things(watch) == set()


def test_a_comparison_that_fails_does_not_fail_the_import(world: Any, watch: LeakWatch, caplog: Any) -> None:
    """It is logged."""

    class Broken(Around):
        def since(self, mark: object) -> list[Thing]:
            raise RuntimeError("no view")

    watch.surroundings = Broken()
    with watch.watching("job", "one"):
        pass
    assert "could not be looked at" in caplog.text
