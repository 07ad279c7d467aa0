"""Images on their way to the image stores: a registered template is ready once its download has taken its time.

Nothing is fetched: this world has no network, and its image stores hold records. How far a download is follows from the
server's clock; a thread, there as long as something is under way, marks what has come.
"""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

from sqlalchemy import select

from mgmt.clock import hold, new_event, working
from mgmt.clock.holds import Hold
from mgmt.inventory import usage
from mgmt.providers import Providers
from mgmt.store.database import Store
from mgmt.store.models import Template

THREAD_NAME = "template-downloads"
DOWNLOAD_S = 20.0  # how long an image takes
IMAGE_BYTES = 2 * 1024**3  # how big it turns out to be


def begin_download(template: Template, now: datetime) -> None:
    """Have the image of a new template come; tell `Downloads` once that is committed."""
    template.is_ready = False
    template.size_bytes = None
    template.download_began, template.download_ends = now, now + timedelta(seconds=DOWNLOAD_S)


class Downloads:
    """The downloads of one server; safe from many threads. What is under way survives a restart of the server."""

    def __init__(self, store: Store, providers: Providers) -> None:
        self._store = store
        self._providers = providers
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._again = False
        self._stopping = new_event(providers.clock)

    def start(self) -> None:
        """Go on with what an earlier server had under way."""
        self._stopping.clear()
        self.look()

    def look(self) -> None:
        """There may be something new under way."""
        with self._lock:
            if self._thread is not None:
                self._again = True
                return
            if self._stopping.is_set():
                return
            taken = hold(self._providers.clock, "template downloads")
            self._thread = threading.Thread(target=self._run, args=(taken,), name=THREAD_NAME, daemon=True)
            self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """End the thread; what is under way stays so."""
        self._stopping.set()
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join(timeout_s)

    def _run(self, taken: Hold | None) -> None:
        clock = self._providers.clock
        with working(clock, "template downloads", taken):
            while not self._stopping.is_set():
                rest_s = self._arrived()
                if rest_s is not None:
                    clock.wait(self._stopping, rest_s)
                    continue
                with self._lock:
                    if not self._again:
                        self._thread = None
                        return
                    self._again = False
        with self._lock:
            self._thread = None

    def _arrived(self) -> float | None:
        """Mark what has come; how long until the next does, in seconds, None with nothing under way."""
        now = self._providers.utcnow()
        with self._store.session() as session:
            pending = select(Template).where(
                Template.is_ready.is_(False), Template.removed.is_(None), Template.download_ends.is_not(None)
            )
            rest: list[float] = []
            for template in session.scalars(pending):
                assert template.download_ends is not None
                rest_s = (template.download_ends - now).total_seconds()
                if rest_s > 0:
                    rest.append(rest_s)
                    continue
                template.is_ready = True
                template.size_bytes = template.size_bytes or IMAGE_BYTES
                usage.template_event(session, self._providers, template, created=True)
        return min(rest, default=None)
