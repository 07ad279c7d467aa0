"""A cloud as a test has it: a whole world with its URL, keys, client, clock, faults, journal and proofs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from cloudstack_mock._client import CloudStackClient
from cloudstack_mock._ids import Draws, SeededIds, SeededRandom
from cloudstack_mock._leaks import LeakedError, leaks_of
from cloudstack_mock._plan import WorldPlan
from cloudstack_mock._reaching import answer_of, below, intercepted
from cloudstack_mock._timeline import Timeline, of_job
from cloudstack_mock._verify import Sightings
from mgmt.api.app import API_PATH
from mgmt.api.switchboard import prefix_of
from mgmt.config import Settings, load_settings
from mgmt.embedded import World
from mgmt.faults import ArmedFault
from mgmt.providers import Providers
from mgmt.snapshots import Snapshot
from mgmt.store.seeding import saved_at_s
from mgmt.worldclock import clock_of

if TYPE_CHECKING:
    from agent_sim.fleet import Fleet
    from cloudstack_mock._interception import OtherUrls
    from mgmt.imports.leaks import Leak, Thing
    from mgmt.observe.journal import Entry
    from mgmt.worldclock import WorldClock
    from vcenter_sim.server import VcenterSim

Transport = Literal["memory", "sockets"]
FaultWanted = str | tuple[str, Mapping[str, Any]]
DEFAULT_URL = "https://cloud.example.org/client/api"
DEFAULT_CLOCK = "automatic"

R = TypeVar("R")


def settings_of(**options: Any) -> Settings:
    """The settings of a test's world: ports that the system chooses, the automatic clock, extensions on."""
    given = {"port": 0, "agent_port": 0, "extensions": True, "clock": DEFAULT_CLOCK} | _options(options)
    return load_settings(keywords={name: value for name, value in given.items() if value is not None})


