"""The steps of an import that are no rules of their own, and the cases of the test matrix: for docs/import-rules.md.

A step either stands for other rows, refuses nothing, or cannot happen; `rules.py` reads the rules from the code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """A step of import-vm 2.1, 2.7, 3.8 or 5.2 by its number: what happens, and the rows that stand for it."""

    text: str
    rows: str = ""


STEPS: Mapping[str, Step] = {
    "13c": Step("the cluster's hosts that are Up are listed; nothing is refused"),
    "13d": Step("the event VM.IMPORT, state Started, is written"),
    "13e": Step("a blank importsource is none of the sources: row 1 refuses it earlier", "1"),
    "17": Step("the conversion pool", "table P"),
    "18": Step("VDDK: the pool and the offerings", "table V"),
    "21": Step("the conversion host; from here on every CloudRuntimeException ends as 530", "table H"),
    "22": Step("the import host", "table I"),
    "23": Step("the conversion host is asked whether it can convert", "3.2"),
    "24": Step("the temporary location, then the destination pools", "tables T and D"),
    "25": Step("the import task is made, in step CloningInstance"),
    "26": Step("the source VM is looked up, and cloned where it runs", "table C"),
    "28": Step("a Windows guest: the conversion host is asked once more", "3.2"),
    "29": Step("networks and NICs before the conversion", "2.7-1 to 2.7-8"),
    "31": Step("the conversion, then the import of the disks", "3.4, 3.5"),
    "32": Step("what came out is completed with what the source says; task step Importing", "3.7"),
    "33": Step("the records of VM, volumes and NICs", "3.8-1 to 3.8-9, 2.7-33"),
    "34": Step("the task is Completed, the VM is the job's result"),
    "2.7-5": Step("VLANs are compared for VMware destinations only; no VM is converted for one"),
    "3.8-6": Step("the VM's record: Stopped, on no host, named `i-<account>-<number>-<suffix>`"),
    "5.2-4": Step("name, and domainid without account", "3, 4"),
    "5.2-5": Step("owner, template, compute offering", "10, 11, 12"),
    "5.2-7": Step("the source's own checks", "5.3-1 to 5.3-17, 5.4-1 to 5.4-17"),
}

# The cases of the test matrix: what is given, and what must come of it.
CASES: Mapping[str, str] = {
    "H2a": "the conversion host is in maintenance: refused with the name of the state",
    "H2b": "a disabled host converts, and is refused as import host",
    "H5a": "the conversion host is in another zone",
    "H5b": "by VDDK on a host of another cluster of the zone, without an import host: both roles are its",
    "H5c": "the same without VDDK: the import host comes from the destination cluster",
    "H5d": "the same with a pool of the destination cluster",
    "H8": "one of two hosts has VDDK: it is chosen every time",
    "H9": "no host has VDDK: any is chosen, and the check command decides",
    "H12": "no usable host, without VDDK",
    "H13": "no usable host, with VDDK: other words",
    "I5a": "the import host is in another cluster",
    "V2a": "VDDK, and the pool lacks the tag of the compute offering",
    "V4a": "VDDK, and the pool lacks the tag of a data disk's offering",
    "V5a": "VDDK, and the pool has the tag",
    "V5b": "without VDDK the pool without the tag is the temporary place, and the root disk goes where the tag is",
    "V5c": "without VDDK straight into the pool without the tag: refused by table D",
    "P3a": "straight into RBD",
    "T5a": "straight into a local pool, with two hosts",
    "T5b": "straight into a local pool, by VDDK on one host",
    "T6a": "a temporary place that is not NFS",
    "T3a": "the zone has no secondary storage: its number is told",
    "S16": "forcemstoimportvmfiles alone, with VDDK the default: 431 in the job's both codes",
    "S14": "both vCenter parameters, and none: the same words",
    "E3a": "an extra parameter that is not in the list",
    "W1": "a stopped Windows guest: two check commands, the second with the flag",
    "W2": "a running Windows guest: refused, nothing converted, the task Failed",
    "C7a": "a running Linux guest: the clone is made and goes, after success and after each failure",
    "N1t": "two NICs and one entry of the map: the numbers are told, the clone goes, the task Failed",
    "A1": "the host cannot convert: its words, no import command, the task Failed, an error event",
    "A2": "the agent drops during the conversion",
    "A3": "the import host answers without disks",
    "A4": "the import host names a pool that the server does not know: no VM is left",
    "J1": "success: the VM in the job's result, task Completed with it, usage events, counts",
    "D1t": "a VDDK directory with blanks around it: trimmed in both commands, kept among the VM's details",
    "D2t": "a VDDK directory in the second element of the details: ignored",
}
