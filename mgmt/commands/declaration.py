"""How an API command is declared, and what its handler gets and gives.

One declaration per command: validation, listApis, the CLI's help and the coverage test are all made from it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol

from mgmt.commands.fields import Params, Response
from mgmt.jobs.waiting import Work

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from mgmt.commands.services import Services
    from mgmt.inventory.events import EventCaller

ADMIN = "Admin"
RESOURCE_ADMIN = "ResourceAdmin"
DOMAIN_ADMIN = "DomainAdmin"
USER = "User"
ALL_ROLES: tuple[str, ...] = (ADMIN, RESOURCE_ADMIN, DOMAIN_ADMIN, USER)
ADMIN_ONLY: tuple[str, ...] = (ADMIN,)


@dataclass(frozen=True)
class Caller:
    """Who calls: a user and the account it belongs to. Numbers are internal ids.

    `project_accounts` are the accounts of the projects that the user takes part in, `managed_project_accounts` those of
    the projects that he may change.
    """

    user_id: int
    user_uuid: str
    username: str
    account_id: int
    account_uuid: str
    account_name: str
    account_type: int
    domain_id: int
    domain_uuid: str
    domain_path: str
    role_type: str
    role_id: int = 0
    has_default_role: bool = True
    project_accounts: frozenset[int] = frozenset()
    managed_project_accounts: frozenset[int] = frozenset()

    @property
    def is_root_admin(self) -> bool:
        return self.account_type == 1


@dataclass(frozen=True)
class Paging:
    """The wanted window of a list: `offset` from 0; `limit` None means everything, 0 means only the count."""

    offset: int = 0
    limit: int | None = 500


class Bound(dict[str, Any]):
    """Bound parameters: every declared name is there, None (or its default) when it was not given.

    `given` holds the names that the request carried, lower-cased. `paging` is the window of a list command.
    """

    def __init__(
        self, values: Mapping[str, Any], given: frozenset[str] = frozenset(), paging: Paging | None = None
    ) -> None:
        super().__init__(values)
        self.given = given
        self.paging = paging or Paging()
        self.sent: Mapping[str, Any] = {}  # the texts (of map parameters: maps) as they came, under lower-case names
        self.created_uuid: str | None = None  # what the command's `create` made
        self.instance_uuid: str | None = None  # the entity that the command's job acts on


class WebSession(Protocol):
    """The login session of an HTTP call, for the commands that begin and end one."""

    @property
    def exists(self) -> bool:
        """True while the call belongs to a live session."""
        ...

    @property
    def idle_timeout_s(self) -> int:
        """Seconds without a request after which a session dies."""
        ...

    @property
    def peer(self) -> str | None:
        """The address that the call came from, None in this process."""
        ...

    @property
    def user_id(self) -> int | None:
        """Whose session the call belongs to, None without one."""
        ...

    def begin(self, user_id: int) -> str:
        """Begin a session of this user, put its cookies on the answer and return its session key."""
        ...

    def end(self) -> None:
        """End the session and expire the cookies that the request carried."""
        ...


# Events about projects themselves stay with the caller.
_OF_CALLERS = frozenset({"PROJECT.CREATE", "PROJECT.UPDATE", "PROJECT.DELETE"})


@dataclass
class Call:
    """One execution of a command: what the handler works with.

    `session` is the database session of a sync command, committed by the edge when the handler returns; an async
    handler gets None and opens short ones of its own with `services.store.session()`.
    """

    services: Services
    caller: Caller
    command: str
    correlation_id: str
    session: Session | None = None
    job_uuid: str | None = None
    received_s: float = 0.0  # when the request came, of the server's monotonic clock
    web: WebSession | None = None
    for_project: EventCaller | None = None  # the account of the project that the request names

    def tells_as(self, event_type: str) -> EventCaller:
        """On whose behalf an event of this call is told (ActionEventInterceptor, getOwnerAccountId)."""
        return self.caller if self.for_project is None or event_type in _OF_CALLERS else self.for_project

    @property
    def db(self) -> Session:
        """The session of a sync command."""
        assert self.session is not None, "an async handler opens its own sessions"
        return self.session


# What a handler returns -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Listing:
    """A page of a list; `count` is the number of matches over all pages. No item and count 0 answers `{}`."""

    items: Sequence[Mapping[str, Any]]
    count: int
    object_name: str | None = None  # default: the declaration's
    omit_count: bool = False  # listVmwareDcs sets no count


@dataclass(frozen=True)
class Item:
    """One entity under the declaration's object name."""

    fields: Mapping[str, Any]
    object_name: str | None = None  # default: the declaration's


