"""CheckConvertInstance and ConvertInstance: may the host convert, and do it.

Upstream: LibvirtCheckConvertInstanceCommandWrapper and LibvirtConvertInstanceCommandWrapper with pull request 12970.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from agent_sim.capabilities import is_vddk_directory
from agent_sim.commands.base import API, HandlerTable, blank, open_temporary_pool, remove_converted, trimmed
from agent_sim.defects import (
    BLANK_IN_VPX_URL,
    EXPORT_FOLDER_LEFT,
    HALF_CONVERTED_LEFT,
    PASSWORD_FILE_MODE,
    TEMPORARY_MOUNT_LEFT,
    UNQUOTED_VDDK_LINE,
    VDDK_READS_ORIGINAL,
)
from agent_sim.errors import AgentFailure
from agent_sim.execution import current_execution
from agent_sim.hypervisor import PASSWORD_FILE_PREFIX, Hypervisor
from agent_sim.ledger import FOLDER, PASSWORD_FILE
from agent_sim.storage import Pool
from agent_sim.toolchain.arguments import (
    find_thumbprint,
    ovf_argv,
    ovftool_argv,
    ovftool_knows_parallel_threads,
    thumbprint_argv,
    vddk_argv,
    vpx_url,
)
from agent_sim.toolchain.interface import Invocation, Outcome, ToolNotFoundError, ToolTimeoutError
from mgmt.protocol.commands import (
    Answer,
    CheckConvertInstanceAnswer,
    CheckConvertInstanceCommand,
    ConvertInstanceAnswer,
    ConvertInstanceCommand,
    NfsTO,
    RemoteInstanceTO,
)

logger = logging.getLogger(__name__)

_DEFAULT_LIMIT_S = 3600.0  # Script.java: one hour where the command has no `wait`
# What Files.write leaves behind with the usual umask. It is only reported: the file here is for its owner alone.
_UPSTREAM_PASSWORD_FILE_MODE = 0o644
_PASSWORD_FILE_MODE = 0o600
_PROCESS_ALIVE = "process hasn't exited"


async def check_convert(hypervisor: Hypervisor, command: CheckConvertInstanceCommand) -> Answer:
    """VDDK or virt-v2v, then virtio-win, else true; in that order."""
    found, address = hypervisor.probe_tools(), hypervisor.host.ip
    is_debian = hypervisor.host.os.is_debian_family

    def refuse(text: str) -> Answer:
        return CheckConvertInstanceAnswer(result=False, details=text)

    if command.useVddk:
        override = trimmed(command.vddkLibDir)
        lib_dir = found.vddk_lib_dir
        if override is not None:
            # an invalid override is not replaced by the agent's own directory
            lib_dir = override if is_vddk_directory(hypervisor.files, override) else None
        if not found.supports_vddk(lib_dir):
            packages = "virt-v2v, nbdkit, nbdkit-vddk and" if is_debian else "virt-v2v, nbdkit-vddk and"
            return refuse(
                f"Cannot convert the instance from VMware using VDDK on host {address}. Please make sure "
                f"{packages} a valid VDDK library directory are available on the host."
            )
    elif not found.instance_conversion:
        packages = "virt-v2v, nbdkit" if is_debian else "virt-v2v"
        return refuse(
            f"Cannot convert the instance from VMware as the virt-v2v binary is not found on host {address}. Please "
            f"install {packages} on the host before attempting the instance conversion."
        )
    if command.checkWindowsGuestConversionSupport and not found.windows_conversion:
        return refuse(
            f"Cannot convert the instance from VMware as the virtio-win package is not found on host {address}. "
            "Please install virtio-win package on the host before attempting the windows guest instance conversion."
        )
    return CheckConvertInstanceAnswer(result=True, details="", ovfExportSupported=found.ovf_export)


@dataclass
class _Conversion:
    """One conversion on its way: what the steps need, and what has to be undone."""

    hypervisor: Hypervisor
    command: ConvertInstanceCommand
    source: RemoteInstanceTO
    pool: Pool
    uuid: str
    export_folder: str | None = None

    @property
    def limit_s(self) -> float:
        return float(self.command.wait) if self.command.wait > 0 else _DEFAULT_LIMIT_S

    @property
    def name(self) -> str:
        """The VM's name in answers: that of the clone when the VM was cloned."""
        return self.source.instanceName or ""

    @property
    def original_name(self) -> str:
        return self.command.originalVMName or self.name

    def remove_files(self) -> None:
        """What a conversion that is ended from outside leaves nothing of: its files, and the mount that it made."""
        for path in self.pool.directory.glob(f"{self.uuid}*"):
            path.unlink(missing_ok=True)
        if self.export_folder is not None:
            # not by its path on the host: the mount may be gone by now
            shutil.rmtree(self.pool.directory / PurePosixPath(self.export_folder).name, ignore_errors=True)
        is_nfs = isinstance(self.command.conversionTemporaryLocation, NfsTO)
        if is_nfs and not self.is_repaired(TEMPORARY_MOUNT_LEFT):  # a repaired host gave it back already
            self.hypervisor.storage.release(self.pool)

    def is_repaired(self, defect: str) -> bool:
        """True when the host's agent is without that defect of CloudStack's."""
        return defect in self.hypervisor.repaired

    async def run(
        self,
        argv: tuple[str, ...],
        environment: dict[str, str] | None = None,
        *,
        password_file_mode: int | None = None,
    ) -> Outcome:
        """Run a program whose argument list holds no secret."""
        invocation = Invocation.of(argv, vm=self.original_name, environment=environment, limit_s=self.limit_s)
        invocation = replace(invocation, password_file_mode=password_file_mode)
        return await self.hypervisor.toolchain.run(invocation)


