"""Guest OS types."""

from __future__ import annotations

from mgmt.commands.fields import Out, Response


class GuestOSResponse(Response):
    """A guest OS type."""

    catalogue = "GuestOSResponse"

    description = Out("string", "name of the OS type")
    fordisplay = Out("boolean", "whether users see it")
    id = Out("string", "UUID of the OS type")
    isuserdefined = Out("boolean", "whether an admin added it")
    jobid = Out("string", "UUID of the job under way for it")
    jobstatus = Out("integer", "state of that job: 0 while it runs")
    name = Out("string", "name of the OS type")
    oscategoryid = Out("string", "UUID of its category")
    oscategoryname = Out("string", "name of its category")
