"""The virtual clock: what moves it, what holds it, and in which order things happen on it."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgmt.clock import (
    AUTOMATIC,
    MANUAL,
    SCALED,
    ClockError,
    ClockStalledError,
    Hold,
    VirtualClock,
    current_hold,
    hold,
    lent,
    making_current,
    new_event,
    working,
)
from mgmt.jobs.backlog import Backlog
from mgmt.providers import RealClock

BOUND_S = 60.0


@pytest.fixture
def make() -> Iterator[Callable[..., VirtualClock]]:
    """Makes clocks and closes them."""
    made: list[VirtualClock] = []

    def build(mode: str, **options: float) -> VirtualClock:
        made.append(VirtualClock(mode, **options))
        return made[-1]

    yield build
    for clock in made:
        clock.close()


class Workers:
    """Threads that each do one piece of work in hand."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self._threads: list[threading.Thread] = []

    def start(self, work: Callable[[], None]) -> None:
        taken = self.clock.hold("worker")

        def run() -> None:
            with working(self.clock, "", taken):
                work()

        self._threads.append(threading.Thread(target=run, daemon=True))
        self._threads[-1].start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(BOUND_S)
            assert not thread.is_alive()


def test_automatic_jumps_when_all_wait(make: Callable[..., VirtualClock]) -> None:
    """Sleepers of hours wake at their times, one after the other, without any waiting in real time."""
    clock = make(AUTOMATIC, start_s=1000.0)
    workers, log = Workers(clock), []

    def sleeper(name: str, pause_s: float) -> Callable[[], None]:
        def work() -> None:
            for _ in range(2):
                clock.sleep(pause_s)
                log.append((clock.monotonic(), name))

        return work

    with clock.held():
        workers.start(sleeper("a", 36000))
        workers.start(sleeper("b", 25200))
    workers.join()
    assert log == [(25200, "b"), (36000, "a"), (50400, "b"), (72000, "a")]
    assert (clock.now(), clock.monotonic()) == (73000.0, 72000.0)


def test_ties_fire_in_the_order_of_registration(make: Callable[..., VirtualClock]) -> None:
    """Of timers that are due at once the one that was registered first fires first, driving or not."""
    clock = make(AUTOMATIC)
    fired: list[int] = []

    def note(number: int) -> Callable[..., None]:
        def fire(firing: object) -> None:
            fired.append(number)
            firing.end()  # type: ignore[attr-defined]

        return fire

    with clock.held():
        for number in range(6):
            clock.call_at(10.0, note(number), drives=number % 2 == 0 or number == 5)
        clock.call_at(5.0, note(9)).cancel()
    assert fired == [0, 1, 2, 3, 4, 5]


def test_nothing_moves_for_what_does_not_drive(make: Callable[..., VirtualClock]) -> None:
    """A ping timer alone never moves the automatic clock; it fires in its place when the clock passes."""
    clock = make(AUTOMATIC)
    log: list[tuple[str, float]] = []

    def ping(firing: object) -> None:
        log.append(("ping", clock.monotonic()))
        clock.call_at(clock.monotonic() + 60, ping, drives=False)
        firing.end()  # type: ignore[attr-defined]

    clock.call_at(60.0, ping, drives=False)
    clock.settle(BOUND_S)
    assert log == [] and clock.monotonic() == 0
    workers = Workers(clock)
    workers.start(lambda: clock.sleep(130))
    workers.join()
    assert log == [("ping", 60), ("ping", 120)] and clock.monotonic() == 130


def test_pass_over_leaves_out_what_is_not_needed(make: Callable[..., VirtualClock]) -> None:
    """A timer that may be passed over is told how far the clock is to go, and fires when it says that it has to."""
    clock = make(AUTOMATIC)
    fired, asked = [], []

    def needed(limit_s: float) -> float:
        asked.append(limit_s)
        return 5000.0 if limit_s >= 5000 else 60.0 if limit_s < 100 else limit_s + 1

    def fire(firing: object) -> None:
        fired.append(clock.monotonic())
        firing.end()  # type: ignore[attr-defined]

    clock.call_at(60.0, fire, drives=False, pass_over=needed)
    workers = Workers(clock)
    workers.start(lambda: [clock.sleep(1000), clock.sleep(9000)])  # type: ignore[arg-type,return-value]
    workers.join()
    assert asked[:2] == [1000.0, 10000.0] and fired == [5000.0]


def test_manual_moves_by_hand_only(make: Callable[..., VirtualClock]) -> None:
    """Nothing happens before `advance`, which returns when all that was due is done."""
    clock = make(MANUAL)
    workers, log = Workers(clock), []
    workers.start(lambda: [(clock.sleep(10), log.append(clock.monotonic())) for _ in range(3)])  # type: ignore[arg-type,return-value]
    clock.settle(BOUND_S)
    assert log == [] and clock.monotonic() == 0
    clock.advance(25)
    assert log == [10, 20] and clock.monotonic() == 25
    assert clock.advance_to_next() and clock.monotonic() == 30
    workers.join()
    assert log == [10, 20, 30] and not clock.advance_to_next()


