"""Exchanges recorded from a real server, sent again: status, headers and body must be the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from mgmt.api.signature import sign
from mgmt.commands.declaration import Listing

DATA = Path(__file__).parent / "data"
EXCHANGES = [json.loads(line) for line in (DATA / "exchanges.jsonl").read_text(encoding="utf-8").splitlines()]


def pairs_sent(exchange: dict[str, Any], edge: Any) -> tuple[list[Any], list[Any] | str | None]:
    """Query and form pairs with the placeholders filled in; the signature is a right one."""
    query, form = exchange.get("query") or [], exchange.get("form")
    sent = [*query, *(form if isinstance(form, list) else [])]
    key, secret = edge.keys["admin"]
    filled = {"ADMIN_API_KEY": key}
    signed = {name: filled.get(value, value or "") for name, value in sent if name.lower() != "signature"}
    filled["SIGNATURE"] = sign(signed, secret)

    def fill(pairs: list[Any]) -> list[Any]:
        return [(name, filled.get(value, value)) for name, value in pairs]

    return fill(query), fill(form) if isinstance(form, list) else form


def encoded(pairs: list[Any]) -> str:
    return "&".join(quote(name) if value is None else f"{quote(name)}={quote(value, safe='')}" for name, value in pairs)


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda exchange: exchange["name"])
def test_recorded_exchange(exchange: dict[str, Any], edge: Any) -> None:
    """The answer to a recorded request is the recorded one."""
    edge.recorder.result = Listing([], 0)
    # the recorded server had no zone yet in most of them
    edge.recorder.hides_zones = not exchange["name"].startswith("errors:ids-")
    query, form = pairs_sent(exchange, edge)
    headers = dict(exchange.get("request_headers") or {})
    body = urlencode(form) if isinstance(form, list) else form
    content_type = headers.pop("Content-Type", "application/x-www-form-urlencoded" if form else None)
    answer = edge.client().open(
        exchange["path"],
        method=exchange["method"],
        query_string=encoded(query),
        data=body,
        content_type=content_type or None,
        headers=headers,
        base_url="http://127.0.0.1:8080",
    )
    assert answer.status == f"{exchange['status']} {exchange['reason']}"
    assert answer.get_data(as_text=True) == exchange["body"]
    recorded = dict(exchange["headers"])
    for name, value in recorded.items():
        assert answer.headers.get(name) == value
    for name in ("Vary", "X-Description", "Set-Cookie", "Content-Encoding", "Allow", "Location", "Content-Type"):
        assert (name in answer.headers) == (name in recorded), name
    if exchange.get("security_headers"):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-XSS-Protection"] == "1;mode=block"
        assert len(answer.headers.getlist("content-security-policy")) == 5
