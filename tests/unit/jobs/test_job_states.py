"""The job state machine."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgmt.errors import (
    CloudRuntimeError,
    InvalidParameterValueError,
    JavaError,
    PermissionDeniedError,
    ResourceAllocationError,
    ServerApiError,
)
from mgmt.jobs.ids import check_custom_job_id
from mgmt.jobs.states import IllegalTransitionError, JobSignal, JobState, advance, cut_short, raised, returned


@settings(max_examples=50)
@given(st.lists(st.sampled_from(JobSignal), max_size=5))
def test_a_job_ends_exactly_once(signals: list[JobSignal]) -> None:
    """Whatever happens, the first signal ends the job and no later one changes it."""
    state = JobState.IN_PROGRESS
    for number, signal in enumerate(signals):
        if number == 0:
            state = advance(state, signal)
            assert state is (JobState.SUCCEEDED if signal is JobSignal.RETURNED else JobState.FAILED)
        else:
            with pytest.raises(IllegalTransitionError, match="cannot end again"):
                advance(state, signal)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidParameterValueError("t"), 431),
        (ServerApiError(534, "t"), 534),
        (PermissionDeniedError("t"), 530),
        (ResourceAllocationError("t"), 530),
        (CloudRuntimeError("t"), 530),
        (JavaError("t"), 530),
    ],
)
def test_code_of_a_failed_job(error: Exception, code: int) -> None:
    """Invalid values are 431, API exceptions keep their code, all else is 530; the result has two fields."""
    outcome = raised(error)
    assert (outcome.signal, outcome.result_code) == (JobSignal.RAISED, code)
    assert outcome.result == {"errorcode": code, "errortext": "t"}


def test_foreign_exceptions_keep_their_text_to_themselves() -> None:
    """A Python exception's text is not shown."""
    assert "hunter2" not in str(raised(ValueError("hunter2")).result)


def test_restart_text() -> None:
    """A job that a restart cut short has CloudStack's text."""
    assert cut_short().result == {
        "errorcode": 530,
        "errortext": "job cancelled because of management server restart or shutdown",
    }
    assert returned({"success": True}).result_code == 0


@pytest.mark.parametrize(
    "text", ["abc", "", "fbbf0edd-f3ab-4bf1-9910-566fc732e5ad ", "fbbf0eddf3ab4bf19910566fc732e5ad"]
)
def test_custom_id_must_be_a_uuid(text: str) -> None:
    """A custom id that is no UUID is refused with its text."""
    with pytest.raises(InvalidParameterValueError) as caught:
        check_custom_job_id(text)
    assert caught.value.text == f"UUID: {text} doesn't follow the UUID format"
