"""Argument lists, options, images, OVF directories, domain XML and the time model."""

from __future__ import annotations

import asyncio
import struct
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_sim.host import HostDescription
from agent_sim.providers import Timers
from agent_sim.storage import HostFiles, HostStorage, NfsServers
from agent_sim.toolchain import arguments, options, v2v
from agent_sim.toolchain.domain import disk_suffix, read_domain_xml, write_domain_xml
from agent_sim.toolchain.images import (
    ImageError,
    modelled_size_bytes,
    read_image,
    set_virtual_size,
    write_qcow2,
    write_vmdk,
)
from agent_sim.toolchain.interface import Invocation
from agent_sim.toolchain.ovf import OvfError, read_ovf_directory, write_ovf_directory
from agent_sim.toolchain.run import Bench, Run
from agent_sim.toolchain.source import SourceDisk, SourceMachine, SourceNic
from agent_sim.toolchain.timing import EsxiStreams, TimeModel
from agent_sim.toolchain.vsphere import VcenterUnreachableError, split_address
from mgmt.clock import VirtualClock

GIB = 1024**3


# -- images


@given(size=st.integers(0, 2**44), allocated=st.integers(0, 2**50))
def test_qcow2_keeps_its_sizes(tmp_path_factory, size, allocated) -> None:
    """A written image gives back its virtual size (whole sectors) and what it is said to hold."""
    path = tmp_path_factory.mktemp("q") / "disk"
    write_qcow2(path, size, allocated_bytes=allocated)
    info = read_image(path)
    assert info.virtual_size_bytes == -(-size // 512) * 512
    assert (info.file_format, info.allocated_bytes, info.cluster_size_bytes) == ("qcow2", allocated, 65536)
    path.unlink()


@pytest.mark.parametrize("new_size", [GIB // 2, 3 * 1024**4])
def test_a_resized_qcow2_is_as_if_made_so(tmp_path: Path, new_size: int) -> None:
    """Only the size and the length of the L1 table differ; what it holds is kept."""
    resized, made = tmp_path / "resized", tmp_path / "made"
    write_qcow2(resized, GIB, allocated_bytes=7)
    set_virtual_size(resized, read_image(resized), new_size)
    write_qcow2(made, new_size, allocated_bytes=7)
    assert resized.read_bytes() == made.read_bytes()


def test_sizes_that_an_image_cannot_take(tmp_path: Path) -> None:
    """A table of more than one cluster, or a VMDK, is refused and left alone; a raw file is cut or grown."""
    image, disk, raw = tmp_path / "disk", tmp_path / "disk.vmdk", tmp_path / "raw"
    write_qcow2(image, GIB, allocated_bytes=7)
    write_vmdk(disk, GIB, stored_bytes=7)
    raw.write_bytes(b"0" * 512)
    for path, size in ((image, 5 * 1024**4), (disk, 2 * GIB)):
        before = path.read_bytes()
        with pytest.raises(ImageError, match="does not support resize"):
            set_virtual_size(path, read_image(path), size)
        assert path.read_bytes() == before
    set_virtual_size(raw, read_image(raw), 1024)
    assert raw.stat().st_size == 1024


def test_qcow2_layout_is_valid(tmp_path: Path) -> None:
    """Header, refcount table and block, L1 table: every cluster of the file is counted once, and nothing else."""
    path = tmp_path / "disk"
    write_qcow2(path, 3 * 1024**4, allocated_bytes=5)
    data = path.read_bytes()
    header = struct.unpack_from(">4sIQIIQIIQQIIQQQQII", data)
    assert header[:2] == (b"QFI\xfb", 3)
    l1_entries, l1_offset, table_offset = header[7], header[8], header[9]
    assert l1_entries == 3 * 1024**4 // (65536 * 8192)
    assert (header[16], header[17]) == (4, 104)
    (block_offset,) = struct.unpack_from(">Q", data, table_offset)
    clusters = len(data) // 65536
    counts = struct.unpack_from(f">{clusters + 1}H", data, block_offset)
    assert counts == (1,) * clusters + (0,)
    assert not any(data[l1_offset : l1_offset + 8 * l1_entries])


def test_other_files_are_raw(tmp_path: Path) -> None:
    """A file without magic is raw, in whole sectors; a damaged qcow2 header is refused."""
    path = tmp_path / "x"
    path.write_bytes(b"8 bytes.")
    assert (read_image(path).file_format, read_image(path).virtual_size_bytes) == ("raw", 512)
    assert modelled_size_bytes(path) == 8
    path.write_bytes(b"QFI\xfb")
    with pytest.raises(ImageError, match="cut off"):
        read_image(path)
    assert modelled_size_bytes(path) == 4
    path.write_bytes(struct.pack(">4sI", b"QFI\xfb", 2).ljust(200, b"\0"))
    with pytest.raises(ImageError, match="expected version 3"):
        read_image(path)
    write_qcow2(path, 512, allocated_bytes=7)
    data = bytearray(path.read_bytes())
    data[104:108] = struct.pack(">I", 0x11)
    path.write_bytes(data)
    assert read_image(path).allocated_bytes == len(data), "without our extension the file's own size counts"
    assert modelled_size_bytes(tmp_path / "none") == 0


def test_vmdk_head(tmp_path: Path) -> None:
    """A VMDK tells its capacity, and what it is said to store."""
    path = tmp_path / "d.vmdk"
    write_vmdk(path, 5 * GIB, stored_bytes=GIB)
    info = read_image(path)
    assert (info.file_format, info.virtual_size_bytes, info.allocated_bytes) == ("vmdk", 5 * GIB, GIB)


# -- OVF


MACHINE = SourceMachine(
    name="web <01> & co",
    guest_os="Ubuntu Linux (64-bit)",
    cpus=2,
    memory_mb=4096,
    uefi=True,
    secure_boot=False,
    disks=(SourceDisk("Hard disk 1", 20 * GIB, 3 * GIB), SourceDisk("Hard disk 2", 50 * GIB, GIB)),
    nics=(SourceNic("VM Network", "00:50:56:00:00:01"), SourceNic(None)),
)


def test_ovf_directory_reads_back(tmp_path: Path) -> None:
    """What is exported is what is converted, but for labels and MAC addresses, which an OVF does not carry."""
    names = write_ovf_directory(tmp_path / "vm", MACHINE)
    stem = "web <01> & co"
    assert names == [f"{stem}.ovf", f"{stem}-disk1.vmdk", f"{stem}-disk2.vmdk", f"{stem}.mf"]
    read = read_ovf_directory(tmp_path / "vm", "/mnt/vm/")
    assert (read.name, read.guest_os, read.cpus, read.memory_mb, read.uefi) == (
        MACHINE.name, MACHINE.guest_os, 2, 4096, True,
    )  # fmt: skip
    assert [(d.capacity_bytes, d.allocated_bytes) for d in read.disks] == [(20 * GIB, 3 * GIB), (50 * GIB, GIB)]
    assert read.nics == (SourceNic("VM Network"), SourceNic(None))


def test_ovf_faults_are_virt_v2v_texts(tmp_path: Path) -> None:
    """A missing directory, descriptor or disk, a wrong checksum, and XML that is none."""
    folder = tmp_path / "vm"
    with pytest.raises(OvfError, match="access: No such file or directory: /x"):
        read_ovf_directory(folder, "/x/")
    folder.mkdir()
    with pytest.raises(OvfError, match=r"no \.ovf file was found in /x"):
        read_ovf_directory(folder, "/x/")
    folder.rmdir()
    names = write_ovf_directory(folder, MACHINE)
    (folder / "notes.mf").write_text("no checksum here\nSHA1(gone)= 00\n")
    read_ovf_directory(folder, "/x/")
    disk = folder / names[2]
    content = disk.read_bytes()
    disk.write_bytes(content + b"x")
    with pytest.raises(OvfError, match=r"corrupt OVA: checksum of disk .*disk2.vmdk does not match .*expected = sha1"):
        read_ovf_directory(folder, "/x/")
    disk.unlink()
    with pytest.raises(OvfError, match=r"OVF references file ‘.*disk2\.vmdk’ which was not found in the OVA archive"):
        read_ovf_directory(folder, "/x/")
    for manifest in folder.glob("*.mf"):
        manifest.unlink()
    (folder / names[0]).write_text("<broken")
    with pytest.raises(OvfError, match="could not parse the OVF file /x/"):
        read_ovf_directory(folder, "/x/")


def test_ovf_of_a_management_server_export(tmp_path: Path) -> None:
    """Other writers' habits: capacity in units of 2^30, no populated size, a MAC address."""
    (tmp_path / "a.vmdk").write_bytes(b"x")
    (tmp_path / "a.ovf").write_text(
        '<Envelope xmlns:ovf="o" xmlns:rasd="r"><References><File ovf:id="f" ovf:href="a.vmdk"/></References>'
        '<Disk ovf:capacity="8" ovf:capacityAllocationUnits="byte * 2^30" ovf:fileRef="f" ovf:diskId="d"/>'
        "<Item><rasd:ResourceType>10</rasd:ResourceType><rasd:Connection>N</rasd:Connection>"
        "<rasd:Address>00:50:56:00:00:09</rasd:Address></Item></Envelope>"
    )
    machine = read_ovf_directory(tmp_path, "/x")
    assert machine.disks == (SourceDisk("d", 8 * GIB, 8 * GIB),)
    assert machine.nics == (SourceNic("N", "00:50:56:00:00:09"),)
    assert (machine.name, machine.cpus, machine.memory_mb, machine.guest_os) == ("a", 1, 1024, "")


# -- domain XML


def test_domain_xml_reads_back() -> None:
    """The agent finds in the domain XML what virt-v2v put there."""
    text = write_domain_xml(MACHINE, name="u", output_dir="/mnt/p", version="2.8.1")
    assert "<!-- generated by virt-v2v 2.8.1 -->" in text
    assert 'file="/mnt/p/u-sdb"' in text
    domain = read_domain_xml(text)
    assert domain is not None
    assert [(disk.file_name, disk.bus) for disk in domain.disks] == [("u-sda", "virtio"), ("u-sdb", "virtio")]
    assert [(nic.network, nic.mac, nic.model) for nic in domain.nics] == [
        ("VM Network", "00:50:56:00:00:01", "virtio"),
        ("default", None, "virtio"),
    ]


def test_domain_xml_of_others() -> None:
    """Disks that are no files and cdroms are left out; missing parts are absent; no XML is None."""
    domain = read_domain_xml(
        "<domain><devices><disk type='block' device='disk'><source dev='/x'/></disk>"
        "<disk type='file' device='cdrom'><source file='/c'/></disk><disk type='file'/>"
        "<disk type='file' device='disk'><source file='/d/e'/></disk>"
        "<interface type='bridge'><source bridge='br0'/></interface><interface/></devices></domain>"
    )
    assert domain is not None
    assert [(disk.file_name, disk.bus) for disk in domain.disks] == [("e", "virtio")]
    assert [(nic.network, nic.mac, nic.model) for nic in domain.nics] == [("br0", None, None), (None, None, None)]
    assert read_domain_xml("<domain>") is None


def test_disk_letters_go_on_after_z() -> None:
    """sda ... sdz, sdaa: as virt-v2v counts."""
    assert [disk_suffix(i) for i in (0, 25, 26, 701, 702)] == ["a", "z", "aa", "zz", "aaa"]


# -- argument lists


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        ("administrator@vsphere.local", "administrator%40vsphere.local"),
        ("DOM\\user name", "DOM%5Cuser+name"),
        ("a~b*c-d._", "a%7Eb*c-d._"),
        ("p@ss/ü", "p%40ss%2F%C3%BC"),
    ],
)
def test_form_encoding_is_javas(text, encoded) -> None:
    """java.net.URLEncoder: a blank is `+`, `*-._` stay, `~` does not."""
    assert arguments.form_encode(text) == encoded


def test_vpx_url_leaves_blank_parts_out() -> None:
    """Cluster and host are left out when blank; only the user is encoded."""
    url = arguments.vpx_url(username="u@x", vcenter="vc", datacenter="D C", cluster=" ", host="h")
    assert url == "vpx://u%40x@vc/D C/h?no_verify=1"


def test_thumbprint_question() -> None:
    """Port 443, unless the address names one."""
    assert "openssl s_client -connect '192.0.2.40:443' </dev/null" in arguments.thumbprint_argv("192.0.2.40")[2]
    assert "-connect 'vc:8989' " in arguments.thumbprint_argv("vc:8989")[2]


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (["noise", "SHA1 Fingerprint=ab:CD:01"], "AB:CD:01"),
        (["sha1 Fingerprint = ab:cd"], "AB:CD"),
        (["ab:cd:ef"], "AB:CD:EF"),
        (["ab:c:ef", "unable to load certificate"], None),
        ([], None),
    ],
)
def test_thumbprint_is_found_in_the_output(lines, found) -> None:
    """The first line that matches either form counts, upper-cased."""
    assert arguments.find_thumbprint(lines) == found


