"""SOAP text to calls and results to SOAP text, on pyvmomi's type tables and serialiser.

The only package that touches what pyvmomi keeps private; `tests/vcenter_sim/test_pyvmomi_surface.py` fails loudly
when a release changes that surface. Nothing here knows sockets.
"""

from __future__ import annotations

from vcenter_sim.wire.requests import Call, WireError, parse_call
from vcenter_sim.wire.responses import property_type, render_fault, render_result, text_of
from vcenter_sim.wire.tables import (
    NAMESPACE,
    NEWEST_VERSION,
    MethodInfo,
    PropertyInfo,
    managed_method,
    method_info,
    offered_versions,
    property_info,
    property_names,
    reference,
    reference_base,
    version_of,
    vmodl_type,
    wsdl_name,
)
from vcenter_sim.wire.values import array, checked_value, copy_of, is_data_object, is_set, managed_type, twin_of, typed

__all__ = [
    "NAMESPACE",
    "NEWEST_VERSION",
    "Call",
    "MethodInfo",
    "PropertyInfo",
    "WireError",
    "array",
    "checked_value",
    "copy_of",
    "is_data_object",
    "is_set",
    "managed_method",
    "managed_type",
    "method_info",
    "offered_versions",
    "parse_call",
    "property_info",
    "property_names",
    "property_type",
    "reference",
    "reference_base",
    "render_fault",
    "render_result",
    "text_of",
    "twin_of",
    "typed",
    "version_of",
    "vmodl_type",
    "wsdl_name",
]
