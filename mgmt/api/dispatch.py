"""One API request: who calls, may he, what does he want, and what came of it.

The order of checks is that of api-gateway 2.1. Upstream: server/.../api/ApiServlet.java (processRequestInContext) and
ApiServer.java (verifyRequest, handleRequest, queueCommand).
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote

from sqlalchemy.orm import Session

from mgmt.api import errors, posting
from mgmt.api.binding import DEFAULT_PAGE_SIZE, Binder, Raw, unpack
from mgmt.api.callers import Callers
from mgmt.api.exchange import ApiAnswer, ApiRequest
from mgmt.api.faultpoints import meet
from mgmt.api.jobs import submit_job
from mgmt.api.parameters import first_unprintable
from mgmt.api.render import XmlRenderer, content, json_body
from mgmt.api.sessions import SessionTable
from mgmt.api.web_session import CallSession
from mgmt.clock import working
from mgmt.commands.declaration import Bound, Call, Caller, Declaration, Result, at_once
from mgmt.commands.password_reset import FORGOT_PASSWORD, LOGIN, LOGOUT, RESET_PASSWORD, plain_refusal
from mgmt.commands.services import Services
from mgmt.errors import (
    METHOD_NOT_ALLOWED,
    PARAM_ERROR,
    UNSUPPORTED_ACTION_ERROR,
    CloudError,
    CloudRuntimeError,
    ServerApiError,
)
from mgmt.inventory.events import EventCaller
from mgmt.inventory.lookup import find_internal_id
from mgmt.inventory.owner import teller_of_project
from mgmt.observe.correlation import correlated
from mgmt.observe.redaction import MASK

logger = logging.getLogger(__name__)

# The container sends the setting's default in its own spelling, and any other value as it is.
DEFAULT_JSON_CONTENT_TYPE = "application/json; charset=UTF-8"
JSON_CONTENT_TYPE = "application/json;charset=utf-8"
XML_CONTENT_TYPE = "text/xml;charset=utf-8"
AUTHENTICATION_COMMANDS = frozenset({LOGIN, LOGOUT, FORGOT_PASSWORD, RESET_PASSWORD})
# A real server answers these without a session or a signature.
OPEN_COMMANDS = frozenset({"listGuiThemes", "listOauthProvider"})
# Upstream looks the project up before it looks for the parameter, and swallows what comes of that (api-gateway 1.3).
SILENT_WITHOUT_ID = frozenset({"activateProject", "suspendProject", "updateProject", "deleteProject"})
NULL_BODY = b'{ "error" : { "description" : "Internal Server Error" } }'
LOGIN_NEEDS_POST = "Please use HTTP POST to authenticate using this API"

NOBODY = Caller(0, "", "", 0, "", "", -1, 0, "", "", "")

# Values of these are registered as secrets, so that no log, journal entry or job record shows them.
_SECRET_PARAMETERS = ("password", "vcenterpassword", "usersecretkey", "secretkey", "privatekey")


@dataclass
class _Work:
    """What is known about a request while it is worked on."""

    request: ApiRequest
    command: str | None
    is_json: bool
    correlation_id: str
    session: CallSession
    content_type: str
    caller: Caller | None = None
    shows_version: bool = False


class Dispatcher:
    """Answers API requests for one server; thread-safe."""

    def __init__(self, services: Services, *, session_timeout_s: float) -> None:
        self._services = services
        self._commands = services.commands
        self.sessions = SessionTable(services.providers, session_timeout_s)
        self._xml = XmlRenderer(self._commands.values())
        self._binders: dict[str, Binder] = {}
        # CloudStack reads these once, at start.
        configured = self._setting_text("json.content.type", DEFAULT_JSON_CONTENT_TYPE)
        self._json_content_type = JSON_CONTENT_TYPE if configured == DEFAULT_JSON_CONTENT_TYPE else configured
        self._page_limit = self._setting_int("default.page.size", DEFAULT_PAGE_SIZE)
        self._enforces_post = self._setting_bool(posting.SETTING, False)
        self._has_secure_cookies = self._setting_bool("enable.secure.session.cookie", False)
        self._callers = Callers(services, enforces_post=self._enforces_post)

    def forget(self) -> None:
        """Know no login and no caller any more: the records behind them were exchanged."""
        self.sessions.clear()
        self._callers.forget()

    def handle(self, request: ApiRequest) -> ApiAnswer:
        """The answer to one request; never raises for anything a client can send."""
        services = self._services
        clock = services.providers.clock
        started_at = clock.monotonic()
        is_json = request.parameters.get("response", "").lower() == "json"
        work = _Work(
            request=request,
            command=request.parameters.get("command"),
            is_json=is_json,
            content_type=self._json_content_type if is_json else XML_CONTENT_TYPE,
            correlation_id=services.providers.ids.uuid(),
            session=CallSession(
                self.sessions,
                request.cookies,
                self._setting_text("api.sessionkey.cookie.samesite", "Lax"),
                is_secure=self._has_secure_cookies,
                peer=request.peer,
                script_name=request.script_name,
            ),
        )
        with correlated(work.correlation_id), working(clock, f"API request {work.command}"):
            try:
                answer = self._answer(work)
            except CloudError as error:
                answer = self._error_answer(work, error)
            except Exception as error:
                answer = self._error_answer(work, self._unexpected(work, error))
            answer.headers = [*answer.headers, *work.session.headers]
            services.journal.record(
                "api",
                work.command or "",
                correlation_id=work.correlation_id,
                status=answer.status,
                duration_ms=round((clock.monotonic() - started_at) * 1000, 3),
                username=work.caller.username if work.caller else None,
                parameters=masked_parameters(request.parameters),
            )
        return answer

    # Who calls ----------------------------------------------------------------------------------------------------

    def _answer(self, work: _Work) -> ApiAnswer:
        command = work.command
        if work.request.is_internal:
            return self._answer_internal(work)
        if command in AUTHENTICATION_COMMANDS and command in self._commands:
            return self._authenticate(work, self._commands[command])
        work.session.refresh_cookie()  # the container does so, whatever comes of the request
        if command is None and (work.session.exists or (self._enforces_post and work.request.method != "POST")):
            # upstream swallows the failure; a session lives on
            return ApiAnswer(200, XML_CONTENT_TYPE, b"", is_bare=True)
        if self._enforces_post and command is not None:
            posting.require_post(work.request.method, command, work.request.parameters)
        if work.session.exists:
            assert command is not None
            credentials = self._callers.in_session(work.request, work.session)
            work.caller = credentials.caller
            if not self._callers.is_from_allowed(work.request, credentials):
                work.session.drop()
                raise errors.unauthorized(errors.UNVERIFIED_REQUEST)
            self._callers.check_role(command, credentials, shown_user_uuid=work.caller.user_uuid)
        elif command in OPEN_COMMANDS and command in self._commands and not _is_signed(work.request):
            return self._run(work, self._commands[command], NOBODY)
        else:
            work.caller = self._callers.signing(work.request, command)
        assert command is not None
        work.shows_version = self._setting_bool("expose.cloudstack.version.api.xml.response", True)
        return self._checked_run(work, command, work.caller)

    def _answer_internal(self, work: _Work) -> ApiAnswer:
        """The answer of the integration port: the caller is the system, with root rights."""
        work.caller = self._callers.system()
        if work.command is None:
            raise ServerApiError(UNSUPPORTED_ACTION_ERROR, "Invalid request, no command sent")
        if work.command in AUTHENTICATION_COMMANDS:
            return ApiAnswer(200, work.content_type, NULL_BODY)
        return self._checked_run(work, work.command, work.caller)

    def _checked_run(self, work: _Work, command: str, caller: Caller) -> ApiAnswer:
        unprintable = first_unprintable(work.request.parameters)
        if unprintable is not None:
            raise ServerApiError(
                PARAM_ERROR,
                f"Received value containing illegal ASCII non-printable characters for parameter {unprintable}",
            )
        declaration = self._commands.get(command)
        if declaration is None:
            absent = self._services.known_commands.absent(command)
            text = f"Unknown API command: {command}" if absent is None else absent.text
            raise ServerApiError(UNSUPPORTED_ACTION_ERROR, text)
        return self._run(work, declaration, caller)

    def _authenticate(self, work: _Work, declaration: Declaration) -> ApiAnswer:
        raw = {name.lower(): value for name, value in work.request.parameters.items()}
        if declaration.name == LOGIN:
            work.session.restart()
            if work.request.method != "POST":
                return ApiAnswer(METHOD_NOT_ALLOWED, work.content_type, LOGIN_NEEDS_POST.encode())
        refusal = plain_refusal(declaration.name, raw)
        if refusal is not None:
            return ApiAnswer(refusal.errorcode, work.content_type, refusal.text.encode())
        with self._services.store.session() as session:
            call = Call(
                services=self._services,
                caller=NOBODY,
                command=declaration.name,
                correlation_id=work.correlation_id,
                session=session,
                web=work.session,
            )
            result = at_once(declaration.handler(call, Bound(raw, frozenset(raw))))
        return self._result_answer(work, declaration, result)

    # What is done -------------------------------------------------------------------------------------------------

    def _run(self, work: _Work, declaration: Declaration, caller: Caller) -> ApiAnswer:
        raw = unpack(work.request.parameters)
        for name in _SECRET_PARAMETERS:
            if name in raw and isinstance(raw[name], str):
                self._services.redactor.register(str(raw[name]))
        for secret in url_secrets(raw.get("url")):
            self._services.redactor.register(secret)
        binder = self._binder(declaration)
        meet(self._services, "api", declaration.name, work.request.parameters.get("name"))
        call = Call(
            services=self._services,
            caller=caller,
            command=declaration.name,
            correlation_id=work.correlation_id,
            received_s=self._services.providers.clock.monotonic(),
        )
        if declaration.is_async:
            return self._start_job(work, declaration, binder, raw, call)
        with self._services.store.session() as session:
            call.session = session
            bound = binder.bind(raw, lambda kind, uuid: find_internal_id(session, kind, uuid))
            call.for_project = _named_project(session, declaration.name, raw, caller)
            result = at_once(declaration.handler(call, bound))
        return self._result_answer(work, declaration, result)

    def _start_job(
        self, work: _Work, declaration: Declaration, binder: Binder, raw: Mapping[str, Raw], call: Call
    ) -> ApiAnswer:
        if declaration.name in SILENT_WITHOUT_ID and "id" not in raw:
            return ApiAnswer(200, XML_CONTENT_TYPE, b"", is_bare=True)
        with self._services.store.session() as session:
            bound = binder.bind(raw, lambda kind, uuid: find_internal_id(session, kind, uuid))
            call.for_project = _named_project(session, declaration.name, raw, call.caller)
        if declaration.precheck is not None:
            declaration.precheck(call, bound)
        if declaration.create is not None:
            with self._services.store.session() as session:
                bound.created_uuid = declaration.create(replace(call, session=session), bound)
        custom = raw.get("customjobid")
        job_uuid = submit_job(declaration, call, bound, custom_job_uuid=custom if isinstance(custom, str) else None)
        fields = {"jobid": job_uuid}
        if bound.created_uuid is not None:
            fields = {"id": bound.created_uuid, **fields}
        if work.is_json:
            return ApiAnswer(200, work.content_type, json_body(declaration.answer_key, fields))
        document = self._xml.plain(declaration.answer_key, self._version(work), fields)
        return ApiAnswer(200, XML_CONTENT_TYPE, document)

    def _binder(self, declaration: Declaration) -> Binder:
        binder = self._binders.get(declaration.name)
        if binder is None:
            binder = self._binders[declaration.name] = Binder(declaration, self._page_limit)
        return binder

    # What comes back ----------------------------------------------------------------------------------------------

    def _result_answer(self, work: _Work, declaration: Declaration, result: Result) -> ApiAnswer:
        key = declaration.answer_key
        if work.is_json:
            return ApiAnswer(200, work.content_type, json_body(key, content(result, declaration.object_name)))
        return ApiAnswer(200, XML_CONTENT_TYPE, self._xml.result(key, self._version(work), result, declaration))

    def _error_answer(self, work: _Work, error: CloudError) -> ApiAnswer:
        is_root_admin = work.caller is None or work.caller.is_root_admin
        known = None if work.command is None else self._callers.known(work.command)
        shown = errors.ErrorAnswer(
            key=errors.error_key(work.request.parameters, error.errorcode, known),
            errorcode=error.errorcode,
            text=errors.shown_text(error, is_root_admin=is_root_admin),
            cserrorcode=error.cserrorcode,
            uuid_list=error.uuid_list,
        )
        fields = shown.fields()
        if work.is_json:
            body = json_body(shown.key, fields)
        else:
            body = self._xml.error(shown.key, self._version(work), fields)
        headers = [] if shown.description is None else [("X-Description", shown.description)]
        return ApiAnswer(shown.errorcode, work.content_type, body, headers)

    def _unexpected(self, work: _Work, error: Exception) -> CloudRuntimeError:
        # The text of a Python exception may hold anything; it goes to the log, masked, and to nobody else.
        trace = "".join(traceback.format_exception(error))
        logger.error("%s failed unexpectedly: %s", work.command, self._services.redactor.text(trace))
        return CloudRuntimeError(errors.USER_ERROR_MESSAGE)

    def _version(self, work: _Work) -> str | None:
        return self._services.cloudstack_version if work.shows_version else None

    # Settings -----------------------------------------------------------------------------------------------------

    def _setting_text(self, name: str, default: str) -> str:
        return self._services.settings.get_text(name) or default

    def _setting_bool(self, name: str, default: bool) -> bool:
        value = self._services.settings.get_text(name)
        return default if value is None else value.lower() == "true"

    def _setting_int(self, name: str, default: int) -> int:
        value = self._services.settings.get_text(name)
        return int(value) if value else default


def _named_project(session: Session, command: str, raw: Mapping[str, Raw], caller: Caller) -> EventCaller | None:
    named = raw.get("id" if command in SILENT_WITHOUT_ID else "projectid")
    return teller_of_project(session, caller.user_id, named) if isinstance(named, str) and named else None


def _is_signed(request: ApiRequest) -> bool:
    return any(name.lower() == "signature" for name in request.parameters)


def url_secrets(url: object) -> list[str]:
    """User and secret in a URL, such as that of a Ceph pool, together and the secret alone; as sent and decoded."""
    if not isinstance(url, str) or "://" not in url or "@" not in url:
        return []
    user_info = url.partition("://")[2].rpartition("@")[0]
    forms = dict.fromkeys((user_info, unquote(user_info)))
    return [secret for form in forms for secret in (form, form.partition(":")[2]) if secret]


def masked_parameters(parameters: Mapping[str, str]) -> dict[str, Any]:
    """Parameters for the journal: map fields under their own name's rule, so that `details[0].password` is masked."""
    shown: dict[str, Any] = {}
    for name, value in parameters.items():
        leaf = name.rpartition(".")[2].lower() if "[" in name else ""
        shown[name] = MASK if leaf in _SECRET_PARAMETERS else value
    return shown
