"""Hands an async command over to the job runner: handler, result form and events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mgmt.api.render import job_content
from mgmt.commands.declaration import Bound, Call, Declaration
from mgmt.inventory.events import record_event


def submit_job(declaration: Declaration, call: Call, bound: Bound, *, custom_job_uuid: str | None) -> str:
    """Queue the command and return the job's UUID; raises what `JobRunner.submit` raises."""

    def run(job_uuid: str) -> Mapping[str, Any]:
        result = declaration.handler(replace(call, session=None, job_uuid=job_uuid), bound)
        return job_content(result, declaration.object_name)

    if bound.get("dryrun"):  # a look at what would happen is no event
        declaration = replace(declaration, event=None)
    return call.services.jobs.submit(
        declaration, call.caller, bound, custom_job_uuid=custom_job_uuid, run=run, record_event=record_event
    )
