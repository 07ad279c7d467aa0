"""Reading a seed document and writing its world into an empty database."""

from __future__ import annotations

import logging
import re
import tempfile
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from marshmallow import ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from mgmt.fixtures import fixtures_dir
from mgmt.observe.redaction import MASK
from mgmt.store import seed_records
from mgmt.store.database import Store
from mgmt.store.models import VmwareDatacenter, Zone
from mgmt.store.seed_checks import Document, Problem, find_problems, root_admin
from mgmt.store.seed_rows import EMBEDDED, OwnVcenter, complete_rows, write_rows
from mgmt.store.seed_schemas import SeedSchema

logger = logging.getLogger(__name__)

KEPT_SEEDS = 8  # how many seeds a process remembers

_NAME = re.compile(r"[A-Za-z0-9_-]+")


class SeedError(Exception):
    """A seed that cannot be used: `file`, `path` in the document (empty: all of it) and `reason` of the first fault."""

    def __init__(self, file: Path | str, problems: list[Problem]) -> None:
        first = problems[0]
        place = f", {first.path}" if first.path else ""
        more = f" ({len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(f"seed {file}{place}: {first.reason}{more}")
        self.file = str(file)
        self.path = first.path
        self.reason = first.reason
        self.problems = tuple(problems)


@dataclass(frozen=True)
class SeedAdmin:
    """The root admin with known keys. The password of a world that was saved is known as a hash only."""

    username: str
    password: str | None = field(repr=False)
    api_key: str = field(repr=False)
    secret_key: str = field(repr=False)


@dataclass(frozen=True)
class Seed:
    """What others need to know of a seed."""

    file: Path
    admin: SeedAdmin
    zone_uuid: str
    cluster_uuid: str | None
    management_server_uuid: str
    management_server_name: str
    secrets: tuple[str, ...] = field(repr=False)
    document: Document = field(repr=False)

    @property
    def agents_file(self) -> Path | None:
        """The description of the seed's hosts; raises `SeedError` when the seed names one that is not there."""
        return _referenced(self.file, self.document, "agents")

    @contextmanager
    def file_of(self, key: str) -> Iterator[Path | None]:
        """The file that `agents` or `vcenter` names. Where its content stands in the seed, a file has it in the block.

        Raises `SeedError` when the seed names one that is not there.
        """
        content = self.document[key]
        if not isinstance(content, dict):
            yield _referenced(self.file, self.document, key)
            return
        with tempfile.TemporaryDirectory(prefix="cloudstack-mock-seed-") as folder:
            file = Path(folder) / f"{key}.yaml"
            file.write_text(yaml.dump(content, Dumper=Dumper, allow_unicode=True), encoding="utf-8")
            yield file

    @property
    def vcenter_file(self) -> Path | None:
        """The inventory of the seed's vCenter; raises `SeedError` when the seed names one that is not there."""
        return _referenced(self.file, self.document, "vcenter")


def read_seed(name_or_path: str) -> Seed:
    """The seed `fixtures/seeds/NAME.yaml`, or the one in the file; touches no database. Raises `SeedError`."""
    file = _find(name_or_path)
    document = _load(file)
    user = root_admin(document)
    assert user is not None, "the document was checked"
    admin = SeedAdmin(user["username"], user["password"], user["api_key"], user["secret_key"])
    clusters = document["clusters"]
    return Seed(
        file=file,
        admin=admin,
        zone_uuid=document["zones"][0]["uuid"],
        cluster_uuid=clusters[0]["uuid"] if clusters else None,
        management_server_uuid=document["management_server"]["uuid"],
        management_server_name=document["management_server"]["name"],
        secrets=tuple(dict.fromkeys(_secrets(document))),
        document=document,
    )


def saved_at_s(name_or_path: str) -> float | None:
    """The time in the world when it was saved as this seed, in seconds since the epoch; None for any other seed."""
    try:
        saved = _load(_find(name_or_path))["saved"]
    except SeedError:  # whoever starts the world is told
        return None
    return None if saved is None else float(saved.replace(tzinfo=UTC).timestamp())


def seed(store: Store, name_or_path: str, *, vcenter_address: str | None, vcenter_password: str | None = None) -> Seed:
    """Write the seed's world into `store` when it is empty, and return what others need to know of it.

    A database that was seeded before is left as it is, but for the address of the seed's own vCenter
    (`vcenter: embedded`), which becomes `vcenter_address`. With no address such a datacenter is not linked at all.
    A world that was saved has no passwords of vCenters: the datacenter of the own one gets `vcenter_password`.
    Raises `SeedError` for a bad document, and for a database that was filled from another seed.
    """
    found = read_seed(name_or_path)
    vcenter = None if vcenter_address is None else OwnVcenter(vcenter_address, vcenter_password or MASK)
    _warn_of_masked(found)
    if store.is_untouched:
        _seed_memory(store, found)
        with store.session() as session:
            _complete(session, store, found, vcenter)
        logger.info("seeded %s from %s", store.display_url, found.file)
        return found
    with store.session(exclusive=True) as session:
        zone_uuids = list(session.scalars(select(Zone.uuid)))
        if not zone_uuids:
            write_rows(session, found.document)
            session.flush()
            _complete(session, store, found, vcenter)
            logger.info("seeded %s from %s", store.display_url, found.file)
            return found
        if found.zone_uuid not in zone_uuids:
            reason = f"database {store.display_url} was filled from another seed: it holds no zone {found.zone_uuid}"
            raise SeedError(found.file, [Problem("zones[0].uuid", reason)])
        if vcenter is not None:
            for entry in found.document["vmware_datacenters"]:
                row = session.scalar(select(VmwareDatacenter).where(VmwareDatacenter.uuid == entry["uuid"]))
                if entry["vcenter"] == EMBEDDED and row is not None:
                    row.vcenter_host = vcenter.address
    return found


