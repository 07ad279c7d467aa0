"""What virt-v2v understands: its options by version, and how a shell would split the line that holds them.

Nothing here runs a shell.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from urllib.parse import unquote

_WITH_VALUE = frozenset(
    [
        "--root",
        "-ic",
        "-ip",
        "--password-file",
        "-it",
        "-io",
        "-i",
        "-if",
        "-o",
        "-os",
        "-of",
        "-on",
        "-oa",
        "-oc",
        "-oo",
        "-op",
        "-ot",
        "-b",
        "-n",
        "--bridge",
        "--network",
        "--mac",
        "--key",
        "--block-driver",
        "--memsize",
        "--smp",
        "--bandwidth",
    ]
)
_FLAGS = frozenset(
    ["-v", "-x", "-q", "--verbose", "--quiet", "--in-place", "--print-source", "--print-estimate", "--machine-readable"]
)
_PARALLEL_SINCE = (2, 8)
_VDDK_KEYS = frozenset(
    f"vddk-{key}"
    for key in ["config", "cookie", "libdir", "nfchostport", "port", "snapshot", "thumbprint", "transports", "file"]
)
_ONLY_NEW_PASSWORD_OPTION_SINCE = (2, 8, 1)
_NEW_PASSWORD_OPTION_SINCE = (2, 0)
_WORD = re.compile(r"(?:[^ \t\r\n']|'[^']*')+")
_SHELL_META = re.compile(r"[;|&<>()$`\n]")


class UsageError(Exception):
    """An argument list that virt-v2v refuses: `lines` is what it prints."""

    def __init__(self, *lines: str) -> None:
        super().__init__(lines[0])
        self.lines = lines


def version_numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version text: `2.8.1rhel=9,release=1` gives (2, 8, 1)."""
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in found[0].split(".")) if found else ()


def password_options(version: str) -> tuple[str, ...]:
    """The password options in the help text of this virt-v2v: the old spelling, both, or the new one alone."""
    numbers = version_numbers(version)
    if numbers >= _ONLY_NEW_PASSWORD_OPTION_SINCE:
        return ("-ip",)
    if numbers >= _NEW_PASSWORD_OPTION_SINCE:
        return ("-ip", "--password-file")
    return ("--password-file",)


def help_text(options: tuple[str, ...]) -> str:
    """The part of `virt-v2v --help` that the agent looks at."""
    lines = []
    if "-ip" in options:
        lines.append("  -ip <filename>                        Use password from file to connect to input hypervisor")
    if "--password-file" in options:
        lines.append("  --password-file <filename>            Same as ‘-ip filename’")
    return "\n".join(lines)


@dataclass(frozen=True)
class ShellLine:
    """A line as a shell would read it: exported variables, the words of the command, and whether it is spliced."""

    environment: dict[str, str]
    words: tuple[str, ...]
    spliced: bool


def read_shell_line(line: str) -> ShellLine:
    """Split `export NAME=value && command words...`; raises UsageError for an unbalanced quote.

    `spliced` is True when the line holds more than that one operator: a shell would run something else as well.
    """
    prefix, separator, command = line.partition(" && ")
    name, equals, value = prefix.removeprefix("export ").partition("=")
    words = _words(command)
    outside_quotes = re.sub(r"'[^']*'", "", command)
    spliced = not separator or not equals or bool(_SHELL_META.search(outside_quotes) or _SHELL_META.search(value))
    return ShellLine({name: value}, tuple(words), spliced)


def _words(command: str) -> list[str]:
    """The words of a command; raises UsageError for an unbalanced quote."""
    if '"' not in command and "\\" not in command and command.count("'") % 2 == 0:
        # Single quotes at most, as our own lines have: shlex, which goes letter by letter, takes fifty times as long.
        return [word.replace("'", "") for word in _WORD.findall(command)]
    try:
        return shlex.split(command)
    except ValueError:
        raise UsageError(
            "/bin/bash: -c: line 1: unexpected EOF while looking for matching quote",
        ) from None


@dataclass
class V2vOptions:
    """The options of one run, by name; `io` holds the `-io` keys."""

    values: dict[str, str] = field(default_factory=dict)
    io: dict[str, str] = field(default_factory=dict)
    flags: set[str] = field(default_factory=set)
    guests: list[str] = field(default_factory=list)


def read_options(words: tuple[str, ...], *, version: str, known_password_options: tuple[str, ...]) -> V2vOptions:
    """The words after `virt-v2v`; raises UsageError with the program's text."""
    options = V2vOptions()
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name, separator, inline = word.partition("=") if word.startswith("--") else (word, "", "")
        if not word.startswith("-") or word == "-":
            options.guests.append(word)
        elif name in _FLAGS:
            options.flags.add(name)
        elif _takes_value(name, version, known_password_options):
            if not separator and not rest:
                raise UsageError(f"virt-v2v: option '{name}' requires an argument", _TRY_HELP)
            _store(options, name, inline if separator else rest.pop(0))
        else:
            raise UsageError(f"virt-v2v: unrecognized option '{name}'", _TRY_HELP)
    return options


_TRY_HELP = "Try ‘virt-v2v --help’ or consult virt-v2v(1) for more information."


def _takes_value(name: str, version: str, known_password_options: tuple[str, ...]) -> bool:
    if name in ("-ip", "--password-file"):
        return name in known_password_options
    if name == "--parallel":
        return version_numbers(version) >= _PARALLEL_SINCE
    return name in _WITH_VALUE


def _store(options: V2vOptions, name: str, value: str) -> None:
    if name != "-io":
        options.values[name] = value
        return
    key, _, setting = value.partition("=")
    if key not in _VDDK_KEYS:
        raise UsageError(f"virt-v2v: error: -it vddk: ‘-io {key}’ is not a valid input option")
    options.io[key] = setting


@dataclass(frozen=True)
class VpxAddress:
    """A `vpx://` URL taken apart."""

    username: str
    vcenter: str
    parts: tuple[str, ...]


_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})*")


def read_vpx_url(url: str) -> VpxAddress:
    """Raises UsageError when the text is no URI, as with a blank or an umlaut in a name (libxml2's rules)."""
    if not _URI.fullmatch(url) or not url.startswith("vpx://"):
        raise UsageError(
            f"virt-v2v: error: could not parse '-ic {url}'.  Original error message was: parse_uri: unable to parse URI"
        )
    user, _, rest = url.removeprefix("vpx://").partition("?")[0].rpartition("@")
    vcenter, _, path = rest.partition("/")
    # percent escapes are undone, `+` is not: the agent's form encoding of a blank does not come back
    return VpxAddress(unquote(user), vcenter, tuple(unquote(part) for part in path.split("/") if part))