def test_ovftool_argument_list_and_its_shown_form() -> None:
    """Threads only above 1; the password is in the one that runs and not in the one that is shown."""
    values = {
        "username": "u",
        "password": "p w",
        "vcenter": "vc",
        "datacenter": "D",
        "vm_name": "v",
        "target_dir": "/t/",
    }
    run, shown = arguments.ovftool_argv(**values, folder=None, threads=1)
    assert run == ("ovftool", "--noSSLVerify", "vi://u:p+w@vc/D/vm/v", "/t/")
    assert shown[2] == "vi://u:******@vc/D/vm/v"
    run, _ = arguments.ovftool_argv(**values, folder="vm/Prod", threads=3)
    assert run[2:4] == ("--parallelThreads=3", "vi://u:p+w@vc/D/vm/Prod/v")
    assert "p+w" not in repr(Invocation(run, shown, "v"))


def test_ovf_argument_list_splits_extra_params() -> None:
    """Extra parameters are separate words on the OVF path."""
    argv = arguments.ovf_argv(source_dir="/s/", output_dir="/o", output_name="u", verbose=True, extra_params="--mac x")
    assert argv[-4:] == ("u", "-v", "--mac", "x")


@pytest.mark.parametrize(
    ("version", "knows"),
    [("4.4", True), ("4.6.3", True), ("5.0.0", True), ("4.3.9", False), ("4", False), ("x", False), (None, False)],
)
def test_parallel_threads_of_ovftool(version, knows) -> None:
    """ovftool 4.4 and later; what cannot be read does not."""
    assert arguments.ovftool_knows_parallel_threads(version) is knows


