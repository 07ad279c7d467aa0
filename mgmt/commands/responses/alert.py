"""Alerts."""

from __future__ import annotations

from mgmt.commands.fields import Out, Response


class AlertResponse(Response):
    """An alert."""

    catalogue = "AlertResponse"

    description = Out("string", "what happened")
    id = Out("string", "UUID of the alert")
    jobid = Out("string", "UUID of the job under way for it")
    jobstatus = Out("integer", "state of that job: 0 while it runs")
    name = Out("string", "name of its type, such as ALERT.COMPUTE.HOST")
    sent = Out("date", "when it was written")
    type = Out("short", "number of its type")
