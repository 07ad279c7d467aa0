"""What the server's connect listeners send to a host that has just come."""

from __future__ import annotations

from typing import ClassVar

from mgmt.protocol.records import Answer, Command, Record, wire


@wire("com.cloud.network")
class PhysicalNetworkSetupInfo(Record, kw_only=True):
    """The bridges that a physical network's traffic labels name; absent labels are left out."""

    physicalNetworkId: int | None = None
    privateNetworkName: str | None = None
    publicNetworkName: str | None = None
    guestNetworkName: str | None = None
    storageNetworkName: str | None = None
    mgmtVlan: str | None = None


@wire("com.cloud.agent.api")
class CheckNetworkCommand(Command, kw_only=True):
    """Are the bridges of the zone's physical networks there?"""

    networkInfoList: list[PhysicalNetworkSetupInfo] | None = None

    in_sequence: ClassVar[bool] = True


@wire("com.cloud.agent.api")
class CheckNetworkAnswer(Answer, kw_only=True):
    """`_reconnect` true makes the server close the link."""

    _reconnect: bool = False


@wire("com.cloud.agent.api")
class SetHostParamsCommand(Command, kw_only=True):
    """Global settings that the agent needs, as texts."""

    params: dict[str, str] | None = None

    in_sequence: ClassVar[bool] = True


@wire("com.cloud.agent.api")
class ModifySshKeysCommand(Command, kw_only=True):
    """The key pair for system VMs; the private key never shows in `repr`."""

    _pubKey: str | None = None
    _prvKey: str | None = None


@wire("com.cloud.agent.api")
class CleanupNetworkRulesCmd(Command, kw_only=True):
    """A repeated job on the agent: acknowledged at once, then answered again every `interval` seconds."""

    interval: int = 0