# -- virt-v2v's own view


@pytest.mark.parametrize(
    ("version", "known"),
    [
        ("1.44.2", ("--password-file",)),
        ("2.2.0", ("-ip", "--password-file")),
        ("2.8.1rhel=9,release=1", ("-ip",)),
        ("odd", ("--password-file",)),
    ],
)
def test_password_options_by_version(version, known) -> None:
    """Old ones know `--password-file`, new ones `-ip`, those between both."""
    assert options.password_options(version) == known
    assert ("-ip <filename>" in options.help_text(known)) is ("-ip" in known)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--nope",), "virt-v2v: unrecognized option '--nope'"),
        (("-ip", "f"), "virt-v2v: unrecognized option '-ip'"),
        (("-os",), "virt-v2v: option '-os' requires an argument"),
        (("-io", "vddk-bogus=1"), "virt-v2v: error: -it vddk: ‘-io vddk-bogus’ is not a valid input option"),
        (("--parallel", "2"), "virt-v2v: unrecognized option '--parallel'"),
    ],
)
def test_options_that_are_refused(words, line) -> None:
    """The words of the real program, by version."""
    with pytest.raises(options.UsageError) as caught:
        options.read_options(words, version="2.2.0", known_password_options=("--password-file",))
    assert caught.value.lines[0] == line


