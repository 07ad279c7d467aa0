"""Events."""

from __future__ import annotations

from mgmt.commands.fields import Out, Response


class EventResponse(Response):
    """An event."""

    catalogue = "EventResponse"

    account = Out("string", "name of the owning account")
    archived = Out("boolean", "true for an archived event")
    created = Out("date", "when it happened")
    description = Out("string", "what happened")
    domain = Out("string", "name of the owner's domain")
    domainid = Out("string", "UUID of the owner's domain")
    domainpath = Out("string", "path of the owner's domain, such as ROOT/D1")
    id = Out("string", "UUID of the event")
    jobid = Out("string", "UUID of the job under way for it")
    jobstatus = Out("integer", "state of that job: 0 while it runs")
    level = Out("string", "INFO, WARN or ERROR")
    parentid = Out("string", "UUID of the event that started the action")
    project = Out("string", "name of the owning project")
    projectid = Out("string", "UUID of the owning project")
    resourceid = Out("string", "UUID of the resource")
    resourcename = Out("string", "name of the resource")
    resourcetype = Out("string", "type of the resource")
    state = Out("state", "Created, Scheduled, Started or Completed")
    type = Out("string", "event type, such as VM.IMPORT")
    username = Out("string", "user who caused it")
