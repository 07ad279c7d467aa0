"""The HTTP listener: waitress on a thread of its own, with a stop that leaves no thread and no socket behind."""

from __future__ import annotations

import logging
import re
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher, WSGITask

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

logger = logging.getLogger(__name__)

DEFAULT_THREADS = 8
MAX_BODY_BYTES = 16 * 1024 * 1024
REQUEST_GRACE_S = 3
JOIN_TIMEOUT_S = 5.0
_DATE_HEADER = re.compile(rb"\r\nDate: [^\r]*")


class _Task(WSGITask):
    """Sends no `Date`, as CloudStack's server."""

    def build_response_header(self) -> bytes:
        head: bytes = super().build_response_header()
        return _DATE_HEADER.sub(b"", head, count=1)


class _Channel(HTTPChannel):
    task_class = _Task


class _Workers(ThreadedTaskDispatcher):
    """Worker threads that can be waited for, and a queue that does not warn when it holds something."""

    def __init__(self) -> None:
        super().__init__()
        self._workers: list[threading.Thread] = []

    def start_new_thread(self, target: Callable[[int], object], thread_no: int) -> None:
        worker = threading.Thread(target=target, name=f"http-{thread_no}", args=(thread_no,), daemon=True)
        self._workers.append(worker)
        worker.start()

    def add_task(self, task: Any) -> None:
        with self.lock:
            self.queue.append(task)
            self.queue_cv.notify()

    def stop(self) -> None:
        self.shutdown(timeout=REQUEST_GRACE_S)
        for worker in self._workers:
            worker.join(JOIN_TIMEOUT_S)


class HttpServer:
    """Listens on `host` and `port` from the start; answers between `start()` and `stop()`.

    Port 0 lets the system choose. Raises OSError when the port cannot be had.
    """

    def __init__(self, app: WSGIApplication, host: str, port: int, *, threads: int = DEFAULT_THREADS) -> None:
        listener = _listening_socket(host, port)
        self._thread_count = threads
        self._map: dict[int, Any] = {}
        self._workers = _Workers()
        self._server = TcpWSGIServer(
            app,
            map=self._map,
            _sock=listener,
            dispatcher=self._workers,
            adj=Adjustments(
                listen="127.0.0.1:0",  # not used: the socket is there already
                ident=None,
                clear_untrusted_proxy_headers=False,
                max_request_body_size=MAX_BODY_BYTES,
            ),
            bind_socket=False,
            sockinfo=(listener.family, listener.type, listener.proto, listener.getsockname()),
        )
        self._server.channel_class = _Channel
        self._trigger: Any = self._server.trigger  # the stubs do not know its type
        self.address: tuple[str, int] = listener.getsockname()[:2]
        self._loop: threading.Thread | None = None
        self._is_stopped = False

    def start(self) -> None:
        """Begin to answer; connections made before have been waiting."""
        self._workers.set_thread_count(self._thread_count)
        self._loop = threading.Thread(target=self._run, name="http-loop", daemon=True)
        self._loop.start()

    def stop(self) -> None:
        """Close the port, let requests that are being answered end (3 s at most), then close everything."""
        if self._is_stopped:
            return
        self._is_stopped = True
        if self._loop is None:
            self._close_all()
            return
        self._trigger.pull_trigger(lambda: wasyncore.dispatcher.close(self._server))
        self._workers.stop()
        self._trigger.pull_trigger(self._close_all)
        self._loop.join(JOIN_TIMEOUT_S)
        if self._loop.is_alive():
            logger.error("the HTTP loop did not end")

    def _run(self) -> None:
        # Ends by itself once nothing is left in the map.
        wasyncore.loop(timeout=1, map=self._map, use_poll=True)

    def _close_all(self) -> None:
        for dispatcher in list(self._map.values()):
            if dispatcher is not self._trigger:
                dispatcher.close()
        # Also closes the listener when it is still open.
        self._server.close()
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
