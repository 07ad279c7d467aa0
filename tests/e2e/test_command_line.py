"""The command line as scripts use it: real processes, ready file, signals, exit codes."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from cloudstack_mock import ApiClient
from mgmt.cli import main
from mgmt.config import OPTIONS, Settings
from mgmt.embedded import World
from mgmt.starting import clear_ready_file
from mgmt.store.database import StoreError

ROOT = Path(__file__).resolve().parents[2]
CLI = [sys.executable, "-m", "mgmt.cli"]
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("CLOUDSTACK_MOCK_")}

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a command of ours; every process is ended with the test."""
    processes: list[subprocess.Popen[str]] = []

    def run(*words: str, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*CLI, *words],
            cwd=ROOT,
            env=ENVIRONMENT | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        processes.append(process)
        return process

    yield run
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def run_here(*words: str, **environment: str) -> Result:
    """A command that ends by itself, run in this process: one of its own costs seconds."""
    ours = {name: None for name in os.environ if name.startswith("CLOUDSTACK_MOCK_")}
    result = CliRunner().invoke(main, words, prog_name="cloudstack-mock", env=ours | environment)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def said(*words: str, **environment: str) -> tuple[int, str]:
    """Exit status and everything written."""
    result = run_here(*words, **environment)
    return result.exit_code, result.output


def said_apart(*words: str, **environment: str) -> tuple[int, str, str]:
    """Exit status, output and errors."""
    result = run_here(*words, **environment)
    return result.exit_code, result.stdout, result.stderr


def ready_of(process: subprocess.Popen[str], file: Path, wait_until: Callable[..., Any]) -> dict[str, Any]:
    def written() -> bool:
        assert process.poll() is None, process.communicate()
        return file.exists()

    wait_until(written, "the ready file is written")
    content: dict[str, Any] = json.loads(file.read_text())
    return content


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_writes_the_ready_file_and_ends_cleanly(
    start: Start, wait_until: Callable[..., Any], tmp_path: Path, number: signal.Signals
) -> None:
    """The ready file is private and complete, calls with its keys work, and a signal ends all with status 0 in 5 s."""
    file = tmp_path / "ready.json"
    process = start("serve", "--port", "0", "--agent-port", "0", "--time-scale", "1000000", "--ready-file", str(file))
    ready = ready_of(process, file, wait_until)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert set(ready) == {
        "pid", "api", "console", "api_key", "secret_key", "username", "password",
        "agent_endpoint", "vcenter", "zone_id", "cluster_id",
    }  # fmt: skip
    assert set(ready["vcenter"]) == {"host", "port", "username", "password", "datacenter"}
    assert ready["pid"] == process.pid
    code, out, err = ended(start("api", "listHosts", "type=Routing", "state=Up", "--ready-file", str(file)))
    assert (code, err) == (0, "")
    assert json.loads(out)["count"] == 3

    code, out, err = said_apart("api", "listVirtualMachines", "zoneid=no-such", "--ready-file", str(file))
    assert (code, out) == (1, "")
    assert json.loads(err)["errorcode"] == 431
    profile = tmp_path / "config" / "cloudstack-mock"
    profile.mkdir(parents=True)
    (profile / "profiles.toml").write_text(
        f'[lab]\nurl = "{ready["api"]}"\napi_key = "{ready["api_key"]}"\nsecret_key = "{ready["secret_key"]}"\n'
    )
    home = str(tmp_path / "config")
    code, out, err = said_apart("api", "listZones", "--profile", "lab", XDG_CONFIG_HOME=home)
    assert (code, json.loads(out)["count"]) == (0, 1)
    code, out, err = said_apart("api", "listZones", "--profile", "other", XDG_CONFIG_HOME=home)
    assert code == 2
    assert "there is no profile 'other'" in err

    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert not file.exists()


