"""The recorded server's side of every conversation in fixtures/wire, played against our simulated agents.

In the files of the real server the recorded agents were made up, so classes, outcomes and fields are compared; in
`kvm-agent`, whose agent was the real one, texts too. `data/wire_differences.yaml` has what differs and why.
"""

from __future__ import annotations

import contextlib
import math
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent_sim import Fleet, HostDescription, load_hosts
from agent_sim.host import Domain, DomainDisk, DomainNic, LocalPool, NfsExport, OperatingSystem, Tools
from agent_sim.properties import AgentProperties
from agent_sim.toolchain.images import write_qcow2
from mgmt.agents.certificates import tls_context
from mgmt.providers import Providers

FILES = sorted(file.stem for file in (Path(__file__).parents[2] / "fixtures" / "wire").glob("*.jsonl"))
BRIDGES = {
    "private.network.device": "cloudbr0",
    "public.network.device": "cloudbr1",
    "guest.network.device": "cloudbr1",
}
GIB = 1024**3
Explained = Callable[[str, str, list[str]], None]


@contextlib.contextmanager
def played(talk: Any, host: HostDescription, rows: list[Any], folder: Path, **options: Any) -> Iterator[Any]:
    """A side to play against a fleet of that one host."""
    clock = talk.HandClock()
    acts = options.pop("acts", None)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(talk.BOUND_S)
        fleet = Fleet([host], listener.getsockname(), folder, time_scale=math.inf, clock=clock)
        fleet.start()
        try:
            yield talk.ServerSide(
                rows,
                listener,
                tls_context(None, Providers().utcnow()),
                restart=lambda: fleet.restart_agent(host.name),
                pass_time=clock.advance,
                acts={} if acts is None else acts(fleet),
                **options,
            )
        finally:
            fleet.stop()


@pytest.mark.parametrize("name", [name for name in FILES if name != "kvm-agent"])
def test_the_agent_answers_what_the_server_asks(
    name: str, talk: Any, tmp_path: Path, explained: Explained, request: pytest.FixtureRequest
) -> None:
    """To everything that the real server said it gives an answer of the recorded class, but for what is listed."""
    root = request.config.rootpath
    rows = talk.rows_of(root / "fixtures" / "wire" / f"{name}.jsonl")
    host = load_hosts(root / "fixtures" / "hosts" / "lab.yaml")[0]
    host = replace(host, properties=host.properties.edited(BRIDGES))
    found = []
    for recorded in dict.fromkeys(each for _, each, _ in rows):
        mine = [(number, line) for number, each, line in rows if each == recorded]
        with played(talk, host, mine, tmp_path / recorded) as side:
            found += side.play()
    explained("agent", name, found)


def real_host(run: str) -> HostDescription:
    """The host that the real agent ran on in that run."""
    properties = {"zone": "1", "pod": "1", "cluster": "1", "private.network.device": "cloudbr0"}
    if run == "C":
        properties["libvirt.events.enabled"] = "true"
    sizes = {"i-2-3-VM": (1, 1000, 64, 33554432), "web01": (2, 500, 256, 67108864)}
    domains = tuple(
        Domain(
            name,
            "shut off",
            cores,
            shares,
            memory_mb,
            vnc_password="p",
            disks=(DomainDisk(f"/srv/domains/{name}.qcow2", disk_bytes),),
            nics=(DomainNic("52:54:00:aa:bb:02"),),
            persistent=True,
        )
        for name, (cores, shares, memory_mb, disk_bytes) in sizes.items()
    )
    return HostDescription(
        name="kvm1",
        guid="5b6e0b0e-3d0e-4c6a-9f2c-5a4f8b4b1f11",
        ip="192.0.2.11",
        agent_version="4.22.0.0-SNAPSHOT",
        os=OperatingSystem("Debian GNU/Linux", "12", "KERNEL"),
        tools=Tools(
            virt_v2v=None if run == "C" else "2.2.0",
            nbdkit="1.32.5",
            ovftool="4.6.0" if run == "B" else None,
            ovmf=run == "B",
        ),
        properties=AgentProperties(properties),
        local_pools=(LocalPool("/var/lib/cloud/local", 252 * GIB, 236 * GIB, "1e6b4fd8-7ce4-4237-8b37-f18962e18afc"),),
        nfs_exports=(
            NfsExport("127.0.0.1", "/export/primary", GIB, GIB, "exported" if run in "DEF" else "unreachable"),
            NfsExport("127.0.0.1", "/export/secondary", GIB, GIB, "exported" if run in "DEF" else "unreachable"),
            NfsExport("127.0.0.1", "/export/nosuch", GIB, GIB, "missing"),
        ),
        mounts_undeclared_exports=False,
        domains=domains,
    )


def on_the_host(run: str, folder: Path) -> Callable[[Fleet], dict[int, Callable[[], None]]]:
    """What the people of the recording did on the host, by line."""
    root = folder / "hosts" / "kvm1"

    def acts(fleet: Fleet) -> dict[int, Callable[[], None]]:
        for name in ("pool1", "pool2"):
            (root / "srv" / name).mkdir(parents=True, exist_ok=True)

        def run_domains() -> None:
            fleet.start_domain("kvm1", "i-2-3-VM")
            fleet.start_domain("kvm1", "web01")

        def write_volumes() -> None:
            write_qcow2(
                root / "srv" / "pool1" / "7b1f9a52-1111-4222-8333-000000000001", 67108864, allocated_bytes=200704
            )
            (root / "srv" / "pool1" / "garbage").write_text("garbage\n")

        if run == "B":
            bare = Domain("bare", cpu_shares=0, memory_mb=48)
            return {126: lambda: fleet.start_domain("kvm1", bare)}
        return {55: run_domains, 79: write_volumes} if run == "A" else {}

    return acts


@pytest.mark.parametrize("run", ["A", "B", "C", "D", "E", "F"])
def test_the_agent_answers_as_the_real_one(
    run: str, talk: Any, tmp_path: Path, explained: Explained, request: pytest.FixtureRequest
) -> None:
    """On a like host it answers the recorded requests as the real KVM agent did, texts included."""
    rows = talk.rows_of(request.config.rootpath / "fixtures" / "wire" / "kvm-agent.jsonl")
    mine = [(number, line) for number, each, line in rows if each == run]
    folder = tmp_path / run
    with played(talk, real_host(run), mine, folder, acts=on_the_host(run, folder), values="details") as side:
        explained("agent", f"kvm-agent {run}", side.play())
