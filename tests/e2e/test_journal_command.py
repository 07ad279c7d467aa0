"""listJournalEntries and `cloudstack-mock journal`: what crossed the edges, by one correlation id."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cloudstack_mock import ApiCallError
from mgmt.cli import main


def shown(lab: Any, *words: str) -> Result:
    keys = ["--url", lab.client.url, "--api-key", lab.client.api_key, "--secret-key", lab.client.secret_key]
    return CliRunner().invoke(main, ["journal", *keys, *words])


@pytest.fixture
def journal_lab(start_lab: Any) -> Any:
    """A server with extensions that has imported web01."""
    lab = start_lab(extensions=True)
    lab.import_job = lab.client.send("importVm", lab.import_parameters("web01"))["jobid"]
    while lab.client.call("queryAsyncJobResult", jobid=lab.import_job)["jobstatus"] == 0:
        lab.client.clock.sleep(0.01)
    return lab


def test_an_import_is_one_story(journal_lab: Any) -> None:
    """The call, its job, the vCenter calls, agent messages and tool runs of an import carry one correlation id."""
    client = journal_lab.client
    entries = client.call("listJournalEntries", jobid=journal_lab.import_job)["journalentry"]
    assert {entry["correlationid"] for entry in entries} == {entries[0]["correlationid"]}
    assert {"api", "job", "agent", "vcenter", "import", "tool"} <= {entry["kind"] for entry in entries}
    assert [entry["number"] for entry in entries] == sorted(entry["number"] for entry in entries)
    names = [entry["name"] for entry in entries if entry["kind"] == "agent"]
    assert "ConvertInstanceCommand" in names
    assert "ConvertInstanceAnswer" in names
    same = client.call(
        "listJournalEntries", correlationid=entries[0]["correlationid"], kind="agent", page=1, pagesize=2
    )
    assert same["journalentry"] == [entry for entry in entries if entry["kind"] == "agent"][:2]
    assert same["count"] == len(names)
    newest = client.call("listJournalEntries", jobid=journal_lab.import_job, last=1)["journalentry"]
    assert newest == entries[-1:]
    assert client.call("listJournalEntries", after=10**9) == {}
    (one,) = client.call("listJournalEntries", name="importVm", kind="api")["journalentry"]
    assert one["details"]["status"] == 200
    assert client.call("listJournalEntries", keyword="convertinstance")["count"] == 4  # Check..., too
    assert client.secret_key not in json.dumps(client.call("listJournalEntries", pagesize=500, page=1))

    result = shown(journal_lab, "--job", journal_lab.import_job, "--kind", "agent")
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == len(names)
    assert " agent   ConvertInstanceCommand direction=sent host=kvm" in result.stdout
    result = shown(journal_lab, "--json", "--last", "2")
    assert [len(json.loads(line)) for line in result.stdout.splitlines()] == [6, 6]


def test_what_the_journal_refuses(journal_lab: Any) -> None:
    """An unknown kind, an unknown job and a useless number are named."""
    for parameters, text in (
        ({"kind": "letters"}, "431: Unknown kind letters: one of api, job, agent, "),
        ({"jobid": "x"}, "431: No journal entry of a job with ID: x is kept"),
        ({"last": 0}, "431: Invalid value 0 of last: a number from 1 is expected"),
    ):
        with pytest.raises(ApiCallError, match=text):
            journal_lab.client.call("listJournalEntries", **parameters)
    result = shown(journal_lab, "--kind", "letters")
    assert result.exit_code == 2
    assert "'letters' is not one of 'api', 'job', " in result.stderr
    result = shown(journal_lab, "--job", "x")
    assert result.exit_code == 2
    assert "No journal entry of a job with ID: x is kept" in result.stderr
    assert "--extensions" not in result.stderr
