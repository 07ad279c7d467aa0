"""What the server's own edges do with the effects that they get: wait, or raise the error that the caller is to get."""

from __future__ import annotations

from collections.abc import Mapping

from mgmt.errors import CloudRuntimeError, JavaError, ServerApiError
from mgmt.faults.engine import FaultEngine
from mgmt.providers import Clock


def meet(engine: FaultEngine | None, clock: Clock, point: str, facts: Mapping[str, object]) -> None:
    """Pass a point of the server; may wait. Raises what a fault wants the caller to get.

    That is a ServerApiError with code and text, a CloudRuntimeError without a code, or a JavaError: a Java failure that
    CloudStack's handlers let pass.
    """
    if engine is None:
        return
    for effect in engine.hit(point, facts):
        match effect.kind:
            case "delay":
                clock.sleep(effect.args["for_s"])
            case "error" if "code" in effect.args:
                raise ServerApiError(effect.args["code"], effect.args["text"])
            case "error":
                raise CloudRuntimeError(effect.args["text"])
            case "java_error":
                raise JavaError(effect.args["text"])
            case other:
                raise ValueError(f"the server cannot do {other!r}")
