"""queryAsyncJobResult and listAsyncJobs.

Upstream: server/.../query/dao/AsyncJobJoinDaoImpl.java, QueryManagerImpl.searchForAsyncJobs,
AsyncJobManagerImpl.queryJob.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlalchemy import Row, Select, bindparam, or_, select
from sqlalchemy.orm import Session

from mgmt.commands.declaration import ALL_ROLES, Bound, Call, Fields, Listing, command
from mgmt.commands.fields import Boolean, Date, ListParams, Out, Params, Response, Str, Uuid
from mgmt.errors import InvalidParameterValueError, PermissionDeniedError
from mgmt.inventory.listing import like_keyword, page
from mgmt.inventory.scope import account_text, check_owner_access, resolve_scope, shown_domain_path
from mgmt.jobs.states import JobState
from mgmt.store.models import Account, AsyncJob, Domain, ManagementServer, User
from mgmt.store.rows import find_row, run, table_of

NORMAL_ACCOUNT = 0


class AsyncJobResponse(Response):
    catalogue = "AsyncJobResponse"

    accountid = Out("string", "id of the account that started the job")
    account = Out("string", "name of the account that started the job")
    domainid = Out("string", "id of the domain that the job's account belongs to")
    domainpath = Out("string", "path of the domain that the job's account belongs to")
    userid = Out("string", "id of the user who started the job")
    cmd = Out("string", "class of the command that the job runs")
    jobprocstatus = Out("integer", "progress of the job")
    jobresultcode = Out("integer", "code that the job ended with, 0 for none")
    jobresulttype = Out("string", "form of the result: object or text")
    jobresult = Out("responseobject", "what the job ended with")
    jobinstancetype = Out("string", "kind of the entity that the job acts on")
    jobinstanceid = Out("string", "id of the entity that the job acts on")
    managementserverid = Out("string", "id of the management server that runs the job")
    managementservername = Out("string", "name of the management server that runs the job")
    created = Out("date", "when the job was started")
    completed = Out("date", "when the job ended")
    jobid = Out("string", "id of the job")
    jobstatus = Out("integer", "0 in progress, 1 succeeded, 2 failed")


class QueryAsyncJobResultParams(Params):
    jobid = Uuid("id of the job", entity="job", required=True)


class ListAsyncJobsParams(ListParams):
    account = Str("name of the account whose jobs are wanted; goes with domainid")
    domainid = Uuid("id of the domain whose jobs are wanted", entity="domain")
    isrecursive = Boolean("whether the domain's sub-domains count too")
    listall = Boolean("whether everything that the caller may see is listed")
    managementserverid = Uuid("id of the server that runs the jobs", entity="managementserver", since="4.19")
    startdate = Date("earliest start of the wanted jobs", date_only=True)


@command(
    "queryAsyncJobResult",
    params=QueryAsyncJobResultParams,
    response=AsyncJobResponse,
    description="Tells how a job stands and, once it has ended, what came of it",
    roles=ALL_ROLES,
    java_class="org.apache.cloudstack.api.command.user.job.QueryAsyncJobResultCmd",
)
def query_async_job_result(call: Call, bound: Bound) -> Fields:
    """The job's state, to its owner and to admins above him."""
    job = find_row(call.db, AsyncJob, bound["jobid"])
    if job is None:
        raise InvalidParameterValueError(f"Unable to find a job by id {bound['jobid']}")
    owner = _owner_of(call.db, job)
    caller = call.caller
    if caller.account_type == NORMAL_ACCOUNT and caller.account_id != job.account_id:
        raise PermissionDeniedError(f"Account {account_text(caller)} is not authorized to see job id={job.id}")
    if owner is not None:
        check_owner_access(caller, owner.id, owner.path)
    return Fields(job_view(call, job, owner))


@command(
    "listAsyncJobs",
    params=ListAsyncJobsParams,
    response=AsyncJobResponse,
    description="Lists the pending jobs that act on an entity",
    object_name="asyncjobs",
    is_list=True,
    roles=ALL_ROLES,
    java_class="org.apache.cloudstack.api.command.user.job.ListAsyncJobsCmd",
)
def list_async_jobs(call: Call, bound: Bound) -> Listing:
    """Pending jobs only, and only those tied to an instance type."""
    scope = resolve_scope(call.db, call.caller, bound)
    wanted = (
        select(AsyncJob)
        .join(Account, Account.id == AsyncJob.account_id)
        .where(
            AsyncJob.status == int(JobState.IN_PROGRESS),
            AsyncJob.instance_type.is_not(None),
            scope.clause(AsyncJob.account_id, Account.domain_id),
        )
        .order_by(AsyncJob.id)
    )
    if bound["keyword"]:
        wanted = wanted.where(
            or_(
                like_keyword(AsyncJob.command_class, bound["keyword"]),
                like_keyword(AsyncJob.instance_type, bound["keyword"]),
            )
        )
    if bound["startdate"] is not None:
        wanted = wanted.where(AsyncJob.created >= bound["startdate"])
    if bound["managementserverid"] is not None and not _is_this_server(call, bound["managementserverid"]):
        return Listing([], 0)
    jobs, count = page(call.db, wanted, bound.paging)
    return Listing([job_view(call, job, _owner_of(call.db, job)) for job in jobs], count)


def _is_this_server(call: Call, internal_id: int) -> bool:
    server = call.db.get(ManagementServer, internal_id)
    return server is not None and server.uuid == call.services.management_server_uuid


def job_view(call: Call, job: AsyncJob | Row[Any], owner: Row[Any] | None) -> Mapping[str, Any]:
    """A job as both commands show it; the executing server is named only while the job is pending.

    `owner` is the job's account with its domain.
    """
    is_pending = job.status == int(JobState.IN_PROGRESS)
    view = _owner_view(call.db, job, owner)
    view |= {
        "cmd": job.command_class or None,
        "jobprocstatus": 0,
        "jobresultcode": job.result_code,
        "jobresulttype": None if is_pending else "object",
        "jobresult": None if is_pending else job.result,
        "jobinstancetype": job.instance_type,
        "jobinstanceid": job.instance_uuid,
        "managementserverid": call.services.management_server_uuid if is_pending else None,
        "managementservername": call.services.management_server_name if is_pending else None,
        "created": job.created,
        "completed": job.completed,
        "jobid": job.uuid,
        "jobstatus": job.status,
    }
    return view


def _owner_of(session: Session, job: AsyncJob | Row[Any]) -> Row[Any] | None:
    return run(session, _account_with_domain(), {"account": job.account_id}).first()


def _owner_view(session: Session, job: AsyncJob | Row[Any], account: Row[Any] | None) -> dict[str, Any]:
    user = find_row(session, User, job.user_id, "uuid")
    return {
        "accountid": account.uuid if account else None,
        "account": account.name if account else None,
        "domainid": account.domain_uuid if account else None,
        "domainpath": shown_domain_path(account.path) if account else None,
        "userid": user.uuid if user else None,
    }


@cache
def _account_with_domain() -> Select[Any]:
    account, domain = table_of(Account), table_of(Domain)
    joined = account.join(domain, domain.c.id == account.c.domain_id)
    shown = (account.c.id, account.c.uuid, account.c.name, domain.c.uuid.label("domain_uuid"), domain.c.path)
    return select(*shown).select_from(joined).where(account.c.id == bindparam("account"))


COMMANDS = (query_async_job_result, list_async_jobs)
