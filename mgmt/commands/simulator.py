"""CloudStack's own simulator face: what commands of hosts are to wait, fail or answer, for harnesses written for it.

Parameters, answers, waits and counts are those of its simulator; here they drive the embedded hosts. Upstream:
plugins/hypervisors/simulator, ConfigureSimulatorCmd, QuerySimulatorMockCmd, CleanupSimulatorMockCmd.
"""

from __future__ import annotations

from mgmt.commands.declaration import Bound, Call, Item, Success, command
from mgmt.commands.fields import Integer, Long, Out, Params, Response, Str, Uuid
from mgmt.commands.responses.success import SuccessResponse
from mgmt.errors import INTERNAL_ERROR, ServerApiError
from mgmt.faults.mocks import Mock, Place, SimulatorMocks

ANSWER_NAME = "simulatormock"
JSON_LENGTH = 4096


class ConfigureSimulatorParams(Params):
    """Parameters of configureSimulator."""

    clusterid = Uuid("for hosts of this cluster; with its pod and zone", entity="cluster")
    count = Integer("how often; without it for ever")
    hostid = Uuid("for this host; with its cluster, pod and zone", entity="host")
    jsonresponse = Str("the answer, as an object with the answer's class as its key", max_length=JSON_LENGTH)
    name = Str("the command's simple class name, such as StartCommand", required=True)
    podid = Uuid("for hosts of this pod; with its zone", entity="pod")
    value = Str("what is to happen: `wait:6000` (ms), `result:fail`, `result:fault`, joined by |", required=True)
    zoneid = Uuid("for hosts of this zone", entity="zone")


class SimulatorMockParams(Params):
    """Parameters of querySimulatorMock and cleanupSimulatorMock."""

    id = Long("number of the configuration")


class MockResponse(Response):
    """A configuration; the numbers are internal ones."""

    catalogue = "MockResponse"

    id = Out("long", "number of the configuration")
    zoneid = Out("long", "internal number of the zone")
    podid = Out("long", "internal number of the pod")
    clusterid = Out("long", "internal number of the cluster")
    hostid = Out("long", "internal number of the host")
    jobid = Out("string", "never set: the commands are no jobs")
    jobstatus = Out("integer", "never set")
    name = Out("string", "simple class name of the command")
    count = Out("integer", "how often it still holds")


def _mocks(call: Call) -> SimulatorMocks | None:
    engine = call.services.faults
    return None if engine is None or engine.mocks.place_of is None else engine.mocks


def _view(mock: Mock) -> Item:
    place = mock.place
    return Item(
        {
            "id": mock.id,
            "zoneid": place.zone_id,
            "podid": place.pod_id,
            "clusterid": place.cluster_id,
            "hostid": place.host_id,
            "name": mock.command,
            "count": mock.count,
        }
    )


@command(
    "configureSimulator",
    params=ConfigureSimulatorParams,
    response=MockResponse,
    description="Says what a command is to meet on simulated hosts.",
    object_name="null",  # upstream's response object has no name of its own
    answer_name=ANSWER_NAME,
    java_class="com.cloud.api.commands.ConfigureSimulatorCmd",
)
def configure_simulator(call: Call, bound: Bound) -> Item:
    """Keep the configuration; raises ServerApiError in a server without simulated hosts."""
    mocks = _mocks(call)
    if mocks is None:
        raise ServerApiError(INTERNAL_ERROR, "Failed to configure simulator")
    answer, host_id = bound["jsonresponse"], bound["hostid"]
    if host_id is not None and answer is not None:
        answer = answer.replace('"hostId":0', f'"hostId":{host_id}')
    place = Place(bound["zoneid"], bound["podid"], bound["clusterid"], host_id)
    return _view(mocks.configure(place, bound["name"], bound["value"], bound["count"], answer))


@command(
    "querySimulatorMock",
    params=SimulatorMockParams,
    response=MockResponse,
    description="Shows what a command is to meet on simulated hosts.",
    object_name="null",
    answer_name=ANSWER_NAME,
    java_class="com.cloud.api.commands.QuerySimulatorMockCmd",
)
def query_simulator_mock(call: Call, bound: Bound) -> Item:
    """The configuration; raises ServerApiError for one that is not there."""
    mocks = _mocks(call)
    mock = mocks.find(bound["id"]) if mocks is not None else None
    if mock is None:
        raise ServerApiError(INTERNAL_ERROR, "Failed to query mock")
    return _view(mock)


@command(
    "cleanupSimulatorMock",
    params=SimulatorMockParams,
    response=SuccessResponse,
    description="Takes back what a command is to meet on simulated hosts.",
    java_class="com.cloud.api.commands.CleanupSimulatorMockCmd",
)
def cleanup_simulator_mock(call: Call, bound: Bound) -> Success:
    """Take the configuration back; raises ServerApiError for one that is not there."""
    mocks = _mocks(call)
    if mocks is None or not mocks.remove(bound["id"]):
        raise ServerApiError(INTERNAL_ERROR, "Failed to cleanup mock")
    return Success()


COMMANDS = (configure_simulator, query_simulator_mock, cleanup_simulator_mock)
