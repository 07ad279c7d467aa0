"""What goes wrong on a host: every text of the conversion and import answers, and what is left behind."""

from __future__ import annotations

import dataclasses
import stat
import threading

import pytest

from agent_sim.host import NfsExport, Tools
from agent_sim.toolchain.images import write_qcow2
from agent_sim.toolchain.ovf import write_ovf_directory
from agent_sim.toolchain.source import SourceDisk, SourceMachine, SourceNic
from mgmt.protocol.commands import (
    Answer,
    CheckConvertInstanceCommand,
    CheckHealthCommand,
    ConvertInstanceAnswer,
    ImportConvertedInstanceAnswer,
)

POOL = "dc9afbc9-aec9-30ff-81c8-9a9aa1485c68"
GOLD = "dc9afbc9-aec9-30ff-81c8-9a9aa1485c69"
GIB = 1024**3
FAILED = "Instance conversion failed for VM {}. Please check virt-v2v logs."


MACHINE = SourceMachine(
    "web01", "Rocky Linux (64-bit)", 2, 2048, True, False, (SourceDisk("Hard disk 1", 8 * GIB, GIB),), (SourceNic("n"),)
)


def plain_failure(answer: Answer, text: str) -> None:
    assert type(answer) is Answer
    assert (answer.result, answer.details) == (False, text)


# -- VDDK


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"password": "wrong"}, "HTTP response code 500 for call to 'Login'. Fault: ServerFaultCode - "),
        ({"vm": "nosuch"}, "cannot find libvirt domain ‘nosuch’: Domain not found: Could not find domain with name"),
        ({"esx": "nohost"}, "Could not find host system specified in '/lab-dc/esx-cluster/nohost'"),
        ({"cluster": "none"}, "Could not find compute resource specified in '/lab-dc/none/esx1.lab.example'"),
        ({"cluster": None, "esx": None}, "Path '/lab-dc' does not specify a compute resource"),
        ({"vddkThumbprint": "AA:BB"}, 'verify whether the "thumbprint" parameter (AA:BB) matches the SHA1 fingerprint'),
        ({"vddkTransports": "san"}, "VixDiskLib_ConnectEx: One of the parameters was invalid (transports=san)"),
        ({"vddkLibDir": "/nowhere"}, "‘-io vddk-libdir=/nowhere’ does not point to a directory."),
        ({"vddkLibDir": "/opt"}, "libvixDiskLib.so.8: cannot open shared object file"),
        ({"vm": "web 01 + cache"}, "expecting a libvirt guest name on the command line"),
        ({"vm": "diskless-pxe", "esx": "esx1.lab.example"}, "source metadata doesn't list any hard disks"),
        ({"extraParams": "--bogus"}, "virt-v2v: unrecognized option '--bogus'"),
        ({"esx": "esx 1"}, "Original error message was: parse_uri: unable to parse URI"),
    ],
)
def test_vddk_failures_have_one_text_and_a_true_reason_in_the_log(conversions, fields, words) -> None:
    """A failed VDDK run answers the one text of 4.1 row 8; virt-v2v's own words are in its run, and no file is left."""
    fields = dict(fields)
    vm = fields.pop("vm", "web01")
    lab = conversions
    answer = lab.convert(vm, **fields)
    plain_failure(answer, FAILED.format(vm))
    run = lab.last_run("virt-v2v")
    assert run.exit_status == 1
    assert any(words in line for line in run.output), run.output
    assert lab.hypervisor.password_files() == []
    assert lab.files() == []
    assert "wrong" not in "".join(run.argv)


def test_vcenter_that_is_away_fails_before_virt_v2v(conversions) -> None:
    """No thumbprint can be asked from a dead vCenter: row 8, and virt-v2v is never started."""
    lab = conversions
    plain_failure(lab.convert("web01", vcenter="127.0.0.1:1"), FAILED.format("web01"))
    assert [run.exit_status for run in lab.runs] == [1]
    assert "openssl s_client -connect '127.0.0.1:1' </dev/null" in lab.runs[0].argv[2]


