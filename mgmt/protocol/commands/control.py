"""Commands that the agent shell handles itself, and the answers of last resort."""

from __future__ import annotations

from typing import ClassVar

from mgmt.protocol.records import Answer, Command, wire


@wire("com.cloud.agent.api")
class ShutdownCommand(Command, kw_only=True):
    """The end of a link; `reason` is `sig.kill` when an agent is stopped, `deleteHost` when a server sends it."""

    reason: str | None = None
    detail: str | None = None
    removeHost: bool = False

    in_sequence: ClassVar[bool] = True


@wire("com.cloud.agent.api")
class MaintainCommand(Command, kw_only=True):
    """Host maintenance begins."""

    in_sequence: ClassVar[bool] = True


@wire("com.cloud.agent.api")
class MaintainAnswer(Answer, kw_only=True):
    """`willMigrate` true: the host's VMs can be migrated away."""

    willMigrate: bool = False


@wire("com.cloud.agent.api")
class AgentControlCommand(Command, kw_only=True):
    """A request from an agent to a listener in the server."""


@wire("com.cloud.agent.api")
class AgentControlAnswer(Answer, kw_only=True):
    """The answer to an AgentControlCommand."""


@wire("com.cloud.agent.api")
class AgentConnectStatusCommand(Command, kw_only=True):
    """Newer agents ask whether they may introduce themselves (not in 4.22)."""

    hostId: int | None = None
    hostName: str | None = None
    hostGuid: str | None = None


@wire("com.cloud.agent.api")
class AgentConnectStatusAnswer(Answer, kw_only=True):
    """`lockAvailable` true: send Startup now."""

    lockAvailable: bool = False
    hostStatus: str | None = None


@wire("org.apache.cloudstack.agent.lb")
class SetupMSListCommand(Command, kw_only=True):
    """A new list of management servers; `lbCheckInterval` in seconds."""

    msList: list[str] | None = None
    avoidMsList: list[str] | None = None
    lbAlgorithm: str | None = None
    lbCheckInterval: int | None = None
    triggerHostLb: bool | None = None


@wire("org.apache.cloudstack.agent.lb")
class SetupMSListAnswer(Answer, kw_only=True):
    """The list was taken."""


@wire("com.cloud.agent.api")
class MigrateAgentConnectionCommand(Command, kw_only=True):
    """Move to another management server: this one goes into maintenance. `avoidMsList` must be there."""

    msList: list[str] | None = None
    avoidMsList: list[str] | None = None
    lbAlgorithm: str | None = None
    lbCheckInterval: int | None = None


@wire("com.cloud.agent.api")
class MigrateAgentConnectionAnswer(Answer, kw_only=True):
    """The agent is about to move."""


@wire("com.cloud.agent.api")
class UnsupportedAnswer(Answer, kw_only=True):
    """The agent does not handle the command."""


@wire("com.cloud.agent.api")
class BadCommand(Command, kw_only=True):
    """What stands for a whole request that could not be read."""
