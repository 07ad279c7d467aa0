"""What a server offers with `--extensions`, and hides without."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import CliRunner

from cloudstack_mock import ApiCallError
from mgmt.cli import main
from mgmt.cli.extensions import EXTENSION_COMMANDS, EXTENSION_PARAMETERS
from mgmt.commands import all_declarations


def test_extensions_are_hidden_by_default(lab: Any) -> None:
    """Without the setting neither the parameter nor the command is there."""
    shown = lab.client.call("listApis", name="importVm")["api"][0]["params"]
    assert "dryrun" not in {parameter["name"] for parameter in shown}
    with pytest.raises(ApiCallError, match=r"^401: .*getImportTrace is none of CloudStack's commands: start"):
        lab.client.call("getImportTrace", jobid="x")
    keys = ["--url", lab.client.url, "--api-key", lab.client.api_key, "--secret-key", lab.client.secret_key]
    result = CliRunner().invoke(main, ["api", *keys, "getImportTrace", "jobid=x"])
    assert result.exit_code == 1
    assert result.stderr.endswith(
        "getImportTrace is none of CloudStack's commands: start the server with --extensions\n"
    )
    keys[-1] = "wrong"
    assert "--extensions" not in CliRunner().invoke(main, ["api", *keys, "getImportTrace", "jobid=x"]).stderr


def test_a_dry_run_is_never_a_real_one(lab: Any) -> None:
    """A server without extensions ignores dryrun and imports: the command line sends nothing there."""
    keys = ["--url", lab.client.url, "--api-key", lab.client.api_key, "--secret-key", lab.client.secret_key]
    before = len(lab.journal("job"))
    result = CliRunner().invoke(main, ["api", *keys, "importVm", "dryrun=true", "name=web01"])
    assert result.exit_code == 1
    assert "no parameter dryrun of importVm, and nothing was sent: start the server with --extensions" in result.stderr
    assert len(lab.journal("job")) == before


def test_the_command_line_knows_every_extension() -> None:
    """What it hints at are the commands and parameters that are declared as extensions."""
    declared = all_declarations().values()
    assert {each.name for each in declared if each.extension} == EXTENSION_COMMANDS
    assert {
        (each.name, name)
        for each in declared
        if not each.extension
        for name, field in each.params._declared_fields.items()
        if getattr(field, "extension", False)
    } == EXTENSION_PARAMETERS


@pytest.mark.slow
def test_dry_run_and_trace_of_a_failure(start_lab: Any) -> None:
    """A dry run tells its plan and makes nothing; the command line tells the rules of a failed import."""
    lab = start_lab(extensions=True)
    shown = lab.client.call("listApis", name="importVm")["api"][0]["params"]
    assert "dryrun" in {parameter["name"] for parameter in shown}
    parameters = lab.import_parameters("web01")
    events = lab.client.call("listEvents", listall=True).get("count", 0)
    plan = lab.client.run("importVm", parameters | {"dryrun": True}, poll_interval_s=0.01)["importplan"]
    assert plan["possible"] is True
    assert plan["converthost"] in {"kvm1", "kvm2"}
    assert lab.client.call("listVirtualMachines", listall=True) == {}
    assert lab.client.call("listEvents", listall=True).get("count", 0) == events
    assert lab.tasks() == []

    words = [f"{name}={value}" for name, value in parameters.items() if isinstance(value, str) and name != "name"]
    keys = ["--url", lab.client.url, "--api-key", lab.client.api_key, "--secret-key", lab.client.secret_key]
    result = CliRunner().invoke(main, ["api", *keys, "importVm", "name=nosuch", "hostname=ok", *words])
    assert result.exit_code == 1
    assert "passed" not in result.stderr
    assert "Rows are those of docs/import-rules.md; every rule looked at: getImportTrace jobid=" in result.stderr
    assert "C C2: refused: Cannot find VM with name nosuch" in result.stderr
    result = CliRunner().invoke(main, ["api", *keys, "listhosts"])
    assert result.exit_code == 1
    assert "CloudStack has no API command listhosts: did you mean listHosts?" in result.stderr
    with pytest.raises(ApiCallError, match="No trace of an import with job ID: x is kept"):
        lab.client.call("getImportTrace", jobid="x")
