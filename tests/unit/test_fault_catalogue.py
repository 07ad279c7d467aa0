"""Every failure of the catalogue's stages request, hosts, pools, vCenter, export and registration is reached."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
LISTED = yaml.safe_load((Path(__file__).parent / "data" / "fault_catalogue.yaml").read_text(encoding="utf-8"))
# Ids of the catalogue: request, hosts and pools 1-16, vCenter 17-25, export 26-36, registration 85-91.
IDS = [f"F-{number:02d}" for number in (*range(1, 37), *range(85, 92))]


def test_every_failure_is_listed() -> None:
    """Each id has a test, or says what would have to be injected."""
    assert list(LISTED) == IDS
    for fault, how in LISTED.items():
        assert ("test" in how) != ("injected" in how), fault
        assert how.keys() <= {"test", "injected", "today"}, fault
        assert len(how.get("injected", "x" * 20)) >= 20, fault


def test_every_named_test_is_there() -> None:
    """The named tests exist, and none of them is skipped."""
    for fault, how in LISTED.items():
        if "test" in how:
            file, _, name = how["test"].partition("::")
            text = (ROOT / file).read_text(encoding="utf-8")
            assert re.search(rf"^def {name}\(", text, re.MULTILINE), (fault, how["test"])
            assert "skip(" not in text and "xfail" not in text, file
