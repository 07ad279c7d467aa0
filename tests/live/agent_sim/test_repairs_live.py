"""Each known defect of CloudStack's agent, as it is upstream and as a fleet is told to be without it."""

from __future__ import annotations

import stat

import pytest

from agent_sim import defects
from mgmt import quirks

both_ways = pytest.mark.parametrize("is_repaired", [False, True], ids=["faithful", "repaired"])
NAMES = {value for name, value in vars(defects).items() if name.isupper()}


@pytest.fixture
def lab_with(make_conversions, lab_hosts):
    """Makes a lab of one host that is without the named defect when it is repaired."""
    return lambda name, is_repaired: make_conversions(lab_hosts[0], repaired=[name] if is_repaired else [])


def test_names_are_those_of_the_server() -> None:
    """A fleet's defects are named as the server's `--fix` names them."""
    assert NAMES and set(quirks.KNOWN) >= NAMES


@both_ways
def test_unquoted_vddk_line(lab_with, is_repaired) -> None:
    """A name with an operator is reported as a splice and not run; quoted, virt-v2v looks for that VM."""
    lab = lab_with(defects.UNQUOTED_VDDK_LINE, is_repaired)
    assert not lab.convert("x; touch /tmp/x").result
    run = lab.last_run("virt-v2v")
    assert run.shell_splice is not is_repaired
    assert ("'x; touch /tmp/x' -o local" in run.argv[2]) is is_repaired
    assert ("x; touch /tmp/x" in " ".join(run.output)) is is_repaired, "virt-v2v names the guest that it does not find"


@both_ways
def test_vddk_reads_original(lab_with, is_repaired) -> None:
    """The line names the source VM, or the clone that was made of it."""
    lab = lab_with(defects.VDDK_READS_ORIGINAL, is_repaired)
    command = lab.convert_command("db01", location=lab.primary(), useVddk=True)
    command.originalVMName = "web01"
    lab.agent.ask(command)
    assert (" db01 -o local" in lab.last_run("virt-v2v").argv[2]) is is_repaired


@both_ways
def test_password_file_mode(lab_with, is_repaired) -> None:
    """The mode that upstream's file would have is reported; the file itself is its owner's alone in any case."""
    lab = lab_with(defects.PASSWORD_FILE_MODE, is_repaired)
    modes = []
    lab.on_event = lambda _: modes.extend(stat.S_IMODE(path.stat().st_mode) for path in lab.hypervisor.password_files())
    assert lab.convert("web01").result
    assert lab.last_run("virt-v2v").password_file_mode == (0o600 if is_repaired else 0o644)
    assert set(modes) == {0o600}


@both_ways
def test_export_folder_left(lab_with, is_repaired) -> None:
    """The folder of an export that failed stays on the temporary storage, or goes."""
    lab = lab_with(defects.EXPORT_FOLDER_LEFT, is_repaired)
    command = lab.convert_command("nosuch", location=lab.primary(), exportOvfToConversionLocation=True)
    assert lab.agent.ask(command)[0].details == "Export OVA for the VM nosuch failed"
    assert len(lab.files()) == (0 if is_repaired else 1)


@both_ways
def test_blank_in_vpx_url(lab_with, is_repaired) -> None:
    """A blank in a name makes the address no URI, or is written as one."""
    lab = lab_with(defects.BLANK_IN_VPX_URL, is_repaired)
    lab.convert("web01", cluster="esx cluster")
    run = lab.last_run("virt-v2v")
    assert ("/lab-dc/esx%20cluster/" in run.argv[2]) is is_repaired
    assert any("unable to parse URI" in line for line in run.output) is not is_repaired
