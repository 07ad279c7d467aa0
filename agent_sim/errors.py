"""Failures as the Java agent would tell them."""

from __future__ import annotations


def domain_not_found(name: str) -> str:
    """libvirt's text for a domain that is not there."""
    return f"Domain not found: no domain with matching name '{name}'"


class AgentFailure(Exception):
    """An exception on the host: `text` is its message, `java_class` what Java would have thrown.

    A command handler that does not catch it gives CloudStack's answer for an exception: the stack trace as details.
    """

    def __init__(self, text: str, *, java_class: str = "com.cloud.utils.exception.CloudRuntimeException") -> None:
        super().__init__(text)
        self.text = text
        self.java_class = java_class

    def stack_trace(self, where: str) -> str:
        """The text that the agent puts into `details` (ExceptionUtils.getStackTrace), with one frame."""
        return f"{self.java_class}: {self.text}\n\tat {where}\n"
