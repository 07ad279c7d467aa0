"""cloudstack-mock: a CloudStack management server for testing VMware-to-KVM imports.

`activate` answers this process's own `requests`, `cloud` is a world on ports, and the pytest plugin has both as
fixtures (docs/testing.md). `World` is what they are made of; `ApiClient` calls any CloudStack API with a key pair.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cloudstack_mock._client import CloudStackClient, CloudStackError, as_sent
    from cloudstack_mock._cloud import Cloud, activate, cloud
    from cloudstack_mock._leaks import LeakedError
    from cloudstack_mock._plan import WorldPlan
    from mgmt.cli.client import ApiCallError, ApiClient
    from mgmt.config import ConfigError, Settings, load_settings
    from mgmt.embedded import World
    from mgmt.faults import ArmedFault, FaultRefusedError
    from mgmt.snapshots import Snapshot, SnapshotError
    from mgmt.starting import StartError
    from mgmt.worlds import WorldsError

# Imported when they are used: whoever has the pytest plugin installed and does not use it pays nothing.
_PLACES = {
    "ApiCallError": "mgmt.cli.client",
    "ApiClient": "mgmt.cli.client",
    "ArmedFault": "mgmt.faults",
    "Cloud": "cloudstack_mock._cloud",
    "CloudStackClient": "cloudstack_mock._client",
    "CloudStackError": "cloudstack_mock._client",
    "ConfigError": "mgmt.config",
    "FaultRefusedError": "mgmt.faults",
    "LeakedError": "cloudstack_mock._leaks",
    "Settings": "mgmt.config",
    "Snapshot": "mgmt.snapshots",
    "SnapshotError": "mgmt.snapshots",
    "StartError": "mgmt.starting",
    "World": "mgmt.embedded",
    "WorldPlan": "cloudstack_mock._plan",
    "WorldsError": "mgmt.worlds",
    "activate": "cloudstack_mock._cloud",
    "as_sent": "cloudstack_mock._client",
    "cloud": "cloudstack_mock._cloud",
    "load_settings": "mgmt.config",
}

__all__ = [
    "ApiCallError",
    "ApiClient",
    "ArmedFault",
    "Cloud",
    "CloudStackClient",
    "CloudStackError",
    "ConfigError",
    "FaultRefusedError",
    "LeakedError",
    "Settings",
    "Snapshot",
    "SnapshotError",
    "StartError",
    "World",
    "WorldPlan",
    "WorldsError",
    "activate",
    "as_sent",
    "cloud",
    "load_settings",
]


def __getattr__(name: str) -> object:
    place = _PLACES.get(name)
    if place is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from cloudstack_mock._importing import imported

    return getattr(imported(place), name)


def __dir__() -> list[str]:
    return __all__
