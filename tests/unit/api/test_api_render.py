"""JSON and XML text."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from xml.etree import ElementTree

from hypothesis import given, settings
from hypothesis import strategies as st

from mgmt.api.errors import ErrorAnswer, error_key, header_text
from mgmt.api.render import XmlRenderer, json_body
from mgmt.commands.catalogue import AbsentCommand
from mgmt.inventory.answers import Finished, clean, date_text

JSON = st.recursive(
    st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="ascii")), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=50)
@given(st.dictionaries(st.text(st.characters(codec="ascii")), JSON, max_size=4))
def test_json_is_read_back(fields: dict[str, Any]) -> None:
    """Any answer is read back by a client that allows raw control characters, as CloudStack's answers need."""
    assert json.loads(json_body("k", clean(fields)), strict=False) == {"k": fields}


def test_control_characters_stand_raw_and_escapes_of_text_do_not_change() -> None:
    r"""A control character is raw; the text `\u0001` stays a text; quotes and backslashes are escaped."""
    assert json_body("k", {"a": "\x01\x7f", "b": "\\u0001", "c": '\\\x1f"', "d": "\n\t"}) == (
        b'{"k":{"a":"\x01\x7f","b":"\\\\u0001","c":"\\\\\x1f\\"","d":"\\n\\t"}}'
    )


def test_no_character_of_html_is_escaped_in_json() -> None:
    """`< > & = '` and non-ASCII text stand as they are."""
    assert json_body("k", {"a": "<>&='é漢😀/"}) == '{"k":{"a":"<>&=\'é漢😀/"}}'.encode()


def test_clean() -> None:
    """None goes, times become text, other things their text; order stays."""

    class Odd:
        def __str__(self) -> str:
            return "odd"

    value = {"b": None, "a": [None, {"x": None, "t": datetime(2026, 3, 1, 1, 2, 3)}], "o": Odd(), "s": ("p",)}
    assert clean(value) == {"a": [{"t": "2026-03-01T01:02:03+0000"}], "o": "odd", "s": ["p"]}


def test_answers_that_are_kept_are_encoded_once() -> None:
    """A list of finished answers is the same JSON as that of plain ones, and each keeps its own."""
    plain = [{"a": 1, "text": "x\u0001"}, {"b": None, "c": [1]}]
    finished = [Finished(clean(each)) for each in plain]
    fields = {"count": 2, "host": clean(plain)}
    assert json_body("k", {"count": 2, "host": finished}) == json_body("k", fields)
    assert finished[0].json is finished[0].json
    assert clean(finished)[0] is finished[0]
    assert json_body("k", {"host": [finished[0], {"b": 1}]}) == b'{"k":{"host":[{"a":1,"text":"x\x01"},{"b":1}]}}'


def test_date_has_no_fraction() -> None:
    """Microseconds are not shown."""
    assert date_text(datetime(2026, 3, 1, 10, 15, 30, 999999)) == "2026-03-01T10:15:30+0000"


@settings(max_examples=50)
@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("<>&\"'"), max_size=20))
def test_xml_text_is_read_back(text: str) -> None:
    """Any text without control characters is read back from XML."""
    document = XmlRenderer([]).plain("k", None, {"a": text})
    assert (ElementTree.fromstring(document).findtext("a") or "") == text


def test_header_text() -> None:
    """Line breaks and characters beyond Latin-1 become blanks."""
    assert header_text("a\r\nb é漢\t\x00\x7f\x85ÿ") == "a  b é     ÿ"


def test_error_keys() -> None:
    """The key of an error follows from code, command and whether there were parameters."""
    known = AbsentCommand("listZones", "listzonesresponse", ())
    assert error_key({"command": "listZones"}, 431, known) == "listzonesresponse"
    assert error_key({"command": "listZones"}, 432, known) == "errorresponse"
    assert error_key({"command": "nope"}, 401, None) == "errorresponse"
    assert error_key({"response": "json"}, 401, None) == "null"
    assert error_key({}, 401, None) == "errorresponse"


def test_error_without_cserrorcode_is_not_described() -> None:
    """X-Description goes with cserrorcode."""
    plain = ErrorAnswer("k", 401, "no")
    assert plain.description is None and list(plain.fields()) == ["uuidList", "errorcode", "errortext"]
    full = ErrorAnswer("k", 431, "no", 9999)
    assert full.description == "no" and full.fields()["cserrorcode"] == 9999