def test_vcenter_that_is_away_with_a_given_thumbprint(conversions) -> None:
    """With a thumbprint given, virt-v2v itself finds out that there is no connection."""
    lab = conversions
    plain_failure(lab.convert("web01", vcenter="127.0.0.1:1", vddkThumbprint="AA:BB"), FAILED.format("web01"))
    assert any("Couldn't connect to server (7)" in line for line in lab.last_run("virt-v2v").output)


def test_blank_password_is_row_8(conversions) -> None:
    """A blank vCenter password fails at once: no file, no run."""
    plain_failure(conversions.convert("web01", password=" "), FAILED.format("web01"))
    assert conversions.runs == []


def test_vcenter_name_with_a_slash_cannot_be_a_file_name(conversions) -> None:
    """The password file's name holds the vCenter address: one with a slash cannot be written."""
    plain_failure(conversions.convert("web01", vcenter="../etc"), FAILED.format("web01"))
    assert conversions.runs == []


def test_no_library_directory_says_where_to_set_it(make_conversions, lab_hosts) -> None:
    """Without VDDK directory the text with upstream's typo comes."""
    lab = make_conversions(lab_hosts[2])
    plain_failure(
        lab.convert("web01"),
        "VDDK lib dir is not configured on the host. Set 'vddk.lib.dir' in agent.properties or in details parameter of "
        "the import api calll to use VDDK-based conversion.",
    )


@pytest.mark.parametrize(
    ("tools", "words"),
    [
        ({"nbdkit_vddk_plugin": None}, "nbdkit-vddk-plugin is not installed"),
        ({"nbdkit": None}, "nbdkit is not installed or not working."),
        ({"virt_v2v": None}, "virt-v2v: command not found"),
    ],
)
def test_missing_programs_fail_the_run(make_conversions, lab_hosts, tools, words) -> None:
    """A program that is not there fails the conversion with row 8; the reason is in the run."""
    host = dataclasses.replace(lab_hosts[0], tools=dataclasses.replace(lab_hosts[0].tools, **tools))
    if tools == {"virt_v2v": None}:
        host = dataclasses.replace(host, tools=dataclasses.replace(host.tools, password_options=("-ip",)))
    lab = make_conversions(host)
    plain_failure(lab.convert("web01"), FAILED.format("web01"))
    assert any(words in line for line in lab.last_run("virt-v2v").output)


def test_no_password_option_is_row_8(make_conversions, lab_hosts) -> None:
    """A virt-v2v that lists no password option fails before it is run."""
    tools = dataclasses.replace(lab_hosts[0].tools, password_options=())
    lab = make_conversions(dataclasses.replace(lab_hosts[0], tools=tools))
    plain_failure(lab.convert("web01"), FAILED.format("web01"))
    assert lab.runs == []


def test_old_virt_v2v_gets_its_own_password_option(make_conversions, lab_hosts) -> None:
    """virt-v2v 1.44 knows `--password-file` only, and gets it."""
    tools = dataclasses.replace(lab_hosts[0].tools, virt_v2v="1.44.2")
    lab = make_conversions(dataclasses.replace(lab_hosts[0], tools=tools))
    assert lab.convert("web01").result
    assert "--password-file /tmp/v2v.pass.cloud." in lab.last_run("virt-v2v").argv[2]


def test_backend_other_than_direct_breaks_vddk(make_conversions, lab_hosts) -> None:
    """`libguestfs.backend` other than `direct` is passed on, and VDDK does not work with it."""
    properties = lab_hosts[0].properties.with_values(libguestfs_backend="libvirt")
    lab = make_conversions(dataclasses.replace(lab_hosts[0], properties=properties))
    plain_failure(lab.convert("web01"), FAILED.format("web01"))
    assert lab.last_run("virt-v2v").environment == {"LIBGUESTFS_BACKEND": "libvirt"}


def test_configured_thumbprint_is_taken_as_it_is(make_conversions, lab_hosts, vcenter) -> None:
    """`vddk.thumbprint` of agent.properties goes before asking vCenter; a lower-case one is as good."""
    thumbprint = vcenter.thumbprint_sha1.lower()
    properties = lab_hosts[0].properties.with_values(vddk_thumbprint=thumbprint, vddk_transports="")
    lab = make_conversions(dataclasses.replace(lab_hosts[0], properties=properties))
    assert lab.convert("web01").result
    assert [run.argv[0] for run in lab.runs] == ["/bin/bash"]
    assert f"-io vddk-thumbprint={thumbprint} web01" in lab.runs[0].argv[2]