def test_a_taken_port_is_named() -> None:
    """Starting on a taken API, agent or vCenter port says which port and which option to use."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for option, purpose in (
            ("--port", "the HTTP API"),
            ("--agent-port", "agents"),
            ("--vcenter-port", "the vCenter"),
        ):
            options = {"--port": "0", "--agent-port": "0", "--vcenter-port": "0", "--agents": "none"} | {option: port}
            code, err = said("serve", *(word for pair in options.items() for word in pair))
            assert code == 1
            assert f"port {port} on 127.0.0.1, wanted for {purpose}, cannot be used" in err
            assert f"choose another with {option}" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--fix", "nope"), "command line: --fix = 'nope' cannot be used: expected 'all', or names out of"),
        (("--seed", "nowhere"), "nowhere"),
        (("--config", "/nonexistent.toml"), "/nonexistent.toml: No such file or directory; expected a TOML file"),
        (("--nfs-root", "/nope"), "command line: --nfs-root = '/nope' cannot be used: expected a folder that is there"),
        (("--stubs", "/nope"), "/nope"),
        (("--port", "9", "--agent-port", "9"), "settings: agent_port = 9 cannot be used: expected another port than"),
        (("--port", "0", "--fault", "vddk.crash,hots=kvm1"), "vddk.crash has no argument 'hots': near it are host"),
        (("--port", "0", "--fault", "vddk.crash,vm=wbe01"), "there is no vm 'wbe01': near it are web01"),
        (("--clock", "fast"), "--clock = 'fast' cannot be used: expected one of real, scaled, manual, automatic"),
        (
            ("--clock", "automatic", "--agents", "none"),
            "settings: clock = 'automatic' cannot be used: expected 'real' or 'manual' with agents = 'none'",
        ),
        (
            ("--database", "sqlite:////nonexistent/x.db"),
            "cannot open database sqlite:////nonexistent/x.db: No such file",
        ),
    ],
)
def test_bad_settings_are_refused_at_start(words: tuple[str, ...], message: str) -> None:
    """A bad option ends the start with status 1 and a text that names it."""
    code, err = said("serve", "--agent-port", "0", *words)
    assert code == 1
    assert message in err


def test_a_process_with_a_bad_setting_ends_without_a_trace(start: Start) -> None:
    """As a process of its own: status 1, and the text on standard error alone."""
    code, out, err = ended(start("serve", "--agent-port", "0", "--port", "x"))
    assert (code, out) == (1, "")
    assert "command line: --port = 'x' cannot be used: expected a port from 0 to 65535" in err
    assert "Traceback" not in err


def test_settings_come_from_file_and_environment_too(tmp_path: Path) -> None:
    """serve reads the TOML file and the environment, and refuses by their names."""
    file = tmp_path / "s.toml"
    file.write_text("time_scale = 0\n")
    code, err = said("serve", "--config", str(file))
    assert code == 1
    assert f"{file}: time_scale = 0 cannot be used: expected a number greater than 0" in err
    code, err = said("serve", CLOUDSTACK_MOCK_PORT="y")
    assert code == 1
    assert "environment: CLOUDSTACK_MOCK_PORT = 'y' cannot be used" in err


@pytest.mark.slow
def test_agents_and_vcenter_run_on_their_own(start: Start, wait_until: Callable[..., Any], tmp_path: Path) -> None:
    """A bare server, a vCenter and agents in processes of their own make the same world."""
    file = tmp_path / "ready.json"
    server = start(
        "serve", "--port", "0", "--agent-port", "0", "--agents", "none", "--vcenter", "none", "--ready-file", str(file)
    )
    ready = ready_of(server, file, wait_until)
    assert ready["vcenter"] is None
    agents = start("agents", "--connect", ready["agent_endpoint"], "--hosts", "fixtures/hosts/lab.yaml")
    vcenter = start("vcenter", "serve")
    assert vcenter.stdout is not None
    match = re.fullmatch(r"vCenter     https://(.+)/sdk\n", vcenter.stdout.readline())
    assert match

    def up() -> bool:
        code, out, _ = said_apart("api", "listHosts", "type=Routing", "state=Up", "--ready-file", str(file))
        return code == 0 and json.loads(out).get("count") == 3

    wait_until(up, "the agents are Up")
    code, out, err = said_apart(
        "api",
        "listVmwareDcVms",
        f"vcenter={match[1]}",
        "datacentername=lab-dc",
        "username=administrator@vsphere.local",
        "password=VMware1!lab",
        "--ready-file",
        str(file),
    )
    assert (code, err) == (0, "")
    assert json.loads(out)["count"] >= 12
    for process in (agents, vcenter, server):
        process.send_signal(signal.SIGTERM)
    for process in (agents, vcenter, server):
        process.communicate(timeout=60)
        assert process.returncode == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("agents", "--connect", "nowhere"), "expected HOST:PORT"),
        (("agents", "--connect", "127.0.0.1:1"), "give either --hosts FILE or --count N"),
        (
            ("agents", "--connect", "127.0.0.1:1", "--count", "1", "--time-scale", "0"),
            "expected a number greater than 0",
        ),
        (("api", "listZones", "novalue"), "expected KEY=VALUE"),
        (("api", "listZones", "--profile", "lab"), "--profile lab: there is no file of profiles"),
        (("demo", "--ready-file", "lab.json"), "--ready-file goes with --keep"),
        (("api", "listZones"), "--url, --api-key, --secret-key not given"),
        (("api", "listZones", "--ready-file", "/nonexistent.json"), "/nonexistent.json: No such file or directory"),
    ],
)
def test_wrong_usage_is_explained(tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    """Wrong words on the command line end with status 2 and say what was expected."""
    code, err = said(*words, XDG_CONFIG_HOME=str(tmp_path))
    assert code == 2
    assert message in " ".join(err.split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("agents", "--connect", "127.0.0.1:1", "--hosts", "/no.yaml"), "/no.yaml: cannot be read: No such file"),
        (
            ("agents", "--connect", "127.0.0.1:1", "--count", "1", "--profile", "/no.yaml"),
            "/no.yaml: cannot be read: No such file or directory\n",
        ),
        (
            ("vcenter", "serve", "--inventory", "/no.yaml"),
            "/no.yaml: cannot be read: No such file or directory\n",
        ),
        (("wire", "replay", "/no.jsonl", "--as", "server", "--listen", "127.0.0.1:0"), "/no.jsonl: "),
        (("demo", "--port", "9", "--agent-port", "9"), "agent_port = 9 cannot be used: expected another port than"),
    ],
)
def test_files_and_ports_that_cannot_be_used(words: tuple[str, ...], message: str) -> None:
    """The reason in one line, and status 1."""
    code, err = said(*words)
    assert (code, message in err) == (1, True), err
    assert len(err.splitlines()) == 1


def test_a_replay_on_a_taken_port(tmp_path: Path) -> None:
    """`wire replay` says which port it cannot have."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        recorded = ROOT / "fixtures" / "wire"
        file = next(path for path in sorted(recorded.glob("*.jsonl")))
        code, err = said("wire", "replay", str(file), "--as", "server", "--listen", f"127.0.0.1:{port}")
    assert code == 1
    assert err == f"Error: cannot listen on 127.0.0.1:{port}: Address already in use\n"