async def convert(hypervisor: Hypervisor, command: ConvertInstanceCommand) -> Answer:
    """The checks in the wrapper's order, then the VDDK or the OVF path; every failure is a plain Answer."""
    source = command.sourceInstance
    if source is None:
        raise AgentFailure(
            'Cannot invoke "com.cloud.agent.api.to.RemoteInstanceTO.getHypervisorType()" because "sourceInstance" '
            "is null",
            java_class="java.lang.NullPointerException",
        )
    name = source.instanceName or ""
    if command.checkConversionSupport and not hypervisor.probe_tools().instance_conversion:
        packages = "virt-v2v, nbdkit" if hypervisor.host.os.is_debian_family else "virt-v2v"
        return Answer(
            result=False,
            details=f"Cannot convert the instance {name} from VMware as the virt-v2v binary is not found. Please "
            f"install {packages} on the host before attempting the instance conversion.",
        )
    if command.destinationHypervisorType != "KVM":
        destination = command.destinationHypervisorType
        text = f"The destination hypervisor type is {destination}, KVM was expected, cannot handle it"
        return Answer(result=False, details=text)
    if (source.hypervisorType or "").lower() != "vmware":
        text = f"The source hypervisor type {source.hypervisorType} is not supported for KVM conversion"
        return Answer(result=False, details=text)
    pool = open_temporary_pool(hypervisor, command.conversionTemporaryLocation)
    conversion = _Conversion(hypervisor, command, source, pool, hypervisor.ids.uuid())
    execution = current_execution()
    if execution is not None:
        execution.on_end(conversion.remove_files)
    answer: Answer | None = None
    try:
        answer = await _by_path(conversion)
        return answer
    finally:
        # Upstream keeps the mount, and what a failed or killed virt-v2v wrote.
        if not isinstance(answer, ConvertInstanceAnswer) and conversion.is_repaired(HALF_CONVERTED_LEFT):
            remove_converted(pool, conversion.uuid)
        if isinstance(command.conversionTemporaryLocation, NfsTO) and conversion.is_repaired(TEMPORARY_MOUNT_LEFT):
            hypervisor.storage.release(pool)


async def _by_path(conversion: _Conversion) -> Answer:
    command, pool = conversion.command, conversion.pool
    if command.useVddk:
        return await _guarded(conversion, _convert_by_vddk)
    if not command.exportOvfToConversionLocation:
        source_dir = f"{pool.target}/{command.templateDirOnConversionLocation}/"
        return await _guarded(conversion, lambda c: _convert_ovf(c, source_dir))
    return await _export_and_convert(conversion)


