"""Profiles of large fleets: what the hosts are like, when they start, whom storms strike."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from agent_sim.fleetprofile import FleetProfile, Storm, load_profile
from agent_sim.host import HostFileError

TEXT = """
seed: 7
zone: z1
attach_per_s: 10
jitter_s: 0.5
hosts:
  - {share: 3}
  - {share: 1, vddk: false, tools: {ovftool: null, virt_v2v: "2.5.6"}, properties: "backoff.seconds=1"}
storms:
  - {after_s: 2, percent: 30, offline_s: 1}
"""


@pytest.fixture
def profile(tmp_path: Path) -> FleetProfile:
    file = tmp_path / "profile.yaml"
    file.write_text(TEXT)
    return load_profile(file)


def test_a_fleet_is_mixed_and_always_the_same(profile: FleetProfile) -> None:
    """Kinds come by their shares; the same profile makes the same hosts."""
    hosts = profile.hosts(400)
    assert hosts == profile.hosts(400)
    assert {host.properties.zone for host in hosts} == {"z1"}
    kinds = Counter((bool(host.vddk_libraries), host.tools.ovftool is None) for host in hosts)
    assert set(kinds) == {(True, False), (False, True)}
    assert 60 < kinds[False, True] < 140
    odd = next(host for host in hosts if host.tools.ovftool is None)
    assert (odd.tools.virt_v2v, odd.properties.backoff_s) == ("2.5.6", 1.0)
    assert len({host.guid for host in hosts}) == 400


def test_the_ramp(profile: FleetProfile) -> None:
    """Ten agents a second, each up to half a second later."""
    starts = [profile.start_after_s(place) for place in range(50)]
    assert all(place / 10 <= start <= place / 10 + 0.5 for place, start in enumerate(starts))
    assert FleetProfile(attach_per_s=0).start_after_s(9000) == 0.0


def test_a_storm_strikes_its_share(profile: FleetProfile) -> None:
    """30 % of the hosts, the same ones each time."""
    names = [f"h{number}" for number in range(200)]
    assert profile.storms == (Storm(after_s=2.0, percent=30.0, offline_s=1.0),)
    struck = profile.struck(0, names)
    assert (len(set(struck)), struck) == (60, profile.struck(0, names))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("hosts: []", "hosts: Shorter than minimum length 1."),
        ("storms: [{after_s: 1, percent: 120}]", "storms.0.percent"),
        ("hosts: [{tools: {qemu: x}}]", "hosts.0.tools"),
        ("hosts: [{properties: 'a=\\uzzzz'}]", "hosts.0.properties"),
        ("speed: 1", "speed: Unknown field."),
        ("a: b: c", "cannot be read"),
    ],
)
def test_what_is_no_profile(tmp_path: Path, text: str, reason: str) -> None:
    """Faults are told with file, place and reason."""
    file = tmp_path / "profile.yaml"
    file.write_text(text)
    with pytest.raises(HostFileError, match=reason):
        load_profile(file)
