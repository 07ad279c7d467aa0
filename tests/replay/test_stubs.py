"""Stubs: answers of commands that are not simulated, from files of a user."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mgmt.cli.serve import serve
from mgmt.commands import all_declarations
from mgmt.commands.stubs import StubError, load_stubs
from mgmt.config import Settings

PAGE = (Path(__file__).parents[2] / "docs" / "stubs.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```http\n(.*?)\n```\n\n```json\n(.*?)\n```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def stubbed_world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A bare world with the stubs of the page, and workers for jobs."""
    folder = tmp_path_factory.mktemp("stubs")
    (yaml_text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    (folder / "page.yaml").write_text(yaml_text, encoding="utf-8")
    open_world = request.getfixturevalue("opener")
    settings = Settings(port=0, agent_port=0, agents="none", vcenter="none", stubs=folder)
    for world in open_world(settings):
        world.server.services.jobs.start()
        yield world


@pytest.fixture
def lab(stubbed_world: Any) -> Any:
    """The shared world, whose workers outlive a test."""
    return stubbed_world


@pytest.mark.parametrize(("request_line", "body"), EXAMPLES, ids=[line for line, _ in EXAMPLES])
def test_the_examples_of_the_page_are_true(request_line: str, body: str, lab: Any) -> None:
    """Each request of docs/stubs.md gets the answer that stands below it."""
    name, *pairs = request_line.split(" ")
    answer = lab.ask(name, **dict(pair.split("=") for pair in pairs))
    assert answer.get_data(as_text=True) == body


def job_of(world: Any, **parameters: str) -> dict[str, Any]:
    _, _, fields = world.answer("createVPC", **parameters)
    assert world.server.services.jobs.wait(fields["jobid"], 60)
    _, _, job = world.answer("queryAsyncJobResult", jobid=fields["jobid"])
    return dict(job)


def vpc_parameters(world: Any, name: str) -> dict[str, str]:
    _, _, fields = world.answer("listZones")
    return {"name": name, "zoneid": fields["zone"][0]["id"], "vpcofferingid": "1", "displaytext": name}


def test_an_async_stub_ends_in_its_answer(lab: Any) -> None:
    """A command that CloudStack runs in a job does so here; the job ends with the stub's object or error."""
    job = job_of(lab, **vpc_parameters(lab, "new"))
    assert (job["jobstatus"], job["jobresult"]["vpc"]["name"]) == (1, "new")
    assert job["jobresult"]["vpc"]["created"] == "2026-03-01T10:15:30+0000"
    assert job["cmd"].endswith(".CreateVPCCmd")
    job = job_of(lab, **vpc_parameters(lab, "full"))
    text = "Maximum number of resources of type 'vpc' has been exceeded."
    assert (job["jobstatus"], job["jobresult"]) == (2, {"errorcode": 535, "errortext": text})


def test_stubs_are_listed(lab: Any) -> None:
    """listApis shows a stubbed command with CloudStack's parameters and roles."""
    _, _, fields = lab.answer("listApis", who="user", name="createVPC")
    (api,) = fields["api"]
    assert api["isasync"] is True
    assert "vpcofferingid" in {each["name"] for each in api["params"]}
    assert lab.answer("createVPC", who="user", zoneid="00000000-0000-4000-8000-00000000dead")[0] == 431


def refused(folder: Path, text: str) -> StubError:
    (folder / "a.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(StubError) as caught:
        load_stubs(folder, all_declarations())
    return caught.value


STUB = "stubs:\n  - command: "


@pytest.mark.parametrize(
    ("text", "path", "reason"),
    [
        (f"{STUB}listZones\n    list: {{zone: []}}", "stubs[0].command", "listZones is simulated and cannot be a stub"),
        (f"{STUB}listNothing\n    list: {{a: []}}", "stubs[0].command", "CloudStack has no API command listNothing"),
        (f"{STUB}listVPCs", "stubs[0].answer", "expected one of list, object, fields, error"),
        (f"{STUB}listVPCs\n    list: {{a: [], b: []}}", "stubs[0].list",
         "expected one key, the name of the object in the answer"),
        (f"{STUB}listVPCs\n    list: {{vpc: [{{colour: red}}]}}", "stubs[0].list.vpc[0].colour",
         "VpcResponse has no field colour"),
        (f"{STUB}listVPCs\n    match: {{colour: red}}\n    list: {{vpc: []}}", "stubs[0].match.colour",
         "listVPCs has no parameter colour"),
        (f"{STUB}listVPCs\n    match: {{tags: red}}\n    list: {{vpc: []}}", "stubs[0].match.tags",
         "a map parameter cannot be matched"),
        (f"{STUB}listVPCs\n    lists: {{vpc: []}}", "stubs[0].lists", "Unknown field."),
        (f"{STUB}listVPCs\n    error: {{errorcode: 200, text: no}}", "stubs[0].error.errorcode",
         "Must be greater than or equal to 400 and less than or equal to 599."),
        (f"{STUB}createVPC\n    fields: {{}}\n  - command: createVPC\n    async: false\n    fields: {{}}",
         "stubs[1].async", "the stubs of createVPC must all run in a job, or none"),
        ("- 1", "", "the document must be a map with the key stubs"),
        ("a: [", "", "no YAML: line 1: expected the node content, but found '<stream end>'"),
        ("stubs: 1", "stubs", "Not a valid list."),
    ],
)  # fmt: skip
def test_a_stub_that_cannot_be_used_is_refused(text: str, path: str, reason: str, tmp_path: Path) -> None:
    """File, path and reason are told."""
    error = refused(tmp_path, text)
    assert (error.file.name, error.path, error.reason) == ("a.yaml", path, reason)


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    """A folder that is not there and a file that is no text are told."""
    with pytest.raises(StubError, match="no such folder"):
        load_stubs(tmp_path / "none", {})
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(StubError, match="cannot be read"):
        load_stubs(tmp_path, {})


def test_the_start_ends_with_the_reason(tmp_path: Path) -> None:
    """`serve --stubs` with a bad file ends with one line that names it."""
    (tmp_path / "a.yaml").write_text(f"{STUB}listZones\n    list: {{zone: []}}", encoding="utf-8")
    result = CliRunner().invoke(serve, ["--port", "0", "--agent-port", "0", "--stubs", str(tmp_path)])
    assert result.exit_code == 1
    assert result.output == (
        f"Error: stubs {tmp_path / 'a.yaml'}, stubs[0].command: listZones is simulated and cannot be a stub\n"
    )


def test_a_call_that_no_stub_fits(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """It gets what an empty list answers without stubs, an empty list, or a 432; a later file's stub comes later."""
    (tmp_path / "a.yaml").write_text(
        f"{STUB}listSslCerts\n    match: {{certid: 2}}\n    fields: {{}}\n"
        "  - command: listTrafficTypeImplementors\n    match: {keyword: x}\n"
        "    list: {traffictypeimplementorresponse: []}\n"
        "  - command: deleteVPC\n    match: {id: 1}\n    fields: {success: true}\n"
        "  - command: addAnnotation\n    match: {adminsonly: true}\n    fields: {}\n",
        encoding="utf-8",
    )
    (tmp_path / "b.yaml").write_text(
        f"{STUB}addAnnotation\n    match: {{adminsonly: true}}\n    fields: {{success: false}}\n", encoding="utf-8"
    )
    settings = Settings(port=0, agent_port=0, agents="none", vcenter="none", stubs=tmp_path)
    for world in request.getfixturevalue("opener")(settings):
        assert world.answer("listSslCerts")[2]["errortext"].startswith("Invalid parameters either certificate ID")
        assert world.answer("listSslCerts", certid="2") == (200, "listsslcertsresponse", {})
        key = "listtraffictypeimplementorsresponse"
        assert world.answer("listTrafficTypeImplementors") == (200, key, {})
        status, _, fields = world.answer("deleteVPC", id="2")
        assert (status, fields["errortext"]) == (
            432,
            "None of the stubs of deleteVPC fits the parameters of this call",
        )
        assert world.answer("addAnnotation", adminsonly="true") == (200, "addannotationresponse", {})
        assert json.loads(world.ask("addAnnotation").get_data())["errorresponse"]["errorcode"] == 432