def test_shell_characters_in_a_name_are_never_run(conversions) -> None:
    """A VM name with shell operators is told as a splice, and nothing is run."""
    lab = conversions
    plain_failure(lab.convert("x; touch /tmp/x"), FAILED.format("x; touch /tmp/x"))
    assert lab.last_run("virt-v2v").shell_splice
    plain_failure(lab.convert("it's"), FAILED.format("it's"))
    assert lab.last_run("virt-v2v").exit_status == 2


def test_standalone_host_and_windows_and_many_disks(conversions) -> None:
    """A standalone ESXi host has no cluster in its path; Windows takes longer; four disks give four files."""
    lab = conversions
    assert lab.convert("edge-stopped", cluster=None, esx="esx3.lab.example").result
    linux_s = lab.last_run("virt-v2v").duration_s
    assert (
        lab.convert("win-legacy", esx="esx1.lab.example").result
        or lab.convert("win-legacy", esx="esx2.lab.example").result
    )
    assert lab.last_run("virt-v2v").duration_s > linux_s


def test_duration_of_vddk_follows_the_model(conversions) -> None:
    """One stream of 100 MiB/s, 60 s fixed, 30 s per TiB for the extents: 70 GiB take 60 + 2 + 717 s and setup."""
    lab = conversions
    assert lab.convert("web01").result
    expected_s = 1.2 + 60 + 70 / 1024 * 30 + 70 * 1024 / 100
    assert lab.last_run("virt-v2v").duration_s == pytest.approx(expected_s, abs=1)


def test_time_limit_takes_effect_at_the_next_line(conversions) -> None:
    """Past `wait` seconds of model time the next printed line ends the run: `process hasn't exited`."""
    lab = conversions
    plain_failure(
        lab.convert("web01", wait=100),
        "Error converting instance web01 from VMware, due to: process hasn't exited",
    )
    run = lab.last_run("virt-v2v")
    assert run.exit_status is None
    assert run.duration_s > 100
    assert lab.hypervisor.password_files() == []
    assert [name for name in lab.files() if name.endswith("-sda")], "half a disk stays"


def test_full_pool_stops_the_copy(make_conversions, lab_hosts) -> None:
    """A temporary pool without room fails at the copy: the partial disk stays, no XML."""
    small = NfsExport("192.0.2.20", "/export/primary", capacity_bytes=100 * GIB, available_bytes=5 * GIB)
    lab = make_conversions(dataclasses.replace(lab_hosts[0], nfs_exports=(small,)))
    plain_failure(lab.convert("web01"), FAILED.format("web01"))
    assert "nbdcopy: write at offset 5368709120: No space left on device" in lab.last_run("virt-v2v").output
    assert [name.rpartition("-")[2] for name in lab.files()] == ["sda"]


def test_password_file_is_private_and_gone_after_a_kill(make_conversions, lab_hosts, server) -> None:
    """While virt-v2v runs the password file has mode 0600; killing the agent removes it and reports a killed run."""
    lab = make_conversions(lab_hosts[0], time_scale=200)
    copying = threading.Event()
    seen: list[int] = []

    def at(event) -> None:
        if event.tool == "virt-v2v" and event.disk_index == 1 and not copying.is_set():
            seen.extend(stat.S_IMODE(path.stat().st_mode) for path in lab.hypervisor.password_files())
            copying.set()

    lab.on_event = at
    lab.agent.request(lab.convert_command("web01", location=lab.primary(), useVddk=True))
    assert copying.wait(60)
    lab.fleet.kill("kvm1")
    assert seen == [0o600]
    assert lab.hypervisor.password_files() == []
    assert lab.last_run("virt-v2v").exit_status is None
    assert lab.agent.closed.wait(60)
    lab.fleet.revive("kvm1")
    again = server.next_agent()
    assert again.startup[0].id == lab.agent.host_id
    assert again.responses.get(timeout=60).answers[0].result


