"""Signatures against recorded vectors of a real server, and `expires`."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgmt.api.parameters import parse
from mgmt.api.signature import expires_at, is_right, sign, string_to_sign

VECTORS = json.loads(
    (Path(__file__).parents[2] / "http" / "data" / "signature-vectors.json").read_text(encoding="utf-8")
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["note"])
def test_recorded_vector(vector: dict[str, Any]) -> None:
    """A recorded request is accepted or refused as the real server did, also in the form it was sent in."""
    sent = parse(vector["query_sent"], None)
    assert sent.pop("signature") == vector["signature"]
    assert sent == dict(vector["parameters"])
    now = datetime(2026, 11, 23, tzinfo=UTC).timestamp()
    expires = expires_at(sent["expires"]) if "expires" in sent else None
    is_in_time = expires is None or expires > now
    assert (is_right(sent, vector["secret"], vector["signature"]) and is_in_time) == vector["accepted"]


def test_there_are_all_vectors() -> None:
    """The 18 recorded vectors are there."""
    assert len(VECTORS) == 18


def test_string_to_sign() -> None:
    """Names sort by code point as received, values are Java-encoded, and all is lower-cased; signature is left out."""
    parameters = {"b": "A ~*é/+", "a": "", "Z": "1", "details[0].cpuNumber": "2", "SIGNATURE": "x"}
    assert string_to_sign(parameters) == "z=1&a=&b=a%20%7e*%c3%a9%2f%2b&details[0].cpunumber=2"


@settings(max_examples=50)
@given(st.dictionaries(TEXT, TEXT, max_size=5), TEXT, st.randoms())
def test_order_does_not_matter_but_every_value_does(parameters: dict[str, str], secret: str, shuffler: Any) -> None:
    """The order of parameters does not change a signature; a changed value, secret or padding does."""
    parameters = {name: value for name, value in parameters.items() if name.lower() != "signature"}
    signature = sign(parameters, secret)
    items = list(parameters.items())
    shuffler.shuffle(items)
    assert is_right(dict(items), secret, signature)
    assert not is_right({**parameters, "extra": "1", "other": "2"}, secret, signature)
    assert not is_right(parameters, secret + "x", signature)
    for forged in (signature.rstrip("="), signature + "\n", signature + " ", "", "é"):
        assert not is_right(parameters, secret, forged)


@settings(max_examples=50)
@given(st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(2999, 1, 1)), st.integers(-12 * 60, 12 * 60))
def test_expires_forms(moment: datetime, offset_minutes: int) -> None:
    """Whole seconds and six decimals are read, with Z or an offset with or without colon."""
    zone = timezone(timedelta(minutes=offset_minutes))
    aware = moment.replace(tzinfo=zone)
    text = aware.isoformat(timespec="seconds")
    whole = aware.replace(microsecond=0).timestamp()
    assert expires_at(text) == whole
    assert expires_at(text[:-3] + text[-2:]) == whole
    assert expires_at(aware.isoformat(timespec="microseconds")) == pytest.approx(aware.timestamp())
    assert (
        expires_at(moment.isoformat(timespec="seconds") + "Z") == moment.replace(microsecond=0, tzinfo=UTC).timestamp()
    )


@pytest.mark.parametrize(
    "text",
    ["", "tomorrow", "2026-11-23T00:34:08", "2026-11-23T00:34:08.123+0000", "2026-13-23T00:34:08Z",
     "2026-11-23 00:34:08+0000", "0001-01-01T00:00:00+2359", "2026-11-23T00:34:08+0000x"],
)  # fmt: skip
def test_unreadable_expires(text: str) -> None:
    """Milliseconds, a missing zone and everything else are unreadable."""
    assert expires_at(text) is None
