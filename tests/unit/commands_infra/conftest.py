"""A seeded lab in memory and a way to call the infrastructure commands' handlers on it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mgmt.commands.clusters import COMMANDS as CLUSTERS
from mgmt.commands.configurations import COMMANDS as CONFIGURATIONS
from mgmt.commands.declaration import Bound, Call, Caller, Declaration, Listing, Paging, Result
from mgmt.commands.fields import Uuid
from mgmt.commands.hosts import COMMANDS as HOSTS
from mgmt.commands.networks import COMMANDS as NETWORKS
from mgmt.commands.offerings import COMMANDS as OFFERINGS
from mgmt.commands.pods import COMMANDS as PODS
from mgmt.commands.services import Services
from mgmt.commands.storage import COMMANDS as STORAGE
from mgmt.commands.zones import COMMANDS as ZONES
from mgmt.inventory.lookup import find_internal_id
from mgmt.inventory.settings import GlobalSettings
from mgmt.providers import Providers
from mgmt.quirks import Quirks
from mgmt.store.database import Store
from mgmt.store.models import Host, HostDetail, User
from mgmt.store.seed_rows import management_server_id
from mgmt.store.seeding import seed

DECLARATIONS: dict[str, Declaration] = {
    each.name: each for each in (*ZONES, *PODS, *CLUSTERS, *HOSTS, *STORAGE, *OFFERINGS, *NETWORKS, *CONFIGURATIONS)
}


class Lab:
    """The lab seed with the infrastructure commands; `fix` names repaired defects."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.settings = GlobalSettings(store)
        self.fixes: tuple[str, ...] = ()

    def services(self) -> Services:
        no = cast(Any, None)  # the infrastructure commands touch none of these
        return Services(
            store=self.store,
            providers=self.store.providers,
            settings=self.settings,
            journal=no,
            redactor=no,
            quirks=Quirks(self.fixes),
            agents=no,
            vcenters=no,
            jobs=cast(Any, SimpleNamespace(pending=frozenset())),
            commands=DECLARATIONS,
            management_server_uuid="00000001-0000-4000-8000-000000000001",
            management_server_name="lab-management",
        )

    def caller(self, username: str = "admin") -> Caller:
        with self.store.session() as session:
            user = session.query(User).filter_by(username=username).one()
            account = user.account
            return Caller(
                user_id=user.id,
                user_uuid=user.uuid,
                username=user.username,
                account_id=account.id,
                account_uuid=account.uuid,
                account_name=account.name,
                account_type=account.type,
                domain_id=account.domain_id,
                domain_uuid=account.domain.uuid,
                domain_path=account.domain.path,
                role_type=account.role.role_type,
            )

    def run(self, command: str, /, *, user: str = "admin", paging: Paging | None = None, **params: Any) -> Result:
        """Call a handler; a text for a UUID parameter is looked up as the binder does."""
        declaration = DECLARATIONS[command]
        fields = declaration.params().fields
        assert set(params) <= set(fields), set(params) - set(fields)
        caller = self.caller(user)
        with self.store.session() as session:
            values: dict[str, Any] = dict.fromkeys(fields)
            for key, value in params.items():
                field = fields[key]
                if isinstance(field, Uuid) and isinstance(value, str):
                    found = find_internal_id(session, field.entity, value)
                    assert found is not None, (key, value)
                    values[key] = found
                else:
                    values[key] = value
            call = Call(self.services(), caller, command, "test", session=session)
            return declaration.handler(call, Bound(values, frozenset(params), paging))

    def items(self, command: str, /, **params: Any) -> list[dict[str, Any]]:
        """The entries of a list command, without fields that have no value."""
        result = self.run(command, **params)
        assert isinstance(result, Listing)
        return [{key: value for key, value in item.items() if value is not None} for item in result.items]

    def names(self, command: str, /, **params: Any) -> list[str]:
        """The names that a list command answers."""
        return [item["name"] for item in self.items(command, **params)]


@pytest.fixture(scope="session")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, Path, Path]]:
    """An open store on a working copy of a seeded database, the copy's file and the file to restore it from.

    One store for all tests keeps the statements compiled.
    """
    folder = tmp_path_factory.mktemp("lab")
    work, pristine = folder / "work.db", folder / "pristine.db"
    store = Store(f"sqlite:///{work}", Providers())
    seed(store, "lab", vcenter_address=None)
    store.engine.dispose()
    shutil.copyfile(work, pristine)
    yield store, work, pristine
    store.close()


@pytest.fixture
def lab(seeded: tuple[Store, Path, Path]) -> Iterator[Lab]:
    store, work, pristine = seeded
    yield Lab(store)
    store.engine.dispose()
    for suffix in ("-wal", "-shm"):
        work.with_name(work.name + suffix).unlink(missing_ok=True)
    shutil.copyfile(pristine, work)


@pytest.fixture(scope="session")
def recorded_fields() -> dict[str, dict[str, str]]:
    """Field names and JSON types of the real server's answers, by command."""
    return cast(
        dict[str, dict[str, str]],
        json.loads((Path(__file__).parent / "data" / "recorded-fields.json").read_text(encoding="utf-8")),
    )


@pytest.fixture(scope="session")
def declarations() -> dict[str, Declaration]:
    return DECLARATIONS


@pytest.fixture
def field_types() -> Callable[[dict[str, Any]], dict[str, str]]:
    """The JSON types of an answer's fields, dates counting as text."""

    def types(item: dict[str, Any]) -> dict[str, str]:
        return {
            key: "str" if type(value).__name__ == "datetime" else type(value).__name__ for key, value in item.items()
        }

    return types


@pytest.fixture
def attach(lab: Lab) -> Callable[..., None]:
    """Write into a host's row and details what an attached agent writes."""

    def write(name: str, **details: str) -> None:
        with lab.store.session() as session:
            host = session.query(Host).filter_by(name=name).one()
            host.status = "Up"
            host.version = "4.22.1.0"
            host.hypervisor_version = "10.0.0"
            host.capabilities = "hvm,snapshot"
            host.cpu_sockets = 2
            host.cpus = 4
            host.speed_mhz = 2000
            host.ram_bytes = 8 * 1024**3
            host.last_ping = datetime(2026, 11, 23, 0, 30)
            host.management_server_id = management_server_id("00000001-0000-4000-8000-000000000001")
            host.details = [HostDetail(name=key.replace("__", "."), value=value) for key, value in details.items()]

    return write
