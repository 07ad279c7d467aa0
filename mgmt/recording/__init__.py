"""Conversations on the agent wire as JSON lines: a proxy that writes them, a player that replays one side."""
