"""Decoding and merging of query string and form body."""

from __future__ import annotations

from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgmt.api.parameters import UndecodableError, cookies, first_unprintable, is_form, parse

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NAME = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=10)


@settings(max_examples=50)
@given(st.dictionaries(NAME, TEXT, max_size=6), st.sampled_from([quote, quote_plus]))
def test_every_encoding_of_text_is_read_back(parameters: dict[str, str], encode: object) -> None:
    """What a client encodes, with `+` or `%20`, is what the server reads, from query and from body."""
    text = urlencode(parameters, quote_via=encode)  # type: ignore[arg-type]
    assert parse(text, None) == parameters
    assert parse("", text.encode()) == parameters


@settings(max_examples=50)
@given(st.text(st.characters(max_codepoint=255), max_size=60))
def test_any_query_is_read_or_refused(query: str) -> None:
    """No query string makes anything but parameters or UndecodableError."""
    try:
        parameters = parse(query, None)
    except UndecodableError:
        return
    assert len(parameters) <= query.count("&") + 1


def test_query_wins_over_form() -> None:
    """A name in both has the query's value; a name in the form only keeps the form's."""
    assert parse("a=query", b"a=form&b=form") == {"a": "query", "b": "form"}


def test_repeated_names() -> None:
    """Of a repeated name the query's last and the form's first value counts."""
    assert parse("a=1&a=2", None) == {"a": "2"}
    assert parse("", b"a=1&a=2") == {"a": "1"}


def test_tokens_without_value() -> None:
    """A token without `=` is an empty value; empty tokens are nothing; more `=` belong to the value."""
    assert parse("foo&&bar=&c=d=e", None) == {"foo": "", "bar": "", "c": "d=e"}


def test_raw_utf8_in_the_query() -> None:
    """Bytes beyond ASCII that a client did not encode are read as UTF-8."""
    assert parse("name=zoné".encode().decode("latin-1"), None) == {"name": "zoné"}


@pytest.mark.parametrize("query", ["a=%zz", "a=%", "a=%4", "%=1", "a=%ff", "a=%c3%28"])
def test_bad_sequences_are_refused(query: str) -> None:
    """A bad percent sequence and bad UTF-8 are refused in query and form."""
    with pytest.raises(UndecodableError, match="Not valid"):
        parse(query, None)
    with pytest.raises(UndecodableError, match="Not valid"):
        parse("", query.encode())


def test_form_content_types() -> None:
    """Only the urlencoded type counts, whatever its charset and case."""
    assert is_form("application/x-www-form-urlencoded")
    assert is_form("Application/X-WWW-Form-Urlencoded; charset=UTF-8")
    assert not is_form("application/json") and not is_form("")


def test_unprintable_values() -> None:
    """Control characters, tab and DEL too, are found; line ends and other writing systems pass."""
    assert first_unprintable({"a": "x\ny\r", "b": "漢\u2028é\u200b"}) is None
    for character in "\x00\x01\t\x0b\x0c\x1f\x7f":
        assert first_unprintable({"a": "ok", "b": f"x{character}"}) == "b"


def test_cookie_header() -> None:
    """Cookies are read in their order; of a repeated name the first counts."""
    assert list(cookies('b=1; a="2";c; =x; b=3; d=').items()) == [("b", "1"), ("a", "2"), ("d", "")]
    assert cookies("") == {}
