"""JSON text as Gson writes it."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgmt.protocol import gson


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (1.0, "1.0"),
        (3.5, "3.5"),
        (-12.25, "-12.25"),
        (100.0, "100.0"),
        (0.001, "0.001"),
        (0.012, "0.012"),
        (0.00099, "9.9E-4"),
        (9999999.0, "9999999.0"),
        (1e7, "1.0E7"),
        (2e8, "2.0E8"),
        (262375160.0, "2.6237516E8"),
        (67108864.0, "6.7108864E7"),
        (1.5e-10, "1.5E-10"),
        (1e300, "1.0E300"),
    ],
)
def test_doubles_are_written_as_java_does(number: float, text: str) -> None:
    """Doubles of 10^7 and more, and below 10^-3, have an exponent; whole ones end in `.0`."""
    assert gson.double_literal(number) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_double_survives(number: float) -> None:
    """Reading what was written gives the same double, sign of zero included."""
    read = float(gson.double_literal(number))
    assert read == number
    assert math.copysign(1, read) == math.copysign(1, number)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_without_json_form_is_refused(number: float) -> None:
    """NaN and infinities cannot be written."""
    with pytest.raises(ValueError, match="a JSON number cannot be"):
        gson.write(number)


def test_html_characters_are_escaped() -> None:
    """`<`, `>`, `&`, `=`, `'` and the two line separators are escaped; other non-ASCII text and `/` are not."""
    assert gson.write("a<b>c&d=e'f/ü\u2028\u2029") == '"a\\u003cb\\u003ec\\u0026d\\u003de\\u0027f/ü\\u2028\\u2029"'


def test_control_characters_have_their_short_form() -> None:
    """Control characters are written as Gson does, with the short form where there is one."""
    assert gson.write('\t\n\r\b\f"\\\x01') == '"\\t\\n\\r\\b\\f\\"\\\\\\u0001"'


def test_nulls_are_left_out_of_objects_only() -> None:
    """A null value in a map is left out, in an array it is written."""
    assert gson.write({"a": None, "b": [None, 3], "c": True}) == '{"b":[null,3],"c":true}'


def test_a_value_without_json_form_is_refused() -> None:
    """Bytes have no JSON form."""
    with pytest.raises(TypeError, match="bytes has no JSON form"):
        gson.write(b"x")


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner.filter(lambda value: value is not None)),
    max_leaves=20,
)


@given(JSON_VALUES)
def test_what_is_written_is_json(value: object) -> None:
    """Any JSON value survives writing and reading with an independent reader."""
    assert json.loads(gson.write(value)) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [(b"\xef\xbb\xbf[1]", [1]), (b"[1] and more", [1]), (b"[1]\x00\x00", [1]), (b'  {"a":"\xff"}', {"a": "\ufffd"})],
)
def test_reading_is_lenient(text: bytes, value: object) -> None:
    """A byte order mark, text behind the value, trailing NULs and bad UTF-8 do not hurt."""
    assert gson.read(text) == value


@pytest.mark.parametrize("text", [b"", b"[", b"nothing", b"[" * 100_000])
def test_what_is_no_json_is_refused(text: bytes) -> None:
    """A text without a JSON value, or one nested too deeply, is an error of its own."""
    with pytest.raises(gson.JsonTextError):
        gson.read(text)
