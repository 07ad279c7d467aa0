"""What the report of a failed test tells of its cloud."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudstack_mock._leaks import leaks_of, line_of

if TYPE_CHECKING:
    from cloudstack_mock._cloud import Cloud

MAX_IMPORTS = 3


def report_of(cloud: Cloud) -> str:
    """Address, faults, the last imports as sequence diagrams, and what they left."""
    lines = [f"cloud at {cloud.url}, clock {cloud.clock.mode}"]
    lines += [f"fault {armed.name}: met {armed.fired} times" for armed in cloud.world.faults.armed]
    jobs = cloud.import_jobs()
    for job_id in jobs[-MAX_IMPORTS:]:
        lines += ["", f"import, job {job_id}:", str(cloud.timeline(job_id))]
    if not jobs:
        lines.append("no import was begun")
    lines += [f"left behind: {line_of(leak)}" for leak in leaks_of(cloud.world)]
    return "\n".join(lines)
