"""A caller of the API on `requests` for tests: any command as a method, jobs awaited, errors with their numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import requests

from mgmt.cli.client import CONNECT_TIMEOUT_S, READ_TIMEOUT_S, as_text, is_job, signed
from mgmt.cli.extensions import PROBE, name_hint

_PENDING, _SUCCEEDED = 0, 1


class CloudStackError(Exception):
    """An error answer, or the failure of a job (`job_id` tells which); `hint` is what the server could not tell."""

    def __init__(
        self, command: str, body: Mapping[str, Any], *, job_id: str | None = None, hint: str | None = None
    ) -> None:
        self.command = command
        self.errorcode: int | None = body.get("errorcode")
        self.cserrorcode: int | None = body.get("cserrorcode")
        self.errortext = str(body.get("errortext", ""))
        self.body = dict(body)
        self.job_id = job_id
        self.hint = hint
        number = "" if self.cserrorcode is None else f" (cserrorcode {self.cserrorcode})"
        more = "" if hint is None else f" ({hint})"
        super().__init__(f"{command}: {self.errorcode}{number}: {self.errortext}{more}")


class CloudStackClient:
    """Calls the API at `url` with a key pair.

    `client.listHosts(type="Routing")` sends that command and returns what is in the answer; a command that is a job is
    awaited, and its result returned. Truth values, lists and dicts are written as CloudStack reads them:
    `nicnetworklist=[{"nic": ..., "network": ...}]`, `ids=[...]`, `details=[{"cpuNumber": 2}]`. `session` is the
    `requests.Session` that is used. Raises CloudStackError, and requests' own exceptions where no answer comes.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        secret_key: str,
        *,
        await_job: Callable[[str], None],
        session: requests.Session | None = None,
    ) -> None:
        self.url = url
        self.api_key = api_key
        self.session = session or requests.Session()
        self._secret_key = secret_key
        self._await_job = await_job

    def __repr__(self) -> str:
        return f"CloudStackClient({self.url!r})"

    def __getattr__(self, command: str) -> Callable[..., Any]:
        if command.startswith("_"):
            raise AttributeError(command)
        return lambda **parameters: self.call(command, **parameters)

    def close(self) -> None:
        """Close the kept connections."""
        self.session.close()

    def call(self, command: str, /, **parameters: Any) -> Any:
        """What the answer to the command holds, that of its job where it is one."""
        content = self._send(command, parameters)
        if not is_job(content):
            return content
        return self.result(str(content["jobid"]))

    def start(self, command: str, /, **parameters: Any) -> str:
        """Begin an asynchronous command and return the id of its job without waiting for it."""
        return str(self._send(command, parameters)["jobid"])

    def result(self, job_id: str) -> Any:
        """The result of a job, awaited; raises CloudStackError when it failed."""
        self._await_job(job_id)
        job = self._send("queryAsyncJobResult", {"jobid": job_id})
        if job["jobstatus"] == _SUCCEEDED:
            return job["jobresult"]
        if job["jobstatus"] == _PENDING:
            raise RuntimeError(f"job {job_id} was to be ended and is not")
        raise CloudStackError(_command_of(str(job.get("cmd", "job"))), job["jobresult"], job_id=job_id)

    def _send(self, command: str, parameters: Mapping[str, Any]) -> Any:
        sent = signed(command, as_sent(parameters), self.api_key, self._secret_key)
        with self.session.post(self.url, data=sent, timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S)) as answer:
            try:
                (content,) = answer.json().values()
            except (ValueError, AttributeError):
                answer.raise_for_status()
                raise
        if answer.status_code != requests.codes.ok or (isinstance(content, dict) and "errorcode" in content):
            raise CloudStackError(command, content, hint=name_hint(command, content.get("errorcode"), self._is_known))
        return content

    def _is_known(self) -> bool:
        sent = signed(PROBE, {}, self.api_key, self._secret_key)
        return self.session.post(self.url, data=sent, timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S)).ok


def _command_of(java_class: str) -> str:
    """`importVm` for `org.apache.cloudstack.api.command.admin.vm.ImportVmCmd`."""
    name = java_class.rpartition(".")[2].removesuffix("ByAdmin").removesuffix("Cmd")
    return name[:1].lower() + name[1:]


def as_sent(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Parameters with lists, dicts and truth values as CloudStack reads them; None is left out."""
    return dict(_written(parameters))


def _written(parameters: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in parameters.items():
        if value is None:
            continue
        if isinstance(value, Mapping):
            value = [value]
        if isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
            for index, item in enumerate(value):
                yield from ((f"{name}[{index}].{key}", as_text(entry)) for key, entry in item.items())
        elif isinstance(value, list | tuple | set | frozenset):
            yield name, ",".join(as_text(item) for item in value)
        else:
            yield name, as_text(value)
