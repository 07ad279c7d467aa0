"""Exchanges with a server as lines of JSON, without secrets: what `api --record` writes and the replay tests read.

Of a good answer only the shape is kept, which is its fields and their types; of an error the whole text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import requests

from mgmt.observe.redaction import Redactor

Shape = dict[str, Any]
KEPT_HEADERS = ("Content-Type", "X-Description", "Vary", "Content-Encoding", "Allow", "Location", "Content-Length")
_PLACEHOLDERS = {"apiKey": "ADMIN_API_KEY", "signature": "SIGNATURE"}


def shape_of(body: str) -> Shape | None:
    """The shape of a JSON answer (`json`) or an XML one (`xml`); None for other text.

    Objects of one list are put together, so that a field that only some have counts as there.
    """
    if body.startswith("{"):
        return {"json": _json(json.loads(body))}
    if body.startswith("<?xml"):
        return {"xml": sorted(_paths(ElementTree.fromstring(body), ""))}
    return None


def _json(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _json(each) for name, each in value.items()}
    if isinstance(value, list):
        merged: dict[str, Any] = {}
        for each in value:
            inner = _json(each)
            if not isinstance(inner, dict):
                return [inner]
            merged |= inner
        return [merged] if value else []
    return "bool" if isinstance(value, bool) else type(value).__name__


def _paths(element: ElementTree.Element, above: str) -> set[str]:
    path = f"{above}/{element.tag}"
    found = {path}
    for name in element.attrib:
        found.add(f"{path}@{name}")
    for child in element:
        found |= _paths(child, path)
    return found


class Recorder:
    """Appends each exchange to `file`; `secret_key` is masked wherever it stands."""

    def __init__(self, file: Path, secret_key: str) -> None:
        self._file = file
        self._redactor = Redactor()
        self._redactor.register(secret_key)
        self._count = len(file.read_bytes().splitlines()) if file.exists() else 0

    def record(self, sent: Mapping[str, str], answer: requests.Response) -> None:
        """Write what was sent as a form, and what came."""
        self._count += 1
        line: dict[str, Any] = {
            "name": f"recorded:{self._count}",
            "note": sent["command"],
            "method": "POST",
            "path": "/client/api",
            "form": [[name, self._shown(name, value)] for name, value in sent.items()],
            "status": answer.status_code,
            "reason": answer.reason,
            "headers": [[name, answer.headers[name]] for name in KEPT_HEADERS if name in answer.headers],
            "security_headers": "content-security-policy" in answer.headers,
        }
        shape = shape_of(answer.text) if answer.status_code == requests.codes.ok else None
        line |= {"body": self._redactor.text(answer.text)} if shape is None else {"shape": shape}
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")

    def _shown(self, name: str, value: str) -> str:
        if name in _PLACEHOLDERS:
            return _PLACEHOLDERS[name]
        leaf = name.rpartition(".")[2]  # details[0].password
        masked = self._redactor.value({leaf: value})
        assert isinstance(masked, dict)
        return str(masked[leaf])
