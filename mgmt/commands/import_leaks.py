"""What imports left behind: listImportLeaks (extension)."""

from __future__ import annotations

from mgmt.commands.declaration import Bound, Call, Item, command
from mgmt.commands.fields import Out, Params, Response, Str
from mgmt.errors import InvalidParameterValueError
from mgmt.imports.leaks import leak_view
from mgmt.inventory.lookup import find_internal_id


class ListImportLeaksParams(Params):
    """Parameters of listImportLeaks."""

    jobid = Str("UUID of an import's job, to see its leaks only")


class ImportLeaksResponse(Response):
    """What is left, and what was looked at."""

    count = Out("integer", "number of leaks")
    leak = Out("list", "the leaks: kind, place, name, reason, jobids, virtualmachines, found")
    comparedimports = Out("integer", "imports that were compared since the server's start")
    runningimports = Out("integer", "imports under way; what they make is compared when the last of them has ended")
    unseen = Out("list", "what cannot be looked at, in sentences")


@command(
    "listImportLeaks",
    params=ListImportLeaksParams,
    response=ImportLeaksResponse,
    description="Shows what imports left behind: in vCenter, on hosts, in the records and in this server",
    object_name="importleaks",
    extension=True,
)
def list_import_leaks(call: Call, bound: Bound) -> Item:
    """The leaks that are there now, of all imports since the server's start or of one."""
    if bound["jobid"] is not None and find_internal_id(call.db, "job", bound["jobid"]) is None:
        raise InvalidParameterValueError(f"Unable to find a job with ID: {bound['jobid']}")
    report = call.services.leaks.report(bound["jobid"])
    return Item(
        {
            "count": len(report.leaks),
            "leak": [leak_view(leak) for leak in report.leaks],
            "comparedimports": report.compared,
            "runningimports": report.running,
            "unseen": list(report.unseen),
        }
    )


COMMANDS = (list_import_leaks,)
