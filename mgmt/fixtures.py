"""Where the shipped fixtures are, in a checkout and in an installed wheel."""

from __future__ import annotations

from pathlib import Path


def fixtures_dir() -> Path:
    """The folder that holds `seeds/`, `hosts/`, `vcenters/`, `catalog/`; raises FileNotFoundError if there is none."""
    site = Path(__file__).resolve().parent.parent
    for candidate in (site / "cloudstack_mock" / "_fixtures", site / "fixtures"):
        if (candidate / "seeds").is_dir():
            return candidate
    raise FileNotFoundError(f"no fixtures folder beside {site}: the installation is incomplete")
