"""The answer of commands that only say whether they worked."""

from __future__ import annotations

from mgmt.commands.fields import Out, Response


class SuccessResponse(Response):
    """Whether a command did its work."""

    catalogue = "SuccessResponse"

    displaytext = Out("string", "what happened, when there is more to say than success")
    success = Out("boolean", "true when the command did its work")
    jobid = Out("string", "UUID of the job under way for it")
    jobstatus = Out("integer", "state of that job: 0 while it runs")
