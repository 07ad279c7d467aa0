"""Hands an async command over to the job runner: handler, result form and events."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import Any

from mgmt.api.faultpoints import meet
from mgmt.api.render import job_content
from mgmt.commands.declaration import Bound, Call, Declaration, Result
from mgmt.inventory.events import RESOURCE_TYPES, record_event
from mgmt.inventory.lookup import uuids_of
from mgmt.jobs.waiting import Work


def submit_job(declaration: Declaration, call: Call, bound: Bound, *, custom_job_uuid: str | None) -> str:
    """Queue the command and return the job's UUID; raises what `JobRunner.submit` raises."""

    def run(job_uuid: str) -> Mapping[str, Any] | Work[Mapping[str, Any]]:
        meet(call.services, "job", declaration.name, bound.get("name"))
        result = declaration.handler(replace(call, session=None, job_uuid=job_uuid), bound)
        if isinstance(result, Generator):
            return contents(result)
        return job_content(result, declaration.object_name)

    def contents(work: Work[Result]) -> Work[Mapping[str, Any]]:
        return job_content((yield from work), declaration.object_name)

    bound.instance_uuid = _instance_uuid(declaration, call, bound)
    shown = declaration
    if call.caller.is_root_admin:
        shown = declaration.for_admin()
    if bound.get("dryrun"):  # a look at what would happen is no event
        shown = replace(shown, event=None)
    return call.services.jobs.submit(
        shown,
        call.caller,
        bound,
        custom_job_uuid=custom_job_uuid,
        run=run,
        record_event=record_event,
        tells_as=call.tells_as(shown.event.type) if shown.event is not None else None,
        instance_uuid=bound.instance_uuid,
    )


def _instance_uuid(declaration: Declaration, call: Call, bound: Bound) -> str | None:
    """The entity that the job acts on: the created one, or the one that a parameter names."""
    if bound.created_uuid is not None or declaration.job_instance_param is None:
        return bound.created_uuid
    internal_id = bound[declaration.job_instance_param]
    model = RESOURCE_TYPES.get(declaration.job_instance_type or "")
    if internal_id is None or model is None:
        return None
    with call.services.store.session() as session:
        return uuids_of(session, model, {internal_id}).get(internal_id)
