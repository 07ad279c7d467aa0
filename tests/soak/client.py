"""Signed calls, and the log records that tell of a program error."""

from __future__ import annotations

import http.client
import json
import logging
from typing import Any
from urllib.parse import urlencode, urlsplit

from mgmt.cli.client import sign

JOB_LIMIT_S = 60.0


class Tracebacks(logging.Handler):
    """Keeps log records that tell of a program error."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.exc_info or "Traceback" in text:
            self.found.append(f"{record.name}: {text} {self._shown(record)}")

    def _shown(self, record: logging.LogRecord) -> str:
        return logging.Formatter().formatException(record.exc_info) if record.exc_info else ""


class Api:
    """Signed calls over one kept connection."""

    def __init__(self, ready: dict[str, Any]) -> None:
        self._ready = ready
        self._url = urlsplit(ready["api"])
        self._connection = http.client.HTTPConnection(self._url.netloc, timeout=JOB_LIMIT_S)

    def close(self) -> None:
        self._connection.close()

    def send(self, command: str, parameters: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        sent = {name: _text(value) for name, value in parameters.items() if value is not None}
        sent |= {"command": command, "apiKey": self._ready["api_key"], "response": "json"}
        sent["signature"] = sign(sent, self._ready["secret_key"])
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        self._connection.request("POST", self._url.path, urlencode(sent), headers)
        answer = self._connection.getresponse()
        try:
            ((_, content),) = json.loads(answer.read()).items()
        except (ValueError, AttributeError):
            return answer.status, {"errorcode": None, "errortext": "no JSON of CloudStack's"}
        return answer.status, content


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
