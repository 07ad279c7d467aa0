"""TLS contexts for links in memory."""

from __future__ import annotations

import ssl
from datetime import datetime

import pytest

from mgmt.agents.certificates import tls_context


@pytest.fixture(scope="session")
def server_tls() -> ssl.SSLContext:
    """The TLS context of a management server."""
    return tls_context(None, datetime(2026, 1, 1))
