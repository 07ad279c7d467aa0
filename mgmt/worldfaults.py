"""What faults change in a world around its edges, and how each change is undone."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import event, inspect, select

from mgmt.faults import ArmedFault, FaultEngine, FaultRefusedError
from mgmt.faults.choices import nearest
from mgmt.faults.definitions import Effect
from mgmt.faults.meeting import meet
from mgmt.faults.mocks import Place
from mgmt.quirks import KNOWN
from mgmt.store import models

if TYPE_CHECKING:
    from mgmt.embedded import World

Undo = Callable[[], None]
_STATEMENT = re.compile(
    r"\s*(?P<kind>SELECT\b.*?\bFROM|INSERT\s+INTO|UPDATE|DELETE\s+FROM)\s+[\"`]?(?P<table>\w+)",
    re.IGNORECASE | re.DOTALL,
)


def engine_of(world: World) -> FaultEngine:
    """The fault engine of a world that is about to start: it knows how to change each of the world's parts."""

    def record(armed: ArmedFault, point: str, effect: Effect, facts: Mapping[str, object]) -> None:
        world.server.services.journal.record(
            "fault", armed.name, point=point, effect=effect.kind, facts={key: str(facts[key]) for key in facts}
        )

    engine = FaultEngine(world.providers.clock, seed=world.settings.fault_seed, on_fired=record)
    changes = _Changes(world)
    engine.performs("defect", changes.defect)
    engine.performs("setting", changes.setting)
    engine.performs("rows", changes.rows, check=changes.check_rows)
    engine.watches("store", changes.watch_store)
    engine.knows("host", changes.host_names)
    if world.settings.vcenter == "embedded":
        engine.knows("vm", changes.vm_names)
        engine.performs("machine", changes.machine)
        engine.performs("vcenter_password", changes.vcenter_password)
    if world.settings.agents == "embedded":
        engine.mocks.place_of = changes.place_of
        engine.performs("agent", changes.agent)
        engine.performs("host", changes.host, check=changes.check_host)
    return engine


