"""The setting enforce.post.requests.and.timestamps: what changes something comes by POST, and signed with a time.

Upstream: server/.../api/ApiServlet.java (isStateChangingCommandNotUsingPOST), ApiServer.java (verifyRequest).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from mgmt.errors import BAD_REQUEST, ServerApiError

SETTING = "enforce.post.requests.and.timestamps"
MAX_AHEAD_S = 15 * 60
_READING = re.compile(r"(get|list|query|find)\w+", re.IGNORECASE)
_ALSO_READING = frozenset(
    {
        "isaccountallowedtocreateofferingswithtags",
        "readyforshutdown",
        "cloudianisenabled",
        "quotabalance",
        "quotasummary",
        "quotatarifflist",
        "quotaisenabled",
        "quotastatement",
        "verifyoauthcodeandgetuser",
    }
)
_CHANGES_A_SETTING = "updateConfiguration"


def require_post(method: str, command: str, parameters: Mapping[str, str]) -> None:
    """Raise ServerApiError 400 for a command that may change something and does not come by POST.

    Commands that do not exist count as such.
    """
    if method == "POST" or _READING.fullmatch(command) or command.lower() in _ALSO_READING:
        return
    if command == _CHANGES_A_SETTING:
        text = f"Changes for configuration {parameters.get('name')} needs to be sent using POST request"
    else:
        text = f"State changing command {command} needs to be sent using POST request"
    raise ServerApiError(BAD_REQUEST, text)
