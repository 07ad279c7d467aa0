"""Runs of pytest within pytest forget the modules that they imported: what is imported here they find."""

from __future__ import annotations

import agent_sim.fleet
import cloudstack_mock._interception
import cloudstack_mock._pool
import cloudstack_mock._report
import mgmt.vmware.session
import vcenter_sim.server

IMPORTED = (
    agent_sim.fleet,
    cloudstack_mock._interception,
    cloudstack_mock._pool,
    cloudstack_mock._report,
    mgmt.vmware.session,
    vcenter_sim.server,
)
