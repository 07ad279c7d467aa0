"""Errors as the edge answers them: the key, the fields and whether `X-Description` is sent.

Upstream: server/.../api/ApiServer.java (getSerializedApiError, handleRequest), api/.../response/ExceptionResponse.java.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from mgmt.errors import (
    BAD_REQUEST,
    INSUFFICIENT_CAPACITY_ERROR,
    INTERNAL_ERROR,
    RESOURCE_UNAVAILABLE_ERROR,
    UNAUTHORIZED,
    UNSUPPORTED_ACTION_ERROR,
    CloudError,
    ServerApiError,
)

UNVERIFIED_REQUEST = "unable to verify user credentials and/or request signature"
UNVERIFIED_SESSION = "unable to verify user credentials"
USER_ERROR_MESSAGE = "Internal error executing command, please contact your system administrator"

ERROR_KEY = "errorresponse"
NULL_KEY = "null"

_HIDDEN_FROM_USERS = frozenset({INTERNAL_ERROR, INSUFFICIENT_CAPACITY_ERROR, RESOURCE_UNAVAILABLE_ERROR})
_NO_HEADER_CHARACTER = re.compile("[^\x20-\x7e\xa0-\xff]")


@dataclass(frozen=True)
class ErrorAnswer:
    """One error answer. The plain 401s and failed logins have no `cserrorcode` and no `X-Description`.

    The 400 of a call that must come by POST has the first of the two.
    """

    key: str
    errorcode: int
    text: str
    cserrorcode: int | None = None
    uuid_list: tuple[Mapping[str, str], ...] = ()

    def fields(self) -> dict[str, object]:
        """The body's fields in CloudStack's order; the `uuidList` is there even when it is empty."""
        fields: dict[str, object] = {"uuidList": list(self.uuid_list), "errorcode": self.errorcode}
        if self.cserrorcode is not None:
            fields["cserrorcode"] = self.cserrorcode
        fields["errortext"] = self.text
        return fields

    @property
    def description(self) -> str | None:
        """The value of `X-Description`, None when the header is not sent."""
        return None if self.cserrorcode is None or self.errorcode == BAD_REQUEST else header_text(self.text)


def header_text(text: str) -> str:
    """`text` with line breaks and characters beyond Latin-1 turned into blanks."""
    return _NO_HEADER_CHARACTER.sub(" ", text)


class Keyed(Protocol):
    """A command that knows the key of its answers (`mgmt.commands.declaration.Declaration`)."""

    @property
    def response_key(self) -> str:
        """The key, such as `listzonesresponse`."""
        ...


def error_key(parameters: Mapping[str, str], errorcode: int, known: Keyed | None) -> str:
    """The single key of an error answer: that of the answers of the `known` command that was asked for.

    `errorresponse` for code 432, for an unknown command and when the request had no parameter; the text `null` when it
    had some but no `command`.
    """
    if errorcode == UNSUPPORTED_ACTION_ERROR or not parameters:
        return ERROR_KEY
    if "command" not in parameters:
        return NULL_KEY
    return ERROR_KEY if known is None else known.response_key


def unauthorized(text: str) -> ServerApiError:
    """A plain 401."""
    return ServerApiError(UNAUTHORIZED, text, cserrorcode=None)


def shown_text(error: CloudError, *, is_root_admin: bool) -> str:
    """The text of an error that a command ended with: internal failures are hidden from all but the root admin."""
    if not is_root_admin and error.errorcode in _HIDDEN_FROM_USERS and not isinstance(error, ServerApiError):
        return USER_ERROR_MESSAGE
    return error.text
