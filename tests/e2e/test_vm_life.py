"""The life of an imported VM through the API: jobs, their instances, answers and events."""

from __future__ import annotations

from typing import Any

import pytest

from cloudstack_mock import ApiCallError


def test_volumes_and_destroy_through_the_api(lab: Any) -> None:
    """createVolume answers id and job; jobs name their entity and the admin's class; destroy and recover work."""
    vm = lab.import_vm("web01")
    offering = lab.one("listDiskOfferings", "diskoffering", name="Custom Disk")["id"]
    started = lab.client.call("createVolume", name="extra", zoneid=lab.zone_id, diskofferingid=offering, size=1)
    assert lab.one("listVolumes", "volume", id=started["id"])["state"] == "Allocated"
    assert lab.client.call("deleteVolume", id=started["id"]) == {"success": True}
    job_id = lab.client.call("stopVirtualMachine", id=vm["id"])["jobid"]
    assert lab.world.server.services.jobs.wait(job_id, 20)
    job = lab.client.call("queryAsyncJobResult", jobid=job_id)
    assert (job["jobinstancetype"], job["jobinstanceid"]) == ("VirtualMachine", vm["id"])
    assert job["cmd"] == "org.apache.cloudstack.api.command.admin.vm.StopVMCmdByAdmin"
    result = job["jobresult"]["virtualmachine"]
    assert (result["state"], result["jobid"], result["jobstatus"]) == ("Stopped", job_id, 0)
    destroyed = lab.client.run("destroyVirtualMachine", {"id": vm["id"]}, poll_interval_s=0.01)["virtualmachine"]
    assert destroyed["state"] == "Destroyed"
    assert lab.client.call("recoverVirtualMachine", id=vm["id"])["virtualmachine"]["state"] == "Stopped"
    renamed = lab.client.call("updateVirtualMachine", id=vm["id"], displayname="renamed")["virtualmachine"]
    assert renamed["displayname"] == "renamed"
    events = lab.client.call("listEvents", resourceid=vm["id"], resourcetype="VirtualMachine", listall=True)["event"]
    assert {event["type"] for event in events} >= {"VM.STOP", "VM.DESTROY", "VM.RECOVER", "VM.UPDATE"}
    with pytest.raises(ApiCallError, match="is not running, unable to reboot it"):
        lab.client.run("rebootVirtualMachine", {"id": vm["id"]}, poll_interval_s=0.01)
