"""listAlerts."""

from __future__ import annotations

from mgmt.commands.declaration import ADMIN, RESOURCE_ADMIN, Bound, Call, Listing, command
from mgmt.commands.fields import ListParams, Str, Uuid
from mgmt.commands.responses.alert import AlertResponse
from mgmt.inventory.alert_search import alert_view, find_alerts


class ListAlertsParams(ListParams):
    """Parameters of listAlerts."""

    id = Uuid("show this alert", entity="alert")
    name = Str("show alerts with this name, such as ALERT.COMPUTE.HOST", since="4.3")
    type = Str("show alerts with this number of a type, such as 7")


@command(
    "listAlerts",
    params=ListAlertsParams,
    response=AlertResponse,
    description="Lists alerts, the newest first.",
    object_name="alert",
    is_list=True,
    roles=(ADMIN, RESOURCE_ADMIN),
    java_class="org.apache.cloudstack.api.command.admin.resource.ListAlertsCmd",
)
def list_alerts(call: Call, bound: Bound) -> Listing:
    alerts, count = find_alerts(call.db, bound, bound.paging)
    return Listing([alert_view(alert) for alert in alerts], count)


COMMANDS = (list_alerts,)