def test_restarted_agent_removes_a_password_file_left_behind(conversions) -> None:
    """A password file of an agent that could not clean up is gone once the agent starts again."""
    lab = conversions
    lab.fleet.kill("kvm1")
    left = lab.fleet.agent("kvm1").root / "tmp" / "v2v.pass.cloud.192.0.2.40.x"
    left.write_text("secret")
    lab.fleet.revive("kvm1")
    assert not left.exists()


def test_lost_link_does_not_stop_the_conversion(make_conversions, lab_hosts, server) -> None:
    """When only the link is lost virt-v2v goes on, the agent comes back, and the answer is lost."""
    lab = make_conversions(lab_hosts[0], time_scale=1000)
    copying = threading.Event()
    lab.on_event = lambda event: copying.set() if event.disk_index == 1 else None
    lab.agent.request(lab.convert_command("web01", location=lab.primary(), useVddk=True))
    assert copying.wait(60)
    lab.fleet.drop_link("kvm1")
    again = server.next_agent()
    assert again.responses.get(timeout=60).answers[0].result
    assert lab.fleet.wait_for(lambda: lab.fleet.agent("kvm1").running_commands == 0, 60)
    assert again.ask(CheckHealthCommand())[0].result


# -- checks before the conversion


def test_check_convert_texts(make_lab, lab_hosts) -> None:
    """The refusals of CheckConvertInstance: VDDK, virt-v2v, virtio-win, on Rocky and on Debian."""
    bare = dataclasses.replace(lab_hosts[2], name="bare", guid="1" * 8 + "-0000-4000-8000-00000000000a", tools=Tools())
    debian = dataclasses.replace(
        bare,
        name="debian",
        guid="1" * 8 + "-0000-4000-8000-00000000000b",
        os=dataclasses.replace(bare.os, name="Ubuntu"),
        tools=Tools(virt_v2v="2.2.0"),
    )
    lab = make_lab([lab_hosts[2], bare, debian])
    ip = "192.0.2.13"
    vddk = f"Cannot convert the instance from VMware using VDDK on host {ip}. Please make sure "
    library = "a valid VDDK library directory are available on the host."
    v2v = (
        f"Cannot convert the instance from VMware as the virt-v2v binary is not found on host {ip}. Please install "
        "{} on the host before attempting the instance conversion."
    )
    windows = (
        f"Cannot convert the instance from VMware as the virtio-win package is not found on host {ip}. Please install "
        "virtio-win package on the host before attempting the windows guest instance conversion."
    )
    cases = [
        ("kvm3", {"useVddk": True}, f"{vddk}virt-v2v, nbdkit-vddk and {library}"),
        ("debian", {"useVddk": True}, f"{vddk}virt-v2v, nbdkit, nbdkit-vddk and {library}"),
        ("bare", {}, v2v.format("virt-v2v")),
        ("debian", {}, v2v.format("virt-v2v, nbdkit")),
        ("kvm3", {"checkWindowsGuestConversionSupport": True}, windows),
    ]
    for host, fields, text in cases:
        answer = lab.agents[host].ask(CheckConvertInstanceCommand(**fields))[0]
        assert (answer.result, answer.details) == (False, text), host
    good = lab.agents["kvm3"].ask(CheckConvertInstanceCommand())[0]
    assert (good.result, good.details, good.ovfExportSupported) == (True, "", True)


def test_invalid_override_is_not_replaced_by_the_agents_directory(conversions) -> None:
    """A bad `vddkLibDir` in the command is refused although the host has a good directory."""
    answers = [
        conversions.agent.ask(CheckConvertInstanceCommand(useVddk=True, vddkLibDir=path))[0].result
        for path in (" ", "/opt/vmware-vddk/vmware-vix-disklib-distrib", "/nowhere", "relative", "/opt/../opt")
    ]
    assert answers == [True, True, False, False, False]


