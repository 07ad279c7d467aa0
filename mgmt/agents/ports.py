"""What the agent edge needs from rooms above it."""

from __future__ import annotations

from typing import Protocol


class AgentSettings(Protocol):
    """Global settings by name; `mgmt.inventory.settings.GlobalSettings` is one."""

    def get_text(self, name: str) -> str | None:
        """The value, None when it was set to nothing."""
        ...

    def get_int(self, name: str) -> int:
        """The value as a whole number."""
        ...

    def get_float(self, name: str) -> float:
        """The value as a decimal number."""
        ...
