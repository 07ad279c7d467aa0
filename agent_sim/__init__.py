"""Simulated KVM hosts: agents that speak CloudStack's own protocol, and the tools that they run."""

from agent_sim.fleet import Fleet, FleetError
from agent_sim.host import HostDescription, HostFileError, generated_hosts
from agent_sim.hostfile import load_hosts
from agent_sim.toolchain.interface import ProgressEvent, ToolRun

__all__ = [
    "Fleet",
    "FleetError",
    "HostDescription",
    "HostFileError",
    "ProgressEvent",
    "ToolRun",
    "generated_hosts",
    "load_hosts",
]
