"""Every parameter of every command, one at a time as nobody should send it: codes and texts of api-gateway 2.6."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from mgmt.api.dispatch import AUTHENTICATION_COMMANDS, SILENT_WITHOUT_ID, Dispatcher
from mgmt.api.exchange import ApiRequest

ROOT = Path(__file__).parents[2]
COMMANDS: dict[str, Any] = json.loads((ROOT / "fixtures" / "catalog" / "api.json").read_text("utf-8"))["commands"]
NOWHERE = "0badc0de-0000-4000-8000-00000000dead"
FRAMEWORK = frozenset({"customjobid", "starteventid"})  # not the commands' own
GOOD = {"uuid": "-1", "string": "x", "integer": "1", "long": "1", "short": "1", "double": "1", "boolean": "true",
        "date": "2026-01-01"}  # fmt: skip
NUMBERS = frozenset({"integer", "long", "short", "double", "float"})


def good(parameter: Mapping[str, Any]) -> dict[str, str]:
    """The parameter as binding takes it."""
    name, kind = parameter["name"], parameter["type"]
    if kind == "map":
        return {f"{name}[0].key": "value"}
    return {name: GOOD[parameter["of"] if kind == "list" else kind]}


def bad(parameter: Mapping[str, Any]) -> tuple[str, str] | None:
    """A value that binding does not take and how it is refused; None for a type that takes any text."""
    name, kind = parameter["name"], parameter["type"]
    kind = parameter["of"] if kind == "list" else kind
    if kind in NUMBERS or parameter["type"] == "map":
        return "1x", f"due to invalid value 1x for parameter {name}"
    if kind == "uuid":
        return NOWHERE, (
            f"due to invalid value. Invalid parameter {name} value={NOWHERE} due to incorrect long value format, or"
            " entity does not exist or due to incorrect parameter annotation for the field in api cmd class."
        )
    if kind == "date":
        return "soon", "Unable to parse date soon for command"
    if parameter["type"] == "string":
        length = parameter.get("length", 255)
        return "n" * (length + 1), (f"due to invalid value. Value greater than max allowed length {length} for param: ")
    return None


class Sender:
    """Sends to the API of a world as its system, for whom every command is open."""

    def __init__(self, world: Any) -> None:
        self.commands = world.server.services.commands
        self.sent = 0
        self._dispatcher = Dispatcher(world.server.services, session_timeout_s=60)

    def refusal(self, command: str, parameters: Mapping[str, str]) -> tuple[int, int | None, str]:
        """HTTP status, CloudStack's code and the text of an answer."""
        self.sent += 1
        sent = {"command": command, "response": "json", **parameters}
        answer = self._dispatcher.handle(ApiRequest("GET", sent, is_internal=True))
        ((_, fields),) = json.loads(answer.body).items()
        return answer.status, fields.get("cserrorcode"), fields.get("errortext", str(fields))

    def mistakes(self, command: str) -> Iterator[str]:
        """How the refusals of a command's parameters differ from what they are to be."""
        declared = self.commands[command].params._declared_fields
        parameters = [each for each in COMMANDS[command]["params"] if each["name"] in declared]
        short = self.commands[command].response_key.removesuffix("response")
        needed = {name: value for each in parameters if each.get("required") for name, value in good(each).items()}
        for parameter in parameters:
            name = parameter["name"]
            others = {key: value for key, value in needed.items() if key.partition("[")[0] != name}
            wrong = bad(parameter)
            if wrong is not None and name not in FRAMEWORK:
                yield from self._compare(command, others | {name: wrong[0]}, (431, 9999), wrong[1])
            if not parameter.get("required"):
                continue
            if command not in SILENT_WITHOUT_ID:
                missing = f"Unable to execute API command {short} due to missing parameter {name}"
                yield from self._compare(command, others, (431, 9999), missing)
            if parameter["type"] in ("string", "uuid"):
                empty = f"Invalid value provided for API arg: {name}"
                yield from self._compare(command, others | {name: ""}, (431, 4350), empty)

    def _compare(self, command: str, sent: Mapping[str, str], codes: tuple[int, int], text: str) -> Iterator[str]:
        status, code, told = self.refusal(command, sent)
        if (status, code) != codes or text not in told:
            yield f"{command} {sent}: {status} {code} {told[:200]}, not {codes} {text}"


@pytest.fixture(scope="module")
def sender(bare_world: Any) -> Sender:
    return Sender(bare_world)


def test_every_wrong_parameter_is_refused_as_upstream_does(sender: Sender) -> None:
    """Numbers, maps and dates of another type, unknown UUIDs, texts too long, and required ones missing or empty."""
    names = [name for name in sender.commands if name in COMMANDS and name not in AUTHENTICATION_COMMANDS]
    wrong = [mistake for name in names for mistake in sender.mistakes(name)]
    assert wrong == []
    assert len(names) > 350 and sender.sent > 3000
