"""The command line: `cloudstack-mock serve`, `demo`, `agents`, `wire`, `vcenter`, `api`, `leaks`, `fault` and more."""

from __future__ import annotations

import atexit
import importlib
import sys
from typing import ClassVar

import click

from mgmt.cli.collector import leave_garbage, paused_collector
from mgmt.cli.signals import end_before_the_start

SERVING = ("serve", "agents", "vcenter")


class _LazyGroup(click.Group):
    """Loads a subcommand's module when it is asked for, so that `--help` and `api` do not pay for the server."""

    modules: ClassVar[dict[str, tuple[str, str]]] = {
        "serve": ("mgmt.cli.serve", "Run a management server, by default with hosts and a vCenter of its own."),
        "demo": ("mgmt.cli.demo", "Show the main job: import VMware VMs to KVM, over real sockets."),
        "agents": ("mgmt.cli.agents", "Connect simulated KVM hosts to a management server."),
        "wire": ("mgmt.cli.wire", "Record conversations on the agent wire, and replay one side of them."),
        "vcenter": ("mgmt.cli.vcenter", "Run a vCenter stand-in."),
        "api": ("mgmt.cli.api", "Send one API command, wait for its job and print the answer."),
        "leaks": ("mgmt.cli.leaks", "Say what imports left behind; exit status 1 when something is left."),
        "fault": ("mgmt.cli.fault", "Let things go wrong in a server that runs with --admin."),
        "worlds": ("mgmt.cli.worlds", "Make, list, end and save worlds of a server that runs with --admin."),
        "journal": ("mgmt.cli.journal", "Show what crossed the server's edges: calls, jobs, messages, tool runs."),
        "openapi": ("mgmt.cli.openapi", "Print the API as an OpenAPI document."),
        "doctor": ("mgmt.cli.doctor", "Say which real tools, libraries and servers this machine has."),
    }

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.modules:
            return None
        with paused_collector():
            command = getattr(importlib.import_module(self.modules[cmd_name][0]), cmd_name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self.modules.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="cloudstack-mock", prog_name="cloudstack-mock")
def main() -> None:
    """A CloudStack management server for testing imports of VMware VMs to KVM."""


def run() -> None:
    """The program. What serves is ended by a signal with status 0 also while it still starts."""
    atexit.register(leave_garbage)
    if sys.argv[1:2] and sys.argv[1] in SERVING:
        end_before_the_start()
    main(prog_name="cloudstack-mock")
