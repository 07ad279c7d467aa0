"""CloudStack's agent wire: frames, header and typed commands and answers. Imports nothing else of the server."""

from __future__ import annotations

import mgmt.protocol.commands  # noqa: F401 - declares the records, so that every decoder knows them
