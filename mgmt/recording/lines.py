"""The form of recorded conversations: one message a line, as the files in `fixtures/wire` have it."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mgmt.protocol import gson
from mgmt.protocol.message import COMPRESS_FROM_BYTES, FLAG_COMPRESSED, Header, MessageError, content_of
from mgmt.protocol.records import SECRET_FIELDS

AGENT = "agent"
SERVER = "server"
PLACEHOLDERS: Mapping[str, str] = {
    "_prvKey": "PRIVATE_KEY",
    "privateKey": "PRIVATE_KEY",
    "vncPassword": "VNC_PASSWORD",
    "userInfo": "STORAGE_SECRET",
}
PLACEHOLDER = "PASSWORD"
ANY_VALUE = frozenset({*PLACEHOLDERS.values(), PLACEHOLDER, "PUBLIC_KEY", "PEM"})


class LinesError(ValueError):
    """A file that holds no recorded conversation; the text names file, line and reason."""


@dataclass(frozen=True)
class Line:
    """One message; `at_s` counts from the first line. `content` is the JSON array as it travelled."""

    sender: str
    at_s: float
    host: str
    header: Header
    content: Any  # a JSON value of any shape

    @property
    def is_request(self) -> bool:
        """Whether the message is a request."""
        return self.header.is_request

    @property
    def classes(self) -> list[str]:
        """The Java class names of the array, in order."""
        if not isinstance(self.content, list):
            return []
        return [next(iter(element), "") for element in self.content if isinstance(element, dict)]

    @classmethod
    def of(cls, message: bytes, *, sender: str, at_s: float, host: str) -> Line:
        """The line of a message; raises MessageError when its header or content cannot be read."""
        header, length = Header.decode(message)
        try:
            content = gson.read(content_of(header, message[length:]))
        except gson.JsonTextError as error:
            raise MessageError(str(error), header) from None
        return cls(sender, at_s, host, header, content)

    def text(self) -> str:
        """One line of JSON, secrets masked."""
        header = self.header
        line = {
            "from": self.sender,
            "to": SERVER if self.sender == AGENT else AGENT,
            "at": round(self.at_s, 3),
            "host": self.host,
            "ver": header.version,
            "flags": f"0x{header.flags:02x}",
            "seq": header.sequence,
            "size": header.size,
            "mgmt": header.management_id,
            "agent": header.agent_id,
            "via": header.via,
            "content": masked(self.content),
        }
        return json.dumps(line, ensure_ascii=False, separators=(",", ":"))

    def message(self, sequence: int) -> bytes:
        """The message's bytes under another sequence number."""
        content = json.dumps(self.content, ensure_ascii=False, separators=(",", ":")).encode()
        flags, size = self.header.flags & ~FLAG_COMPRESSED, len(content)
        if size >= COMPRESS_FROM_BYTES:
            flags |= FLAG_COMPRESSED
            packer = zlib.compressobj(6, zlib.DEFLATED, 31)
            content = packer.compress(content) + packer.flush()
        header = self.header
        return Header(flags, sequence, size, header.management_id, header.agent_id, header.via).encode() + content


def masked(value: Any) -> Any:  # a JSON value of any shape
    """The value with placeholders for what is secret."""
    if isinstance(value, dict):
        return {
            key: PLACEHOLDERS.get(key, PLACEHOLDER) if key in SECRET_FIELDS and item else masked(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [masked(item) for item in value]
    return value


def end_text(at_s: float, host: str) -> str:
    """The line that says that a connection ended."""
    return json.dumps({"event": "closed", "at": round(at_s, 3), "host": host}, separators=(",", ":"))


def load(path: Path, host: str | None = None) -> list[Line]:
    """The messages of a file, of one host if it is named, else of the first; raises LinesError."""
    lines = [line for _, _, line in parsed(path) if line is not None]
    if not lines:
        raise LinesError(f"{path}: there is no message in it")
    wanted = host or lines[0].host
    chosen = [line for line in lines if line.host == wanted]
    if not chosen:
        hosts = sorted({line.host for line in lines})
        raise LinesError(f"{path}: there is no host {wanted!r}, only {', '.join(hosts)}")
    return chosen


def parsed(path: Path) -> Iterator[tuple[int, str, Line | None]]:
    """(number, host, message) of each line of a file, None for the end of a link; raises LinesError."""
    try:
        texts = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise LinesError(f"{path}: cannot be read: {error}") from None
    for number, text in enumerate(texts, start=1):
        if not text.strip():
            continue
        try:
            line = json.loads(text)
            host = str(line.get("host", ""))
            if "event" in line:
                yield number, host, None
                continue
            if "from" not in line:
                continue
            flags = int(line["flags"], 16) if isinstance(line["flags"], str) else int(line["flags"])
            header = Header(
                flags,
                int(line["seq"]),
                int(line.get("size", 0)),
                int(line.get("mgmt", -1)),
                int(line.get("agent", -1)),
                int(line.get("via", -1)),
            )
            content = line["content"]
            yield number, host, Line(str(line["from"]), float(line.get("at", 0)), host, header, content)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise LinesError(f"{path}: line {number} is no recorded message: {error}") from None
