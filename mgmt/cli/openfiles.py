"""How many sockets this process may have."""

from __future__ import annotations

import resource


def allow_open_files() -> None:
    """Let the process have as many open files as the system lets it: each agent is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
