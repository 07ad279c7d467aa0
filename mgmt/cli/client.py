"""A caller of the CloudStack API on `requests`: signs, sends, awaits jobs."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import requests

from mgmt.cli.extensions import PROBE, name_hint
from mgmt.providers import Clock, RealClock

CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 120.0


class ApiCallError(Exception):
    """An error answer of the server, or no answer.

    `body` is the error object when there is one, `job_id` the job that failed, `hint` what the server could not tell.
    """

    def __init__(
        self,
        text: str,
        body: Mapping[str, Any] | None = None,
        *,
        job_id: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(text if hint is None else f"{text} ({hint})")
        self.body = body
        self.job_id = job_id
        self.hint = hint


def sign(parameters: Mapping[str, str], secret_key: str) -> str:
    """The HMAC-SHA1 signature of a request (api-key requests; server/.../api/ApiServer.java, verifyRequest)."""
    canonical = "&".join(f"{name}={quote(value, safe='*')}" for name, value in sorted(parameters.items()))
    canonical = canonical.replace("~", "%7E").lower()
    digest = hmac.new(secret_key.encode(), canonical.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def signed(
    command: str, parameters: Mapping[str, str], api_key: str, secret_key: str, *, form: str = "json"
) -> dict[str, str]:
    """A whole request: the parameters with command, key, form of the answer and signature."""
    sent = {**parameters, "command": command, "apiKey": api_key, "response": form}
    sent["signature"] = sign(sent, secret_key)
    return sent


def is_job(content: object) -> bool:
    """Whether an answer's content only says which job was made."""
    return isinstance(content, dict) and "jobid" in content and set(content) <= {"jobid", "id"}


@dataclass
class ApiClient:
    """Calls the API at `url` with a key pair."""

    url: str
    api_key: str
    secret_key: str = field(repr=False)
    clock: Clock = field(default_factory=RealClock)
    on_exchange: Callable[[Mapping[str, str], requests.Response], None] | None = None

    def __post_init__(self) -> None:
        self._http = requests.Session()

    def close(self) -> None:
        """Close the kept connections."""
        self._http.close()

    def call(self, command: str, **parameters: object) -> Any:
        """As `send`, with the parameters as keywords."""
        return self.send(command, parameters)

    def send(self, command: str, parameters: Mapping[str, object]) -> Any:
        """The content of the answer's single key; raises ApiCallError for an error answer or none."""
        answer = self.exchange(command, parameters)
        try:
            body = answer.json()
            (content,) = body.values()
        except (ValueError, AttributeError) as error:
            raise ApiCallError(f"{self.url} answered {answer.status_code} with no CloudStack JSON") from error
        if answer.status_code != 200 or "errorcode" in content:
            hint = name_hint(command, content.get("errorcode"), self._is_known)
            raise ApiCallError(f"{content.get('errorcode')}: {content.get('errortext')}", content, hint=hint)
        return content

    def _is_known(self) -> bool:
        """Whether the server takes these keys for a command that everybody may call."""
        sent = signed(PROBE, {}, self.api_key, self.secret_key)
        try:
            return self._http.post(self.url, data=sent, timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S)).ok
        except requests.RequestException:
            return False

    def exchange(self, command: str, parameters: Mapping[str, object], *, form: str = "json") -> requests.Response:
        """The answer as it came, an error too; `form` is json or xml. Raises ApiCallError when there is none."""
        texts = {name: as_text(value) for name, value in parameters.items() if value is not None}
        sent = signed(command, texts, self.api_key, self.secret_key, form=form)
        try:
            answer = self._http.post(self.url, data=sent, timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S))
        except requests.RequestException as error:
            # the request's parameters, which may hold a password, are in no part of this text
            raise ApiCallError(f"no answer from {self.url}: {type(error).__name__}") from None
        if self.on_exchange is not None:
            self.on_exchange(sent, answer)
        return answer

    def run(
        self,
        command: str,
        parameters: Mapping[str, object],
        *,
        poll_interval_s: float = 0.5,
        on_poll: Callable[[str], None] | None = None,
        on_job: Callable[[str], None] | None = None,
    ) -> Any:
        """As `send`, and the job's result when the command is asynchronous; raises ApiCallError for a failed job.

        `on_job` is called once the job is known, `on_poll` after each look at it while it runs, both with its id.
        """
        content = self.send(command, parameters)
        if not is_job(content):
            return content
        if on_job is not None:
            on_job(str(content["jobid"]))
        while True:
            job = self.call("queryAsyncJobResult", jobid=content["jobid"])
            if job["jobstatus"] == 1:
                return job["jobresult"]
            if job["jobstatus"] != 0:
                result = job.get("jobresult") or {}
                raise ApiCallError(
                    f"{result.get('errorcode')}: {result.get('errortext')}", result, job_id=str(content["jobid"])
                )
            if on_poll is not None:
                on_poll(str(content["jobid"]))
            self.clock.sleep(poll_interval_s)


def as_text(value: object) -> str:
    """A parameter's value as it is sent."""
    return str(value).lower() if isinstance(value, bool) else str(value)