def test_all_addresses_are_told_as_one_to_call(tmp_path: Path) -> None:
    """A server on 0.0.0.0 names the loopback address in its ready file, and answers there."""
    with World(Settings(host="0.0.0.0", port=0, agent_port=0, agents="none")) as world:
        ready = world.ready()
        assert str(ready["api"]).startswith("http://127.0.0.1:")
        assert str(ready["agent_endpoint"]).startswith("127.0.0.1:")
        vcenter = ready["vcenter"]
        assert isinstance(vcenter, dict)
        assert vcenter["host"] == "127.0.0.1"
        client = ApiClient(str(ready["api"]), str(ready["api_key"]), str(ready["secret_key"]))
        assert client.call("listZones")["count"] == 1
        linked = client.call("listVmwareDcs", zoneid=ready["zone_id"])["VMwareDC"][0]
        assert linked["vcenter"].startswith("127.0.0.1:")
        client.close()


def test_api_without_a_server_says_so(start: Start) -> None:
    """A call to an address where nobody listens ends with status 1 and shows no key."""
    code, _, err = ended(
        start("api", "listZones", "--url", "http://127.0.0.1:9/client/api", "--api-key", "k", "--secret-key", "geheim")
    )
    assert code == 1
    assert "no answer from http://127.0.0.1:9/client/api" in err
    assert "geheim" not in err


