"""A logged-in SOAP session with one vCenter: version, login, one journal entry a call, faults as `VcenterError`s."""

from __future__ import annotations

import http.client
import io
import logging
import re
import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from typing import Any
from xml.etree import ElementTree

from mgmt.clock import lent
from mgmt.observe.journal import Journal
from mgmt.protocol.https import HttpsConnection, unverified_context
from mgmt.providers import Clock
from mgmt.vmware.cancelling import Cancellation
from mgmt.vmware.errors import (
    VcenterError,
    VcenterFaultError,
    VcenterLoginError,
    VcenterUnreachableError,
    transport_error,
)
from mgmt.vmware.known import KnownExchanges, Rebound
from mgmt.vmware.sdk import (
    NAMESPACE,
    OLDEST_VERSION,
    SoapResponseDeserializer,
    SoapStubAdapter,
    known_versions,
    type_name,
    vim,
    vmodl,
)

log = logging.getLogger(__name__)

DEFAULT_PORT = 443
VERSION_FILE = "/sdk/vimServiceVersions.xml"
USER_AGENT = "pyvmomi"
# Answers that are facts about many objects; those of other methods are read once each.
_REPEATED = frozenset({"RetrieveServiceContent", "RetrievePropertiesEx"})
_NEEDED = ("sessionManager", "propertyCollector", "rootFolder")
_ADDRESS = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.%]+)\]|(?P<name>[^\s:/\[\]@]+))(?::(?P<port>\d{1,5}))?")


def split_address(address: str) -> tuple[str, int]:
    """Host and port of `name[:port]` or `[ipv6][:port]` (default 443); raises VcenterUnreachableError for another."""
    match = _ADDRESS.fullmatch(address.strip())
    port = int(match["port"] or DEFAULT_PORT) if match else 0
    if match is None or not 0 < port < 65536:
        raise VcenterUnreachableError(f"Invalid vCenter address {address!r}: expected name[:port]")
    return match["v6"] or match["name"], port


class Connections:
    """The connections of one session: one that is kept, more while several threads call at once."""

    def __init__(self, host: str, port: int, timeout_s: float) -> None:
        self._host, self._port, self._timeout_s = host, port, timeout_s
        self._context = unverified_context()
        self._idle: list[HttpsConnection] = []
        self._lock = threading.Lock()

    @contextmanager
    def one(self) -> Iterator[HttpsConnection]:
        """A connection for one exchange."""
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        if connection is None:
            connection = HttpsConnection(self._host, self._port, self._context, self._timeout_s)
        try:
            yield connection
        finally:
            with self._lock:
                self._idle.append(connection)

    def close(self) -> None:
        """Close all."""
        with self._lock:
            connections, self._idle = self._idle, []
        for connection in connections:
            connection.close()


class Recorder:
    """Writes the journal entry of one call to one vCenter."""

    def __init__(self, journal: Journal, clock: Clock, vcenter: str) -> None:
        self._journal = journal
        self._clock = clock
        self._vcenter = vcenter

    def start(self) -> float:
        return self._clock.monotonic()

    def end(self, method: str, started: float, outcome: str) -> None:
        duration_ms = round((self._clock.monotonic() - started) * 1000, 1)
        self._journal.record("vcenter", method, vcenter=self._vcenter, duration_ms=duration_ms, outcome=outcome)


class _NoSession:
    """Stands behind the managed objects of answers that sessions share: they are names, and cannot be called."""

    def __init__(self, version: str) -> None:
        self.version = version

    def SupportServerGUIDs(self) -> bool:
        """What pyvmomi's reader asks for."""
        return False


