"""Providers, quirks, redaction, journal: the small rooms everything stands on."""

from __future__ import annotations

import threading
from datetime import datetime
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgmt.errors import (
    CloudRuntimeError,
    InvalidParameterValueError,
    PermissionDeniedError,
    ResourceAllocationError,
    ServerApiError,
)
from mgmt.observe import redaction
from mgmt.observe.correlation import correlated, current_correlation_id
from mgmt.observe.journal import Journal
from mgmt.observe.redaction import MASK, Redactor
from mgmt.providers import Providers, RealClock
from mgmt.quirks import KNOWN, NULL_TASK_ERROR_TEXT, Quirks, UnknownQuirkError


class FixedClock(RealClock):
    def now(self) -> float:
        return 0.0


def test_utcnow_is_the_clock_s_time_without_zone() -> None:
    """The store's time is naive UTC of the injected clock."""
    assert Providers(clock=FixedClock()).utcnow() == datetime(1970, 1, 1)


def test_real_clock_waits_for_an_event() -> None:
    """Waiting ends at once for a set event and with False at the bound."""
    event = threading.Event()
    clock = RealClock()
    assert clock.wait(event, 0.001) is False
    event.set()
    assert clock.wait(event, 60) is True
    before = clock.monotonic()
    clock.sleep(0.001)
    assert clock.monotonic() > before


def test_quirks_are_faithful_until_fixed() -> None:
    """A defect is there by default; its name, or `all`, repairs it."""
    assert Quirks().is_faithful(NULL_TASK_ERROR_TEXT)
    assert not Quirks([NULL_TASK_ERROR_TEXT]).is_faithful(NULL_TASK_ERROR_TEXT)
    assert Quirks(["all"]).fixes == frozenset(KNOWN)
    with pytest.raises(UnknownQuirkError, match="unknown fix 'x': expected 'all' or one of"):
        Quirks(["x"])
    with pytest.raises(KeyError):
        Quirks().is_faithful("x")


@given(st.text(min_size=4, max_size=30), st.text(max_size=20), st.text(max_size=20))
def test_registered_secrets_never_pass(secret: str, before: str, after: str) -> None:
    """A registered secret is masked in any text, plain or URL-encoded."""
    redactor = Redactor()
    redactor.register(secret)
    if secret.lower() not in redaction._ORDINARY_WORDS:
        for form in (secret, quote(secret, safe=""), quote_plus(secret)):
            assert form not in redactor.text(before + form + after).replace(MASK, "") or form in before + after


def test_an_ordinary_word_is_masked_by_name_only() -> None:
    """The password `password` does not change CloudStack's texts, and still never shows under its field's name."""
    redactor = Redactor()
    redactor.register("password")
    text = "Cannot complete login due to an incorrect user name or password."
    assert redactor.text(text) == text
    assert redactor.value({"password": "password"}) == {"password": MASK}


def test_values_are_masked_by_name_and_depth() -> None:
    """Secrets go by their field's name at any depth; empty ones and other values stay."""
    redactor = Redactor()
    redactor.register(None)
    redactor.register("abc")  # too short to mask by content
    value = {"Password": "x", "list": [{"vcenterPassword": "y", "n": 1}], "apiKey": "", "t": ("abc", b"z")}
    assert redactor.value(value) == {
        "Password": MASK,
        "list": [{"vcenterPassword": MASK, "n": 1}],
        "apiKey": "",
        "t": ["abc", b"z"],
    }


def test_journal_keeps_entries_with_their_correlation_and_tells_listeners() -> None:
    """Entries are numbered, filtered by kind and correlation id, and shown to listeners until they stop."""
    journal = Journal(FixedClock(), Redactor(), capacity=2)
    seen = []
    stop = journal.listen(seen.append)
    with correlated("c1"):
        assert current_correlation_id() == "c1"
        journal.record("api", "listZones", password="geheim")
    journal.record("job", "importVm", correlation_id="c2")
    stop()
    stop()
    journal.record("job", "importVm")
    assert current_correlation_id() is None
    assert [entry.number for entry in seen] == [1, 2]
    assert seen[0].fields == {"password": MASK}
    assert [entry.number for entry in journal.entries()] == [2, 3]
    assert [entry.number for entry in journal.entries(kind="job", correlation_id="c2")] == [2]


def test_what_a_journal_entry_holds_is_made_when_it_is_read() -> None:
    """A value given as a function is made once, by the first reader; secrets that became known by then are masked."""
    redactor = Redactor()
    journal = Journal(FixedClock(), redactor)
    made = []

    def content() -> dict[str, str]:
        made.append(1)
        return {"text": "geheim123"}

    entry = journal.record("agent", "ReadyCommand", content=content)
    assert not made
    redactor.register("geheim123")
    assert entry.fields == {"content": {"text": MASK}} and entry.fields is entry.fields
    assert made == [1] and "geheim123" not in repr(entry)


def test_error_codes_on_the_call_and_in_a_job() -> None:
    """Each error class has CloudStack's code on the call and its code as the end of a job."""
    cases = [
        (CloudRuntimeError("x"), 530, 4250, 530),
        (InvalidParameterValueError("x"), 431, 4350, 431),
        (PermissionDeniedError("x"), 531, 4365, 530),
        (ResourceAllocationError("x"), 535, 4370, 530),
        (ServerApiError(431, "x", row="E1"), 431, 9999, 431),
        (ServerApiError(533, "x", cserrorcode=None), 533, None, 533),
    ]
    for error, errorcode, cserrorcode, job in cases:
        assert (error.errorcode, error.cserrorcode, error.job_errorcode(), error.text) == (
            errorcode,
            cserrorcode,
            job,
            "x",
        )
    assert cases[4][0].row == "E1"
