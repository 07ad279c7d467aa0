"""Counting what a pool holds: by its own writes, and by what others do to the directory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent_sim import space as space_module
from agent_sim.space import Space
from agent_sim.toolchain.images import read_image, write_qcow2

MIB = 1024 * 1024


@pytest.fixture
def space(tmp_path: Path) -> Space:
    """A space of 100 MiB, counted long after its directory last changed."""
    (tmp_path / "pool").mkdir()
    os.utime(tmp_path / "pool", (1, 1))
    made = Space(tmp_path / "pool", 100 * MIB)
    assert made.available_bytes() == 100 * MIB and made.is_counted
    return made


def test_own_writes_are_counted_without_reading_the_directory(space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image counts with what it holds, also as it grows and when it goes; nothing is counted anew for that."""
    monkeypatch.setattr(Space, "_recount", None)
    image = space.directory / "disk"
    space.write_image(image, 40 * MIB, allocated_bytes=MIB)
    assert space.available_bytes() == 99 * MIB
    space.set_allocated(image, 30 * MIB)
    assert space.available_bytes() == 70 * MIB and read_image(image).allocated_bytes == 30 * MIB
    space.write_text(space.directory / "domain.xml", "x" * 10)
    assert space.available_bytes() == 70 * MIB - 10
    space.remove(image)
    space.remove(image)
    assert space.available_bytes() == 100 * MIB - 10


def test_files_of_others_are_noticed(space: Space) -> None:
    """A file that somebody else made, or removed, is counted at the next question, also between own writes."""
    write_qcow2(space.directory / "theirs", 40 * MIB, allocated_bytes=20 * MIB)
    assert not space.is_counted and space.available_bytes() == 80 * MIB
    os.utime(space.directory, (2, 2))
    space.write_image(space.directory / "mine", 40 * MIB, allocated_bytes=5 * MIB)
    assert space.available_bytes() == 75 * MIB
    (space.directory / "theirs").unlink()
    os.utime(space.directory, (3, 3))
    assert space.available_bytes() == 95 * MIB


def test_files_that_others_change_in_place_are_noticed_later(space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    """An old count is no longer trusted; sizes of unchanged files are not read again."""
    image = space.directory / "mine"
    space.write_image(image, 40 * MIB, allocated_bytes=5 * MIB)
    write_qcow2(image, 40 * MIB, allocated_bytes=50 * MIB)
    os.utime(image, (9, 9))
    monkeypatch.setattr(space_module, "COUNT_LIFETIME_S", -1.0)
    assert not space.is_counted and space.available_bytes() == 50 * MIB


def test_directory_that_is_gone_holds_nothing(space: Space) -> None:
    """A directory that vanished has all its capacity free."""
    space.directory.rmdir()
    assert space.available_bytes() == 100 * MIB


def test_writes_through_a_link_count_as_own_ones(space: Space, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a host writes through the link that it has to a pool is counted like what is written by the pool's name."""
    link = tmp_path / "mounted"
    link.symlink_to(space.directory, target_is_directory=True)
    monkeypatch.setattr(Space, "_recount", None)
    space.write_image(link / "disk", 40 * MIB, allocated_bytes=MIB)
    space.set_allocated(link / "disk", 30 * MIB)
    assert space.available_bytes() == 70 * MIB
    space.remove(space.directory / "disk")
    assert space.available_bytes() == 100 * MIB


def test_a_count_right_after_an_own_change_is_kept(space: Space) -> None:
    """A directory that just changed by own writes is certain; after a change of somebody else it is not."""
    space.write_text(space.directory / "mine", "x")
    write_qcow2(space.directory / "theirs", 40 * MIB, allocated_bytes=20 * MIB)
    os.utime(space.directory, (2, 2))
    space.write_text(space.directory / "more", "xx")  # the count is outdated from here on
    assert not space.is_counted and space.available_bytes() == 80 * MIB - 3
    assert space.is_counted
