"""Waiting for a signal to stop."""

from __future__ import annotations

import signal
import threading

import pytest

from mgmt.cli.signals import StopFlag, stop_signals


def test_python_itself_wakes_the_wait() -> None:
    """Python's C code writes each signal to the socket that is waited on, before any handler of ours runs."""
    with stop_signals() as stopped:
        signal.raise_signal(signal.SIGTERM)
        assert stopped.wait(60)
        assert stopped._woken.recv(16)[:1] == bytes([signal.SIGTERM])


def test_a_thread_can_say_that_it_is_time() -> None:
    """The flag is set from another thread, and stays set; before that a wait with a limit ends without it."""
    flag = StopFlag()
    assert not flag.wait(0.001)
    thread = threading.Thread(target=flag.set)
    thread.start()
    assert flag.wait(60)
    thread.join()
    assert flag.is_set()
    assert flag.wait(0)
    flag.close()
    flag.set()  # who is late does no harm


def test_the_former_handlers_come_back() -> None:
    """Both signals and the descriptor are as before after the block, however it ends."""
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with pytest.raises(ZeroDivisionError), stop_signals():
        assert signal.getsignal(signal.SIGTERM) != before[0]
        raise ZeroDivisionError
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
    assert signal.set_wakeup_fd(-1) == -1
