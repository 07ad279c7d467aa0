"""Releases and their defects, as data."""

from __future__ import annotations

import pytest

from mgmt.api.binding import ordered_fields
from mgmt.commands import all_declarations, of_release
from mgmt.documents import PAGES
from mgmt.profiles import DEFAULT_PROFILE, PROFILES, release
from mgmt.quirks import KNOWN, NULL_TASK_ERROR_TEXT, VDDK_READS_ORIGINAL, Quirks


@pytest.mark.parametrize(
    ("profile", "unknown", "known"),
    [
        ("4.20", {"extraparams", "forceconverttopool", "osid", "usevddk"}, {"importinstancehostid"}),
        ("4.21", {"extraparams", "forceconverttopool", "osid", "usevddk"}, {"convertinstancepoolid"}),
        ("4.22.0", {"osid", "usevddk"}, {"extraparams", "forceconverttopool"}),
        ("4.22.1", set(), {"osid", "usevddk"}),
        ("main", set(), {"osid", "usevddk"}),
    ],
)
def test_parameters_of_import_vm(profile: str, unknown: set[str], known: set[str]) -> None:
    """A parameter that came later is neither bound nor listed."""
    declaration = of_release(all_declarations(), PROFILES[profile])["importVm"]
    for names in (dict(ordered_fields(declaration.params)), declaration.params._declared_fields):
        assert unknown.isdisjoint(names)
        assert known <= set(names)


def test_commands_of_a_release() -> None:
    """A command that came later is not there; the commands that all releases have are."""
    declarations = all_declarations()
    older = of_release(declarations, PROFILES["4.21"])
    assert "listImportVmTasks" not in older
    assert "importVm" in older
    assert "listImportVmTasks" in of_release(declarations, PROFILES["4.22.0"])
    assert set(of_release(declarations, PROFILES["main"], extensions=True)) == set(declarations)
    assert "usevddk" in declarations["importVm"].params._declared_fields, "the declarations themselves stay"


def test_releases_are_compared_as_numbers() -> None:
    """Missing parts count as 0."""
    assert release("4.22") == release("4.22.0.0") < release("4.22.1")
    assert release("4.9") < release("4.20.1")
    assert DEFAULT_PROFILE in PROFILES


def test_defects_belong_to_releases() -> None:
    """A release has the defects that came with it or before and that it does not repair."""
    assert not Quirks([], PROFILES["4.21"]).is_faithful(NULL_TASK_ERROR_TEXT)
    assert Quirks([], PROFILES["4.22.0"]).is_faithful(NULL_TASK_ERROR_TEXT)
    assert not Quirks([NULL_TASK_ERROR_TEXT], PROFILES["4.22.0"]).is_faithful(NULL_TASK_ERROR_TEXT)
    assert Quirks([], PROFILES["4.22.1"]).is_faithful(VDDK_READS_ORIGINAL)
    assert not Quirks([], PROFILES["main"]).is_faithful(VDDK_READS_ORIGINAL)
    assert Quirks(["all"]).absent == frozenset(KNOWN)


def test_the_page_lists_every_defect_and_release(request: pytest.FixtureRequest) -> None:
    """docs/profiles.md has a line for each defect, with its number upstream, and one for each release."""
    page = PAGES["profiles.md"](request.config.rootpath)
    for name, defect in KNOWN.items():
        assert f"| `{name}` |" in page
        assert f"| {defect.upstream} |" in page
    for profile in PROFILES.values():
        assert f"| `{profile.name}` | {profile.version} |" in page
