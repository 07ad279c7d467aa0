"""Table E: may the request hand extra parameters to virt-v2v (import-vm 2.6)?

Upstream: UnmanagedVMsManagerImpl.checkExtraParamsAllowed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mgmt.errors import PARAM_ERROR, ServerApiError
from mgmt.imports.ports import ImportServices
from mgmt.imports.request import ImportRequest
from mgmt.imports.trace import Row, Table, Trace

ALLOWED_SETTING = "convert.vmware.instance.to.kvm.extra.params.allowed"
ALLOWED_LIST_SETTING = "convert.vmware.instance.to.kvm.extra.params.allowed.list"


@dataclass(frozen=True)
class ExtraParams:
    """The facts of table E: the parameter and the two settings."""

    text: str
    allowed: bool
    allowed_list: str

    @property
    def refused_token(self) -> str | None:
        """The first option that the list does not have. Only tokens that begin with a hyphen are looked at."""
        entries = self.allowed_list.split(",")
        for token in self.text.split(" "):
            if token.startswith("-") and token.lstrip("-") not in entries:
                return token.lstrip("-")
        return None

    def seen(self) -> dict[str, object]:
        return {"extraparams": self.text, "allowed": self.allowed, "allowed_list": self.allowed_list}


def _refuse(text: str) -> ServerApiError:
    return ServerApiError(PARAM_ERROR, text)


EXTRA_PARAMS: Table[ExtraParams, str] = Table(
    "E",
    (
        Row(
            "E1",
            lambda f: not f.allowed,
            lambda f: _refuse("Extra parameters for Vmware to KVM conversion are disabled by the administrator"),
        ),
        Row(
            "E2",
            lambda f: not f.allowed_list.strip(),
            lambda f: _refuse(
                "Extra parameters for Vmware to KVM conversion are enabled but the allowed list of parameters is empty"
            ),
        ),
        Row(
            "E3",
            lambda f: f.refused_token is not None,
            lambda f: _refuse(f"The parameter {f.refused_token} is not allowed by the administrator"),
        ),
        Row("E4", lambda f: True, lambda f: f.text),
    ),
)


def check_extra_params(request: ImportRequest, services: ImportServices, trace: Trace) -> None:
    """Rows 2 and 19: table E, when there are extra parameters."""
    if request.extraparams and request.extraparams.strip():
        trace.decide(
            EXTRA_PARAMS,
            ExtraParams(
                text=request.extraparams,
                allowed=services.settings.get_bool(ALLOWED_SETTING),
                allowed_list=services.settings.get_text(ALLOWED_LIST_SETTING) or "",
            ),
        )


# What stands in docs/import-rules.md: when each row holds, and what it gives where it refuses nothing.
RULES: Mapping[str, str] = {
    "E1": "extra parameters are not allowed by the setting",
    "E2": "extra parameters are allowed, but the list of allowed ones is empty",
    "E3": "an option (hyphens taken off) is not in the list",
    "E4": "otherwise -> the parameters go to virt-v2v as they are; values are not looked at",
}
