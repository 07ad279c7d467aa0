"""Where the shipped fixtures are, in a checkout and in an installed wheel."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def fixtures_dir() -> Path:
    """The folder that holds `seeds/`, `hosts/`, `vcenters/`, `catalog/`; raises FileNotFoundError if there is none."""
    site = Path(__file__).resolve().parent.parent
    for candidate in (site / "cloudstack_mock" / "_fixtures", site / "fixtures"):
        if (candidate / "seeds").is_dir():
            return candidate
    raise FileNotFoundError(f"no fixtures folder beside {site}: the installation is incomplete")


def api_catalogue() -> dict[str, Any]:
    """CloudStack's API as `catalog/api.json` has it: `commands` and `responses` by their names."""
    catalogue: dict[str, Any] = json.loads((fixtures_dir() / "catalog" / "api.json").read_text(encoding="utf-8"))
    return catalogue
