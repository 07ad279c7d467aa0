"""The correlation id that ties an API call to its job, agent commands, vCenter calls and tool runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_current: ContextVar[str | None] = ContextVar("correlation_id", default=None)


def current_correlation_id() -> str | None:
    """The id of the work that the calling thread is doing, or None."""
    return _current.get()


@contextmanager
def correlated(correlation_id: str) -> Iterator[None]:
    """Run the block under `correlation_id`."""
    token = _current.set(correlation_id)
    try:
        yield
    finally:
        _current.reset(token)
