"""Clouds for users of unittest."""

from __future__ import annotations

import unittest

import requests

import cloudstack_mock
from cloudstack_mock import Cloud, CloudStackError


class ForUnittest(unittest.TestCase):
    """Decorators hand the cloud over; pytest does not take the argument for a fixture."""

    @cloudstack_mock.activate("https://unittest.example.org/client/api", faults=["vddk.crash"])
    def test_decorated(self, cloud: Cloud) -> None:
        with self.assertRaises(CloudStackError):
            cloud.import_vm("web01")

    @cloudstack_mock.cloud(faults=[("vddk.crash", {"vm": "db01"})])
    def test_on_ports(self, cloud: Cloud) -> None:
        assert requests.get(cloud.url, timeout=60).status_code == 401
        assert cloud.import_vm("web01")["state"] == "Stopped"
