"""The simulated tool chain: it reads the argument lists of the real one, and leaves the same files behind."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, Iterator

from agent_sim.ledger import FILE
from agent_sim.storage import Pool
from agent_sim.toolchain.export import run_ovftool
from agent_sim.toolchain.images import ImageError, ImageInfo, read_image
from agent_sim.toolchain.interface import Invocation, Outcome, ToolNotFoundError
from agent_sim.toolchain.options import UsageError, V2vOptions, password_options, read_options, read_shell_line
from agent_sim.toolchain.run import Bench, Run, ToolFailure
from agent_sim.toolchain.tls import certificate_der
from agent_sim.toolchain.v2v import run_virt_v2v
from agent_sim.toolchain.vsphere import VcenterUnreachableError

_COPY_STEPS = 10


class SimulatedToolchain:
    """virt-v2v, ovftool, openssl and qemu-img of one simulated host. Nothing is ever run in a shell."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    async def run(self, invocation: Invocation) -> Outcome:
        """See Toolchain. A run that is cancelled or out of time is reported as killed."""
        tool, work = self._find(invocation)
        run = Run(self._bench, tool, invocation)
        exit_status: int | None = None
        try:
            try:
                with self._bench.ledger.running(tool, self._bench.host.name, invocation.vm):
                    if run.faults is not None:
                        await run.faults.begin()
                    await work(run)
                    if run.faults is not None:
                        await run.faults.end()
                exit_status = 0
            except ToolFailure as failure:
                run.lines.extend(failure.lines)
                exit_status = failure.exit_status
        finally:
            run.report(exit_status)
        return Outcome(exit_status, tuple(run.lines))

    def _find(self, invocation: Invocation) -> tuple[str, Callable[[Run], Awaitable[None]]]:
        """The program's name and its work; raises ToolNotFoundError."""
        tools, argv = self._bench.host.tools, invocation.argv
        if argv[0] == "/bin/bash":
            if "openssl" in argv[-1].split(" ", 1)[0]:
                return "openssl", self._openssl
            return "virt-v2v", self._virt_v2v_by_shell
        if argv[0] == "virt-v2v" and tools.virt_v2v is not None:
            return "virt-v2v", self._virt_v2v
        if argv[0] == "ovftool" and tools.ovftool is not None:
            return "ovftool", lambda run: run_ovftool(run, argv[1:])
        if argv[0] == "qemu-img":
            return "qemu-img", self._qemu_img
        raise ToolNotFoundError(f'Cannot run program "{argv[0]}": error=2, No such file or directory')

    async def _openssl(self, run: Run) -> None:
        found = re.search(r"-connect '([^']*)'", run.invocation.argv[-1])
        await run.advance(0.1)
        if self._bench.host.tools.openssl is None:
            raise ToolFailure("/bin/bash: line 1: openssl: command not found", exit_status=127)
        try:
            certificate = await certificate_der(found.group(1) if found else "")
        except VcenterUnreachableError:
            # the pipe's last command gets no certificate; what it says goes to the standard error
            raise ToolFailure(exit_status=1) from None
        digest = hashlib.sha1(certificate, usedforsecurity=False).hexdigest().upper()
        run.say("sha1 Fingerprint=" + ":".join(digest[i : i + 2] for i in range(0, len(digest), 2)))

    async def _virt_v2v_by_shell(self, run: Run) -> None:
        try:
            line = read_shell_line(run.invocation.argv[-1])
        except UsageError as error:
            raise ToolFailure(*error.lines, exit_status=2) from None
        run.environment.update(line.environment)
        if line.spliced:
            run.shell_splice = True
            raise ToolFailure("a shell would read more than one command out of this line: nothing was run")
        if self._bench.host.tools.virt_v2v is None:
            raise ToolFailure("/bin/bash: line 1: virt-v2v: command not found", exit_status=127)
        await run_virt_v2v(run, self._options(line.words[1:]), run.environment)

    async def _virt_v2v(self, run: Run) -> None:
        await run_virt_v2v(run, self._options(run.invocation.argv[1:]), run.environment)

    def _options(self, words: tuple[str, ...]) -> V2vOptions:
        tools = self._bench.host.tools
        version = tools.virt_v2v or ""
        known = tools.password_options if tools.password_options is not None else password_options(version)
        try:
            return read_options(words, version=version, known_password_options=known)
        except UsageError as error:
            raise ToolFailure(*error.lines) from None

    async def _qemu_img(self, run: Run) -> None:
        """`qemu-img convert -O qcow2 SOURCE DESTINATION`."""
        bench = self._bench
        source, destination = run.invocation.argv[-2:]
        try:
            image = read_image(bench.files.real(source))
        except (OSError, ImageError):
            raise ToolFailure(f"qemu-img: Could not open '{source}': No such file or directory") from None
        pool = bench.storage.pool_at(destination)
        room = await bench.room(pool) if pool is not None else image.allocated_bytes
        await run.follow(self._copying(run, image, pool, room))

    def _copying(self, run: Run, image: ImageInfo, pool: Pool | None, room: int) -> Iterator[float]:
        """The copy, part by part: how long each takes."""
        bench = self._bench
        source, destination = run.invocation.argv[-2:]
        path = bench.files.real(destination)
        phase = f"Copying {source.rpartition('/')[2]}"
        disk, disks = run.invocation.disk
        run.progress(phase, disk=disk, disks=disks, bytes_total=image.allocated_bytes)
        before = 0
        for part, (percent, done) in enumerate(run.parts(_COPY_STEPS, image.allocated_bytes, disk=disk)):
            if percent > 0:
                yield (done - before) / bench.model.copy_rate()
                bench.grow_image(pool, path, image.virtual_size_bytes, min(done, room), is_first=part == 1)
                if part == 1:
                    bench.note_file(path, FILE, destination)
                if done > room:
                    raise ToolFailure(f"qemu-img: error while writing at byte {room}: No space left on device")
                run.progress(phase, disk=disk, disks=disks, bytes_done=done, bytes_total=image.allocated_bytes)
                run.say(f"    ({percent:.2f}/100%)")
            before = done
            run.copied(percent, done, image.allocated_bytes, disk=disk)
