"""The calls of CloudStack's web UI, with the session of a login: none fails, and each has the fields that it reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

LAB_IS_PREPARED = True  # logged in, with an imported VM
PAGES: dict[str, list[dict[str, Any]]] = yaml.safe_load(
    (Path(__file__).parent / "data" / "ui_calls.yaml").read_text(encoding="utf-8")
)
LOGIN_FIELDS = {
    "sessionkey", "userid", "username", "account", "domainid", "type", "firstname", "lastname", "is2faenabled",
    "issuerfor2fa",
}  # fmt: skip
# What the UI sends with GET; everything else is a POST.
READING = ("get", "list", "query", "find", "readyForShutdown", "cloudianIsEnabled")


class Browser:
    """A session as the UI holds it."""

    def __init__(self, lab: Any) -> None:
        self._lab = lab
        self._session = requests.Session()
        self._address = str(lab.ready["api"])
        self.kept: dict[str, str] = {"zone": lab.zone_id}
        self.last: dict[str, Any] = {}

    def login(self) -> dict[str, Any]:
        """Log in and give the answer."""
        form = {"command": "login", "username": "admin", "password": "password", "domain": "/", "response": "json"}
        answer: dict[str, Any] = self._session.post(self._address, data=form, timeout=60).json()["loginresponse"]
        self.kept |= {name: answer[name] for name in ("sessionkey", "userid", "managementserverid")}
        return answer

    def make(self, call: Mapping[str, Any]) -> list[str]:
        """Make one call; what the UI would miss in its answer."""
        command = call["command"]
        if call.get("is_awaited"):
            assert self._lab.world.server.services.jobs.wait(self.kept["job"], 60)
        given = {name: _text(value).format(**self.kept) for name, value in call.get("parameters", {}).items()}
        sent = {"command": command, "response": "json", **given}
        if call.get("is_posted"):
            answer = requests.post(self._address, data=sent, timeout=60)
        elif call.get("anonymous"):
            answer = requests.get(self._address, params=sent, timeout=60)
        elif command.startswith(READING):
            answer = self._session.get(self._address, params=sent | {"sessionkey": self.kept["sessionkey"]}, timeout=60)
        else:
            answer = self._session.post(self._address, data=sent | {"sessionkey": self.kept["sessionkey"]}, timeout=60)
        if answer.status_code != call.get("status", 200):
            return [f"{command}: {answer.status_code} {answer.text[:300]}"]
        key = call.get("key", f"{command.lower()}response")
        ((got, fields),) = answer.json().items()
        self.last = fields
        if got != key:
            return [f"{command}: answered under {got}"]
        if fields.get("jobstatus") == 2:
            return [f"{command}: {fields['jobresult']}"]
        return [f"{command}: no {missing}" for missing in self._missing(call, fields)]

    def _missing(self, call: Mapping[str, Any], fields: dict[str, Any]) -> Iterator[str]:
        if "array" in call:
            if not fields.get(call["array"]):
                yield call["array"]
                return
            (fields, *_) = fields[call["array"]]
        elif "object" in call:
            if call["object"] not in fields:
                yield call["object"]
                return
            fields = fields[call["object"]]
        for name in call["fields"]:
            yield from (each for each in ([name] if isinstance(name, str) else name) if _read(fields, each) is None)
        for inner, names in call.get("items", {}).items():
            yield from (f"{inner}.{each}" for each in names if fields[inner][0].get(each) is None)
        self.kept |= {name: str(_read(fields, place)) for name, place in call.get("keep", {}).items()}

    def close(self) -> None:
        self._session.close()


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _read(fields: Any, place: str) -> Any:
    """A field, or one of an inner object or of a list's item, by number or the first; names in maps have points."""
    if place in fields:
        return fields[place]
    outer, _, inner = place.partition(".")
    found = fields.get(outer)
    if isinstance(found, list) and found:
        number, _, rest = inner.partition(".")
        found, inner = (found[int(number)], rest) if number.isdigit() else (found[0], inner)
    return _read(found, inner) if inner and isinstance(found, dict) else None


@pytest.fixture(scope="module")
def browser(lab: Any) -> Iterator[Browser]:
    opened = Browser(lab)
    assert opened.login().keys() >= LOGIN_FIELDS
    yield opened
    opened.close()


@pytest.mark.parametrize("page", PAGES)
def test_page(page: str, browser: Browser) -> None:
    """Every call of the page is answered, in the form that the UI takes apart."""
    assert [missing for call in PAGES[page] for missing in browser.make(call)] == []


def test_what_pages_need_is_listed(browser: Browser) -> None:
    """listApis has every command that a page is shown for, and the parameters of the import that its form walks."""
    fields = ["name", "params", "response", "isasync", "description"]
    assert browser.make({"command": "listApis", "array": "api", "fields": fields}) == []
    apis = {api["name"]: api for api in browser.last["api"]}
    needed = {call["command"] for calls in PAGES.values() for call in calls if not call.get("status")}
    assert needed - apis.keys() == set()
    for name in ("importVm", "importUnmanagedInstance"):
        assert {"name", "clusterid", "serviceofferingid"} <= {each["name"] for each in apis[name]["params"]}
