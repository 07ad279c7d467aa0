"""Heads of answers that the API and what stands beside it have in common."""

from __future__ import annotations

from http import HTTPStatus

from mgmt.api import pages

ANSWERED_METHODS = frozenset({"GET", "HEAD", "POST"})
VARY = ("Vary", "Accept-Encoding, User-Agent")


def status_line(status: int) -> str:
    """Code and standard phrase; a code that HTTP does not know repeats its number, as Jetty does."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"{status} {status}"


def error_answer(status: int, path: str, cause: str | None = None) -> tuple[str, list[tuple[str, str]], bytes]:
    """Jetty's error page: status line, headers without the length, and body. `cause` is a Java exception's text."""
    text = pages.error_page(status, HTTPStatus(status).phrase, path, cause)
    headers = [pages.NO_CACHE, ("Content-Type", pages.HTML_ERROR_CONTENT_TYPE)]
    return status_line(status), headers, text.encode("latin-1", "replace")