def test_what_a_clock_cannot_do(make: Callable[..., VirtualClock]) -> None:
    """A scaled clock is not moved, work in hand moves no clock, an event of others is refused, wrong values too."""
    with pytest.raises(ClockError, match="moves by itself"):
        make(SCALED, factor=2.0).advance(1)
    clock = make(MANUAL)
    with working(clock, "me"), pytest.raises(ClockError, match="the clock waits for it"):
        clock.advance(1)
    with pytest.raises(ClockError, match="events of its own"):
        clock.wait(threading.Event(), 1)
    with pytest.raises(ValueError, match="mode: expected"):
        VirtualClock("fast")
    with pytest.raises(ValueError, match="factor: expected"):
        VirtualClock(SCALED, factor=0)


def test_a_stall_names_the_work(make: Callable[..., VirtualClock]) -> None:
    """Work that is never ended is named when the clock cannot be moved."""
    clock = make(MANUAL)
    never = clock.hold("job 7 of importVm")
    with pytest.raises(ClockStalledError, match="in hand: job 7 of importVm"):
        clock.advance(1, limit_s=0.01)
    never.end()
    never.resume()
    clock.advance(1)
    assert clock.monotonic() == 1


def test_setting_an_event_hands_the_work_on(make: Callable[..., VirtualClock]) -> None:
    """Between the setting of an event and the waking of who waits there is no moment in which the clock could jump."""
    clock = make(AUTOMATIC)
    workers, log = Workers(clock), []
    event = clock.event()

    def wait() -> None:
        assert clock.wait(event, None)
        log.append(("woken", clock.monotonic()))
        clock.sleep(1)

    def wake() -> None:
        clock.sleep(5)
        event.set()

    with clock.held():
        workers.start(wait)
        workers.start(wake)
        workers.start(lambda: clock.sleep(5000))
    workers.join()
    assert log == [("woken", 5)]
    with working(clock, "me"):
        assert clock.wait(event, 100) and clock.monotonic() == 5000
        event.clear()
        assert not clock.wait(event, 100) and clock.monotonic() == 5100


def test_who_has_no_work_in_hand_does_not_move_the_clock(make: Callable[..., VirtualClock]) -> None:
    """A thread outside waits until others have moved the clock."""
    clock = make(AUTOMATIC)
    outside = threading.Thread(target=lambda: clock.sleep(50), daemon=True)
    outside.start()
    workers = Workers(clock)
    workers.start(lambda: [clock.sleep(10) for _ in range(6)])  # type: ignore[arg-type,return-value]
    workers.join()
    while outside.is_alive() and clock.monotonic() < 1e6:  # it may have begun to wait after the others had ended
        clock.advance(60)
    outside.join(BOUND_S)
    assert not outside.is_alive()


def test_bytes_on_their_way_hold_the_clock(make: Callable[..., VirtualClock]) -> None:
    """From the sending to the taking of bytes between two ends here, and while one end has not noticed a close."""
    clock = make(AUTOMATIC)
    fired: list[float] = []
    here, there = ("127.0.0.1", 1), ("127.0.0.1", 2)
    one = clock.line(here, there)
    one.sent(100)  # nobody at the other end in this process

    def fire(firing: object) -> None:
        fired.append(clock.monotonic())
        firing.end()  # type: ignore[attr-defined]

    clock.call_at(1.0, fire)
    assert fired == [1]
    other = clock.line(there, here)
    clock.call_at(2.0, fire)
    other.arrived(60)
    assert fired == [1]
    other.arrived(40)
    assert fired == [1, 2]
    other.sent(5)
    one.closing()
    clock.call_at(3.0, fire)
    one.close()
    assert fired == [1, 2]
    other.close()
    assert fired == [1, 2, 3]
    again = clock.line(here, there)
    again.close()
    clock.call_at(4.0, fire)
    assert fired == [1, 2, 3, 4]


def test_a_peer_waits_in_the_callers_stead(make: Callable[..., VirtualClock]) -> None:
    """Who knows the key parks the caller's work in hand; a key that nobody lent moves nothing."""
    clock = make(AUTOMATIC)
    workers, answers, log = Workers(clock), [], []

    def peer(key: str) -> threading.Thread:
        thread = threading.Thread(
            target=lambda: answers.append(clock.wait(clock.event(), 60, on_behalf_of=key)), daemon=True
        )
        thread.start()
        return thread

    def call() -> None:
        with lent(clock, "cookie"):
            peer("cookie").join(BOUND_S)
        log.append(clock.monotonic())
        assert current_hold() is not None

    stranger = peer("other")
    workers.start(call)
    workers.join()
    assert log == [60] and False in answers
    clock.advance(120)
    stranger.join(BOUND_S)