def test_demo_shows_the_main_job() -> None:
    """The demo ends with status 0 and has shown hosts, vCenter VMs, progress, commands and imported VMs."""
    code, out, err = said_apart("demo", "--time-scale", "1000000")
    assert (code, err) == (0, "")
    for text in (
        "VDDK version", "VMs in vCenter", "importVm web01 by VDDK", "importVm db01 by OVF export",
        "disk 1/2: 100% of", "disk 2/2: 100% of", "ConvertInstanceCommand", "ImportConvertedInstanceAnswer",
        "virt-v2v", "ovftool", "imported as i-",
    ):  # fmt: skip
        assert text in out, text
    assert "VMware1!lab" not in out


def test_doctor_lists_what_is_there() -> None:
    """The doctor names every tool and package it looked for, and needs only Python packages."""
    code, out = said("doctor", COLUMNS="160")
    assert code == 0
    for name in ("python", "pyvmomi", "virt-v2v", "nbdkit vddk plug-in", "VDDK library", "ovftool", "go", "vcsim"):
        assert name in out


def test_every_setting_is_an_option_of_serve() -> None:
    """What the settings page promises: each setting can be given on the command line."""
    command = main.get_command(click.Context(main), "serve")  # type: ignore[attr-defined]
    assert {option.name for option in OPTIONS} == {each.name for each in command.params} - {"config_file"}


def test_help_names_every_command() -> None:
    """`--help` lists the six commands."""
    code, out = said("--help")
    assert code == 0
    for name in ("serve", "demo", "agents", "vcenter", "api", "doctor"):
        assert re.search(rf"^  {name}\s", out, re.MULTILINE)


@pytest.mark.slow
def test_a_demo_can_be_broken_off(start: Start) -> None:
    """A signal in the middle of the demo ends it at once, with all that it started."""
    process = start("demo", "--time-scale", "1")
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("importVm web01"):
            break
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 1


@pytest.mark.slow
@pytest.mark.parametrize("is_chosen", [False, True])
def test_a_kept_demo_says_how_to_call_it(start: Start, tmp_path: Path, is_chosen: bool) -> None:
    """`demo --keep` leaves the server running; its ready file, a chosen one too, works and is gone with the server."""
    chosen = ("--ready-file", str(tmp_path / "lab.json")) if is_chosen else ()
    process = start("demo", "--keep", "--port", "0", "--agent-port", "0", "--time-scale", "1000000", *chosen)
    assert process.stdout is not None
    file = next(Path(found[1]) for line in process.stdout if (found := re.search(r"addresses and keys in (.+)$", line)))
    code, output = said("api", "listVirtualMachines", "listall=true", "--ready-file", str(file))
    assert (code, json.loads(output)["count"]) == (0, 2)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert not file.exists()
    assert file == tmp_path / "lab.json" if is_chosen else not file.parent.exists()