def _options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as settings have them: a number, plan or path as `seed` included."""
    given = dict(options)
    seed = given.get("seed")
    if isinstance(seed, int):
        given["fault_seed"] = given.pop("seed")
    elif isinstance(seed, WorldPlan):
        given["seed"] = str(seed.written())
    elif isinstance(seed, Path):
        given["seed"] = str(seed)
    return given


def world_of(options: Mapping[str, Any], *, in_memory: bool) -> World:
    """A world that can be reset. `seed` as a number decides identifiers and chances, as a text it names the world."""
    settings = settings_of(**options)
    return World(settings, _providers(settings), resettable=True, in_memory=in_memory)


def _providers(settings: Settings) -> Providers:
    saved_s = saved_at_s(settings.seed)  # a world that was saved has what was drawn for it before
    draws = Draws(str(settings.fault_seed) if saved_s is None else f"{settings.fault_seed} since {saved_s}")
    return Providers(clock=clock_of(settings), ids=SeededIds(draws), random=SeededRandom(draws))


class Cloud:
    """A started world with what a test wants of it.

    `url`, `api_key`, `secret_key`, `zone_id` and `cluster_id` are for any client; `client` is one. `world` is
    everything else.
    """

    def __init__(self, world: World, url: str, other_urls: OtherUrls = True) -> None:
        ready = world.ready()
        self.world = world
        self.url = url
        self.api_key = str(ready["api_key"])
        self.secret_key = str(ready["secret_key"])
        self.username = str(ready["username"])
        self.password = "" if ready["password"] is None else str(ready["password"])
        """Empty in a world that was saved as a seed: there only its hash is known."""
        self.zone_id = str(ready["zone_id"])
        self.cluster_id = str(ready["cluster_id"])
        self.client = self.new_client()
        self.seen_leaks: set[Thing] = set()
        """What `leaks` has told of: the test knows it."""
        self.beside: dict[str, Cloud] = {}
        """The worlds that were added, by their names."""
        self._routes: dict[str, ExitStack] = {}
        self._other_urls = other_urls
        self._kept: Snapshot | None = None
        self._kept_for: frozenset[str] = frozenset()
        self._restart_ids()

    def _restart_ids(self) -> None:
        providers = self.world.providers
        if isinstance(providers.ids, SeededIds):
            providers.ids.restart()

    def __repr__(self) -> str:
        return f"Cloud({self.url!r})"

    def new_client(self) -> CloudStackClient:
        """A client with the administrator's keys; close it after use."""
        return CloudStackClient(self.url, self.api_key, self.secret_key, await_job=self.await_job)

    @property
    def clock(self) -> WorldClock:
        """The time of this world: `advance(hours=14)`, `run_until(job)`."""
        return self.world.clock

    @property
    def fleet(self) -> Fleet:
        """The simulated hosts; RuntimeError in a world without."""
        if self.world.fleet is None:
            raise RuntimeError("this world has no hosts of its own")
        return self.world.fleet

    @property
    def vcenter(self) -> VcenterSim:
        """The vCenter stand-in; RuntimeError in a world without."""
        if self.world.vcenter is None:
            raise RuntimeError("this world has no vCenter of its own")
        return self.world.vcenter

    def await_job(self, job_id: str) -> None:
        """Return once the job has ended; a manual clock is moved as far as that needs."""
        self.world.clock.run_until(job_id)

    def fault(self, name: str, /, **choices: Any) -> ArmedFault:
        """Arm a failure by its name (docs/faults.md): `cloud.fault("vddk.crash", vm="web01")`."""
        return self.world.fault(name, **choices)

    @property
    def journal(self) -> Sequence[Entry]:
        """What has crossed the edges of the server until now, oldest first."""
        return self.world.server.services.journal.entries()

    def leaks(self) -> Sequence[Leak]:
        """What imports have left behind until now. The leak check of the fixture leaves it to who has asked."""
        leaks = leaks_of(self.world)
        self.seen_leaks.update(leak.thing for leak in leaks)
        return leaks

    def snapshot(self) -> Snapshot:
        """The world as it is now, for `restore`."""
        return self.world.snapshot()

    def restore(self, snapshot: Snapshot) -> None:
        """Be as at the snapshot."""
        self.world.restore(snapshot)

    def save_as_seed(self, file: Path) -> Path:
        """Write the world as it is now as a YAML seed, which `seed` takes: see docs/worlds.md. It holds keys."""
        self.world.save_as_seed(file)
        return file

    def add_world(self, name: str, **options: Any) -> Cloud:
        """Another world behind this one's URL, at `/worlds/NAME/`; `options` are as for `activate`.

        It ends with `remove_world`, or with this one. Raises ValueError for a name or option that cannot be had.
        """
        settings = _options(options)
        world = self.world.worlds.create(name, _providers(self.world.worlds.settings_of(settings)), **settings)
        try:
            made = Cloud(world, self._open_route(name, world))
        except BaseException:
            self.world.worlds.delete(name)
            raise
        self.beside[name] = made
        return made

    def remove_world(self, name: str) -> None:
        """End a world that was added, with all that it has."""
        self.beside.pop(name).client.close()
        self._close_route(name)
        self.world.worlds.delete(name)

    def _open_route(self, name: str, world: World) -> str:
        """The URL of a world behind this one's, where this process's requests reach it from now on."""
        if self.url == self.world.server.api_url:
            return world.server.api_url
        if not self.url.endswith(API_PATH):
            raise ValueError(f"{self.url} has no place for worlds beside it: expected a URL that ends with {API_PATH}")
        url = self.url.removesuffix(API_PATH) + prefix_of(name) + API_PATH
        route = ExitStack()
        route.enter_context(intercepted(url, below(prefix_of(name), answer_of(self.world)), self._other_urls))
        self._routes[name] = route
        return url

    def _close_route(self, name: str) -> None:
        route = self._routes.pop(name, None)
        if route is not None:
            route.close()

    def close(self) -> None:
        """Close the clients, and take away the worlds that were added."""
        for name in list(self.beside):
            self.remove_world(name)
        self.client.close()

    def reset(self) -> None:
        """Be as at the start."""
        self.world.reset()
        self.seen_leaks.clear()
        self.client.session.cookies.clear()
        self._restart_ids()

    def keep(self, names: frozenset[str]) -> None:
        """Have `take_back` lead here, unless it does already for all of `names`."""
        if self._kept is None or not names <= self._kept_for:
            self._kept, self._kept_for = self.snapshot(), self._kept_for | names

    def take_back(self) -> None:
        """Be as at the last `keep`."""
        if self._kept is not None:
            self.restore(self._kept)

    # Proofs -------------------------------------------------------------------------------------------------------

    def saw(self, name: str, /, **facts: Any) -> Sightings:
        """What crossed an edge under that name: a command or answer of the agent wire, an API call, a vCenter call.

        `facts` are what it has to hold (`useVddk=True`); texts may hold `*`, functions are asked, `a__b` is `b` in `a`.
        """
        return Sightings(self.journal, name, facts)

    def timeline(self, job_id: str) -> Timeline:
        """What happened for a job as a sequence diagram: `str`, `mermaid()` and `svg()`. ValueError for no such job."""
        journal = self.journal
        ids = {entry.correlation_id for entry in journal if entry.kind == "job" and entry.fields.get("job") == job_id}
        if not ids:
            raise ValueError(f"the journal knows no job {job_id!r}")
        return Timeline(of_job(journal, ids))

    def import_jobs(self) -> list[str]:
        """The jobs of imports that the journal knows, oldest first."""
        names = ("importVm", "importUnmanagedInstance")
        jobs = (entry.fields["job"] for entry in self.journal if entry.kind == "job" and entry.name in names)
        return list(dict.fromkeys(map(str, jobs)))

    # Imports ------------------------------------------------------------------------------------------------------

    def import_parameters(self, vm: str, **changes: Any) -> dict[str, Any]:
        """What `importVm` needs to take a VM of the linked vCenter in: every NIC on the L2 network, every data disk on
        the offering with a free size. `changes` replace or add parameters, None takes one away.
        """
        client = self.client
        datacenter = client.listVmwareDcs(zoneid=self.zone_id)["VMwareDC"][0]["id"]
        vms = client.listVmwareDcVms(existingvcenterid=datacenter)["unmanagedinstance"]
        listed = next((each for each in vms if each["name"] == vm), None)
        if listed is None:
            raise ValueError(f"the vCenter has no VM {vm!r}: there are {', '.join(each['name'] for each in vms)}")
        source = client.listVmwareDcVms(existingvcenterid=datacenter, hostname=listed["hostname"], instancename=vm)[
            "unmanagedinstance"
        ][0]
        network = client.listNetworks(listall=True, type="L2")["network"][0]["id"]
        disk_offerings = client.listDiskOfferings()["diskoffering"]
        free_size = next(each["id"] for each in disk_offerings if each.get("iscustomized") and not each.get("tags"))
        parameters: dict[str, Any] = {
            "name": vm,
            "zoneid": self.zone_id,
            "clusterid": self.cluster_id,
            "hypervisor": "KVM",
            "importsource": "vmware",
            "existingvcenterid": datacenter,
            "serviceofferingid": client.listServiceOfferings(name="Medium Instance")["serviceoffering"][0]["id"],
            "nicnetworklist": [{"nic": nic["id"], "network": network} for nic in source.get("nic", [])] or None,
            "datadiskofferinglist": [
                {"disk": disk["id"], "diskOffering": free_size} for disk in source.get("disk", [])[1:]
            ]
            or None,
        }
        return {name: value for name, value in (parameters | changes).items() if value is not None}

    def start_import(self, vm: str, **changes: Any) -> str:
        """Begin the import of a VM as `import_parameters` has it; the id of its job."""
        return self.client.start("importVm", **self.import_parameters(vm, **changes))

    def import_vm(self, vm: str, **changes: Any) -> dict[str, Any]:
        """Import a VM as `import_parameters` has it, and wait; the imported VM. Raises CloudStackError."""
        result: dict[str, Any] = self.client.result(self.start_import(vm, **changes))["virtualmachine"]
        return result

    def raise_for_leaks(self) -> None:
        """Raise LeakedError when imports have left anything behind."""
        leaks = self.leaks()
        if leaks:
            raise LeakedError(leaks)


