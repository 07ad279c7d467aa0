"""Records as Java's `toString` writes them into error texts (ReflectionToStringBuilderUtils, fields in order)."""

from __future__ import annotations

import json

from mgmt.store.models import VmInstance, Volume


def vm_text(vm: VmInstance) -> str:
    """`VM instance {"id":30,"instanceName":"um1","state":"Starting","type":"User","uuid":"..."}`."""
    fields = {"id": vm.id, "instanceName": vm.instance_name, "state": vm.state, "type": "User", "uuid": vm.uuid}
    return f"VM instance {_json(fields)}"


def volume_text(volume: Volume) -> str:
    """`Volume {"id":8,"instanceId":30,"name":"ROOT-30","uuid":"...","volumeType":"ROOT"}`."""
    fields: dict[str, object] = {"id": volume.id}
    if volume.vm_id is not None:
        fields["instanceId"] = volume.vm_id
    fields |= {"name": volume.name, "uuid": volume.uuid, "volumeType": volume.volume_type}
    return f"Volume {_json(fields)}"


def shown_name(vm: VmInstance) -> str:
    """The display name, else the host name (getDisplayNameOrHostName)."""
    return vm.display_name or vm.name


def _json(fields: dict[str, object]) -> str:
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False)
