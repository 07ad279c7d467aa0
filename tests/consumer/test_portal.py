"""What a project of a stranger uses: fixture, marker, activate(), a fault, the clock, proofs and the leak check."""

import pytest
from portal import Portal

import cloudstack_mock

URL = "https://cloud.example.org/client/api"


def portal_of(cloud):
    return Portal(cloud.url, cloud.api_key, cloud.secret_key)


def test_hosts_that_convert(cloudstack):
    assert portal_of(cloudstack).hosts_that_convert() == ["kvm1", "kvm2"]


def test_a_move_is_told(cloudstack):
    parameters = cloudstack_mock.as_sent(cloudstack.import_parameters("web01"))
    assert portal_of(cloudstack).move(parameters) == "web01 has moved"
    assert cloudstack.saw("ConvertInstanceCommand", useVddk=True).once()


@pytest.mark.cloudstack(faults=[("vddk.crash", {"vm": "web01"})])
def test_a_failure_is_told(cloudstack):
    parameters = cloudstack_mock.as_sent(cloudstack.import_parameters("web01"))
    assert portal_of(cloudstack).move(parameters).startswith("Your VM could not be moved: The convert process failed")
    assert cloudstack.leaks()


@pytest.mark.cloudstack(clock="manual")
def test_the_night_passes(cloudstack):
    job = cloudstack.start_import("web01")
    cloudstack.clock.advance(hours=14)
    assert portal_of(cloudstack).call("queryAsyncJobResult", jobid=job)["jobstatus"] == 1


@pytest.mark.xfail(raises=cloudstack_mock.LeakedError, strict=True)
def test_leaks_are_found_without_a_fixture():
    with cloudstack_mock.activate(url=URL, faults=["vddk.crash"]) as cloud:
        assert portal_of(cloud).call("listZones")["count"] == 1
        with pytest.raises(cloudstack_mock.CloudStackError):
            cloud.import_vm("web01")
        cloud.raise_for_leaks()