class _Stub(SoapStubAdapter):  # type: ignore[misc]  # pyvmomi has no types
    """pyvmomi's SOAP client, which records each call and raises `VcenterError`s only."""

    def __init__(self, recorder: Recorder, connections: Connections, known: KnownExchanges, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._recorder = recorder
        self._connections = connections
        self._known = known
        self._nobody = _NoSession(self.version)
        self.cookie: str = ""

    def InvokeMethod(self, mo: Any, info: Any, args: Any, outerStub: Any = None) -> Any:
        """Run one vSphere method; pyvmomi calls this for every method of every object."""
        return self._invoke(info, lambda: self._write(mo, info, args))

    def ask(self, mo: Any, name: str, key: Hashable, arguments: Callable[[], list[Any]]) -> Any:
        """Run method `name` of `mo`; `key` tells all that `arguments` gives, which is called only for a new key."""
        info = mo._GetMethodInfo(name)
        known = (self.versionId, name, mo._moId, key)
        return self._invoke(
            info, lambda: self._known.request(known, lambda: self.SerializeRequest(mo, info, arguments()))
        )

    def _write(self, mo: Any, info: Any, args: Any) -> bytes:
        if any(arg is not None for arg in args):
            written: bytes = self.SerializeRequest(mo, info, args)
            return written
        key = (self.versionId, info.wsdlName, mo._moId)
        return self._known.request(key, lambda: self.SerializeRequest(mo, info, args))

    def _invoke(self, info: Any, request: Callable[[], bytes]) -> Any:
        started = self._recorder.start()
        outcome = "ok"
        try:
            return self._exchange(info, request())
        except vmodl.MethodFault as fault:
            outcome = type_name(fault)
            raise fault_error(fault) from None
        except (OSError, http.client.HTTPException) as error:
            outcome = type(error).__name__
            log.warning("vCenter call %s failed: %s", info.wsdlName, outcome)
            raise transport_error(error) from error
        except Exception as error:
            # pyvmomi's parser raises whatever it stumbles over when the answer is not what vSphere sends.
            outcome = type(error).__name__
            log.warning("vCenter call %s got an answer that is no vSphere SOAP: %s", info.wsdlName, outcome)
            raise VcenterUnreachableError(f"Unexpected answer of vCenter to {info.wsdlName}: {outcome}") from error
        finally:
            self._recorder.end(info.wsdlName, started, outcome)

    def _exchange(self, info: Any, request: bytes) -> Any:
        """One request; pyvmomi writes it and reads the answer, the connection is ours."""
        headers = {"SOAPAction": self.versionId, "Content-Type": "text/xml; charset=UTF-8", "User-Agent": USER_AGENT}
        if self.cookie:
            headers["Cookie"] = self.cookie
        with self._connections.one() as connection:
            answer = connection.exchange("POST", self.path, headers, request)
        self.cookie = answer.headers.get("set-cookie", self.cookie)
        if answer.status not in (200, 500):
            raise http.client.HTTPException(f"{answer.status} {answer.reason}")
        if answer.status == 200 and info.wsdlName in _REPEATED:
            return self._known.answer(self.versionId, answer.body, lambda: _read(self._nobody, answer.body, info))
        result = _read(self, answer.body, info)
        if answer.status == 200:
            return result
        raise result


def _read(stub: Any, body: bytes, info: Any) -> Any:
    """What an answer holds; its managed objects are of the session behind `stub`."""
    return SoapResponseDeserializer(stub).Deserialize(io.BytesIO(body), info.result)


def fault_text(fault: Any) -> str:
    """The message of a vSphere fault: its own text, or its type's name when it brings none."""
    for text in (getattr(fault, "localizedMessage", None), getattr(fault, "msg", None)):
        if text:
            return str(text)
    return type_name(fault)


def fault_error(fault: Any) -> VcenterFaultError:
    """The `VcenterError` for a fault that vCenter answered a call with."""
    return VcenterFaultError(fault_text(fault), type_name(fault))


class VcenterLink:
    """One session. Made by `open_link`; `close` logs out."""

    def __init__(
        self,
        stub: Any,
        content: Any,
        username: str,
        password: str,
        *,
        connections: Connections,
        recorder: Recorder,
        clock: Clock,
        timeout_s: float,
    ) -> None:
        self.stub = stub
        self.content = content  # the service content
        self.recorder = recorder
        self.clock = clock
        self._connections = connections
        self.timeout_s = timeout_s
        self.cancellation = Cancellation()
        self._username = username
        self._password = password

    @property
    def version(self) -> str:
        """pyvmomi's name of the API version that is spoken."""
        return str(self.stub.version)

    @property
    def cookie(self) -> str:
        """The session's cookie as a request carries it: name and value. It is a secret while the session lives."""
        return str(getattr(self.stub, "cookie", None) or "").partition(";")[0]

    def waiting(self, what: str = "") -> AbstractContextManager[None]:
        """For a call that vCenter answers when something happens: one in this process then waits in our stead.

        `what` tells apart what several threads wait for in one session: a blank and the path of a download.
        """
        return lent(self.clock, self.cookie.partition("=")[2].strip('"') + what)

    def login(self) -> None:
        """Authenticate the session; raises VcenterLoginError."""
        try:
            self.content.sessionManager.Login(self._username, self._password, None)
        except VcenterFaultError as error:
            raise VcenterLoginError(error.text, error.fault) from None

    def call(self, method: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Run `method`; when vCenter has forgotten the session, log in again and run it once more."""
        try:
            with self.waiting():  # vCenter may take its time
                return method(*args, **kwargs)
        except VcenterFaultError as error:
            if error.fault != "NotAuthenticated":
                raise
            log.info("vCenter ended the session; logging in again")
            self.login()
            with self.waiting():
                return method(*args, **kwargs)

    def close(self) -> None:
        """Log out and close the connections; never raises."""
        try:
            self.content.sessionManager.Logout()
        except VcenterError as error:
            log.info("vCenter logout failed: %s", error.text)
        finally:
            self._connections.close()


def open_link(
    address: str,
    username: str,
    password: str,
    *,
    journal: Journal,
    clock: Clock,
    timeout_s: float,
    version: str | None = None,
    known: KnownExchanges | None = None,
) -> VcenterLink:
    """Connect to the vCenter at `name[:port]` and log in.

    Raises VcenterUnreachableError or VcenterLoginError. No exchange takes longer than `timeout_s`. `version` is
    pyvmomi's name of the version to speak, None to read from vCenter which it offers. `known` is what sessions share.
    """
    host, port = split_address(address)
    recorder = Recorder(journal, clock, address)
    connections = Connections(host, port, timeout_s)
    try:
        version = version or _published_version(host, port, connections, recorder)
        stub = _Stub(recorder, connections, known or KnownExchanges(), host=host, port=port, version=version)
        content = Rebound(vim.ServiceInstance("ServiceInstance", stub).RetrieveContent(), stub)
        if any(getattr(content, name, None) is None for name in _NEEDED):
            raise VcenterUnreachableError("Unexpected answer of vCenter to RetrieveServiceContent: no service content")
        link = VcenterLink(
            stub,
            content,
            username,
            password,
            connections=connections,
            recorder=recorder,
            clock=clock,
            timeout_s=timeout_s,
        )
        link.login()
    except BaseException:
        connections.close()
        raise
    return link


@lru_cache(maxsize=16)
def _version_for(document: bytes) -> str:
    """The version to speak with a server that publishes this version file; raises VcenterUnreachableError."""
    return choose_version(parse_versions(document))


def choose_version(published: Sequence[str]) -> str:
    """pyvmomi's name of the newest version that both sides speak; the oldest supported one when none is shared."""
    for version, version_id in known_versions():
        if version_id in published:
            return version
    return OLDEST_VERSION


def _published_version(host: str, port: int, connections: Connections, recorder: Recorder) -> str:
    """The newest version of the server's version file that both sides speak; the oldest when it publishes no file.

    pyVim.connect reads the file too, but without a time-out.
    """
    started = recorder.start()
    outcome = "ok"
    try:
        with connections.one() as connection:
            answer = connection.exchange("GET", VERSION_FILE, {})
        if answer.status != 200:
            outcome = f"HTTP {answer.status}"
            return OLDEST_VERSION
        return _version_for(answer.body)
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        outcome = type(error).__name__
        log.warning("vCenter %s:%d cannot be reached: %s", host, port, outcome)
        failure = transport_error(error)
        if "UnknownHost" in failure.text:
            failure = VcenterUnreachableError(f"{failure.text}: {host}")
        raise failure from error
    except VcenterError as error:
        outcome = type(error).__name__
        raise
    finally:
        recorder.end("GetServiceVersions", started, outcome)


def parse_versions(document: bytes) -> list[str]:
    """The vim25 version ids in a `vimServiceVersions.xml`; raises VcenterUnreachableError when it is not XML."""
    try:
        root = ElementTree.fromstring(document)
    except ElementTree.ParseError:
        raise VcenterUnreachableError(f"Unexpected answer of vCenter to {VERSION_FILE}: no XML") from None
    versions: list[str] = []
    for space in root.findall("namespace"):
        if space.findtext("name") == NAMESPACE:
            versions.extend(node.text for node in space.iter("version") if node.text)
    return versions