def _complete(session: Session, store: Store, found: Seed, vcenter: OwnVcenter | None) -> None:
    complete_rows(session, store.providers, found.document, vcenter)
    try:
        seed_records.write_records(session, found.document, vcenter)
    except ValueError as error:
        raise SeedError(found.file, [Problem("records", str(error))]) from None


def _warn_of_masked(found: Seed) -> None:
    for entry in found.document["vmware_datacenters"]:
        if entry["vcenter"] != EMBEDDED and entry["password"] == MASK:
            logger.warning(
                "%s: the password of the VMware datacenter %s was not saved: updateVmwareDc gives it one",
                found.file,
                entry["name"],
            )


# The rows of documents that were written once, as images of a memory database, by the identity of the document: reading
# gives the same one for the same text. The image keeps its document, so that no other takes its identity.
_images: dict[int, tuple[Document, bytes]] = {}


def _seed_memory(store: Store, found: Seed) -> None:
    """Fill an empty memory database with the seed's rows, by copying when they were written in this process before."""
    document, image = _images.get(id(found.document), (None, b""))
    if document is found.document:
        store.load_image(image)
        return
    with store.session() as session:
        write_rows(session, found.document)
    if len(_images) >= KEPT_SEEDS:
        _images.clear()
    _images[id(found.document)] = found.document, store.image()


def _find(name_or_path: str) -> Path:
    if _NAME.fullmatch(name_or_path) and not Path(name_or_path).is_file():
        file = fixtures_dir() / "seeds" / f"{name_or_path}.yaml"
        if file.is_file():
            return file
        known = ", ".join(sorted(each.stem for each in file.parent.glob("*.yaml")))
        raise SeedError(name_or_path, [Problem("", f"no seed of this name; there are {known}, or name a YAML file")])
    file = Path(name_or_path)
    if not file.is_file():
        raise SeedError(name_or_path, [Problem("", "no such file")])
    return file.resolve()


def _load(file: Path) -> Document:
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise SeedError(file, [Problem("", f"no UTF-8 text: {error.reason} at byte {error.start}")]) from None
    except OSError as error:
        raise SeedError(file, [Problem("", error.strerror or "cannot be read")]) from None
    return _checked(file, text)


# A text that was found good once stays good: worlds that begin one after the other share its document, which nobody
# changes.
@lru_cache(maxsize=KEPT_SEEDS)
def _checked(file: Path, text: str) -> Document:
    try:
        loaded = yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise SeedError(file, [Problem("", f"no YAML: {line}{error.problem}")]) from None
    except yaml.YAMLError as error:
        raise SeedError(file, [Problem("", f"no YAML: {error}")]) from None
    if not isinstance(loaded, dict):
        raise SeedError(file, [Problem("", "the document must be a map")])
    try:
        document: Document = SeedSchema().load(loaded)
    except ValidationError as error:
        raise SeedError(file, list(_flattened(error.messages_dict))) from None
    problems = [*find_problems(document), *seed_records.find_problems(document)]
    if problems:
        raise SeedError(file, problems)
    return document


def _flattened(messages: Any, path: str = "") -> Iterator[Problem]:
    """Marshmallow's nested messages as one problem for each place."""
    if isinstance(messages, Mapping):
        for key, inner in messages.items():
            if isinstance(key, int):
                yield from _flattened(inner, f"{path}[{key}]")
            elif key == "_schema":
                yield from _flattened(inner, path)
            else:
                yield from _flattened(inner, f"{path}.{key}" if path else str(key))
    else:
        yield Problem(path, " ".join(str(each) for each in messages))


def _referenced(file: Path, document: Document, key: str) -> Path | None:
    name = document[key]
    if not isinstance(name, str):
        return None
    # Beside the seed; beside its folder, as the shipped ones stand (seeds/, hosts/, vcenters/); among the shipped ones.
    for folder in (file.parent, file.parent.parent, fixtures_dir()):
        candidate: Path = folder / name
        if candidate.is_file():
            return candidate
    raise SeedError(file, [Problem(key, f"no file {name} beside the seed, beside its folder, nor in {fixtures_dir()}")])


def _secrets(document: Document) -> Iterator[str]:
    for account in document["accounts"]:
        for user in account["users"]:
            yield from (value for value in (user["secret_key"], user["password"]) if value)
    for datacenter in document["vmware_datacenters"]:
        if datacenter["password"] != MASK:
            yield datacenter["password"]
    for pool in document["storage_pools"]:
        if pool["user_info"]:
            yield pool["user_info"]
    yield from seed_records.secrets(document)


class Dumper(yaml.CSafeDumper if hasattr(yaml, "CSafeDumper") else yaml.SafeDumper):  # type: ignore[misc]
    """YAML's safe dumper, which writes what is there twice twice, and keeps the order of keys."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options | {"sort_keys": False})

    def ignore_aliases(self, data: Any) -> bool:
        """No anchors."""
        return True


class _Loader(yaml.CSafeLoader if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader):  # type: ignore[misc]
    """YAML's safe loader, which refuses a key that stands twice in one map."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable):
                if key in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"key {key!r} stands twice", key_node.start_mark
                    )
                seen.add(key)
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return mapping
