"""The HTTP listener: waitress on a thread of its own, with a stop that leaves no thread and no socket behind."""

from __future__ import annotations

import logging
import re
import socket
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.server import TcpWSGIServer
from waitress.task import WSGITask

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

logger = logging.getLogger(__name__)

DEFAULT_THREADS = 8
MAX_BODY_BYTES = 16 * 1024 * 1024
MAX_CONNECTIONS = 4096
KEPT_BYTES = 32 * 1024 * 1024  # of an answer in memory: waitress would put one above 1 MB (500 hosts) into a file
BACKLOG = 1024  # connections that wait to be taken while the loop is at something else
JOIN_TIMEOUT_S = 3.0
_CLOSE_HEADER = re.compile(rb"\r\nConnection: close", re.IGNORECASE)
_DATE_HEADER = re.compile(rb"\r\nDate: [^\r]*")


class _Task(WSGITask):
    """Sends no `Date`, as CloudStack's server."""

    def build_response_header(self) -> bytes:
        head: bytes = super().build_response_header()
        return _DATE_HEADER.sub(b"", head, count=1)

    def write(self, data: bytes) -> None:
        """Send the head with the first bytes of the body: one system call, and one packet for the client."""
        length = self.content_length
        if self.wrote_header or not data or length is None or len(data) > length or not self.has_body:
            super().write(data)
            return
        head = self.build_response_header()
        self.wrote_header = True
        self.content_bytes_written += len(data)
        self.channel.write_soon(head + data)


class _Channel(HTTPChannel):
    task_class = _Task


class _ClosingTask(WSGITask):
    """Closes the connection after its answer, and says so as CloudStack's integration port does."""

    def build_response_header(self) -> bytes:
        self.set_close_on_finish()
        head: bytes = super().build_response_header()
        return _CLOSE_HEADER.sub(b"\r\nConnection: Close", head, count=1)


class _ClosingChannel(HTTPChannel):
    task_class = _ClosingTask


class _Worker(threading.Thread):
    """One worker thread. Its gate opens when a task, or None for the end, has been laid into `task`."""

    def __init__(self, workers: _Workers, number: int) -> None:
        super().__init__(name=f"http-{number}", daemon=True)
        self._workers = workers
        self.gate = threading.Lock()
        self.gate.acquire()
        self.task: Any = None

    def run(self) -> None:
        while (task := self._workers.next_task(self)) is not None:
            try:
                task.service()
            except Exception:
                logger.exception("an HTTP connection failed")


class _Workers:
    """waitress's task dispatcher, waking the worker that became idle last.

    waitress's own wakes the one that has been idle longest, so that every request meets cold caches: with eight threads
    a request cost half as much CPU again.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: list[_Worker] = []
        self._idle: list[_Worker] = []
        self._backlog: deque[Any] = deque()
        self._is_stopping = False

    def start(self, count: int) -> None:
        self._all = [_Worker(self, number) for number in range(count)]
        for worker in self._all:
            worker.start()

    def add_task(self, task: Any) -> None:
        """Called by waitress with a connection that has a request to answer."""
        with self._lock:
            if not self._idle:
                self._backlog.append(task)
                return
            worker = self._idle.pop()
            worker.task = task
        worker.gate.release()

    def next_task(self, worker: _Worker) -> Any:
        """Wait for work; None when the worker is to end."""
        with self._lock:
            if self._is_stopping:
                return None
            if self._backlog:
                return self._backlog.popleft()
            self._idle.append(worker)
        worker.gate.acquire()
        task, worker.task = worker.task, None
        return task

    def stop(self) -> None:
        """Let workers end what they are at, cancel what waits, and wait for them."""
        with self._lock:
            self._is_stopping = True
            idle, self._idle = self._idle, []
            waiting, self._backlog = self._backlog, deque()
        for worker in idle:
            worker.gate.release()
        for task in waiting:
            task.cancel()
        for worker in self._all:
            worker.join(JOIN_TIMEOUT_S)
            if worker.is_alive():
                logger.warning("an HTTP request did not end within %.0f s", JOIN_TIMEOUT_S)


class HttpServer:
    """Listens on `host` and `port` from the start; answers between `start()` and `stop()`.

    Port 0 lets the system choose; without `keeps_alive` a connection is for one request. Raises OSError when the port
    cannot be had.
    """

    def __init__(
        self, app: WSGIApplication, host: str, port: int, *, threads: int = DEFAULT_THREADS, keeps_alive: bool = True
    ) -> None:
        listener = _listening_socket(host, port)
        self._thread_count = threads
        self._map: dict[int, Any] = {}
        self._workers = _Workers()
        dispatcher: Any = self._workers  # waitress asks for its own class but calls `add_task` only
        self._server = TcpWSGIServer(
            app,
            map=self._map,
            _sock=listener,
            dispatcher=dispatcher,
            adj=Adjustments(
                listen="127.0.0.1:0",  # not used: the socket is there already
                ident=None,
                clear_untrusted_proxy_headers=False,
                max_request_body_size=MAX_BODY_BYTES,
                connection_limit=MAX_CONNECTIONS,
                outbuf_overflow=KEPT_BYTES,
                backlog=BACKLOG,
            ),
            bind_socket=False,
            sockinfo=(listener.family, listener.type, listener.proto, listener.getsockname()),
        )
        self._server.channel_class = _Channel if keeps_alive else _ClosingChannel
        self._trigger: Any = self._server.trigger  # the stubs do not know its type
        self.address: tuple[str, int] = listener.getsockname()[:2]
        self._loop: threading.Thread | None = None
        self._is_stopped = False

    def start(self) -> None:
        """Begin to answer; connections made before have been waiting."""
        self._workers.start(self._thread_count)
        self._loop = threading.Thread(target=self._run, name="http-loop", daemon=True)
        self._loop.start()

    def stop(self) -> None:
        """Close the port, let requests that are being answered end (3 s at most), then close everything."""
        if self._is_stopped:
            return
        self._is_stopped = True
        if self._loop is None:
            self._close_all()
            self._trigger.close()
            return
        self._trigger.pull_trigger(lambda: wasyncore.dispatcher.close(self._server))
        self._workers.stop()
        self._trigger.pull_trigger(self._close_all)
        self._loop.join(JOIN_TIMEOUT_S)
        if self._loop.is_alive():
            logger.error("the HTTP loop did not end")
            return
        # Only now: the loop may act on a pull before `pull_trigger` has written to the trigger's pipe.
        self._trigger.close()

    def _run(self) -> None:
        # Ends by itself once nothing is left in the map.
        wasyncore.loop(timeout=1, map=self._map, use_poll=True)

    def _close_all(self) -> None:
        for dispatcher in list(self._map.values()):
            if dispatcher is not self._trigger and dispatcher is not self._server:
                dispatcher.close()
        # The listener's own `close` would close the trigger too.
        wasyncore.dispatcher.close(self._server)
        self._map.clear()


def _listening_socket(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener
