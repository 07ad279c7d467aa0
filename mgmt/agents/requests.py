"""The requests that wait for an agent's answer, for one link.

Rules of AgentAttache.java: one in-sequence request at a time, the next goes out when the current one is answered or
times out; two wait periods for the request that is (or could be) the current one, one for others. And the receiver's
flood limit: at most 50 requests unanswered, the rest waits here.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mgmt.agents.timers import Timer, Timers
from mgmt.errors import AgentUnavailableError, OperationTimedOutError
from mgmt.protocol.message import Request, Response
from mgmt.protocol.records import Answer, Command

MAX_UNANSWERED = 50


@dataclass
class Pending:
    """One request and who waits for its answers."""

    sequence: int
    commands: tuple[Command, ...]
    wait_s: int
    stop_on_error: bool
    correlation_id: str | None
    future: asyncio.Future[tuple[Answer, ...]]
    in_sequence: bool = False
    timer: Timer | None = None
    sent: bool = False
    second_period: bool = False
    is_quiet: bool = False  # asked again and again: the journal would be full of it


class Requests:
    """The outstanding requests to host `host_id` over one link; used in the event loop's thread only.

    `write` sends a request, `first_sequence` is where the sequence numbers begin.
    """

    def __init__(
        self,
        host_id: int,
        write: Callable[[Pending, Request], None],
        timers: Timers,
        *,
        node_id: int,
        first_sequence: int,
    ) -> None:
        self._host_id = host_id
        self._write = write
        self._timers = timers
        self._node_id = node_id
        self._sequence = first_sequence
        self._pending: dict[int, Pending] = {}
        self._backlog: deque[Pending] = deque()
        self._in_sequence_queue: deque[Pending] = deque()
        self._current: Pending | None = None
        self._unanswered = 0
        self._closed = False

    def submit(
        self,
        commands: Sequence[Command],
        wait_s: int,
        *,
        stop_on_error: bool = True,
        correlation_id: str | None = None,
        is_quiet: bool = False,
    ) -> asyncio.Future[tuple[Answer, ...]]:
        """Send a request, now or when its turn comes; the future has one answer per command.

        It fails with OperationTimedOutError after `wait_s` or twice that time, and with AgentUnavailableError as soon
        as the link is lost.
        """
        self._sequence += 1
        future: asyncio.Future[tuple[Answer, ...]] = asyncio.get_running_loop().create_future()
        pending = Pending(
            sequence=self._sequence,
            commands=tuple(commands),
            wait_s=wait_s,
            stop_on_error=stop_on_error,
            correlation_id=correlation_id,
            future=future,
            in_sequence=any(command.in_sequence for command in commands),
            is_quiet=is_quiet,
        )
        if self._closed:
            future.set_exception(self._link_lost(pending))
            return future
        self._pending[pending.sequence] = pending
        pending.timer = self._timers.call_later(wait_s, lambda: self._period_over(pending))
        if pending.in_sequence and self._current is not None:
            self._in_sequence_queue.append(pending)
        else:
            self._start(pending)
        return future

    def answered(self, response: Response) -> Pending | None:
        """Take an agent's response; returns its request, or None for a late or repeated one."""
        pending = self._pending.get(response.sequence)
        if pending is None or not pending.sent:  # an answer to what was not asked yet is nobody's answer
            return None
        del self._pending[response.sequence]
        self._finish(pending)
        if not pending.future.done():
            pending.future.set_result(response.answers)
        return pending

    def close(self) -> None:
        """The link is lost: everything that waits fails now, as Java's processDisconnect does it."""
        self._closed = True
        waiting = list(self._pending.values())
        self._pending.clear()
        self._backlog.clear()
        self._in_sequence_queue.clear()
        self._current = None
        for pending in waiting:
            if pending.timer is not None:
                pending.timer.cancel()
            if not pending.future.done():
                pending.future.set_exception(self._link_lost(pending))

    def _start(self, pending: Pending) -> None:
        if pending.in_sequence:
            self._current = pending
        if self._unanswered >= MAX_UNANSWERED:
            self._backlog.append(pending)
            return
        self._unanswered += 1
        pending.sent = True
        self._write(
            pending,
            Request(
                sequence=pending.sequence,
                commands=pending.commands,
                management_id=self._node_id,
                agent_id=self._host_id,
                via=self._host_id,
                from_server=True,
                stop_on_error=pending.stop_on_error,
                in_sequence=pending.in_sequence,
            ),
        )

    def _finish(self, pending: Pending) -> None:
        if pending.timer is not None:
            pending.timer.cancel()
        if pending.sent:
            self._unanswered -= 1
        if pending is self._current:
            self._current = None
            if self._in_sequence_queue:
                self._start(self._in_sequence_queue.popleft())
        while self._backlog and self._unanswered < MAX_UNANSWERED:
            self._start(self._backlog.popleft())

    def _period_over(self, pending: Pending) -> None:
        if self._pending.get(pending.sequence) is not pending:
            return
        is_current = self._current is None or self._current is pending
        if is_current and not pending.second_period:
            pending.second_period = True
            pending.timer = self._timers.call_later(pending.wait_s, lambda: self._period_over(pending))
            return
        del self._pending[pending.sequence]
        for queue in (self._backlog, self._in_sequence_queue):
            if pending in queue:
                queue.remove(pending)
        self._finish(pending)
        waited_s = pending.wait_s * (2 if pending.second_period else 1)
        if not pending.future.done():
            pending.future.set_exception(OperationTimedOutError(self._timed_out_text(pending, waited_s)))

    def _link_lost(self, pending: Pending) -> AgentUnavailableError:
        # Java has no other text for this: both of its waiting periods end at once, and so it says "timed out".
        return AgentUnavailableError(self._timed_out_text(pending, pending.wait_s * 2))

    def _timed_out_text(self, pending: Pending, waited_s: int) -> str:
        return f"Commands {pending.sequence} to Host {self._host_id} timed out after {waited_s} secs"
