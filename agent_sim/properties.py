"""agent.properties: the text form, and what the agent makes of it.

The text form is that of `java.util.Properties`: comments, continued lines, escapes, three separators. The typed view
carries the documented defaults (agent/conf/agent.properties and AgentProperties.java upstream); a blank value counts as
unset.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_WHITESPACE = " \t\f"
_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


class PropertiesError(ValueError):
    """A text that is no properties file, or a value of the wrong kind: says the line or key, and what was expected."""


def parse_properties(text: str) -> dict[str, str]:
    """The keys and values of a Java properties text; a key that is there twice has its last value."""
    values: dict[str, str] = {}
    for number, line in _logical_lines(text):
        key, value = _split(line)
        values[_unescape(key, number)] = _unescape(value, number)
    return values


def format_properties(values: Mapping[str, str]) -> str:
    """A properties text that `parse_properties` reads back as `values`."""
    return "".join(f"{_escape(key, key=True)}={_escape(value, key=False)}\n" for key, value in values.items())


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines without comments and blanks, continued lines joined, each with the number of its first natural line."""
    pending: list[str] = []
    start = 0
    for number, natural in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), start=1):
        line = natural.lstrip(_WHITESPACE)
        if not pending:
            if not line or line[0] in "#!":
                continue
            start = number
        backslashes = len(line) - len(line.rstrip("\\"))
        if backslashes % 2:
            pending.append(line[:-1])
            continue
        yield start, "".join([*pending, line])
        pending = []
    if pending:
        yield start, "".join(pending)


def _split(line: str) -> tuple[str, str]:
    """Key and value, both still escaped: the key ends at the first unescaped `=`, `:` or white space."""
    position = 0
    while position < len(line):
        character = line[position]
        if character == "\\":
            position += 2
            continue
        if character in "=:" or character in _WHITESPACE:
            break
        position += 1
    key, rest = line[:position], line[position:].lstrip(_WHITESPACE)
    if rest[:1] in ("=", ":"):
        rest = rest[1:].lstrip(_WHITESPACE)
    return key, rest


def _unescape(text: str, line_number: int) -> str:
    parts: list[str] = []
    position = 0
    while position < len(text):
        character = text[position]
        if character != "\\":
            parts.append(character)
            position += 1
            continue
        escaped = text[position + 1 : position + 2]
        if escaped == "u":
            digits = text[position + 2 : position + 6]
            try:
                if len(digits) != 4:
                    raise ValueError(digits)
                parts.append(chr(int(digits, 16)))
            except ValueError:
                raise PropertiesError(f"line {line_number}: malformed \\uxxxx escape: expected 4 hex digits") from None
            position += 6
            continue
        parts.append(_ESCAPES.get(escaped, escaped))
        position += 2
    # Java writes characters beyond the basic plane as two \u escapes: join the pair
    return "".join(parts).encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def _escape(text: str, *, key: bool) -> str:
    parts: list[str] = []
    for index, character in enumerate(text):
        if character in "\t\n\r\f":
            parts.append("\\" + {"\t": "t", "\n": "n", "\r": "r", "\f": "f"}[character])
        elif character in "\\=:#!" or (character == " " and (key or index == 0)):
            parts.append("\\" + character)
        elif not " " <= character <= "~":
            encoded = character.encode("utf-16-be", "surrogatepass")
            parts.extend(f"\\u{encoded[i : i + 2].hex()}" for i in range(0, len(encoded), 2))
        else:
            parts.append(character)
    return "".join(parts)


@dataclass(frozen=True)
class LocalPoolSetting:
    """One local storage pool named by `local.storage.uuid` and `local.storage.path`."""

    uuid: str | None
    path: str


