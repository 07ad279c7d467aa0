"""The services that an isolated network with source NAT shows: those of its virtual router."""

from __future__ import annotations

from typing import Any

# name, then for each capability: name, value, may an offering choose it
_SERVICES: tuple[tuple[str, tuple[tuple[str, str, bool], ...]], ...] = (
    (
        "SourceNat",
        (("SupportedSourceNatTypes", "peraccount", True), ("RedundantRouter", "false", True)),
    ),
    (
        "Vpn",
        (("SupportedVpnTypes", "pptp,l2tp,ipsec", False), ("VpnTypes", "remoteaccessvpn", False)),
    ),
    ("Dns", (("AllowDnsSuffixModification", "true", False),)),
    (
        "Firewall",
        (
            ("SupportedEgressProtocols", "tcp,udp,icmp, all", False),
            ("TrafficStatistics", "per public ip", False),
            ("SupportedTrafficDirection", "ingress, egress", False),
            ("MultipleIps", "true", False),
            ("SupportedProtocols", "tcp,udp,icmp", False),
        ),
    ),
    ("PortForwarding", (("SupportedProtocols", "tcp,udp", False),)),
    ("Dhcp", (("DhcpAccrossMultipleSubnets", "true", False),)),
    ("UserData", ()),
    (
        "Lb",
        (
            ("SslTermination", "true", False),
            ("LbSchemes", "Public", False),
            ("SupportedLbAlgorithms", "roundrobin,leastconn,source", False),
            ("VmAutoScaling", "true", False),
            ("SupportedLBIsolation", "dedicated", True),
            ("SupportedProtocols", "tcp, udp, tcp-proxy, ssl", False),
            ("ElasticLb", "false", False),
            ("InlineMode", "false", False),
        ),
    ),
    (
        "StaticNat",
        (("ElasticIp", "false", False), ("AssociatePublicIP", "true", False)),
    ),
)

ISOLATED_SERVICES: list[dict[str, Any]] = [
    {
        "name": service,
        "provider": [{"name": "VirtualRouter"}],
        "capability": [
            {"name": name, "value": value, "canchooseservicecapability": can_choose}
            for name, value, can_choose in capabilities
        ],
    }
    for service, capabilities in _SERVICES
]