def test_scaled_keeps_its_pace(make: Callable[..., VirtualClock]) -> None:
    """A scaled clock stands still until it is started and is then no faster than its factor allows."""
    clock = make(SCALED, factor=1e6)
    assert clock.monotonic() == 0
    workers = Workers(clock)
    begun_s = RealClock().monotonic()
    clock.start()
    workers.start(lambda: clock.sleep(20000))
    workers.join()
    took_s = RealClock().monotonic() - begun_s
    assert took_s >= 0.019
    assert 20000 <= clock.monotonic() <= (RealClock().monotonic() - begun_s) * 1e6


def test_closed_clocks_run_in_real_time(make: Callable[..., VirtualClock]) -> None:
    """After `close` who waited is woken and time goes on like the machine's; the timers are forgotten."""
    clock = make(MANUAL)
    workers = Workers(clock)
    results: list[bool] = []
    workers.start(lambda: results.append(clock.wait(clock.event(), 0.01)))
    clock.settle(BOUND_S)
    clock.advance(0.005)
    clock.close()
    clock.close()
    workers.join()
    assert results == [False]
    before_s = clock.monotonic()
    clock.sleep(0.002)
    assert clock.monotonic() - before_s >= 0.002


def test_clocks_that_run_by_themselves_need_no_holds() -> None:
    """On the machine's clock the helpers do nothing."""
    clock = RealClock()
    assert hold(clock, "x") is None and type(new_event(clock)) is threading.Event
    with working(clock, "x"), lent(clock, "key"):
        assert current_hold() is None


def test_a_copied_context_does_not_take_work_in_hand_along(make: Callable[..., VirtualClock]) -> None:
    """A thread that runs in a copy of another's context has no work in hand of its own."""
    clock = make(MANUAL)
    seen: list[object] = []
    with working(clock, "mine"):
        assert current_hold() is not None
        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(lambda: seen.append(current_hold()),))
        thread.start()
        thread.join(BOUND_S)
    assert seen == [None] and current_hold() is None


def test_jobs_that_wait_for_a_worker_do_not_hold_the_clock(make: Callable[..., VirtualClock]) -> None:
    """Two workers get through five jobs of an hour, two at a time, on an automatic clock."""
    clock = make(AUTOMATIC)
    backlog: Backlog[int] = Backlog(clock)
    both_at_work = threading.Barrier(2, timeout=BOUND_S)
    ended: list[float] = []

    def work() -> None:
        spare = None
        while True:
            item, spare = backlog.take(spare)
            assert spare is not None
            if item is None:
                spare.end()
                return
            with making_current(spare):
                if item < 2:
                    both_at_work.wait()
                clock.sleep(3600)
            ended.append(clock.monotonic())

    threads = [threading.Thread(target=work, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    for item in (0, 1, 2, 3, 4, None, None):
        backlog.put(item)
    for thread in threads:
        thread.join(BOUND_S)
        assert not thread.is_alive()
    assert ended == [3600, 3600, 7200, 7200, 10800]


@settings(max_examples=15)
@given(
    st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=5), min_size=1, max_size=5),
    st.floats(3.5, 6).map(lambda power: 10**power),
)
def test_order_does_not_depend_on_the_factor(chains: list[list[int]], factor: float) -> None:
    """The same chains of pauses happen in the same order and at the same times on every factor."""

    def run(mode: str, factor: float) -> list[tuple[float, int]]:
        clock = VirtualClock(mode, factor=factor)
        workers, log = Workers(clock), []

        def chain(number: int, pauses: list[int]) -> Callable[[], None]:
            def work() -> None:
                for pause_s in pauses:
                    # no two chains are ever due at once, so that the order is one
                    clock.sleep(pause_s + number / 1024 - (clock.monotonic() % 1))
                    log.append((clock.monotonic(), number))

            return work

        with clock.held():
            clock.start()
            for number, pauses in enumerate(chains):
                workers.start(chain(number, pauses))
        workers.join()
        clock.close()
        return log

    expected = run(AUTOMATIC, 1.0)
    assert run(SCALED, factor) == expected


def test_what_is_passed_over_until_rest_fires_once_at_the_end(make: Callable[..., VirtualClock]) -> None:
    """A timer that may wait until the automatic clock has nothing to move for fires then, late, and only once."""
    clock = make(AUTOMATIC)
    fired: list[tuple[str, float]] = []

    def note(name: str) -> Callable[[Hold], None]:
        def fire(firing: Hold) -> None:
            fired.append((name, clock.monotonic()))
            firing.end()

        return fire

    with clock.held():
        clock.call_at(60.0, note("figures"), drives=False, pass_over=lambda limit_s: None)
        cancelled = clock.call_at(70.0, note("cancelled"), drives=False, pass_over=lambda limit_s: None)
        for due_s in (50.0, 100.0, 300.0):
            clock.call_at(due_s, note("tool"))
        clock.call_at(200.0, lambda firing: (cancelled.cancel(), firing.end()))
    clock.settle()
    assert fired == [("tool", 50.0), ("tool", 100.0), ("tool", 300.0), ("figures", 300.0)]
    clock.call_at(400.0, note("figures"), drives=False, pass_over=lambda limit_s: None)
    clock.advance(500.0)
    assert fired[-1] == ("figures", 800.0)
