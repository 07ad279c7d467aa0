"""What crossed the server's edges: listJournalEntries (extension)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from mgmt.commands.declaration import Bound, Call, Listing, command
from mgmt.commands.fields import Integer, ListParams, Out, Response, Str
from mgmt.errors import InvalidParameterValueError
from mgmt.inventory.listing import in_window
from mgmt.observe.journal import KINDS, Entry, Journal

_CONTROL = re.compile("[\x00-\x1f\x7f]")


class ListJournalEntriesParams(ListParams):
    """Parameters of listJournalEntries."""

    kind = Str("show entries of this kind only: " + ", ".join(KINDS))
    name = Str("show entries with this name only, such as ConvertInstanceCommand or importVm")
    correlationid = Str("show what belongs to one API call, with its job")
    jobid = Str("show what belongs to the API call that made the job with this UUID")
    after = Integer("show entries with a higher number than this only")
    last = Integer("show this many of the newest entries only")


class JournalEntryResponse(Response):
    """One crossing of an edge."""

    number = Out("integer", "number of the entry, from 1 at the server's start")
    at = Out("string", "when it was, in UTC with milliseconds")
    kind = Out("string", "which edge: " + ", ".join(KINDS))
    name = Out("string", "the command, method, program, state or step")
    correlationid = Out("string", "what it belongs to: the same for an API call, its job and all that the job does")
    details = Out("map", "what else is known of it, with secrets masked")


@command(
    "listJournalEntries",
    params=ListJournalEntriesParams,
    response=JournalEntryResponse,
    description="Shows what crossed the server's edges: API calls, jobs, agent messages, vCenter calls, tool runs",
    object_name="journalentry",
    is_list=True,
    extension=True,
)
def list_journal_entries(call: Call, bound: Bound) -> Listing:
    """The kept entries, oldest first; the call that asks is not among them."""
    if bound["kind"] is not None and bound["kind"] not in KINDS:
        raise InvalidParameterValueError(f"Unknown kind {bound['kind']}: one of {', '.join(KINDS)} is expected")
    if bound["last"] is not None and bound["last"] < 1:
        raise InvalidParameterValueError(f"Invalid value {bound['last']} of last: a number from 1 is expected")
    found = _found(call.services.journal, bound)
    if bound["last"] is not None:
        found = found[-bound["last"] :]
    return Listing([entry_view(entry) for entry in in_window(found, bound.paging)], len(found))


def _found(journal: Journal, bound: Bound) -> list[Entry]:
    entries = journal.entries(
        kind=bound["kind"], correlation_id=bound["correlationid"], name=bound["name"], after=bound["after"] or 0
    )
    if bound["jobid"] is not None:
        wanted = _correlations(journal, bound["jobid"])
        entries = [entry for entry in entries if entry.correlation_id in wanted]
    if bound["keyword"] is not None:
        keyword = bound["keyword"].lower()
        entries = [entry for entry in entries if keyword in entry.name.lower()]
    return entries


def _correlations(journal: Journal, job_uuid: str) -> frozenset[str | None]:
    found = frozenset(e.correlation_id for e in journal.entries(kind="job") if e.fields.get("job") == job_uuid)
    if not found:
        raise InvalidParameterValueError(f"No journal entry of a job with ID: {job_uuid} is kept")
    return found


def entry_view(entry: Entry) -> dict[str, Any]:
    """An entry's answer."""
    moment = datetime.fromtimestamp(entry.at, UTC).replace(tzinfo=None)
    return {
        "number": entry.number,
        "at": moment.isoformat(timespec="milliseconds") + "+0000",
        "kind": entry.kind,
        "name": entry.name,
        "correlationid": entry.correlation_id,
        "details": _printable(entry.fields),
    }


def _printable(value: Any) -> Any:
    """`value` with control characters as escapes: CloudStack's JSON leaves them raw, which few readers take."""
    if isinstance(value, str):
        return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", value)
    if isinstance(value, Mapping):
        return {_printable(str(key)): _printable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_printable(item) for item in value]
    return value


COMMANDS = (list_journal_entries,)