@dataclass(frozen=True)
class Fields:
    """Fields directly inside the response (login, queryAsyncJobResult)."""

    fields: Mapping[str, Any]


@dataclass(frozen=True)
class Success:
    """`{"success": true}`, with `displaytext` when there is a text."""

    text: str | None = None


Result = Listing | Item | Fields | Success
# An async command may also give work that ends in its result and needs no thread while it waits.
Handler = Callable[[Call, Bound], Result | Work[Result]]


def at_once(outcome: Result | Work[Result]) -> Result:
    """The result of a sync command, which never waits."""
    assert not isinstance(outcome, Generator), "only an async command may wait"
    return outcome


Precheck = Callable[[Call, Bound], None]
Create = Callable[[Call, Bound], str]
P = ParamSpec("P")


@dataclass(frozen=True)
class EventSpec:
    """The framework's events of an async command: type, and the texts of the three moments.

    Scheduled carries `scheduled(bound)`, Started `started`, and a failure `Error while <gerund>` as Completed/ERROR
    (upstream: ActionEventInterceptor, ActionEventUtils). With an empty gerund the framework writes Scheduled only, and
    the command's own work the rest.
    """

    type: str
    scheduled: Callable[[Bound], str]
    gerund: str  # such as "importing VM"
    resource_type: str | None = None


def events_of(resource_type: str) -> Callable[[str, str, Callable[[Bound], str]], EventSpec]:
    """Makes the events of commands on one kind of resource, from type, gerund and the scheduled text."""

    def event(type_: str, gerund: str, scheduled: Callable[[Bound], str]) -> EventSpec:
        return EventSpec(type=type_, scheduled=scheduled, gerund=gerund, resource_type=resource_type)

    return event


@dataclass(frozen=True)
class Declaration:
    """One API command. `java_class` is the full class name that job records show as `cmd`.

    `precheck` is run on the HTTP call of an async command, after binding and before a job exists; what it raises is
    the call's answer. `create` makes the entity there (with `call.session`) and returns its UUID, which the answer
    shows next to the job's and the handler finds in `bound.created_uuid`. `job_instance_param` names the parameter
    that is the entity a job acts on. `admin_java_class` is the variant that a root admin's jobs name. `extension`:
    CloudStack has no such command; it is there with `--extensions`. `answer_name` is the key of good answers where the
    response object says another one than the command, whose errors keep theirs.
    """

    handler: Handler
    name: str
    params: type[Params]
    response: type[Response] | None
    description: str
    object_name: str | None = None
    is_async: bool = False
    is_list: bool = False
    since: str | None = None
    roles: tuple[str, ...] = ADMIN_ONLY
    java_class: str = ""
    response_name: str = ""
    answer_name: str = ""
    event: EventSpec | None = None
    job_instance_type: str | None = None
    related: tuple[str, ...] = field(default=())
    precheck: Precheck | None = None
    create: Create | None = None
    job_instance_param: str | None = None
    admin_java_class: str | None = None
    extension: bool = False

    @property
    def response_key(self) -> str:
        """The single key of the JSON answer and the root element of the XML one."""
        return self.response_name or f"{self.name.lower()}response"

    def for_admin(self) -> Declaration:
        """This declaration with the class name that a root admin's jobs show."""
        return self if self.admin_java_class is None else replace(self, java_class=self.admin_java_class)

    @property
    def answer_key(self) -> str:
        """The key of an answer that is no error."""
        return self.answer_name or self.response_key

    def narrowed(self, is_known: Callable[[object], bool]) -> Declaration:
        """This declaration without the parameters that are not known."""
        return replace(self, params=self.params.narrowed(is_known))


def _declares(make: Callable[Concatenate[Handler, P], Declaration]) -> Callable[P, Callable[[Handler], Declaration]]:
    def command(*args: P.args, **kwargs: P.kwargs) -> Callable[[Handler], Declaration]:
        return lambda handler: make(handler, *args, **kwargs)

    return command


# `@command(name, ...)` turns a handler function into the `Declaration` of an API command; it takes what that has.
command = _declares(Declaration)
