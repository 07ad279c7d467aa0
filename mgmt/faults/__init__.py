"""Failures by name: what can go wrong, as data, and the one engine that the edges ask.

`fixtures/faults/*.yaml` say what goes wrong where; an edge asks `FaultEngine.hit` as it passes a point and does the
effects that it gets. The simulators know the engine as a port of their own with the same two methods.
"""

from mgmt.faults.choices import FaultRefusedError
from mgmt.faults.definitions import Fault, FaultFileError, shipped_faults
from mgmt.faults.engine import ArmedFault, FaultEngine, SavedFault
from mgmt.faults.line import fault_of_line

__all__ = [
    "ArmedFault",
    "Fault",
    "FaultEngine",
    "FaultFileError",
    "FaultRefusedError",
    "SavedFault",
    "fault_of_line",
    "shipped_faults",
]
