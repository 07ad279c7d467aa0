"""ServiceInstance and SessionManager: the way in and out."""

from __future__ import annotations

from datetime import datetime

from vcenter_sim import faults
from vcenter_sim.providers import utc
from vcenter_sim.service import Context
from vcenter_sim.types import DataObject


def retrieve_service_content(context: Context) -> DataObject:
    """The well-known objects; needs no login, and its reply sets the session cookie."""
    return context.this["content"]


def current_time(context: Context) -> datetime:
    """The server's clock."""
    return utc(context.inventory.clock)


def login(context: Context) -> DataObject:
    """Authenticate the caller's cookie; raises InvalidLogin."""
    context.world.sessions.log_in(context.session, context.arguments["userName"], context.arguments["password"])
    return context.session.record()


def logout(context: Context) -> None:
    """End the caller's session: its cookie is worth nothing afterwards."""
    context.world.sessions.end(context.session)


def session_is_active(context: Context) -> bool:
    """Whether the session of that key and user is logged in."""
    wanted = (context.arguments["sessionID"], context.arguments["userName"])
    return any((session.key, session.username) == wanted for session in context.world.sessions.logged_in())


def terminate_session(context: Context) -> None:
    """End other sessions by key; raises NotFound for an unknown key, InvalidArgument for the caller's own."""
    by_key = {session.key: session for session in context.world.sessions.logged_in()}
    for key in context.arguments["sessionId"]:
        if key == context.session.key:
            raise faults.invalid_argument("sessionId")
        if key not in by_key:
            raise faults.nothing_found("The session was not found.")
        context.world.sessions.end(by_key[key])


METHODS = {
    "RetrieveServiceContent": retrieve_service_content,
    "CurrentTime": current_time,
    "Login": login,
    "Logout": logout,
    "SessionIsActive": session_is_active,
    "TerminateSession": terminate_session,
}
