"""Job ids that the caller chooses (`customjobid`). Upstream: framework/db/.../UUIDManagerImpl.java."""

from __future__ import annotations

import re

from mgmt.errors import InvalidParameterValueError

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)


def check_custom_job_id(text: str) -> str:
    """The id in lower case; raises InvalidParameterValueError when `text` has not the form of a UUID."""
    if not _UUID.fullmatch(text):
        raise InvalidParameterValueError(f"UUID: {text} doesn't follow the UUID format")
    return text.lower()


def job_id_taken(text: str) -> InvalidParameterValueError:
    """The error for an id that a job has already."""
    return InvalidParameterValueError(f"UUID: {text} already exists so can't create/update with custom id")