def test_a_ready_file_belongs_to_one_server(tmp_path: Path) -> None:
    """The ready file of a server that runs is refused and left alone; that of a dead one is replaced."""
    file = tmp_path / "ready.json"
    content = json.dumps({"pid": os.getppid()})
    file.write_text(content)
    words = ("serve", "--port", "0", "--agent-port", "0", "--agents", "none", "--vcenter", "none")
    code, output = said(*words, "--ready-file", str(file))
    assert code == 1
    assert f"{file}: the ready file of a server that still runs, with pid {os.getppid()}" in output
    assert file.read_text() == content


def test_a_signal_during_the_start_ends_it_cleanly(start: Start, tmp_path: Path) -> None:
    """Who is ended while it still starts ends with status 0 too, and who waits finds no file of a dead server."""
    file = tmp_path / "ready.json"
    ended_process = start("--help")
    ended_process.communicate(timeout=60)
    file.write_text(json.dumps({"pid": ended_process.pid}))
    clear_ready_file(file)
    assert not file.exists()
    program = (
        "import os, signal, sys; import mgmt.cli; "
        "mgmt.cli._LazyGroup.get_command = lambda *_: os.kill(os.getpid(), signal.SIGTERM); "
        "sys.argv = ['cloudstack-mock', 'serve']; mgmt.cli.run()"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_one_server_for_a_database_file(tmp_path: Path) -> None:
    """A second server on a database file is refused while the first one runs, and not after it."""
    settings = Settings(
        port=0, agent_port=0, agents="none", vcenter="none", database=f"sqlite:///{tmp_path / 'cloud.db'}"
    )
    with World(settings), pytest.raises(StoreError, match=rf"is used by another server, with pid {os.getpid()}: "):
        World(settings).start()
    with World(settings):
        assert (tmp_path / "cloud.db.lock").exists()
    assert not (tmp_path / "cloud.db.lock").exists()


@pytest.mark.parametrize(
    ("key", "text", "message"),
    [
        ("agents", "hosts:\n  - {nam: kvm1}\n", "hosts.0.nam: Unknown field."),
        ("vcenter", "datacenters: 3\n", "datacenters"),
    ],
)
def test_a_bad_file_of_the_seed_is_refused(tmp_path: Path, key: str, text: str, message: str) -> None:
    """A hosts or inventory file that cannot be used ends the start with file, place and reason."""
    seed = (ROOT / "fixtures" / "seeds" / "lab.yaml").read_text()
    bad = tmp_path / "bad.yaml"
    bad.write_text(text)
    (tmp_path / "seed.yaml").write_text(re.sub(rf"(?m)^{key}: .*$", f"{key}: bad.yaml", seed))
    words = ("serve", "--port", "0", "--agent-port", "0", "--seed", str(tmp_path / "seed.yaml"))
    code, output = said(*words)
    assert code == 1
    assert str(bad) in output
    assert message in output


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A ready file in no folder, or a folder that is a file, is refused with the setting's name and value."""
    words = ("serve", "--port", "0", "--agent-port", "0", "--agents", "none", "--vcenter", "none")
    code, output = said(*words, "--ready-file", str(tmp_path / "none" / "ready.json"))
    assert code == 1
    expected = "expected a file to write in a folder that is there"
    assert f"ready_file = '{tmp_path / 'none' / 'ready.json'}' cannot be used: {expected}" in output
    code, output = said(*words, "--ready-file", str(tmp_path))
    assert (code, f"ready_file = '{tmp_path}' cannot be used: {expected}" in output) == (1, True)
    (tmp_path / "file").touch()
    code, output = said("serve", "--port", "0", "--agent-port", "0", "--work-dir", str(tmp_path / "file"))
    assert (code, f"work_dir = '{tmp_path / 'file'}' cannot be used: expected a folder" in output) == (1, True)


def test_an_address_of_another_machine_is_refused() -> None:
    """A host that is not of this machine is named as such, not as a taken port."""
    code, output = said("serve", "--host", "192.0.2.1", "--port", "0", "--agent-port", "0")
    assert code == 1
    assert "cannot listen on 192.0.2.1 for" in output
    assert "--host must be an address of this machine" in output
