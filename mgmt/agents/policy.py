"""How long to wait for a command, and whether a host may be asked it now.

Upstream: AgentManagerImpl.java (commands.timeout), AgentAttache.java (checkAvailability).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from mgmt.agents.attachment import Attachment
from mgmt.agents.states import Status
from mgmt.errors import AgentUnavailableError
from mgmt.protocol.records import Command, java_class, simple_name

ALLOWED_IN_MAINTENANCE = frozenset(
    {
        "MaintainCommand",
        "MigrateCommand",
        "StopCommand",
        "CheckVirtualMachineCommand",
        "PingTestCommand",
        "CheckHealthCommand",
        "ReadyCommand",
        "ShutdownCommand",
        "SetupCommand",
        "CleanupNetworkRulesCmd",
        "CheckNetworkCommand",
        "PvlanSetupCommand",
        "CheckOnHostCommand",
        "ModifyTargetsCommand",
        "ModifySshKeysCommand",
        "CreateStoragePoolCommand",
        "DeleteStoragePoolCommand",
        "ModifyStoragePoolCommand",
        "SetupMSListCommand",
        "RollingMaintenanceCommand",
        "CleanupPersistentNetworkResourceCommand",
        "HandleConfigDriveIsoCommand",
    }
)
REFUSED_WHILE_CONNECTING = frozenset({"com.cloud.agent.api.StartCommand", "com.cloud.agent.api.storage.CreateCommand"})


@lru_cache(maxsize=8)
def command_timeouts(setting: str | None) -> dict[str, int]:
    """Seconds by simple class name from the setting `commands.timeout` (`Name=seconds,...`); bad parts are skipped."""
    limits = {}
    for part in (setting or "").split(","):
        name, separator, seconds = part.partition("=")
        if separator and seconds.strip().isdecimal():
            limits[name.strip()] = int(seconds)
    return limits


def check_allowed(attachment: Attachment, commands: Sequence[Command]) -> None:
    """Raise AgentUnavailableError for a command that a host in maintenance, or one that is connecting, must not get."""
    for command in commands:
        if attachment.maintenance:
            allowed = simple_name(command) in ALLOWED_IN_MAINTENANCE or command.bypassHostMaintenance
            mode = "maintenance"
        elif attachment.status is Status.CONNECTING and not attachment.is_shown_up:
            allowed = java_class(command) not in REFUSED_WHILE_CONNECTING
            mode = "connecting"
        else:
            continue
        if not allowed:
            reason = (
                f"Unable to send class {java_class(command)} because agent {attachment.host_name} is in {mode} mode"
            )
            raise AgentUnavailableError(unreachable_text(attachment.host_id, reason))


def unreachable_text(host_id: int, reason: str) -> str:
    """The text of a Java AgentUnavailableException."""
    return f"Resource [Host:{host_id}] is unreachable: Host {host_id}: {reason}"