def test_convert_checks_hypervisors_and_programs_first(make_conversions, lab_hosts) -> None:
    """Rows 1 to 3 of 4.1, in this order."""
    host = dataclasses.replace(lab_hosts[2], tools=Tools())
    lab = make_conversions(host)
    plain_failure(
        lab.convert("web01", checkConversionSupport=True),
        "Cannot convert the instance web01 from VMware as the virt-v2v binary is not found. Please install virt-v2v on "
        "the host before attempting the instance conversion.",
    )
    plain_failure(
        lab.convert("web01", destinationHypervisorType="VMware"),
        "The destination hypervisor type is VMware, KVM was expected, cannot handle it",
    )
    command = lab.convert_command("web01", location=lab.primary(), useVddk=True)
    command.sourceInstance.hypervisorType = "KVM"
    plain_failure(lab.agent.ask(command)[0], "The source hypervisor type KVM is not supported for KVM conversion")
    command = lab.convert_command("web01", location=lab.primary())
    command.sourceInstance = None
    assert "java.lang.NullPointerException" in lab.agent.ask(command)[0].details


def test_temporary_pool_that_cannot_be_opened_is_a_stack_trace(make_conversions, lab_hosts) -> None:
    """Row 4: an unknown pool, an export that cannot be mounted, no location: plain Answers with a Java trace."""
    exports = (NfsExport("192.0.2.20", "/export/secondary", state="unreachable"),)
    lab = make_conversions(dataclasses.replace(lab_hosts[0], nfs_exports=exports))
    details = [
        lab.convert("web01", location=location).details for location in (lab.primary(GOLD), lab.secondary(), None)
    ]
    assert details[0].startswith(
        f"com.cloud.utils.exception.CloudRuntimeException: Could not fetch storage pool {GOLD} from libvirt due to "
        f"org.libvirt.LibvirtException: Storage pool not found: no storage pool with matching uuid '{GOLD}'\n\tat "
    )
    assert "(/bin/mount -o nodev,nosuid,noexec 192.0.2.20:/export/secondary /mnt/" in details[1]
    assert "unexpected exit status 32: mount.nfs: Connection timed out" in details[1]
    assert details[2].startswith("java.lang.NullPointerException: ")


# -- OVF


def ovf(lab, vm: str = "web01", **fields) -> Answer:
    command = lab.convert_command(
        vm, location=fields.pop("location", lab.primary()), exportOvfToConversionLocation=True, **fields
    )
    return lab.agent.ask(command)[0]


def test_ovftool_failures(conversions) -> None:
    """A wrong password, a missing VM: `Export OVA for the VM <n> failed`, and the export folder stays."""
    lab = conversions
    for vm, fields, words in (
        ("web01", {"password": "not this"}, "Error: Cannot complete login"),
        ("nosuch", {}, "Error: Locator does not refer to an object: vi://administrator%40vsphere.local:******@"),
        ("web01", {"vcenter": "127.0.0.1:1"}, "Error: Failed to connect to 127.0.0.1 port 1"),
    ):
        plain_failure(ovf(lab, vm, **fields), f"Export OVA for the VM {vm} failed")
        run = lab.last_run("ovftool")
        assert run.output[0].startswith(words), run.output
        assert "not" not in run.argv[-2]
    assert len(lab.files()) == 3
    plain_failure(ovf(lab, vcenter=" "), "Couldn't export OVA for the VM web01, due to empty url")


def test_ovftool_missing_is_upstreams_null_pointer(make_conversions, lab_hosts) -> None:
    """Without ovftool the answer is the recorded stack trace, and the folder stays."""
    tools = dataclasses.replace(lab_hosts[0].tools, ovftool=None)
    lab = make_conversions(dataclasses.replace(lab_hosts[0], tools=tools))
    answer = ovf(lab)
    assert answer.details.startswith(
        'java.lang.NullPointerException: Cannot invoke "java.lang.Process.exitValue()" because "this._process" is null'
    )
    assert len(lab.files()) == 1


def test_old_ovftool_gets_no_parallel_threads(make_conversions, lab_hosts) -> None:
    """ovftool older than 4.4 is run without `--parallelThreads`."""
    tools = dataclasses.replace(lab_hosts[0].tools, ovftool="4.3.0")
    lab = make_conversions(dataclasses.replace(lab_hosts[0], tools=tools))
    assert ovf(lab, threadsCountToExportOvf=4).result
    assert lab.last_run("ovftool").argv[1:3][0] == "--noSSLVerify"
    assert lab.last_run("ovftool").argv[2].startswith("vi://")