def arm(cloud: Cloud, faults: Iterable[FaultWanted]) -> None:
    """Arm faults: names, or pairs of a name and its arguments."""
    for wanted in faults:
        name, choices = (wanted, {}) if isinstance(wanted, str) else wanted
        cloud.fault(name, **choices)


class _Use:
    """A cloud as a context manager, and as a decorator that hands it over as the argument `cloud`."""

    def __init__(self, make: Callable[[], AbstractContextManager[Cloud]]) -> None:
        self._make = make
        self._entered: list[AbstractContextManager[Cloud]] = []

    def __enter__(self) -> Cloud:
        made = self._make()
        cloud = made.__enter__()
        self._entered.append(made)
        return cloud

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return self._entered.pop().__exit__(kind, error, trace)

    def __call__(self, function: Callable[..., R]) -> Callable[..., R]:
        return _decorated(self._make, function)


class activate(_Use):
    """`with cloudstack_mock.activate(url=...) as cloud:` answers this process's own `requests` to that URL.

    Sessions, cookies, retries and streams work as over the network. With `transport="memory"` no port is opened, hosts
    and vCenter included; with `"sockets"` the same requests go over real ports: a test runs in both ways by this one
    argument. `other_urls` says what becomes of other URLs: False refuses them, True lets them pass, texts let pass what
    begins with one of them. `faults` are armed at once: names, or pairs of a name and its arguments. `options` are
    settings by their names (docs/settings.md). As a decorator it hands the cloud to a test as the argument `cloud`.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        transport: Transport = "memory",
        other_urls: OtherUrls = False,
        faults: Iterable[FaultWanted] = (),
        **options: Any,
    ) -> None:
        if transport not in ("memory", "sockets"):
            raise ValueError(f"transport = {transport!r}: expected 'memory' or 'sockets'")
        wanted = tuple(faults)
        super().__init__(lambda: _armed(opened(transport, url, other_urls=other_urls, options=options), wanted))


class cloud(_Use):
    """`with cloudstack_mock.cloud() as cloud:` is a world on ports of its own, for any client. See `activate`."""

    def __init__(self, *, faults: Iterable[FaultWanted] = (), **options: Any) -> None:
        wanted = tuple(faults)
        super().__init__(lambda: _armed(opened("sockets", None, other_urls=True, options=options), wanted))


def _decorated(make: Callable[[], AbstractContextManager[Cloud]], function: Callable[..., R]) -> Callable[..., R]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> R:
        with make() as made:
            return function(*args, cloud=made, **kwargs)

    # pytest must not take the argument for a fixture
    del wrapper.__wrapped__
    return wrapper


@contextmanager
def reached(world: World, url: str | None, other_urls: OtherUrls) -> Iterator[Cloud]:
    """The started world as a cloud, for this process's `requests` to `url` where one is given, else at its port."""
    with ExitStack() as stack:
        if url is not None:
            stack.enter_context(intercepted(url, answer_of(world), other_urls))
        made = Cloud(world, world.server.api_url if url is None else url, other_urls)
        stack.callback(made.close)
        yield made


@contextmanager
def opened(
    transport: Transport, url: str | None, *, other_urls: OtherUrls, options: Mapping[str, Any]
) -> Iterator[Cloud]:
    """A cloud of its own during the block; see `reached`."""
    with (
        world_of(options, in_memory=transport == "memory") as world,
        reached(world, url, other_urls) as made,
    ):
        yield made


@contextmanager
def _armed(cloud: AbstractContextManager[Cloud], faults: Iterable[FaultWanted]) -> Iterator[Cloud]:
    with cloud as made:
        arm(made, faults)
        yield made
