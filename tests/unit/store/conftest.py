"""Stores and seed documents to break."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from mgmt.fixtures import fixtures_dir
from mgmt.providers import Providers
from mgmt.store.database import Store

DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # the same text, a tenth of the time


@pytest.fixture
def open_store() -> Iterator[Callable[..., Store]]:
    """Open stores that are closed after the test."""
    opened: list[Store] = []

    def open_one(url: str = "sqlite://") -> Store:
        store = Store(url, Providers())
        opened.append(store)
        return store

    yield open_one
    for store in opened:
        store.close()


@pytest.fixture(scope="session")
def lab_text() -> str:
    return (fixtures_dir() / "seeds" / "lab.yaml").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def lab_data(lab_text: str) -> dict[str, Any]:
    loaded = yaml.safe_load(lab_text)
    assert isinstance(loaded, dict)
    return loaded


@pytest.fixture
def lab_document(lab_data: dict[str, Any]) -> dict[str, Any]:
    """The lab seed as plain data that a test may change."""
    return copy.deepcopy(lab_data)


@pytest.fixture
def write_seed(tmp_path: Path) -> Callable[[Any], str]:
    """Write a document (or raw text) as a seed file and give its path."""

    def write(document: Any) -> str:
        file = tmp_path / "broken.yaml"
        text = document if isinstance(document, str) else yaml.dump(document, Dumper=DUMPER, allow_unicode=True)
        file.write_text(text, encoding="utf-8")
        return str(file)

    return write
