"""What the tests of jobs hand to a runner: a command and whose job it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Command:
    name: str = "importVm"
    java_class: str = "org.example.ImportVmCmd"
    job_instance_type: str | None = None
    event: Any = None


@dataclass(frozen=True)
class Owner:
    user_id: int = 2
    account_id: int = 3
    domain_id: int = 1
