"""Settings."""

from __future__ import annotations

from mgmt.commands.fields import Out, Response


class ConfigurationResponse(Response):
    """A setting."""

    catalogue = "ConfigurationResponse"

    category = Out("string", "category of the setting")
    component = Out("string", "part of the server that reads the setting")
    defaultvalue = Out("string", "value of a new installation")
    description = Out("string", "what the setting does")
    displaytext = Out("string", "name of the setting in words")
    group = Out("string", "group of the setting")
    id = Out("long", "number of the resource the value belongs to")
    isdynamic = Out("boolean", "whether a change works without a restart")
    jobid = Out("string", "UUID of the job under way for it")
    jobstatus = Out("integer", "state of that job: 0 while it runs")
    name = Out("string", "name of the setting")
    options = Out("string", "values to choose from")
    parent = Out("string", "setting that this one depends on")
    scope = Out("string", "kind of resource the value belongs to")
    subgroup = Out("string", "subgroup of the setting")
    type = Out("string", "kind of value")
    value = Out("string", "the value")
