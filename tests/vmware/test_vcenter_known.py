"""What sessions share of their questions and answers."""

from __future__ import annotations

from mgmt.vmware.known import MAX_ANSWER_BYTES, MAX_KEPT, MAX_REQUEST_BYTES, KnownExchanges, Rebound, rebound
from mgmt.vmware.sdk import vim


def test_a_known_answer_is_read_once() -> None:
    """The same bytes are read once, those of another version, too many and too long ones each time."""
    known = KnownExchanges()
    assert known.answer("8.0", b"a", lambda: [1]) == [1]
    assert known.answer("8.0", b"a", lambda: [2]) == [1]
    assert known.answer("7.0", b"a", lambda: [3]) == [3]
    for number in range(MAX_KEPT):
        known.answer("8.0", str(number).encode(), lambda: [4])
    assert known.answer("8.0", b"a", lambda: [5]) == [5]
    long = b"x" * (MAX_ANSWER_BYTES + 1)
    assert [known.answer("8.0", long, lambda number=number: [number]) for number in (6, 7)] == [[6], [7]]
    assert [known.answer("8.0", b"none", lambda value=value: value) for value in (None, 8)] == [None, 8]


def test_a_known_request_is_written_once() -> None:
    """A request is written once for its key, a long one each time."""
    known = KnownExchanges()
    assert known.request("key", lambda: b"a") == known.request("key", lambda: b"b") == b"a"
    long = b"x" * (MAX_REQUEST_BYTES + 1)
    assert known.request("long", lambda: long) == long
    assert known.request("long", lambda: b"c") == b"c"


def test_managed_objects_are_bound_to_the_session() -> None:
    """Managed objects of a shared answer, and lists of them, get the session's stub; other values stay themselves."""
    kept = vim.Folder("group-v1", None)
    bound = rebound(kept, "stub")
    assert bound == kept and bound._stub == "stub" and kept._stub is None
    (folder,) = rebound([kept], "stub")
    assert folder._stub == "stub"
    disks = [1, 2]
    assert rebound(disks, "stub") is disks and rebound([], "stub") == []
    content = Rebound(vim.ServiceInstanceContent(rootFolder=kept), "stub")
    assert content.rootFolder._stub == "stub" and content.rootFolder is content.rootFolder
    assert content.ovfManager is None
