"""The garbage collector while the program starts."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest

from mgmt.cli.collector import keep_what_is_there, paused_collector


def test_the_collector_rests_inside_only() -> None:
    """Collection is off inside and on again after the block, also after one that failed."""
    assert gc.isenabled()
    with pytest.raises(LookupError), paused_collector():
        assert not gc.isenabled()
        raise LookupError
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off() -> None:
    """Nested pauses end with the outer one."""
    with paused_collector():
        with paused_collector():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()


def test_what_a_start_made_is_not_looked_through_again() -> None:
    """What is there when a program has started is left out of later collections."""
    before = gc.get_freeze_count()
    try:
        keep_what_is_there()
        assert gc.get_freeze_count() > before
        assert not any(item is gc for item in gc.get_objects())
    finally:
        gc.unfreeze()


def test_the_end_of_a_process_leaves_garbage() -> None:
    """What a command of ours leaves in memory is not looked through when its process ends."""
    program = (
        "import atexit, gc, sys; import mgmt.cli; "
        "atexit.register(lambda: print(gc.get_freeze_count() > 0)); "  # called after the command's own
        "sys.argv = ['cloudstack-mock', 'api', '--help']; mgmt.cli.run()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "True"