def test_ovftool_time_limit_and_full_pool(make_conversions, lab_hosts) -> None:
    """Out of time ovftool ends in a stack trace; without room its export fails."""
    small = NfsExport("192.0.2.20", "/export/primary", capacity_bytes=100 * GIB, available_bytes=5 * GIB)
    lab = make_conversions(dataclasses.replace(lab_hosts[0], nfs_exports=(small,)))
    plain_failure(ovf(lab), "Export OVA for the VM web01 failed")
    assert "No space left on device" in lab.last_run("ovftool").output[-2]
    answer = ovf(lab, location=lab.secondary(), wait=30)
    assert answer.details.startswith("java.lang.IllegalThreadStateException: process hasn't exited")


def test_ovf_of_a_name_with_blank_and_umlaut(conversions) -> None:
    """Unlike the VDDK path the OVF path takes a name with blanks, a plus sign or umlauts."""
    lab = conversions
    for vm, folder in (("web 01 + cache", "vm/Prod/Web"), ("büro-süd-ä1", None)):
        answer = ovf(lab, vm, path=folder)
        assert answer.result, lab.runs[-1]


def test_server_exported_directory_works_when_it_is_there(conversions) -> None:
    """Without agent export the directory that the server filled is converted; a missing one is row 8."""
    lab = conversions
    command = lab.convert_command("web01", location=lab.primary(), templateDirOnConversionLocation="ovf-dir")
    plain_failure(lab.agent.ask(command)[0], FAILED.format("web01"))
    assert "virt-v2v: error: access: No such file or directory: /mnt/" + POOL + "/ovf-dir" in lab.runs[-1].output
    write_ovf_directory(lab.export("/export/primary") / "ovf-dir", MACHINE)
    answer = lab.agent.ask(command)[0]
    assert isinstance(answer, ConvertInstanceAnswer) and answer.result
    assert lab.runs[-1].argv[5] == f"/mnt/{POOL}/ovf-dir/"


def test_ovf_conversion_without_virt_v2v_is_row_8(make_conversions, lab_hosts) -> None:
    """virt-v2v that cannot be started: row 8, nothing was run."""
    lab = make_conversions(dataclasses.replace(lab_hosts[0], tools=Tools()))
    command = lab.convert_command("web01", location=lab.primary(), templateDirOnConversionLocation="ovf-dir")
    plain_failure(lab.agent.ask(command)[0], FAILED.format("web01"))
    assert lab.runs == []


def test_exception_releases_the_temporary_mount(make_conversions, lab_hosts) -> None:
    """Only after an exception the NFS location is unmounted; after a plain failure it stays."""
    lab = make_conversions(lab_hosts[0])
    plain_failure(lab.convert("nosuch", location=lab.secondary()), FAILED.format("nosuch"))
    assert len(lab.hypervisor.storage.mounts()) == 2
    assert "hasn't exited" in lab.convert("web01", location=lab.secondary(), wait=10).details
    assert len(lab.hypervisor.storage.mounts()) == 1


# -- import


def do_import(lab, uuid: str, pools: list[str], *, location=None, force: bool = False) -> ImportConvertedInstanceAnswer:
    command = lab.import_command("web01", uuid, pools, location=location or lab.primary(), force=force)
    answer = lab.agent.ask(command)[0]
    assert isinstance(answer, ImportConvertedInstanceAnswer)
    return answer


def test_import_forced_to_pool_moves_nothing(conversions) -> None:
    """Forced: the disks keep their names, the XML stays."""
    lab = conversions
    uuid = lab.convert("web01").temporaryConvertUuid
    answer = do_import(lab, uuid, [POOL], force=True)
    assert [disk.fileBaseName for disk in answer.convertedInstance.disks] == [f"{uuid}-sda", f"{uuid}-sdb"]
    assert len(lab.files()) == 3


def test_import_without_xml(conversions) -> None:
    """No XML: the recorded text with the path."""
    answer = do_import(conversions, "u1", [POOL])
    assert answer.details == (
        "Error converting instance web01 from VMware, due to: Conversion failed. Unable to find the converted XML "
        f"domain, expected /mnt/{POOL}/u1.xml"
    )