class AgentProperties:
    """What one agent reads from its agent.properties, with defaults for what is not there."""

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self._values = dict(values or {})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AgentProperties) and self._values == other._values

    def __hash__(self) -> int:
        return hash(frozenset(self._values.items()))

    @classmethod
    def from_text(cls, text: str) -> AgentProperties:
        """Read the text form; raises PropertiesError."""
        return cls(parse_properties(text))

    @classmethod
    def from_file(cls, path: Path) -> AgentProperties:
        """Read a file (UTF-8); raises PropertiesError with the file's name, OSError when it cannot be read."""
        try:
            return cls.from_text(path.read_text(encoding="utf-8"))
        except (PropertiesError, UnicodeDecodeError) as error:
            raise PropertiesError(f"{path}: {error}") from None

    def with_values(self, **values: str) -> AgentProperties:
        """A copy with some keys set; `_` in an argument's name stands for `.`."""
        return AgentProperties({**self._values, **{key.replace("_", "."): value for key, value in values.items()}})

    def edited(self, changes: Mapping[str, str | None]) -> AgentProperties:
        """A copy with some keys set, or removed where the value is None."""
        values = {**self._values, **changes}
        return AgentProperties({key: value for key, value in values.items() if value is not None})

    def as_dict(self) -> dict[str, str]:
        """The raw keys and values."""
        return dict(self._values)

    def text(self, key: str) -> str | None:
        """The trimmed value, None when the key is absent or blank."""
        value = self._values.get(key, "").strip()
        return value or None

    def _int(self, key: str, default: int, *, minimum: int = 0) -> int:
        value = self.text(key)
        if value is None:
            return default
        try:
            number = int(value)
        except ValueError:
            raise PropertiesError(f"{key}: expected a whole number, got {value!r}") from None
        if number < minimum:
            raise PropertiesError(f"{key}: expected at least {minimum}, got {number}")
        return number

    def _bool(self, key: str) -> bool:
        # Boolean.parseBoolean upstream: anything but "true" is false
        return (self.text(key) or "").lower() == "true"

    def _list(self, key: str) -> list[str]:
        return [item.strip() for item in (self.text(key) or "").split(",") if item.strip()]

    # -- connecting (agent/.../properties/AgentProperties.java)

    @property
    def host(self) -> str:
        return self.text("host") or "localhost"

    @property
    def port(self) -> int:
        return self._int("port", 8250, minimum=1)

    @property
    def guid(self) -> str | None:
        return self.text("guid")

    @property
    def workers(self) -> int:
        return self._int("workers", 5, minimum=1)

    @property
    def zone(self) -> str:
        return self.text("zone") or "default"

    @property
    def pod(self) -> str:
        return self.text("pod") or "default"

    @property
    def cluster(self) -> str | None:
        return self.text("cluster")

    @property
    def private_network_device(self) -> str:
        return self.text("private.network.device") or "cloudbr1"

    @property
    def public_network_device(self) -> str:
        return self.text("public.network.device") or "cloudbr0"

    @property
    def guest_network_device(self) -> str:
        return self.text("guest.network.device") or self.private_network_device

    @property
    def local_pools(self) -> list[LocalPoolSetting]:
        """Paired by position, as the agent does; a path without uuid gets one of its own at start."""
        paths = self._list("local.storage.path") or ["/var/lib/libvirt/images/"]
        uuids = self._list("local.storage.uuid")
        return [LocalPoolSetting(uuids[i] if i < len(uuids) else None, path) for i, path in enumerate(paths)]

    @property
    def ping_retries(self) -> int:
        return self._int("ping.retries", 5, minimum=1)

    @property
    def backoff_s(self) -> int:
        return self._int("backoff.seconds", 5)

    @property
    def ssl_handshake_timeout_s(self) -> int:
        return self._int("ssl.handshake.timeout", 30, minimum=1)

    @property
    def host_lb_check_interval_s(self) -> int | None:
        return self._int("host.lb.check.interval", 0) or None

    @property
    def mount_path(self) -> str:
        return self.text("mount.path") or "/mnt"

    @property
    def script_timeout_s(self) -> int:
        return self._int("agent.script.timeout", 60, minimum=1)

    @property
    def health_check_script(self) -> str | None:
        return self.text("agent.health.check.script.path")

    @property
    def libvirt_events_enabled(self) -> bool:
        """Whether a VM that ends by itself is told to the server at once."""
        return self._bool("libvirt.events.enabled")

    @property
    def host_tags(self) -> list[str]:
        return self._list("host.tags")

    # -- conversion (agent-side keys of the VMware import)

    @property
    def libguestfs_backend(self) -> str:
        return self.text("libguestfs.backend") or "direct"

    @property
    def vddk_lib_dir(self) -> str | None:
        return self.text("vddk.lib.dir")

    @property
    def vddk_transports(self) -> str | None:
        return self.text("vddk.transports")

    @property
    def vddk_thumbprint(self) -> str | None:
        return self.text("vddk.thumbprint")

    @property
    def virtv2v_verbose(self) -> bool:
        return self._bool("virtv2v.verbose.enabled")

    @property
    def conversion_environment(self) -> dict[str, str]:
        """Environment of the OVF path's virt-v2v: `TMPDIR` and `VIRT_V2V_TMPDIR`, those that are set."""
        keys = {"TMPDIR": "convert.instance.env.tmpdir", "VIRT_V2V_TMPDIR": "convert.instance.env.virtv2v.tmpdir"}
        found = {name: self.text(key) for name, key in keys.items()}
        return {name: value for name, value in found.items() if value is not None}
