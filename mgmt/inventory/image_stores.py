"""Adding and removing secondary storage (upstream: StorageManagerImpl.discoverImageStore, deleteImageStore)."""

from __future__ import annotations

from urllib.parse import urlsplit

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from mgmt.errors import CloudRuntimeError, InvalidParameterValueError
from mgmt.inventory.lookup import get_live
from mgmt.providers import Providers
from mgmt.store.models import ImageStore, Zone

NFS = "NFS"


def add_image_store(
    session: Session, providers: Providers, *, provider: str, name: str | None, url: str | None, zone_id: int | None
) -> ImageStore:
    """Record an NFS store; raises InvalidParameterValueError and CloudRuntimeError with CloudStack's texts."""
    if provider.upper() != NFS:
        raise InvalidParameterValueError(f"can't find image store provider: {provider}")
    if zone_id is None or get_live(session, Zone, zone_id) is None:
        raise InvalidParameterValueError(f"Can't find zone by id {'null' if zone_id is None else zone_id}")
    if url is None:
        raise CloudRuntimeError("Failed to add data store: null")
    parts = urlsplit(url)
    if "://" not in url:
        raise CloudRuntimeError(
            f"Failed to add data store: uri.scheme is null {url}, add nfs:// (or cifs://) as a prefix"
        )
    if parts.scheme == "nfs" and (not parts.hostname or not parts.path):
        raise CloudRuntimeError(
            "Failed to add data store: Your host and/or path is wrong.  Make sure it's of the format "
            "nfs://hostname/path"
        )
    store = ImageStore(
        uuid=providers.ids.uuid(), name=name or url, zone_id=zone_id, url=url, protocol=parts.scheme, provider=NFS
    )
    session.add(store)
    session.flush()
    return store


def delete_image_store(session: Session, providers: Providers, store_id: int) -> None:
    """Remove a store; raises CloudRuntimeError when there is none."""
    store = get_live(session, ImageStore, store_id)
    if store is None:
        raise CloudRuntimeError(f"Image store with id {store_id} doesn't exist")
    store.removed = providers.utcnow()


def writable_store(session: Session, zone_id: int | None) -> ImageStore | None:
    """The first image store that a zone may write to, without a zone one of all zones; None when there is none."""
    of_zone = or_(ImageStore.zone_id.is_(None), ImageStore.zone_id == zone_id)
    writable = (ImageStore.removed.is_(None), ImageStore.read_only.is_(False), of_zone)
    return session.scalar(select(ImageStore).where(*writable).order_by(ImageStore.id).limit(1))