def test_import_with_unreadable_xml_looks_for_the_prefix(conversions) -> None:
    """An XML that does not parse: disks by prefix and no nics; without any disk the text of step 3."""
    lab = conversions
    directory = lab.export("/export/primary")
    (directory / "u2.xml").write_text("<domain>")
    assert do_import(lab, "u2", [POOL], force=True).details == (
        "Error converting instance web01 from VMware, due to: Could not find any converted disk with prefix u2 on "
        f"temporary location /mnt/{POOL}"
    )
    write_qcow2(directory / "u2-sda", GIB, allocated_bytes=1)
    answer = do_import(lab, "u2", [POOL], force=True)
    assert [disk.capacity for disk in answer.convertedInstance.disks] == [GIB]
    assert answer.convertedInstance.nics == []


def test_import_of_a_disk_that_is_gone(conversions) -> None:
    """A disk that the XML names and that is not there is an exception: step 7."""
    lab = conversions
    uuid = lab.convert("web01").temporaryConvertUuid
    (lab.export("/export/primary") / f"{uuid}-sdb").unlink()
    answer = do_import(lab, uuid, [POOL, POOL])
    assert answer.details.startswith(
        f"Error converting instance web01 from VMware, due to: Could not find volume {uuid}-sdb"
    )


@pytest.mark.parametrize("pools", [[GOLD, GOLD], [POOL], [POOL, "local"]])
def test_import_without_a_destination_for_each_disk(conversions, pools) -> None:
    """Unknown pools skip disks; too few pools are an error: no disk at all gives the text of step 6."""
    lab = conversions
    local = lab.hypervisor.storage.local_pools[0].uuid
    uuid = lab.convert("web01").temporaryConvertUuid
    answer = do_import(lab, uuid, [local if pool == "local" else pool for pool in pools])
    if pools == [POOL, "local"]:
        assert answer.result and len(answer.convertedInstance.disks) == 1
        assert f"{uuid}.xml" not in lab.files()
        return
    assert (answer.result, answer.details) == (
        False,
        "Unable to import the converted disks for VM web01 from destination pools",
    )
    assert {f"{uuid}-sda", f"{uuid}-sdb", f"{uuid}.xml"} == set(lab.files())


def test_import_into_a_full_pool_removes_its_copies(make_conversions, lab_hosts, caplog) -> None:
    """A destination without room: the reason in the log, step 6 in the answer, copies removed, conversion kept."""
    exports = (
        NfsExport("192.0.2.20", "/export/primary", 200 * GIB, 200 * GIB),
        NfsExport("192.0.2.20", "/export/gold", 100 * GIB, 30 * GIB),
    )
    lab = make_conversions(dataclasses.replace(lab_hosts[0], nfs_exports=exports))
    lab.add_pool("kvm1", GOLD, "/export/gold")
    uuid = lab.convert("web01").temporaryConvertUuid
    answer = do_import(lab, uuid, [GOLD, GOLD])
    assert answer.details == "Unable to import the converted disks for VM web01 from destination pools"
    free = 10 * GIB
    expected = f"Not enough space on destination pool {GOLD} ({free} bytes) to copy disk {uuid}-sdb (size {50 * GIB})"
    assert expected in caplog.text
    assert lab.files("/export/gold") == []
    assert len(lab.files()) == 3


def test_import_on_another_host_sees_the_files(make_lab, lab_hosts) -> None:
    """One host converts to secondary storage, the other imports from there and unmounts it again."""
    lab = make_lab(lab_hosts)
    for host in ("kvm1", "kvm3"):
        lab.add_pool(host)
    command = lab.convert_command("web01", location=lab.secondary(), useVddk=True)
    uuid = lab.agents["kvm1"].ask(command)[0].temporaryConvertUuid
    command = lab.import_command("web01", uuid, [POOL, POOL], location=lab.secondary())
    answer = lab.agents["kvm3"].ask(command)[0]
    assert answer.result, answer
    assert lab.files("/export/secondary") == []
    assert lab.fleet.agent("kvm3").hypervisor.storage.mounts() == [f"/mnt/{POOL}"]
    assert len(lab.fleet.agent("kvm1").hypervisor.storage.mounts()) == 2
