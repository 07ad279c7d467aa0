"""The reasons in `data/differences.yaml` are true of what is simulated."""

from __future__ import annotations

import json
import lzma
from pathlib import Path
from typing import Any

import yaml

DATA = Path(__file__).parent / "data"
LISTED: dict[str, Any] = yaml.safe_load((DATA / "differences.yaml").read_text(encoding="utf-8"))


def _commands() -> dict[str, str | None]:
    """The command of each recorded exchange, by the exchange's name."""
    exchanges = map(json.loads, lzma.decompress((DATA / "exchanges.jsonl.xz").read_bytes()).splitlines())
    return {each["name"]: dict(each.get("query") or ()).get("command") for each in exchanges}


def _reasons(listed: dict[str, Any]) -> list[str]:
    """One reason, or those of different fields."""
    return [listed["reason"]] if isinstance(listed["reason"], str) else listed["reason"]


def test_every_listed_difference_has_a_reason() -> None:
    """The list names recorded exchanges only, each with one of its reasons, and every reason is needed."""
    names, reasons = _commands(), LISTED["reasons"]
    for name, listed in LISTED["exchanges"].items():
        assert name in names
        assert set(_reasons(listed)) <= set(reasons), name
    assert {reason for listed in LISTED["exchanges"].values() for reason in _reasons(listed)} == set(reasons)


def test_nothing_simulated_is_called_not_simulated(bare_world: Any) -> None:
    """Just the commands that the server does not have are listed as not simulated."""
    commands, known = _commands(), bare_world.server.services.commands
    for name, listed in LISTED["exchanges"].items():
        if "not simulated" in _reasons(listed):
            assert "missing" not in listed, name
            assert commands[name] is not None, name
            assert commands[name] not in known, f"{commands[name]} is simulated: say what differs in {name}"


def test_what_hangs_on_agents_is_of_hosts_and_what_holds_them() -> None:
    """No attached agent explains missing fields of hosts, and of the zones and clusters that they are in."""
    commands = _commands()
    for name, listed in LISTED["exchanges"].items():
        if "agents" in _reasons(listed):
            assert "missing" in listed, name
            assert commands[name] in ("listHosts", "listHostsMetrics", "listZonesMetrics", "listClustersMetrics"), name
