"""Schemathesis, from a place of its own, against the OpenAPI document that a server serves."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests

from cloudstack_mock import ApiClient, Settings, World

VARIABLE = "CLOUDSTACK_MOCK_SCHEMATHESIS"
HOOKS = Path(__file__).resolve().parent.parent / "peers" / "schemathesis"
BOUND_S = 300.0
PLAIN = ("resetPassword",)  # its refusals are bare texts that are announced as JSON, as the real server's
OPTIONS = (
    "--phases", "fuzzing", "--mode", "positive", "--max-examples", "2", "--workers", "4", "--seed", "1", "--no-shrink",
    "--no-color", "--continue-on-failure", "--generation-database", "none",
    "--checks", "content_type_conformance,response_schema_conformance,status_code_conformance",
    *(f"--exclude-path=/client/api/{command}" for command in PLAIN),
)  # fmt: skip


@pytest.fixture(scope="module")
def schemathesis() -> str:
    """The `st` program that the variable names."""
    named = os.environ.get(VARIABLE)
    if named is None or not Path(named).is_file():
        reason = f"{VARIABLE} names no file: {named}"
        if os.environ.get("CI"):
            pytest.fail(f"{reason}, and in CI it must be there")
        pytest.skip(reason)
    return named


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with World(Settings(port=0, agent_port=0, extensions=True)) as started:
        yield started


@pytest.mark.interop
@pytest.mark.timeout(BOUND_S)
def test_every_command_answers_as_the_document_says(
    world: World, schemathesis: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Generated requests to every command: no unexpected failure, and each answer has the form of the document."""
    ready = world.ready()
    base = str(ready["api"]).removesuffix("/client/api")
    document = requests.get(f"{base}/client/openapi.json", timeout=60).json()
    with closing(ApiClient(str(ready["api"]), str(ready["api_key"]), str(ready["secret_key"]))) as client:
        listed: list[dict[str, Any]] = client.call("listApis")["api"]
    assert {path.rpartition("/")[2] for path in document["paths"]} == {api["name"] for api in listed}
    result = subprocess.run(
        [schemathesis, "run", f"{base}/client/openapi.json", *OPTIONS],
        env=os.environ
        | {
            "SCHEMATHESIS_HOOKS": "hooks",
            "PYTHONPATH": str(HOOKS),
            "CLOUDSTACK_MOCK_API_KEY": str(ready["api_key"]),
            "CLOUDSTACK_MOCK_SECRET_KEY": str(ready["secret_key"]),
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=BOUND_S,
        check=False,
    )
    assert result.returncode == 0, result.stdout.partition("= WARNINGS =")[0][-8000:] + result.stderr[-2000:]
    assert f"Tested: {len(listed) - len(PLAIN)}" in result.stdout
    unexpected = [record.getMessage() for record in caplog.records if record.exc_info or "Traceback" in record.message]
    assert not unexpected, "\n".join(unexpected)
