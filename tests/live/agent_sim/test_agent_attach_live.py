"""Agents over real sockets: start-up, ready, pings, requests, loss and end of a link."""

from __future__ import annotations

from agent_sim.agent import Phase


def test_lab_hosts_attach_and_report_vddk(server, lab_hosts, make_fleet) -> None:
    """Three lab hosts connect; the two with VDDK say so in their ReadyAnswer, the third says false."""
    fleet = make_fleet(lab_hosts)
    found = {}
    for _ in lab_hosts:
        connection = server.next_agent()
        answer = connection.responses.get(timeout=10).answers[0]
        found[connection.startup[0].name] = answer.detailsMap
    assert found["kvm1"]["host.vddk.support"] == "true"
    assert found["kvm1"]["vddk.lib.dir"] == "/opt/vmware-vddk/vmware-vix-disklib-distrib"
    assert found["kvm2"]["vddk.lib.dir"] == "/usr/lib/vmware-vix-disklib-distrib"
    assert found["kvm3"]["host.vddk.support"] == "false"
    assert "host.vddk.version" not in found["kvm3"]
    assert fleet.wait_until_ready(10)
    assert {agent.phase for agent in fleet.agents} == {Phase.RUNNING}
