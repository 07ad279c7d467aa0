"""The argument lists that the KVM agent runs, word for word.

Upstream: plugins/hypervisors/kvm/.../wrapper/LibvirtConvertInstanceCommandWrapper.java with pull request 12970.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from urllib.parse import quote, quote_plus

from agent_sim.toolchain.interface import MASK

# java.net.URLEncoder leaves these as they are, next to letters and digits
_URL_ENCODER_SAFE = "*-._"


def form_encode(text: str) -> str:
    """Java's URLEncoder: form encoding, a blank becomes `+`."""
    return quote_plus(text, safe=_URL_ENCODER_SAFE).replace("~", "%7E")


def vpx_url(
    *, username: str, vcenter: str, datacenter: str, cluster: str | None, host: str | None, as_uri: bool = False
) -> str:
    """The libvirt URL of the VDDK path: only the user is encoded, blank parts are left out.

    With `as_uri` every name is written with the percent escapes of a URI, which upstream does not do.
    """
    parts = [part for part in (datacenter, cluster, host) if part and part.strip()]
    user = form_encode(username)
    if as_uri:
        user, parts = quote(username, safe=""), [quote(part, safe="") for part in parts]
    return f"vpx://{user}@{vcenter}{''.join(f'/{part}' for part in parts)}?no_verify=1"


def thumbprint_argv(vcenter: str) -> tuple[str, ...]:
    """How the agent asks vCenter for its SHA-1 thumbprint. An address that already names a port keeps it."""
    address = vcenter if re.search(r":\d+$", vcenter) else f"{vcenter}:443"
    return (
        "/bin/bash",
        "-c",
        f"openssl s_client -connect '{address}' </dev/null 2>/dev/null | openssl x509 -fingerprint -sha1 -noout",
    )


_FINGERPRINT = re.compile(r"(?:SHA1 *)?Fingerprint *= *([0-9a-f:]+)", re.IGNORECASE)
_BARE = re.compile(r"(?:[0-9a-f]{2}:)+[0-9a-f]{2}", re.IGNORECASE)


def find_thumbprint(output: Sequence[str]) -> str | None:
    """The thumbprint in openssl's output, upper-cased; None when no line has one."""
    for line in output:
        found = _FINGERPRINT.search(line)
        if found:
            return found.group(1).upper()
        if _BARE.fullmatch(line.strip()):
            return line.strip().upper()
    return None


def vddk_argv(
    *,
    backend: str,
    url: str,
    password_option: str,
    password_file: str,
    lib_dir: str,
    thumbprint: str,
    transports: str | None,
    vm_name: str,
    output_dir: str,
    output_name: str,
    verbose: bool,
    extra_params: str | None,
    quote_name: bool = False,
) -> tuple[str, ...]:
    """The VDDK conversion: one shell line in which nothing but the URL is quoted; with `quote_name` the name is too."""
    words = [
        f"export LIBGUESTFS_BACKEND={backend} &&",
        f"virt-v2v --root first -ic '{url}' {password_option} {password_file} -it vddk",
        f"-io vddk-libdir={lib_dir}",
        f"-io vddk-thumbprint={thumbprint}",
    ]
    if transports:
        words.append(f"-io vddk-transports={transports}")
    name = shlex.quote(vm_name) if quote_name else vm_name
    words.append(f"{name} -o local -os {output_dir} -of qcow2 -on {output_name}")
    if verbose:
        words.append("-v")
    if extra_params and extra_params.strip():
        words.append(extra_params)
    return ("/bin/bash", "-c", " ".join(words) + " ")


def ovf_argv(
    *, source_dir: str, output_dir: str, output_name: str, verbose: bool, extra_params: str | None
) -> tuple[str, ...]:
    """The conversion of an exported OVF directory, run without a shell."""
    argv = ["virt-v2v", "--root", "first", "-i", "ova", source_dir, "-o", "local", "-os", output_dir]
    argv += ["-of", "qcow2", "-on", output_name]
    if verbose:
        argv.append("-v")
    if extra_params and extra_params.strip():
        argv += [word for word in extra_params.split(" ") if word]
    return tuple(argv)


def ovftool_argv(
    *,
    username: str,
    password: str,
    vcenter: str,
    datacenter: str,
    folder: str | None,
    vm_name: str,
    threads: int,
    target_dir: str,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The export by ovftool, twice: as run (the locator holds the password) and as shown."""
    place = folder if folder and folder.strip() else "vm"

    def argv(secret: str) -> tuple[str, ...]:
        locator = f"vi://{form_encode(username)}:{secret}@{vcenter}/{datacenter}/{place}/{vm_name}"
        parallel = (f"--parallelThreads={threads}",) if threads > 1 else ()
        return ("ovftool", "--noSSLVerify", *parallel, locator, target_dir)

    return argv(form_encode(password)), argv(MASK)


def copy_argv(source: str, destination: str) -> tuple[str, ...]:
    """The copy of one disk into its pool."""
    return ("qemu-img", "convert", "-O", "qcow2", source, destination)


def ovftool_knows_parallel_threads(version: str | None) -> bool:
    """Whether ovftool is 4.4 or later by its first two numbers; anything that cannot be read is not."""
    found = re.match(r"(\d+)\.(\d+)", version or "")
    return bool(found) and (int(found[1]), int(found[2])) >= (4, 4) if found else False
