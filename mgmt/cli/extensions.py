"""What to say when a server does not know a command: which of its reasons it is.

CloudStack answers an unknown command as it does a wrong key, and tells nobody which.
"""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches

from mgmt.fixtures import api_catalogue

UNVERIFIED = 401
NAME_REFUSED = (UNVERIFIED, 432)  # what signed callers and sessions get for a name that is no command's
PROBE = "listCapabilities"  # every role may call it
EXTENSION_COMMANDS = frozenset(
    {"cancelImportVm", "getImportProgress", "getImportTrace", "listImportLeaks", "listJournalEntries"}
)
EXTENSION_PARAMETERS = frozenset({("importVm", "dryrun"), ("importUnmanagedInstance", "dryrun")})


def name_hint(command: str, errorcode: object, is_caller_known: Callable[[], bool]) -> str | None:
    """Why the server refused `command`, where its name is the reason; None where it is another one.

    `is_caller_known` is asked for an extension's command only: whether the server answers these keys otherwise.
    """
    if errorcode not in NAME_REFUSED:
        return None
    if command in EXTENSION_COMMANDS:
        # a server that has the command answers 432 where the caller's role has not
        if errorcode != UNVERIFIED or not is_caller_known():
            return None
        return f"{command} is none of CloudStack's commands: start the server with --extensions"
    known = api_catalogue()["commands"]
    near = [] if command in known else get_close_matches(command, [*known, *EXTENSION_COMMANDS], n=1)
    return f"CloudStack has no API command {command}: did you mean {near[0]}?" if near else None
