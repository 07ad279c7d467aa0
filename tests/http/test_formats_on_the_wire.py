"""How parameters may be written, over a real socket: blanks, repeats, forms, long lines, UTF-8, long values."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from mgmt.api.server import HttpServer
from mgmt.api.signature import sign
from mgmt.commands.declaration import Listing

BOUND_S = 60
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
TOO_LONG = (
    "Unable to execute API command listevents due to invalid value. "
    "Value greater than max allowed length 255 for param: text"
)


@pytest.fixture
def send(edge: Any) -> Iterator[Callable[..., tuple[int, dict[str, Any]]]]:
    """Sends a line and a form as they are: status and fields of the answer."""
    server = HttpServer(edge.app, "127.0.0.1", 0, threads=1)
    server.start()
    edge.recorder.result = Listing([], 0)
    connection = http.client.HTTPConnection(*server.address, timeout=BOUND_S)

    def sent(line: str = "", form: str | None = None, headers: dict[str, str] = FORM) -> tuple[int, dict[str, Any]]:
        method = "GET" if form is None else "POST"
        connection.request(method, f"/client/api?{line}", form, headers if form is not None else {})
        answer = connection.getresponse()
        body = answer.read()
        assert answer.getheader("Content-Type") in ("application/json;charset=utf-8", "text/html;charset=iso-8859-1")
        return answer.status, json.loads(body) if body.startswith(b"{") else {}

    yield sent
    connection.close()
    server.stop()


def signed(edge: Any, **parameters: str) -> dict[str, str]:
    """The parameters of a signed listEvents."""
    key, secret = edge.keys["admin"]
    given = {"command": "listEvents", "response": "json", "apiKey": key, **parameters}
    return {**given, "signature": sign(given, secret)}


@pytest.mark.parametrize("blank", ["+", "%20"])
@pytest.mark.parametrize("as_form", [False, True])
def test_blanks_and_utf8(edge: Any, send: Any, blank: str, as_form: bool) -> None:
    """A blank may be a plus sign or %20, in the line and in a form; text is UTF-8, and kept as it is."""
    text = "a b+c~*é漢"
    encoded = urlencode(signed(edge, text=text), quote_via=quote).replace("%20", blank)
    status, _ = send(form=encoded) if as_form else send(encoded)
    assert status == 200
    assert edge.recorder.bound[-1]["text"] == text


def test_repeated_parameters(edge: Any, send: Any) -> None:
    """Of a repeated name the line's last value counts, a form's first, and the line's before the form's."""
    last = signed(edge, text="two")
    assert send("text=one&" + urlencode(last))[0] == 200
    assert send(form=urlencode(last) + "&text=three")[0] == 200
    assert send("text=two", urlencode({**last, "text": "of the form"}))[0] == 200
    assert [bound["text"] for bound in edge.recorder.bound] == ["two"] * 3


def test_blank_values_and_names_alone(edge: Any, send: Any) -> None:
    """A blank text is a text, a blank number is none, and a name alone has a blank value."""
    given = signed(edge, text="", number=" ", flag="")
    line = urlencode(given).replace("text=&", "text&")
    assert send(line)[0] == 200
    bound = edge.recorder.bound[-1]
    assert (bound["text"], bound["number"], bound["flag"]) == ("", None, False)


def test_values_that_are_too_long(edge: Any, send: Any) -> None:
    """255 characters fit, one more does not, however many bytes they take; unknown parameters may be of any length."""
    assert send(form=urlencode(signed(edge, text="é" * 255, unknown="x" * 5000)))[0] == 200
    status, answer = send(form=urlencode(signed(edge, text="é" * 256)))
    assert (status, answer["listeventsresponse"]["errortext"]) == (431, TOO_LONG)


def test_long_lines(edge: Any, send: Any) -> None:
    """A line of almost 8 KiB is answered, a longer one is 414, and the connection goes on."""
    assert send(urlencode(signed(edge, unknown="x" * 7500)))[0] == 200
    assert send(urlencode(signed(edge, unknown="x" * 8192)))[0] == 414
    assert send(urlencode(signed(edge)))[0] == 200


def test_bodies_of_another_type(edge: Any, send: Any) -> None:
    """Only a form's body counts; of JSON or of no type the line alone is read."""
    line = urlencode(signed(edge, text="of the line"))
    for headers in ({"Content-Type": "application/json"}, {"Content-Type": ""}):
        assert send(line, "number=1", headers)[0] == 200
        assert (edge.recorder.bound[-1]["text"], edge.recorder.bound[-1]["number"]) == ("of the line", None)
    charset = {"Content-Type": "application/x-www-form-urlencoded; charset=UTF-8"}
    assert send("", urlencode(signed(edge, number="1")), charset)[0] == 200
    assert edge.recorder.bound[-1]["number"] == 1
