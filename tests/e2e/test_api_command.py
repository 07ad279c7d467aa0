"""`cloudstack-mock api`: forms of output, recorded exchanges, completion by the shell."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result

from mgmt.cli import main


def keys(lab: Any) -> list[str]:
    return ["--url", lab.client.url, "--api-key", lab.client.api_key, "--secret-key", lab.client.secret_key]


def api(lab: Any, *words: str) -> Result:
    return CliRunner().invoke(main, ["api", *keys(lab), *words])


def completed(lab: Any, words: list[str], incomplete: str) -> list[str]:
    complete = ShellComplete(main, {}, "cloudstack-mock", "_CLOUDSTACK_MOCK_COMPLETE")
    return [item.value for item in complete.get_completions(["api", *keys(lab), *words], incomplete)]


def test_a_list_as_a_table(lab: Any) -> None:
    """A head and a line each, the chosen fields in their order, ids whole."""
    result = api(lab, "listHosts", "type=Routing", "--output", "table", "--columns", "name,state,id,annotation")
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[0] == ["name", "state", "id", "annotation"]
    assert [line[:2] for line in lines[1:]] == [["kvm1", "Up"], ["kvm2", "Up"], ["kvm3", "Up"]]
    assert all(len(line[2]) == 36 and line[3] == "-" for line in lines[1:])
    head = api(lab, "listZones", "-o", "table").stdout.splitlines()[0].split()
    assert head[:2] == ["id", "name"]
    assert len(head) == 8
    assert api(lab, "listVirtualMachines", "-o", "table").stdout.strip() == ""


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--columns", "name"), "--columns name goes with --output table or --output csv"),
        (("-o", "csv", "--columns", "nmae,id"), "listHosts answers no field 'nmae'; near it are name"),
        (("-o", "table", "--columns", ","), "expected names of fields"),
    ],
)
def test_columns_that_cannot_be_shown_are_refused(words: tuple[str, ...], text: str) -> None:
    """Before anything is sent: columns of a form without any, and names that no answer of the command has."""
    result = CliRunner().invoke(
        main, ["api", "--url", "http://127.0.0.1:9", "--api-key", "k", "--secret-key", "s", "listHosts", *words]
    )
    assert result.exit_code == 2
    assert text in " ".join(result.stderr.split())


def test_a_list_as_csv(lab: Any) -> None:
    """Every field that one of them has is a column; objects are JSON."""
    rows = list(csv.DictReader(api(lab, "listHosts", "type=Routing", "-o", "csv").stdout.splitlines()))
    assert [row["name"] for row in rows] == ["kvm1", "kvm2", "kvm3"]
    assert json.loads(rows[0]["details"])["Host.OS"]
    one = list(csv.DictReader(api(lab, "listCapabilities", "-o", "csv").stdout.splitlines()))
    assert one[0]["cloudstackversion"] == "4.22.1.0"


def test_xml_is_the_servers_own(lab: Any) -> None:
    """The document as it came; an error goes to standard error with status 1."""
    result = api(lab, "listZones", "-o", "xml")
    assert result.stdout.startswith('<?xml version="1.0" encoding="UTF-8"?><listzonesresponse cloud-stack-version=')
    result = api(lab, "listZones", "-o", "xml", "id=nosuch")
    assert result.exit_code == 1
    assert "<errorcode>431</errorcode>" in result.stderr


def test_exchanges_are_recorded_without_secrets(lab: Any, tmp_path: Path) -> None:
    """Shapes of good answers, whole errors, and no key, signature or password; a second run goes on in the file."""
    file = tmp_path / "exchanges.jsonl"
    api(lab, "listZones", "--record", str(file))
    api(lab, "addVmwareDc", "name=x", "password=geheim123", "details[0].password=geheim456", "--record", str(file))
    text = file.read_text(encoding="utf-8")
    zones, refused = map(json.loads, text.splitlines())
    assert (zones["name"], refused["name"]) == ("recorded:1", "recorded:2")
    assert zones["form"] == [
        ["command", "listZones"], ["apiKey", "ADMIN_API_KEY"], ["response", "json"], ["signature", "SIGNATURE"]
    ]  # fmt: skip
    assert zones["shape"]["json"]["listzonesresponse"]["zone"][0]["localstorageenabled"] == "bool"
    assert (refused["status"], refused["reason"]) == (431, "Request Header Fields Too Large")
    assert json.loads(refused["body"])["addvmwaredcresponse"]["errorcode"] == 431
    for secret in ("geheim123", "geheim456", lab.client.secret_key, lab.client.api_key):
        assert secret not in text


def test_the_shell_completes_commands_and_parameters(lab: Any) -> None:
    """Commands and parameters as listApis tells them; `name[0].` of a map; the words of a boolean."""
    assert completed(lab, [], "listhosts") == ["listHosts", "listHostsMetrics"]
    found = completed(lab, ["importVm"], "n")
    assert {"name=", "nicnetworklist[0]."} <= set(found)
    assert completed(lab, ["importVm"], "usevddk=") == ["usevddk=true", "usevddk=false"]
    assert completed(lab, ["importVm"], "name=") == []
    assert completed(lab, ["nosuch"], "n") == []


def test_without_a_server_the_catalogue_completes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Names of all of CloudStack's commands, and their parameters."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    complete = ShellComplete(main, {}, "cloudstack-mock", "_CLOUDSTACK_MOCK_COMPLETE")
    assert "createAutoScalePolicy" in [i.value for i in complete.get_completions(["api"], "createA")]
    assert [i.value for i in complete.get_completions(["api", "listZones"], "showc")] == ["showcapacities="]
