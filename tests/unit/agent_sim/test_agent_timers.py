"""How the hosts of a fleet wait: pieces of work with pauses between them."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Iterator

import pytest

from agent_sim.providers import RealClock, Timers
from mgmt.clock import AUTOMATIC, VirtualClock

NAME = contextvars.ContextVar("name", default="nobody")


def on_clock(clock, *works):
    """Run the works as tasks on the clock's timers, and return what they return, or the errors that they raise."""

    async def main():
        timers = Timers.for_clock(clock)

        async def spawned(work):
            done = asyncio.get_running_loop().create_future()

            async def run() -> None:
                try:
                    done.set_result(await work(timers))
                except Exception as error:
                    done.set_result(error)

            timers.spawn("a test's work", run())
            return await done

        try:
            return await asyncio.wait_for(asyncio.gather(*map(spawned, works)), 60)
        finally:
            timers.close()

    return asyncio.run(main())


@pytest.fixture
def clock() -> Iterator[VirtualClock]:
    made = VirtualClock(AUTOMATIC)
    yield made
    made.close()


def pieces(clock, log, name, pauses):
    for pause_s in pauses:
        log.append((clock.monotonic(), name))
        yield pause_s
    log.append((clock.monotonic(), name))


def test_each_piece_comes_at_its_time_and_in_order(clock):
    """Two works with pauses take turns by the clock's time, and each returns at the end of its last pause."""
    log: list[tuple[float, str]] = []

    def work(name, pauses):
        async def follow(timers):
            await timers.follow(pieces(clock, log, name, pauses))
            return clock.monotonic()

        return follow

    assert on_clock(clock, work("one", [10, 0, 30]), work("other", [15, 15])) == [40, 30]
    assert log == [(0, "one"), (0, "other"), (10, "one"), (10, "one"), (15, "other"), (30, "other"), (40, "one")]


@pytest.mark.parametrize("pauses", [[], [5.0]])
def test_what_a_piece_raises_ends_the_wait(clock, pauses):
    """The error of a piece, be it the first or one that a timer called, is raised where the work is awaited."""

    async def work(timers):
        def failing() -> Iterator[float]:
            yield from pauses
            raise OSError("full")

        await timers.follow(failing())

    (error,) = on_clock(clock, work)
    assert isinstance(error, OSError)
    assert clock.monotonic() == sum(pauses)


def test_pieces_keep_the_tasks_context(clock):
    """What a piece does, it does in the context of the task that waits, whoever moves the clock."""
    seen: list[str] = []

    def work(name):
        async def follow(timers):
            NAME.set(name)

            def look() -> Iterator[float]:
                for _ in range(3):
                    seen.append(NAME.get())
                    yield 1.0

            await timers.follow(look())

        return follow

    on_clock(clock, work("one"), work("other"))
    assert seen == ["one", "other"] * 3


def test_nothing_comes_after_the_end_of_the_task(clock):
    """A task that is cancelled while it waits does no further piece."""
    log: list[tuple[float, str]] = []

    async def work(timers):
        still = timers.hold("the clock stands still meanwhile")
        task = asyncio.create_task(timers.follow(pieces(clock, log, "gone", [10, 10])))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        still.end()
        await timers.sleep(100)

    on_clock(clock, work)
    assert log == [(0, "gone")]


def test_the_machines_clock_does_the_same():
    """On a clock that runs by itself the pieces come one after the other, too."""
    log: list[str] = []

    async def work(timers):
        await timers.follow(log.append(name) or 0.0 for name in ("first", "second"))

    assert on_clock(RealClock(), work) == [None]
    assert log == ["first", "second"]
