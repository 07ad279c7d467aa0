"""Claims on resource limits do not outlive the server that made them."""

from __future__ import annotations

from sqlalchemy import func, select

from mgmt.app import create_server
from mgmt.config import Settings
from mgmt.inventory.limits import reserve
from mgmt.store.models import Account, ResourceReservation


def claims(server):
    with server.services.store.session() as session:
        return session.scalar(select(func.count()).select_from(ResourceReservation))


def test_a_starting_server_gives_up_old_claims(tmp_path):
    """What a killed server had claimed for its imports is free again when a server starts on the same database."""
    settings = Settings(port=0, agent_port=0, database=f"sqlite:///{tmp_path / 'world.db'}", vcenter="none")
    server = create_server(settings)
    try:
        with server.services.store.session() as session:
            user = session.scalars(select(Account).where(Account.name == "user")).one()
            reserve(session, user.id, {"user_vm": 1, "cpu": 2})
        assert claims(server) == 2
        server.start()
        assert claims(server) == 0
    finally:
        server.stop()