async def _export_and_convert(conversion: _Conversion) -> Answer:
    name, pool = conversion.name, conversion.pool
    if blank(conversion.source.vcenterHost) or blank(name):
        return Answer(result=False, details=f"Couldn't export OVA for the VM {name}, due to empty url")
    folder = conversion.hypervisor.ids.uuid()
    target_dir = conversion.export_folder = f"{pool.target}/{folder}/"
    real_dir = conversion.hypervisor.files.real(target_dir)
    real_dir.mkdir(parents=True)
    conversion.hypervisor.bench.note_file(real_dir, FOLDER, target_dir)
    exported = False
    try:
        exported = await _export(conversion, target_dir)
    finally:
        # upstream leaves the folder and what ovftool wrote into it
        if not exported and conversion.is_repaired(EXPORT_FOLDER_LEFT):
            shutil.rmtree(conversion.hypervisor.files.real(target_dir), ignore_errors=True)
    if not exported:
        return Answer(result=False, details=f"Export OVA for the VM {name} failed")
    source_dir = f"{target_dir}{name}/"
    try:
        return await _guarded(conversion, lambda c: _convert_ovf(c, source_dir))
    finally:
        shutil.rmtree(conversion.hypervisor.files.real(target_dir), ignore_errors=True)


async def _guarded(conversion: _Conversion, step: Callable[[_Conversion], Awaitable[Answer | None]]) -> Answer:
    """The answer of a conversion step; None from the step is success. An exception releases the temporary pool."""
    hypervisor = conversion.hypervisor
    try:
        refused = await step(conversion)
    except (AgentFailure, ToolTimeoutError, OSError) as error:
        reason = _PROCESS_ALIVE if isinstance(error, ToolTimeoutError) else str(error)
        logger.warning("(%s) conversion on %s failed: %s", conversion.original_name, hypervisor.host.name, error)
        is_nfs = isinstance(conversion.command.conversionTemporaryLocation, NfsTO)
        if is_nfs and not conversion.is_repaired(TEMPORARY_MOUNT_LEFT):
            hypervisor.storage.delete(conversion.pool.uuid)
        return Answer(
            result=False, details=f"Error converting instance {conversion.name} from VMware, due to: {reason}"
        )
    if refused is not None:
        return refused
    return ConvertInstanceAnswer(result=True, details="", temporaryConvertUuid=conversion.uuid)


def _failed(conversion: _Conversion) -> Answer:
    return Answer(
        result=False,
        details=f"Instance conversion failed for VM {conversion.name}. Please check virt-v2v logs.",
    )


async def _convert_by_vddk(conversion: _Conversion) -> Answer | None:
    hypervisor, command, source = conversion.hypervisor, conversion.command, conversion.source
    properties = hypervisor.host.properties
    lib_dir = trimmed(command.vddkLibDir) or hypervisor.capabilities.vddk_lib_dir
    if lib_dir is None:
        # the three l are upstream's
        return Answer(
            result=False,
            details="VDDK lib dir is not configured on the host. Set 'vddk.lib.dir' in agent.properties or in details "
            "parameter of the import api calll to use VDDK-based conversion.",
        )
    if blank(source.vcenterPassword):
        logger.warning("(%s) no vCenter password was given", conversion.original_name)
        return _failed(conversion)
    vcenter = source.vcenterHost or ""
    path = f"{PASSWORD_FILE_PREFIX}{vcenter or 'unknown'}.{hypervisor.ids.uuid()}"
    try:
        _write_password_file(hypervisor, path, source.vcenterPassword or "")
        hypervisor.bench.note_file(hypervisor.files.real(path), PASSWORD_FILE, path)
    except OSError as error:
        logger.warning("(%s) cannot write the password file: %s", conversion.original_name, error.strerror)
        return _failed(conversion)
    try:
        option = hypervisor.capabilities.password_option
        if option is None:
            logger.error("Could not determine supported password file option for virt-v2v")
            return _failed(conversion)
        thumbprint = trimmed(command.vddkThumbprint) or properties.vddk_thumbprint
        thumbprint = thumbprint or await _fetch_thumbprint(conversion, vcenter)
        if thumbprint is None:
            logger.error("Could not determine vCenter thumbprint for %s", vcenter)
            return _failed(conversion)
        argv = vddk_argv(
            backend=properties.libguestfs_backend,
            url=vpx_url(
                username=source.vcenterUsername or "",
                vcenter=vcenter,
                datacenter=source.datacenterName or "",
                cluster=source.clusterName,
                host=source.hostName,
                as_uri=conversion.is_repaired(BLANK_IN_VPX_URL),
            ),
            password_option=option,
            password_file=path,
            lib_dir=lib_dir,
            thumbprint=thumbprint,
            transports=trimmed(command.vddkTransports) or properties.vddk_transports,
            vm_name=conversion.name if conversion.is_repaired(VDDK_READS_ORIGINAL) else conversion.original_name,
            output_dir=conversion.pool.target,
            output_name=conversion.uuid,
            verbose=properties.virtv2v_verbose,
            extra_params=command.extraParams,
            quote_name=conversion.is_repaired(UNQUOTED_VDDK_LINE),
        )
        mode = _PASSWORD_FILE_MODE if conversion.is_repaired(PASSWORD_FILE_MODE) else _UPSTREAM_PASSWORD_FILE_MODE
        outcome = await conversion.run(argv, password_file_mode=mode)
        return None if outcome.exit_status == 0 else _failed(conversion)
    finally:
        # not in a worker thread: this must happen when the conversion is cancelled, too
        if not hypervisor.is_killed:
            hypervisor.files.real(path).unlink(missing_ok=True)