def test_options_that_are_taken() -> None:
    """Values, flags, VDDK keys and names; `--x=y` is one word."""
    words = ("--root=first", "-v", "-io", "vddk-libdir=/l", "--parallel", "3", "vm")
    read = options.read_options(words, version="2.8.0", known_password_options=())
    assert (read.values, read.io, read.flags, read.guests) == (
        {"--root": "first", "--parallel": "3"}, {"vddk-libdir": "/l"}, {"-v"}, ["vm"],
    )  # fmt: skip


def test_vpx_url_is_taken_apart() -> None:
    """Percent escapes are undone, `+` is not; what is no URI is refused."""
    address = options.read_vpx_url("vpx://a%40b+c@vc:1/D/C/h?no_verify=1")
    assert (address.username, address.vcenter, address.parts) == ("a@b+c", "vc:1", ("D", "C", "h"))
    for url in ("vpx://u@vc/D C/h", "vpx://u@vc/ü", "http://u@vc/d"):
        with pytest.raises(options.UsageError, match="parse_uri: unable to parse URI"):
            options.read_vpx_url(url)


@given(st.text(max_size=40))
def test_shell_line_is_split_or_told_spliced(name) -> None:
    """Whatever a VM is called: the line is split, told as spliced, or refused for a quote; never run."""
    try:
        line = options.read_shell_line(f"export LIBGUESTFS_BACKEND=direct && virt-v2v -ic 'u' {name} -o local ")
    except options.UsageError:
        return
    if any(character in name for character in ";|&<>()$`\n") and "'" not in name:
        assert line.spliced


