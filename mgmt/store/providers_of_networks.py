"""The service providers that every physical network has."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from sqlalchemy.orm import Session

from mgmt.store.models import NetworkServiceProvider, PhysicalNetwork

_ROUTER = ("Vpn", "Dhcp", "Dns", "Gateway", "Firewall", "Lb", "SourceNat", "StaticNat", "PortForwarding", "UserData")
SERVICES: Mapping[str, tuple[str, ...]] = {
    "ConfigDrive": ("Dhcp", "Dns", "UserData"),
    "InternalLbVm": ("Lb",),
    "SecurityGroupProvider": ("SecurityGroup",),
    "VirtualRouter": _ROUTER,
    "VpcVirtualRouter": tuple(name for name in _ROUTER if name != "Firewall"),
}
# Whether single services of a provider can be enabled.
PROVIDERS: Mapping[str, bool] = {name: name != "SecurityGroupProvider" for name in SERVICES}
_ENABLED_AT_ONCE = ("ConfigDrive",)
_ENABLED_IN_USE = ("ConfigDrive", "VirtualRouter", "VpcVirtualRouter")


def add_providers(session: Session, network: PhysicalNetwork, *, enabled: bool) -> None:
    """Add the providers of a physical network; `enabled`: one that is in use already."""
    on = _ENABLED_IN_USE if enabled else _ENABLED_AT_ONCE
    for name in SERVICES:
        session.add(
            NetworkServiceProvider(
                uuid=str(uuid.uuid5(uuid.UUID(network.uuid), name)),
                physical_network_id=network.id,
                name=name,
                state="Enabled" if name in on else "Disabled",
            )
        )
