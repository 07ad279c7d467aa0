"""Temporary folders: removed by their process, or by the next one when it was killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mgmt.workfolders import LOCK_NAME, PREFIX, WorkFolder, remove_left_folders

ROOT = Path(__file__).resolve().parents[2]
KILLED = """
import os, signal
from mgmt.workfolders import WorkFolder
folder = WorkFolder().path
(folder / "v2v.pass").write_text("secret")
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A system folder for temporary files of the test's own."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_what_a_killed_process_left_is_removed(temporary: Path) -> None:
    """Its folder goes with all that is in it; that of a process that lives stays."""
    subprocess.run([sys.executable, "-c", KILLED], cwd=ROOT, env={**os.environ, "TMPDIR": str(temporary)}, timeout=60)
    (left,) = temporary.iterdir()
    assert (left / "v2v.pass").read_text() == "secret"
    with WorkFolder("agents-") as own:
        assert remove_left_folders() == [left]
        assert list(temporary.iterdir()) == [own]
        assert own.name.startswith(f"{PREFIX}agents-")
    assert list(temporary.iterdir()) == []


def test_what_is_not_surely_left_stays(temporary: Path) -> None:
    """A folder without a lock or with one that nobody came to hold yet, another's name, and links are left alone."""
    for name in (f"{PREFIX}plain", f"{PREFIX}starting", "others-folder"):
        (temporary / name).mkdir()
    (temporary / f"{PREFIX}starting" / LOCK_NAME).touch()
    (temporary / "others-folder" / LOCK_NAME).write_text("1\n")
    (temporary / f"{PREFIX}link").symlink_to(temporary / "others-folder")
    (temporary / f"{PREFIX}linked-lock").mkdir()
    (temporary / f"{PREFIX}linked-lock" / LOCK_NAME).symlink_to(temporary / "others-folder" / LOCK_NAME)
    (temporary / f"{PREFIX}file").touch()
    before = sorted(temporary.iterdir())
    assert remove_left_folders() == []
    assert sorted(temporary.iterdir()) == before


def test_a_folder_that_goes_meanwhile_is_no_error(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other processes make and remove theirs at the same time."""
    monkeypatch.setattr(Path, "iterdir", lambda folder: iter([folder / f"{PREFIX}gone"]))
    assert remove_left_folders() == []