@pytest.mark.parametrize(
    ("address", "expected"),
    [("vc", ("vc", 443)), ("vc:99", ("vc", 99)), ("192.0.2.1:8443", ("192.0.2.1", 8443)), ("::1", ("::1", 443))],
)
def test_vcenter_address(address, expected) -> None:
    """A name, a name with port, an IPv6 address."""
    assert split_address(address) == expected


def test_bad_port_is_unreachable() -> None:
    """A port that is no number cannot be connected to."""
    with pytest.raises(VcenterUnreachableError, match="invalid port in vc:x"):
        split_address("vc:x")


# -- time model


def test_time_model_check_values() -> None:
    """Ten 35 GiB VMs from one ESXi host take 21 minutes; 0.51 TiB by OVF take three hours of copying and export."""
    model = TimeModel()
    assert 350 * GIB / (10 * model.vddk_rate(10)) == pytest.approx(21.0 * 60, rel=0.01)
    assert model.vddk_rate(1) == 100 * 1024**2
    size = 0.51 * 1024**4
    export_s = size / model.export_rate(2, 1)
    assert export_s + model.fixed_s(windows=False) + 2 * size / model.copy_rate() == pytest.approx(10800, rel=0.1)
    assert model.extent_query_s(2 * 1024**4) == 60


@pytest.mark.parametrize(("machines", "expected_s"), [(10, 21.0 * 60), (100, 3.5 * 3600)])
def test_many_machines_share_their_esxi_host(tmp_path: Path, machines: int, expected_s: float) -> None:
    """Ten VMs of 35 GiB, converted at once from one ESXi host, take 21 minutes, a hundred three and a half hours."""
    clock = VirtualClock("automatic")
    machine = replace(MACHINE, disks=(SourceDisk("Hard disk 1", 35 * GIB, 35 * GIB),), esxi_host="esx1")

    async def convert_all() -> None:
        timers = Timers.for_clock(clock)
        with ThreadPoolExecutor(2) as executor:
            host = HostDescription(name="h", guid="g", ip="192.0.2.11")
            files = HostFiles(tmp_path)
            storage = HostStorage(host, files, NfsServers(tmp_path / "exports"))
            bench = Bench(host, files, storage, timers, executor, EsxiStreams())

            async def convert(number: int) -> None:
                run = Run(bench, "virt-v2v", Invocation.of(("virt-v2v",), vm="vm"))
                words = options.V2vOptions({"-os": "/out", "-on": f"vm{number}"})
                await v2v.inspect_source(run, machine, words)
                await v2v.copy_disks(run, machine, words, from_ova=False)

            with clock.held():
                tasks = [timers.spawn(f"vm{number}", convert(number)) for number in range(machines)]
            await asyncio.gather(*tasks)
        timers.close()

    files_of = tmp_path / "out"
    files_of.mkdir()
    asyncio.run(convert_all())
    assert clock.monotonic() == pytest.approx(expected_s, rel=0.1)
    assert len(list(files_of.iterdir())) == machines


def test_streams_are_counted_per_esxi_host() -> None:
    """A stream counts while its block runs."""
    streams = EsxiStreams()
    with streams.stream("a"), streams.stream("a"):
        assert (streams.count("a"), streams.count("b")) == (2, 0)
    assert streams.count("a") == 0
