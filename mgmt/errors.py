"""CloudStack's errors as values: a code, a CloudStack error code and a text.

One small tree. A handler, the import pipeline or a service raises one of these; the HTTP edge renders it (JSON or XML)
and the job runner turns it into a job result. Upstream: api/.../ApiErrorCode.java, api/.../ServerApiException.java,
utils/.../exception/CSExceptionErrorCode.java, server/.../api/ApiServer.java and ApiAsyncJobDispatcher.java.
"""

from __future__ import annotations

BAD_REQUEST = 400
UNAUTHORIZED = 401
METHOD_NOT_ALLOWED = 405
API_LIMIT_EXCEED = 429
MALFORMED_PARAMETER_ERROR = 430
PARAM_ERROR = 431
UNSUPPORTED_ACTION_ERROR = 432
INTERNAL_ERROR = 530
ACCOUNT_ERROR = 531
ACCOUNT_RESOURCE_LIMIT_ERROR = 532
INSUFFICIENT_CAPACITY_ERROR = 533
RESOURCE_UNAVAILABLE_ERROR = 534
RESOURCE_ALLOCATION_ERROR = 535
RESOURCE_IN_USE_ERROR = 536


class CloudError(Exception):
    """An answer that CloudStack would give: `errorcode` (HTTP status), `cserrorcode` and `text`.

    `row` names the decision-table row that fired (for instance `H3`), when one did. `uuid_list` is the list of
    entities that the JSON error carries in `uuidList`.
    """

    errorcode: int = INTERNAL_ERROR
    cserrorcode: int | None = 4250

    def __init__(self, text: str, *, row: str | None = None, uuid_list: tuple[dict[str, str], ...] = ()) -> None:
        super().__init__(text)
        self.text = text
        self.row = row
        self.uuid_list = uuid_list

    def job_errorcode(self) -> int:
        """The code with which an async job ends when this error ends it (ApiAsyncJobDispatcher)."""
        return INTERNAL_ERROR


class CloudRuntimeError(CloudError):
    """CloudStack's CloudRuntimeException: 530."""


class InvalidParameterValueError(CloudError):
    """InvalidParameterValueException: 431 on the call and in a job."""

    errorcode = PARAM_ERROR
    cserrorcode = 4350

    def job_errorcode(self) -> int:
        return PARAM_ERROR


class PermissionDeniedError(CloudError):
    """PermissionDeniedException: 531 on the call, 530 in a job."""

    errorcode = ACCOUNT_ERROR
    cserrorcode = 4365


class ResourceAllocationError(CloudError):
    """ResourceAllocationException (a limit is reached): 535 on the call, 530 in a job. A checked exception upstream."""

    errorcode = RESOURCE_ALLOCATION_ERROR
    cserrorcode = 4370


class InsufficientCapacityError(CloudError):
    """InsufficientCapacityException: 533 on the call."""

    errorcode = INSUFFICIENT_CAPACITY_ERROR
    cserrorcode = 4325


class AgentUnavailableError(CloudError):
    """AgentUnavailableException: the host's agent has no link, or lost it."""

    errorcode = RESOURCE_UNAVAILABLE_ERROR
    cserrorcode = 4285


class OperationTimedOutError(CloudError):
    """OperationTimedoutException: no answer in time."""

    cserrorcode = 4560


class CommandAbandonedError(CloudError):
    """Nobody waits for a host's answer any more: the import that asked was cancelled. Ours, not upstream's."""


class ServerStoppingError(Exception):
    """This server is being stopped; whoever waits for an agent is let go.

    No CloudError: it ends no job and no import task. Both stay as a killed management server leaves them, and the next
    start ends the job.
    """


class ServerApiError(CloudError):
    """ServerApiException raised by a command itself: the code it was given, cserrorcode 9999."""

    cserrorcode: int | None = 9999

    def __init__(
        self,
        errorcode: int,
        text: str,
        *,
        cserrorcode: int | None = 9999,
        row: str | None = None,
        uuid_list: tuple[dict[str, str], ...] = (),
    ) -> None:
        super().__init__(text, row=row, uuid_list=uuid_list)
        self.errorcode = errorcode
        self.cserrorcode = cserrorcode

    def job_errorcode(self) -> int:
        return self.errorcode


class JavaError(CloudError):
    """A Java throwable that is no CloudRuntimeException (null pointer, class cast, index, enum look-up).

    The import pipeline's failure handler does not catch these upstream, so a task stays Running; the job ends 530 with
    the Java text.
    """
