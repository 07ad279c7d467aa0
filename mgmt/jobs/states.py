"""The life of an async job as values: states, what may happen to a job, and what it ends with.

Upstream: framework/jobs/.../AsyncJobManagerImpl.java, server/.../api/ApiAsyncJobDispatcher.java.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Any

from mgmt.errors import INTERNAL_ERROR, CloudError

RESTART_TEXT = "job cancelled because of management server restart or shutdown"
UNEXPECTED_TEXT = "Internal error executing command, please contact your system administrator"


class JobState(IntEnum):
    """The API's `jobstatus`."""

    IN_PROGRESS = 0
    SUCCEEDED = 1
    FAILED = 2


class JobSignal(Enum):
    """What can happen to a job."""

    RETURNED = "its handler returned"
    RAISED = "its handler raised"
    SERVER_RESTARTED = "the server that ran it went away"


TRANSITIONS: Mapping[tuple[JobState, JobSignal], JobState] = {
    (JobState.IN_PROGRESS, JobSignal.RETURNED): JobState.SUCCEEDED,
    (JobState.IN_PROGRESS, JobSignal.RAISED): JobState.FAILED,
    (JobState.IN_PROGRESS, JobSignal.SERVER_RESTARTED): JobState.FAILED,
}


class IllegalTransitionError(Exception):
    """A signal that a job in this state cannot take: it has ended already."""


def advance(state: JobState, signal: JobSignal) -> JobState:
    """The state after `signal`; raises IllegalTransitionError for a job that has ended."""
    try:
        return TRANSITIONS[state, signal]
    except KeyError:
        raise IllegalTransitionError(f"a job that {state.name.lower()} cannot end again: {signal.value}") from None


@dataclass(frozen=True)
class Outcome:
    """How a job ends: the signal, the API's `jobresultcode` and its `jobresult`."""

    signal: JobSignal
    result_code: int
    result: Mapping[str, Any]


def returned(result: Mapping[str, Any]) -> Outcome:
    """A handler returned `result` (already in the form of a `jobresult`)."""
    return Outcome(JobSignal.RETURNED, 0, result)


def raised(error: Exception) -> Outcome:
    """A handler raised: an invalid value ends the job with 431, an API exception with its own code, all else with 530.

    The text of an error that is none of CloudStack's is not shown: it may hold anything.
    """
    if isinstance(error, CloudError):
        return _failure(JobSignal.RAISED, error.job_errorcode(), error.text)
    return _failure(JobSignal.RAISED, INTERNAL_ERROR, UNEXPECTED_TEXT)


def cut_short() -> Outcome:
    """The server went away while the job was pending (AsyncJobManagerImpl.cleanupLeftOverJobs)."""
    return _failure(JobSignal.SERVER_RESTARTED, INTERNAL_ERROR, RESTART_TEXT)


def _failure(signal: JobSignal, errorcode: int, text: str) -> Outcome:
    return Outcome(signal, errorcode, {"errorcode": errorcode, "errortext": text})