class _Changes:
    """The effects on the world; each gives back how it is undone."""

    def __init__(self, world: World) -> None:
        self._world = world

    def host_names(self) -> Collection[str]:
        """The hosts of this process: faults do not reach others."""
        return [] if self._world.fleet is None else [member.name for member in self._world.fleet.agents]

    def vm_names(self) -> Collection[str]:
        """The VMs of the vCenter, those on hosts, and those of the cloud by each of their names."""
        from vcenter_sim.types import vim

        names: set[str] = set()
        if self._world.vcenter is not None:
            inventory = self._world.vcenter.inventory
            with inventory.lock:
                names.update(vm.name for vm in inventory.of_kind(vim.VirtualMachine))
        for member in [] if self._world.fleet is None else self._world.fleet.agents:
            host = member.hypervisor.host
            names.update(member.hypervisor.domains)
            names.update(domain.name for remote in host.remote_hosts for domain in remote.domains)
        machine = models.VmInstance
        columns = select(machine.name, machine.display_name, machine.instance_name).where(machine.removed.is_(None))
        with self._world.server.services.store.session() as session:
            names.update(name for row in session.execute(columns) for name in row if name)
        return names

    def defect(self, args: Mapping[str, Any], facts: Mapping[str, object]) -> Undo:
        """Have a known defect of CloudStack's, or be without it, on the server and on the hosts."""
        name, quirks, fleet = str(args["name"]), self._world.server.services.quirks, self._world.fleet
        if name not in KNOWN:
            raise FaultRefusedError(f"no defect is named {name!r}: expected one of {', '.join(sorted(KNOWN))}")
        before = quirks.is_faithful(name)

        def switch(*, is_faithful: bool) -> None:
            quirks.switch(name, is_faithful=is_faithful)
            if fleet is not None:
                fleet.set_repaired(name, is_repaired=not is_faithful)

        switch(is_faithful=bool(args.get("there", True)))
        return lambda: switch(is_faithful=before)

    def setting(self, args: Mapping[str, Any], facts: Mapping[str, object]) -> Undo:
        """Give a global setting another value."""
        services, name = self._world.server.services, str(args["name"])
        before = services.settings.get_text(name)

        def put(value: str | None) -> None:
            with services.store.session() as session:
                services.settings.set(session, name, value)

        put(str(args["value"]))
        return lambda: put(before)

    def rows(self, args: Mapping[str, Any], facts: Mapping[str, object]) -> Undo:
        """Change rows of a table of the store; `where` and `set` hold columns by their names in the model."""
        store = self._world.server.services.store
        model = _model(str(args["table"]))
        before: list[tuple[Any, dict[str, Any]]] = []
        with store.session() as session:
            found = select(model)
            for column, value in (args.get("where") or {}).items():
                attribute = getattr(model, column)
                found = found.where(attribute.in_(value) if isinstance(value, list) else attribute == value)
            for row in session.scalars(found):
                before.append((inspect(row).identity, {name: getattr(row, name) for name in args["set"]}))
                for name, value in args["set"].items():
                    setattr(row, name, value)

        def undo() -> None:
            with store.session() as session:
                for identity, values in before:
                    row = session.get(model, identity)
                    for name, value in values.items() if row is not None else ():
                        setattr(row, name, value)

        return undo

    def check_rows(self, args: Mapping[str, Any]) -> None:
        """Refuse a name that no row of the table has."""
        model = _model(str(args["table"]))
        name = (args.get("where") or {}).get("name")
        if not isinstance(name, str) or "{" in name:
            return
        with self._world.server.services.store.session() as session:
            there = set(session.scalars(select(model.name)))
        if name not in there:
            raise FaultRefusedError(f"the table {args['table']} has no {name!r}{nearest(name, there)}")

    def check_host(self, args: Mapping[str, Any]) -> None:
        """Refuse a host that is none of this process's."""
        name, there = str(args["name"]), self.host_names()
        if "{" not in name and name not in there:
            raise FaultRefusedError(f"there is no host {name!r}{nearest(name, there)}")

    def place_of(self, host_name: str) -> Place | None:
        """Where the host is, in the numbers of the present server's records."""
        with self._world.server.services.store.session() as session:
            where = (models.Host.name == host_name, models.Host.removed.is_(None))
            columns = (models.Host.zone_id, models.Host.pod_id, models.Host.cluster_id, models.Host.id)
            row = session.execute(select(*columns).where(*where)).first()
        return None if row is None else Place(*row)

    def watch_store(self) -> None:
        """Have the present server's database ask before each statement from now on."""
        engine = self._world.server.services.store.engine
        if not event.contains(engine, "before_cursor_execute", self._statement):
            event.listen(engine, "before_cursor_execute", self._statement)

    def _statement(self, connection: object, cursor: object, statement: str, *rest: object) -> None:
        found = _STATEMENT.match(statement)
        if found is not None:
            facts = {"statement": found["kind"].split()[0].lower(), "table": found["table"]}
            meet(self._world.faults, self._world.providers.clock, "store", facts)

    def machine(self, args: Mapping[str, Any], facts: Mapping[str, object]) -> Undo:
        """Switch a VM of the vCenter, rename it, take its NICs, insert a CD, or let it have snapshots and writes."""
        from vcenter_sim import machines
        from vcenter_sim.types import vim

        assert self._world.vcenter is not None
        inventory, snapshots = self._world.vcenter.inventory, self._world.vcenter.snapshots
        exports = self._world.vcenter.exports
        with inventory.lock:
            vm = next((each for each in inventory.of_kind(vim.VirtualMachine) if each.name == args["vm"]), None)
            if vm is None:
                there = [each.name for each in inventory.of_kind(vim.VirtualMachine)]
                raise FaultRefusedError(f"the vCenter has no VM {args['vm']!r}{nearest(str(args['vm']), there)}")
            power, name, hardware = machines.power_state(vm), vm.name, vm["config"].hardware
            devices = list(hardware.device)
            if args.get("without_nics"):
                machines.remove_nics(inventory, vm)
            lost = args.get("lost_iso")
            if args.get("iso") or lost:
                try:
                    machines.insert_iso(inventory, vm, str(args.get("iso") or lost))
                except ValueError as error:
                    raise FaultRefusedError(str(error)) from error
            if lost:
                exports.lost_files.add(lost)
            if args.get("untracked_disk") is not None:
                snapshots.untracked[vm.name] = {int(args["untracked_disk"])}
            if args.get("changes_per_s") is not None:
                snapshots.writes_per_s[vm.name] = float(args["changes_per_s"])
            if args.get("snapshot"):
                snapshots.create(vm, args["snapshot"])
            if args.get("power"):
                machines.switch(inventory, vm, args["power"])
            if args.get("rename"):
                machines.rename(inventory, vm, args["rename"])

        def undo() -> None:
            snapshots.untracked.pop(name, None)
            snapshots.writes_per_s.pop(name, None)
            exports.lost_files.discard(lost)
            with inventory.lock:
                if not inventory.exists(vm):
                    return
                if machines.power_state(vm) != power:
                    machines.switch(inventory, vm, power)
                if len(hardware.device) != len(devices):
                    hardware.device = devices
                    inventory.changed()
                if vm.name != name:
                    machines.rename(inventory, vm, name)

        return undo

    def vcenter_password(self, args: Mapping[str, Any], facts: Mapping[str, object]) -> Undo:
        """Let the vCenter's account have another password from the next login on."""
        vcenter = self._world.vcenter
        assert vcenter is not None
        before = vcenter.change_password(str(args["value"]))

        def undo() -> None:
            vcenter.change_password(before)

        return undo

    def agent(self, args: Mapping[str, Any], facts: Mapping[str, object]) -> None:
        """Let something happen to the agent of the host at which the fault fires."""
        assert self._world.fleet is not None
        self._world.fleet.strike(str(facts["host"]), args["does"], float(args.get("for_s", 0.0)))

    def host(self, args: Mapping[str, Any], facts: Mapping[str, object]) -> Undo:
        """Put other tools on a host, as an operator would while its agent runs: the agent does not look again."""
        from agent_sim.injection import host_as

        assert self._world.fleet is not None
        hypervisor = self._world.fleet.agent(str(args["name"])).hypervisor
        before = hypervisor.host
        hypervisor.change_host(host_as(hypervisor, args["set"]).host)
        return lambda: hypervisor.change_host(before)


def _model(table: str) -> Any:
    """The mapped class of a table; raises FaultRefusedError."""
    found = (mapper.class_ for mapper in models.Base.registry.mappers if mapper.class_.__tablename__ == table)
    model = next(found, None)
    if model is None:
        raise FaultRefusedError(f"the store has no table {table!r}")
    return model