def _write_password_file(hypervisor: Hypervisor, path: str, password: str) -> None:
    """Mode 0600 from its creation on. A vCenter address with a slash names a directory that is not there."""
    if "/" in path.removeprefix(PASSWORD_FILE_PREFIX):
        raise FileNotFoundError(2, "No such file or directory", path)
    descriptor = os.open(hypervisor.files.real(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PASSWORD_FILE_MODE)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(password)


async def _fetch_thumbprint(conversion: _Conversion, vcenter: str) -> str | None:
    outcome = await conversion.run(thumbprint_argv(vcenter))
    return find_thumbprint(outcome.output) if outcome.exit_status == 0 else None


async def _export(conversion: _Conversion, target_dir: str) -> bool:
    """Run ovftool. Its missing, or its time limit, ends in a stack trace: upstream does not catch it there."""
    hypervisor, source = conversion.hypervisor, conversion.source
    threads = conversion.command.threadsCountToExportOvf
    if threads > 1 and not ovftool_knows_parallel_threads(hypervisor.host.tools.ovftool):
        threads = 0
    argv, shown_argv = ovftool_argv(
        username=source.vcenterUsername or "",
        password=source.vcenterPassword or "",
        vcenter=source.vcenterHost or "",
        datacenter=source.datacenterName or "",
        folder=source.instancePath,
        vm_name=conversion.name,
        threads=threads,
        target_dir=target_dir,
    )
    invocation = Invocation(argv, shown_argv, conversion.original_name, {}, conversion.limit_s)
    try:
        outcome = await hypervisor.toolchain.run(invocation)
    except ToolNotFoundError:
        raise AgentFailure(
            'Cannot invoke "java.lang.Process.exitValue()" because "this._process" is null',
            java_class="java.lang.NullPointerException",
        ) from None
    except ToolTimeoutError:
        raise AgentFailure(_PROCESS_ALIVE, java_class="java.lang.IllegalThreadStateException") from None
    return outcome.exit_status == 0


async def _convert_ovf(conversion: _Conversion, source_dir: str) -> Answer | None:
    properties = conversion.hypervisor.host.properties
    argv = ovf_argv(
        source_dir=source_dir,
        output_dir=conversion.pool.target,
        output_name=conversion.uuid,
        verbose=properties.virtv2v_verbose,
        extra_params=conversion.command.extraParams,
    )
    try:
        outcome = await conversion.run(argv, properties.conversion_environment)
    except ToolNotFoundError as error:
        logger.warning("(%s) %s", conversion.original_name, error)
        return _failed(conversion)
    return None if outcome.exit_status == 0 else _failed(conversion)


HANDLERS: HandlerTable = {
    f"{API}.CheckConvertInstanceCommand": check_convert,
    f"{API}.ConvertInstanceCommand": convert,
}
