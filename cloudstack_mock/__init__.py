"""cloudstack-mock: a CloudStack management server for testing VMware-to-KVM imports.

`World` runs a whole world in this process; `ApiClient` calls any CloudStack API with a key pair.
"""

from mgmt.cli.client import ApiCallError, ApiClient
from mgmt.config import ConfigError, Settings, load_settings
from mgmt.embedded import StartError, World
from mgmt.faults import ArmedFault, FaultRefusedError
from mgmt.snapshots import Snapshot, SnapshotError

__all__ = [
    "ApiCallError",
    "ApiClient",
    "ArmedFault",
    "ConfigError",
    "FaultRefusedError",
    "Settings",
    "Snapshot",
    "SnapshotError",
    "StartError",
    "World",
    "load_settings",
]
