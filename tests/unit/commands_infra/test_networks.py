"""listNetworks: owners, filters and fields."""

from __future__ import annotations

from datetime import datetime

import pytest

from mgmt.errors import InvalidParameterValueError
from mgmt.store.models import Account, Network

BOTH = ["lab-isolated", "lab-l2"]
ROOT_DOMAIN = "00000002-0000-4000-8000-000000000001"
TENANT_DOMAIN = "00000002-0000-4000-8000-000000000002"


@pytest.fixture
def owned(lab):
    """The lab with a network of each of the accounts user and tenant-admin, and one of the whole tenant domain."""
    with lab.store.session() as session:
        accounts = {account.name: account for account in session.query(Account)}
        for name, account, acl_type in (
            ("of-user", "user", "Account"),
            ("of-tenant", "tenant-admin", "Account"),
            ("of-domain", "tenant-admin", "Domain"),
        ):
            session.add(
                Network(
                    uuid=name,
                    name=name,
                    display_text=name,
                    guest_type="L2",
                    zone_id=1,
                    physical_network_id=1,
                    network_offering_id=2,
                    domain_id=accounts[account].domain_id,
                    account_id=accounts[account].id,
                    acl_type=acl_type,
                    vlan="300",
                    created=datetime(2026, 1, 1),
                )
            )
    return lab


@pytest.mark.parametrize(
    ("params", "names"),
    [
        ({}, BOTH),
        ({"listall": True}, [*BOTH, "of-user", "of-tenant", "of-domain"]),
        ({"user": "user"}, ["of-user"]),
        ({"user": "user", "listall": True}, ["of-user"]),
        ({"user": "tenant-admin"}, ["of-tenant", "of-domain"]),
        ({"user": "tenant-admin", "listall": True}, ["of-tenant", "of-domain"]),
        ({"user": "tenant-admin", "networkfilter": "account"}, ["of-tenant"]),
        ({"user": "tenant-admin", "networkfilter": "Domain"}, ["of-domain"]),
        ({"user": "tenant-admin", "networkfilter": "shared"}, ["of-domain"]),
        ({"domainid": TENANT_DOMAIN}, ["of-tenant", "of-domain"]),
        ({"domainid": ROOT_DOMAIN, "isrecursive": True}, [*BOTH, "of-user", "of-tenant", "of-domain"]),
        ({"domainid": ROOT_DOMAIN}, [*BOTH, "of-user"]),
        ({"domainid": TENANT_DOMAIN, "isrecursive": True}, ["of-tenant", "of-domain"]),
        ({"account": "user", "domainid": ROOT_DOMAIN}, ["of-user"]),
    ],
)
def test_whose_networks_are_shown(owned, params, names):
    """A caller sees his own networks, with listall those below him, and the networks of his whole domain."""
    assert owned.names("listNetworks", **params) == names


@pytest.mark.parametrize(
    ("params", "names"),
    [
        ({"id": 1}, ["lab-isolated"]),
        ({"name": "LAB-L2"}, ["lab-l2"]),
        ({"keyword": "isolated"}, ["lab-isolated"]),
        ({"zoneid": 1, "physicalnetworkid": 1}, BOTH),
        ({"networkofferingid": 2}, ["lab-l2"]),
        ({"type": "l2"}, ["lab-l2"]),
        ({"type": "foo"}, []),
        ({"traffictype": "guest"}, BOTH),
        ({"acltype": "domain"}, []),
        ({"vlan": "100"}, ["lab-isolated"]),
        ({"issystem": True}, []),
        ({"supportedservices": ["Dhcp", "dns"]}, ["lab-isolated"]),
        ({"supportedservices": ["Foo"]}, []),
        ({"canusefordeploy": True}, BOTH),
        ({"canusefordeploy": False}, []),
        ({"forvpc": True}, []),
        ({"forvpc": False}, BOTH),
        ({"restartrequired": True}, []),
        ({"displaynetwork": False}, []),
        ({"tags": {"0": {"key": "k", "value": "v"}}}, []),
        ({"associatednetworkid": 1}, []),
        ({"specifyipranges": True}, []),
    ],
)
def test_network_filters(lab, params, names):
    """listNetworks narrows by each filter."""
    assert lab.names("listNetworks", **params) == names


def test_only_the_number_on_demand(lab):
    """retrieveonlyresourcecount answers the count without networks."""
    result = lab.run("listNetworks", retrieveonlyresourcecount=True)
    assert (list(result.items), result.count) == ([], 2)


def test_an_unknown_network_filter_is_refused(lab):
    """networkfilter knows account, domain, accountdomain, shared and all."""
    with pytest.raises(InvalidParameterValueError, match=r"^Invalid value of networkfilter: foo"):
        lab.run("listNetworks", networkfilter="foo")


def test_fields_of_an_l2_network(lab):
    """An L2 network has a VLAN and no addresses and no services."""
    (network,) = lab.items("listNetworks", name="lab-l2")
    assert (network["type"], network["vlan"], network["broadcasturi"]) == ("L2", "200", "vlan://200")
    assert {"cidr", "gateway", "netmask"}.isdisjoint(network)
    assert (network["service"], network["account"], network["domainpath"]) == ([], "admin", "ROOT")


def test_users_do_not_see_the_vlan(owned):
    """vlan and broadcasturi are for admins, and a user cannot search by VLAN."""
    (network,) = owned.items("listNetworks", user="user", vlan="999")
    assert {"vlan", "broadcasturi"}.isdisjoint(network)


def test_a_network_of_a_domain_has_no_account(owned):
    """A network of a whole domain shows subdomainaccess in place of an account."""
    (network,) = owned.items("listNetworks", user="tenant-admin", networkfilter="domain")
    assert network["subdomainaccess"] is True
    assert "account" not in network
    assert network["domainpath"] == "ROOT/tenant"
