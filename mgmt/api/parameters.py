"""From the bytes of a request to one map of parameter names and values.

Query string and form body are merged as CloudStack's servlet does (server/.../api/ApiServlet.java, utf8Fixup): of a
name repeated in the body the first value counts, of one repeated in the query string the last, and the query string
wins over the body.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from urllib.parse import unquote_to_bytes

MAX_QUERY_LENGTH = 8192
MAX_FORM_BYTES = 1024 * 1024
FORM_CONTENT_TYPE = "application/x-www-form-urlencoded"

# Line feed and carriage return pass, as in CloudStack.
_NON_PRINTABLE = re.compile("[\x00-\x09\x0b\x0c\x0e-\x1f\x7f]")
_BAD_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")


class UndecodableError(ValueError):
    """The request's query string or form body has a bad percent sequence or is no UTF-8."""


def parse(query: str, form: bytes | None) -> dict[str, str]:
    """The merged parameters, names and values as sent (no case is changed), in the order of their first appearance.

    `query` is the query string as WSGI hands it in (bytes as Latin-1 characters); `form` the urlencoded body, None when
    it does not count. A token without `=` has an empty value. Raises UndecodableError.
    """
    parameters: dict[str, str] = {}
    if form:
        for name, value in _pairs(form):
            parameters.setdefault(name, value)
    if query:
        for name, value in _pairs(query.encode("latin-1")):
            parameters[name] = value
    return parameters


def parse_first(query: str) -> dict[str, str]:
    """The parameters of a query string alone, of a repeated one the first value, as the integration port reads them."""
    parameters: dict[str, str] = {}
    for name, value in _pairs(query.encode("latin-1")):
        parameters.setdefault(name, value)
    return parameters


def _pairs(data: bytes) -> Iterator[tuple[str, str]]:
    for token in data.split(b"&"):
        if token:
            name, _, value = token.partition(b"=")
            yield _decode(name), _decode(value)


def _decode(data: bytes) -> str:
    if b"+" in data:
        data = data.replace(b"+", b" ")
    if b"%" in data:
        if _BAD_PERCENT.search(data):
            raise UndecodableError(f"Not valid encoding '{data.decode('latin-1')}'")
        data = unquote_to_bytes(data)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise UndecodableError(f"Not valid UTF-8: {error.reason}") from None


def is_form(content_type: str) -> bool:
    """True for the one content type whose body counts; parameters such as a charset do not matter."""
    return content_type.partition(";")[0].strip().lower() == FORM_CONTENT_TYPE


def first_unprintable(parameters: Mapping[str, str]) -> str | None:
    """The name of the first parameter whose value holds a control character other than a line end."""
    for name, value in parameters.items():
        if not value.isprintable() and _NON_PRINTABLE.search(value):
            return name
    return None


def cookies(header: str) -> dict[str, str]:
    """The cookies of a `Cookie` header by name, in the order sent; of a repeated name the first counts."""
    found: dict[str, str] = {}
    for part in header.split(";"):
        name, separator, value = part.strip().partition("=")
        if separator and name:
            found.setdefault(name, value.strip().strip('"'))
    return found
